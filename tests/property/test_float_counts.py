"""Statistics of float32 bands equal sums of fractions, for any values, weights, order and number of shards."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gcn_luigi._core import histogram as kernel
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.statistics.float_counts import FloatCounts, FloatHistogram, bin_values, summaries_of
from tests.reference import statistics as reference

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
PLAIN = st.floats(-2, 2, width=32)


@st.composite
def cases(draw):
    """Images of the same bands, each with flags and weights, and the bits of the bands."""
    n_bands, images = draw(st.integers(1, 3)), []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.integers(0, 4)), draw(st.integers(1, 7))
        image = draw(hnp.arrays(np.float32, (n_bands, *shape), elements=draw(st.sampled_from((FLOATS, PLAIN)))))
        flags = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3)))
        weight = draw(hnp.arrays(np.uint32, shape, elements=st.integers(0, 5)))
        images.append((image, flags, weight))
    return images, draw(hnp.arrays(np.uint8, n_bands, elements=st.sampled_from((0, 1, 2))))


def _table(images, bits):
    counts = FloatCounts(len(bits))
    for image, flags, weight in images:
        counts.add(image, flags, bits, weight)
    return counts.tables()


@given(cases())
def test_figures_are_those_of_fractions(case):
    images, bits = case
    tables = [_table([one], bits) for one in images]

    for prefix in ("", "chip_"):
        summaries = summaries_of(tables, prefix)
        for band, summary in enumerate(summaries):
            parts = [
                reference.samples(image[band], flags, bits[band], weight if prefix else (weight > 0).astype(int))
                for image, flags, weight in images
            ]
            values = np.concatenate(parts)
            assert summary.count == len(values)
            if not len(values):
                assert {*vars(summary).values()} == {0, None}
                continue
            exact = [Fraction(float(value)) for value in values]
            mean = sum(exact) / len(exact)
            variance = sum((value - mean) ** 2 for value in exact) / len(exact)
            assert summary.mean == float(mean)
            assert summary.std == pytest.approx(math.sqrt(variance), rel=1e-14, abs=0)
            assert (summary.min, summary.max) == (values.min(), values.max())
            for found, percent in ((summary.p1, 1), (summary.p99, 99)):
                true = np.percentile(values, percent, method="inverted_cdf").astype(np.float64)
                # The width of a bin, also of numbers so small that they have fewer digits.
                assert abs(found - true) <= max(abs(true) / 128, 2.0**-133)


@given(cases())
def test_shards_of_any_number_and_order_give_the_same_figures(case):
    images, bits = case
    tables = [_table([one], bits) for one in images]

    assert summaries_of(tables) == summaries_of(tables[::-1]) == summaries_of([_table(images, bits)])


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_bins_are_in_the_order_of_their_values(values):
    image = np.array(values, np.float32).reshape(1, 1, -1)
    plane = image.shape[1:]
    made = _table([(image, np.zeros(plane, np.uint8), np.ones(plane, np.uint32))], np.ones(1, np.uint8))

    bins = np.repeat(np.arange(65536), made["histogram"][0])
    middles = bin_values("float32")[bins]

    assert np.allclose(middles, np.sort(image.ravel()).astype(np.float64), rtol=1 / 256, atol=2.0**-133)


def test_bins_of_whole_numbers_stand_for_themselves():
    np.testing.assert_array_equal(bin_values("int16"), np.arange(-32768, 32768))


def test_negative_zero_is_zero():
    image = np.array([[[0.0, -0.0]]], np.float32)
    made = _table([(image, np.zeros((1, 2), np.uint8), np.ones((1, 2), np.uint32))], np.ones(1, np.uint8))

    assert made["histogram"][0, 32768] == 2
    assert str(made["lowest"][0]) == "0.0"


def test_more_samples_than_a_sum_can_hold_are_refused():
    counts, plane = FloatCounts(1), (1, 2)
    image, flags, bits = np.full((1, *plane), 0.1, np.float32), np.zeros(plane, np.uint8), np.ones(1, np.uint8)
    counts.add(image, flags, bits, np.full(plane, 2**32 - 1, np.uint32))
    with pytest.raises(InputError, match="too many to add their squares") as refused:
        counts.add(image, flags, bits, np.full(plane, 2**32 - 1, np.uint32))
    assert "n_train" in refused.value.fix


def test_many_samples_in_different_bins_are_not_refused():
    counts, plane = FloatCounts(1), (1, 2)
    flags, bits = np.zeros(plane, np.uint8), np.ones(1, np.uint8)
    for value in range(1, 7):
        counts.add(np.full((1, *plane), value, np.float32), flags, bits, np.full(plane, 2**30, np.uint32))

    assert counts.tables()["chip_histogram"].sum() == 6 * 2**31


def test_an_empty_histogram_has_no_figures():
    assert FloatHistogram(1).summary(0).count == 0


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("flags", (3, 4)),
        ("weight", (2, 5)),
        ("band_flags", (2,)),
        ("counts", (1, 65536, 5)),
        ("counts", (1, 100, 6)),
        ("counts", (2, 65536, 6)),
        ("extremes", (1, 3)),
        ("extremes", (2, 2)),
    ],
)
def test_the_kernel_refuses_arrays_that_do_not_fit(name, shape):
    arrays = {
        "image": np.zeros((1, 2, 4), np.int32),
        "flags": np.zeros((2, 4), np.uint8),
        "band_flags": np.zeros(1, np.uint8),
        "weight": np.ones((2, 4), np.uint32),
        "counts": np.zeros((1, 65536, 6), np.int64),
        "extremes": np.zeros((1, 2), np.int32),
    }
    arrays[name] = np.zeros(shape, arrays[name].dtype)

    with pytest.raises(ValueError, match="must"):
        kernel.add_floats(*arrays.values())
