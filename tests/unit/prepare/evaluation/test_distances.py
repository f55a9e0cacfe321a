"""Distances to the nearest training point, and between their distributions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from gcn_luigi.prepare.evaluation import distances
from gcn_luigi.prepare.evaluation.distances import (
    applicability_threshold,
    mean_distance,
    nearest,
    quantile_curve,
    sampled,
    wasserstein,
)


def test_the_nearest_of_three_points_by_hand():
    reference = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])

    assert nearest(np.array([[3.0, 4.0], [10.0, 1.0], [0.0, 10.0]]), reference).tolist() == [5.0, 1.0, 0.0]


def test_leaving_out_a_point_or_its_block_by_hand():
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    one, block = np.arange(4), np.array([0, 0, 1, 1])

    assert nearest(line, line, (one, one)).tolist() == [1.0, 1.0, 2.0, 7.0]
    assert nearest(line, line, (block, block)).tolist() == [3.0, 2.0, 2.0, 9.0]


def test_without_another_group_there_is_no_distance():
    line, block = np.array([[0.0], [1.0], [3.0]]), np.zeros(3, int)

    assert np.isnan(nearest(line, line, (block, block))).all()
    assert np.isnan(nearest(line, np.empty((0, 1)))).all()
    assert np.isnan(nearest(line[:1], line[:1], (block[:1], block[:1]))).all()


@pytest.mark.parametrize("n_blocks", [2, 7, 200])
def test_blocks_of_any_size_give_what_all_pairs_give(n_blocks, monkeypatch):
    # Large groups reach the last way of searching, small ones the first.
    monkeypatch.setattr(distances, "_NEIGHBOURS", (2, 8))
    monkeypatch.setattr(distances, "_AT_ONCE", 64)
    random = np.random.default_rng(n_blocks)
    points, block = random.normal(size=(400, 3)), random.integers(0, n_blocks, 400)
    apart = np.where(block[:, np.newaxis] == block, np.inf, cdist(points, points))

    np.testing.assert_allclose(nearest(points, points, (block, block)), apart.min(axis=1), rtol=1e-12)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (5, 5), (100, 7), (3, 1000)])
def test_the_wasserstein_distance_is_that_of_scipy(first, second):
    random = np.random.default_rng(first * second)
    one, other = random.gamma(2.0, 3.0, first), random.normal(5.0, 2.0, second).round(1)

    assert wasserstein(one, other) == pytest.approx(wasserstein_distance(one, other), rel=1e-12)
    assert wasserstein(one, one) == 0.0
    # Moving all values by 4 moves the curve by 4.
    assert wasserstein(one, one + 4.0) == pytest.approx(4.0)


def test_the_curve_holds_the_quantiles():
    curve = quantile_curve(np.arange(101.0)[::-1])

    assert curve == pytest.approx(np.arange(101.0))


def test_few_are_all_taken_and_many_are_sampled_the_same_way_each_time():
    assert sampled(4, 5, 0).tolist() == [0, 1, 2, 3]
    chosen = sampled(1000, 50, 0)
    assert len(np.unique(chosen)) == 50
    assert (np.diff(chosen) > 0).all()
    assert chosen.tolist() == sampled(1000, 50, 0).tolist() != sampled(1000, 50, 1).tolist()


def test_the_mean_of_all_pairs_by_hand_and_of_a_sample():
    # 3, 4 and 5 are the sides of a triangle.
    assert mean_distance(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]), 0) == 4.0
    assert mean_distance(np.array([[1.0, 2.0]]), 0) == 0.0
    # The mean distance of two random numbers from 0 to 1 is 1/3.
    many = np.random.default_rng(1).random((20_000, 1))
    assert mean_distance(many, 0) == pytest.approx(1 / 3, abs=0.01)


def test_the_threshold_leaves_outliers_out_by_hand():
    # Quartiles 2 and 4, so outliers begin beyond 4 + 1.5 * 2.
    assert applicability_threshold(np.array([1.0, 2.0, 3.0, 4.0, 100.0])) == 7.0
    # Without outliers it is the maximum.
    assert applicability_threshold(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 5.0
    assert applicability_threshold(np.array([0.25])) == 0.25
