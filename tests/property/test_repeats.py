"""How often bytes repeat, counted as numpy counts it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi._core import repeats


@given(st.integers(0, 5), st.integers(1, 300), st.integers(1, 9), st.integers(1, 255), st.integers(0, 9))
def test_squared_counts_are_those_of_numpy(segments, length, stride, highest, seed):
    plane = np.random.default_rng(seed).integers(0, highest + 1, segments * length).astype(np.uint8)
    squares = np.empty(segments, np.int64)

    repeats.squared_counts(plane, length, stride, np.empty(256, np.uint32), squares)

    expected = [int((np.bincount(part[::stride]) ** 2).sum()) for part in plane.reshape(segments, length)]
    assert squares.tolist() == expected


@pytest.mark.parametrize(
    ("length", "stride", "n_counts", "n_squares"), [(0, 1, 256, 2), (5, 0, 256, 2), (5, 1, 255, 2), (5, 1, 256, 3)]
)
def test_sizes_that_do_not_fit_are_refused(length, stride, n_counts, n_squares):
    with pytest.raises(ValueError, match="must"):
        repeats.squared_counts(
            np.zeros(10, np.uint8), length, stride, np.empty(n_counts, np.uint32), np.empty(n_squares, np.int64)
        )
