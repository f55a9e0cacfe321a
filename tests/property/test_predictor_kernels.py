"""The predictors' kernels against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi._core import predictors as kernel
from tests.reference import predictors as reference

sizes = {"n_rows": st.integers(0, 5), "n_cols": st.integers(1, 40), "n_samples": st.integers(1, 5)}


def _words(shape, item_size, seed):
    return np.random.default_rng(seed).integers(0, 256, (*shape, item_size), np.uint8).view(f"u{item_size}")[..., 0]


@settings(max_examples=200, deadline=None)
@given(**sizes, item_size=st.sampled_from((1, 2, 4, 8)), seed=st.integers(0, 2**32 - 1), is_in_place=st.booleans())
def test_differences_are_summed(n_rows, n_cols, n_samples, item_size, seed, is_in_place):
    rows = _words((n_rows, n_cols * n_samples), item_size, seed)
    stored = np.array(
        [reference.differences(row.tolist(), n_samples, 8 * item_size) for row in rows], rows.dtype
    ).reshape(rows.shape)
    out = stored if is_in_place else np.empty_like(stored)

    kernel.sum_differences(stored, n_samples, out)

    assert (out == rows).all()


@settings(max_examples=200, deadline=None)
@given(**sizes, item_size=st.sampled_from((4, 8)), seed=st.integers(0, 2**32 - 1))
def test_bytes_of_floats_are_joined(n_rows, n_cols, n_samples, item_size, seed):
    rows = _words((n_rows, n_cols * n_samples), item_size, seed)
    n_bytes = n_cols * n_samples * item_size
    stored = np.empty((n_rows, n_bytes), np.uint8)
    for row, values in zip(stored, rows, strict=True):
        items = [value.tobytes()[::-1] for value in values]
        row[:] = np.frombuffer(reference.float_bytes(items, n_samples, item_size), np.uint8)
    out = np.empty_like(rows)

    kernel.join_float_bytes(stored, n_samples, out)

    assert (out == rows).all()


@pytest.mark.parametrize(("shape", "n_samples"), [((2, 6), 4), ((2, 6), 0), ((3, 6), 3), ((2, 5), 1)])
def test_kernels_refuse_arrays_that_do_not_fit(shape, n_samples):
    words = np.zeros((2, 6), np.uint32)

    with pytest.raises(ValueError, match="whole number of pixels"):
        kernel.sum_differences(words, n_samples, np.zeros(shape, np.uint32))
    with pytest.raises(ValueError, match="whole number of pixels"):
        kernel.join_float_bytes(np.zeros((2, 24), np.uint8), n_samples, np.zeros(shape, np.uint32))
