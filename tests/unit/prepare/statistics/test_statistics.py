"""Statistics of bands and classes."""

import math

import numpy as np
import pytest

from gcn_luigi.prepare.statistics.statistics import (
    N_BINS,
    BandSummary,
    class_weights,
    ks_distance,
    summarise,
)


def _histogram(values, weights=1):
    histogram = np.zeros(N_BINS, np.int64)
    np.add.at(histogram, np.asarray(values, np.int64) + 32768, weights)
    return histogram


class TestSummary:
    def test_nothing_counted_gives_no_numbers(self):
        assert summarise(np.zeros(N_BINS, np.int64)) == BandSummary(0, None, None, None, None, None, None)

    def test_one_value_has_no_spread(self):
        assert summarise(_histogram([-7], 1000)) == BandSummary(1000, -7.0, 0.0, -7, -7, -7, -7)

    def test_numpy_agrees(self):
        values = np.random.default_rng(3).normal(500, 4000, 4321).astype(np.int16)

        summary = summarise(_histogram(values))

        assert (summary.count, summary.min, summary.max) == (4321, values.min(), values.max())
        assert math.isclose(summary.mean, values.mean(dtype=np.float64), rel_tol=1e-12)
        assert math.isclose(summary.std, values.std(dtype=np.float64), rel_tol=1e-12)
        assert summary.p1 == np.percentile(values, 1, method="inverted_cdf")
        assert summary.p99 == np.percentile(values, 99, method="inverted_cdf")

    @pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 200, 700])
    def test_a_percentile_is_the_value_that_enough_samples_do_not_exceed(self, n):
        summary = summarise(_histogram(np.arange(n)))

        assert summary.p1 == math.ceil(n / 100) - 1
        assert summary.p99 == n - n // 100 - 1

    def test_counts_too_large_for_64_bit_squares_stay_exact(self):
        summary = summarise(_histogram([-32768, 32766], 10**15))

        assert (summary.mean, summary.std) == (-1.0, 32767.0)

    def test_a_large_mean_costs_a_small_spread_nothing(self):
        summary = summarise(_histogram([32000, 32001], 10**14))

        assert (summary.mean, summary.std) == (32000.5, 0.5)


class TestClassWeights:
    def test_even_classes_weigh_one(self):
        weights = class_weights({"none": 7, "debris": 7, "ice": 7})

        assert set(weights) == {"inverse_frequency", "median_frequency"}
        assert all(set(kind.values()) == {1.0} for kind in weights.values())

    def test_rare_classes_weigh_more(self):
        weights = class_weights({"ice": 20, "none": 60, "debris": 10})

        assert weights["inverse_frequency"] == {"none": 0.5, "debris": 3.0, "ice": 1.5}
        assert weights["median_frequency"] == {"none": 1 / 3, "debris": 2.0, "ice": 1.0}

    def test_an_absent_class_weighs_nothing_and_does_not_dilute_the_others(self):
        weights = class_weights({"none": 30, "debris": 0, "ice": 10})

        assert weights["inverse_frequency"] == {"none": 40 / 60, "debris": 0.0, "ice": 2.0}
        assert weights["median_frequency"] == {"none": 20 / 30, "debris": 0.0, "ice": 2.0}
        assert class_weights(dict.fromkeys(("none", "debris", "ice"), 0))["median_frequency"] == {
            "none": 0.0,
            "debris": 0.0,
            "ice": 0.0,
        }


class TestKsDistance:
    def test_equal_shapes_have_no_distance_whatever_their_counts(self):
        assert ks_distance(_histogram([1, 2, 3]), _histogram([1, 2, 3], 1000)) == 0.0

    def test_ranges_that_do_not_meet_are_one_apart(self):
        assert ks_distance(_histogram([-5, -4]), _histogram([3])) == 1.0

    def test_the_largest_gap_counts(self):
        assert ks_distance(_histogram([0, 0, 0, 1]), _histogram([0, 1, 1, 1])) == 0.5
