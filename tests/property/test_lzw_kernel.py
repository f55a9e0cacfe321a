"""The kernel for LZW against a writer in plain Python."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcn_luigi._core import lzw as kernel
from tests.reference import lzw as reference

CLEAR, END = 256, 257


def decode(stored, size):
    out = np.full(size + 8, 99, np.uint8)
    count = kernel.decode(np.frombuffer(stored, np.uint8), out[:size])
    # Nothing is written beyond what was given.
    assert (out[size:] == 99).all()
    return count, out[: max(count, 0)].tobytes()


def some_bytes(length, seed, n_values):
    return np.random.default_rng(seed).integers(0, n_values, length, np.uint8).tobytes()


@settings(max_examples=200, deadline=None)
@given(
    length=st.integers(0, 6000),
    seed=st.integers(0, 2**32 - 1),
    n_values=st.sampled_from((1, 2, 5, 256)),
    clears_at=st.sampled_from((300, 511, 512, 1023, 4094)),
    has_end=st.booleans(),
)
@example(length=6000, seed=0, n_values=256, clears_at=4094, has_end=True)
def test_what_a_writer_stored_is_decoded(length, seed, n_values, clears_at, has_end):
    data = some_bytes(length, seed, n_values)

    assert decode(reference.encoded(data, clears_at=clears_at, has_end=has_end), length) == (length, data)


def test_strings_of_any_length_are_copied_up_to_the_end():
    # Each code is the string before it and one more byte: lengths 1, 2, 3 ...
    data = bytes(1000)
    stored = reference.encoded(data)
    for size in range(1000):
        assert decode(stored, size) == (size, data[:size])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 2000))
def test_no_stream_writes_or_reads_elsewhere(stored, size):
    count, _ = decode(stored, size)

    assert -1 <= count <= size


@pytest.mark.parametrize(
    "codes",
    [
        # The first code after a clear code is a byte; the next one may be new, but no more than that.
        [(CLEAR, 9), (258, 9)],
        [(CLEAR, 9), (65, 9), (259, 9)],
        [(CLEAR, 9), (65, 9), (66, 9), (CLEAR, 9), (258, 9)],
        [(400, 9)],
    ],
)
def test_a_code_that_means_nothing_is_refused(codes):
    assert decode(reference.packed(codes), 100)[0] == -1


def test_a_table_that_is_never_cleared_is_refused():
    codes = [(CLEAR, 9)] + [(65, min(max(9, (count + 1).bit_length()), 12)) for count in range(257, 5400)]

    assert decode(reference.packed(codes), 10000)[0] == -1
    assert decode(reference.packed(codes), 4000) == (4000, b"A" * 4000)


def test_a_stream_may_end_anywhere():
    data = some_bytes(500, 3, 4)
    stored = reference.encoded(data)
    for end in range(len(stored)):
        count, found = decode(stored[:end], 500)
        assert found == data[:count]
