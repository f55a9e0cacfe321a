"""Windows cover a raster, their weights are positive and add up to 1, and means of rows are those of a whole raster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.prepare.chips.blending import BlendedRows, shares_of, window_starts, window_weights


@given(st.integers(1, 300), st.integers(1, 80), st.data())
def test_windows_cover_every_pixel_and_end_with_the_raster(length, size, data):
    step = data.draw(st.integers(1, size))
    starts = window_starts(length, size, step)

    covered = np.zeros(max(length, size), int)
    for start in starts:
        covered[start : start + size] += 1
    assert (covered[:length] > 0).all()
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= step).all()
    if length >= size:
        assert starts[0] == 0
        assert starts[-1] == length - size
    else:
        assert starts.tolist() == [0]


@pytest.mark.parametrize("blending", ["hann", "linear"])
@pytest.mark.parametrize(("size", "overlap"), [(8, 0), (8, 1), (8, 4), (9, 4), (9, 8), (1, 0), (128, 64)])
def test_weights_are_positive_symmetric_and_1_in_the_middle(size, overlap, blending):
    weights = window_weights(size, overlap, blending)

    assert weights.shape == (size, size)
    assert (weights > 0).all()
    assert weights.max() <= 1
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])
    np.testing.assert_array_equal(weights, weights.T)
    if 2 * overlap < size:
        assert weights[size // 2, size // 2] == 1


@pytest.mark.parametrize("blending", ["hann", "linear"])
@pytest.mark.parametrize("overlap", [1, 5, 16])
def test_weights_of_neighbours_add_up_to_1(overlap, blending):
    along = np.sqrt(np.diag(window_weights(32, overlap, blending)))
    np.testing.assert_allclose(along[-overlap:] + along[:overlap], 1, rtol=1e-12)


def test_shares_are_those_of_softmax_also_for_large_scores():
    scores = np.array([[[1000.0, -3.0]], [[999.0, -3.0]], [[-1000.0, -3.0]]], np.float32)
    shares = shares_of(scores)

    e = np.exp(-1.0)
    np.testing.assert_allclose(shares[:, 0, 0], [1 / (1 + e), e / (1 + e), 0], rtol=1e-12)
    assert shares[:, 0, 1].tolist() == [1 / 3] * 3


def test_means_of_rows_are_the_weighted_means_of_all_windows():
    rng = np.random.default_rng(4)
    weights = window_weights(6, 3, "hann")
    tops, lefts = window_starts(20, 6, 3), window_starts(11, 6, 3)
    values = {(top, left): rng.random((2, 6, 6)) for top in tops.tolist() for left in lefts.tolist()}
    sums, totals = np.zeros((2, 20, 11)), np.zeros((20, 11))
    for (top, left), window in values.items():
        sums[:, top : top + 6, left : left + 6] += weights * window
        totals[top : top + 6, left : left + 6] += weights

    rows, found = BlendedRows(2, 11, weights), []
    for top, end in zip(tops.tolist(), [*tops[1:].tolist(), 20], strict=True):
        for left in lefts.tolist():
            rows.add(left, values[top, left])
        found.append(rows.take(end - top))

    np.testing.assert_array_equal(np.concatenate(found, axis=1), sums / totals)


def test_a_pixel_in_no_window_is_not_a_number():
    rows = BlendedRows(1, 9, window_weights(4, 2, "linear"))
    rows.add(0, np.ones((1, 4, 4)))
    assert np.isnan(rows.take(4)[0]).tolist() == [[False] * 4 + [True] * 5] * 4
