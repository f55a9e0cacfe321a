"""Byte filters against plain Python, and against the library whose filters they are."""

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcn_luigi._core import filters as kernel
from gcn_luigi.io.shard.codecs import fletcher32, shuffled, unshuffled
from tests.reference import filters as reference


def _bytes(length, seed, only=None):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, length, np.uint8) if only is None else np.full(length, only, np.uint8)


lengths = st.one_of(st.integers(0, 80), st.integers(4000, 4200))


@settings(max_examples=150, deadline=None)
@given(lengths, st.integers(0, 2**32 - 1), st.sampled_from((1, 2, 4, 8)))
def test_bytes_are_shuffled_as_in_the_reference_and_back(length, seed, item_size):
    values, stored, back = _bytes(length, seed), np.empty(length, np.uint8), np.empty(length, np.uint8)

    kernel.shuffle(values, item_size, stored)
    kernel.unshuffle(stored, item_size, back)

    assert stored.tobytes() == reference.shuffled(values.tobytes(), item_size)
    assert back.tobytes() == values.tobytes()


@settings(max_examples=150, deadline=None)
@given(lengths, st.integers(0, 2**32 - 1), st.sampled_from((None, 0, 255)))
@example(2 * 65535, 0, 255)
# Longer than the longest block of lanes, with the largest sums there are.
@example(2 * (360 * 8 * 3 + 5) + 1, 0, 255)
def test_checksums_are_those_of_the_reference(length, seed, only):
    values = _bytes(length, seed, only)

    assert fletcher32(values) == reference.fletcher32(values.tobytes())


def test_sums_that_are_a_multiple_of_the_modulus_are_not_zero():
    # One word of 65535, and two words that add up to it.
    for data in (b"\xff\xff", b"\x00\x01\xff\xfe", bytes(100_000) + b"\xff\xff", b"\xff\xff" + bytes(100_000)):
        assert fletcher32(np.frombuffer(data, np.uint8)) == reference.fletcher32(data)
        assert fletcher32(np.frombuffer(data, np.uint8)) & 0xFFFF == 0xFFFF


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 16, 16), (9, 128, 128)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_the_library_stores_the_same_bytes_and_reads_ours(tmp_path, shape, dtype):
    chunk = _bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize, 7).view(dtype).reshape(shape)
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        kwargs = {"shape": shape, "dtype": dtype, "chunks": shape, "shuffle": True, "fletcher32": True}
        theirs, ours = file.create_dataset("theirs", **kwargs), file.create_dataset("ours", **kwargs)
        theirs[...] = chunk
        corner = (0,) * len(shape)
        _, stored = theirs.id.read_direct_chunk(corner)

        body = shuffled(chunk)
        checksum = fletcher32(body).to_bytes(4, "little")

        assert stored == body.tobytes() + checksum
        assert unshuffled(body, np.empty(shape, dtype)).tobytes() == chunk.tobytes()
        ours.id.write_direct_chunk(corner, body.tobytes() + checksum)
        assert ours[...].tobytes() == chunk.tobytes()


def test_a_wrong_checksum_is_noticed_by_the_library(tmp_path):
    chunk = _bytes(64, 7)
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        dataset = file.create_dataset("ours", shape=(64,), dtype="uint8", chunks=(64,), fletcher32=True)
        dataset.id.write_direct_chunk((0,), chunk.tobytes() + (fletcher32(chunk) ^ 1).to_bytes(4, "little"))

        with pytest.raises(OSError, match=r"Can.t"):
            dataset[...]


def test_items_in_any_order_of_memory_are_shuffled():
    values = np.arange(12, dtype=np.int16).reshape(3, 4).T

    assert shuffled(values).tobytes() == reference.shuffled(values.tobytes(), 2)


def test_what_cannot_be_filtered_is_refused():
    flat = np.zeros(8, np.uint8)

    for values in (np.zeros(2, "V3"), np.zeros(2, np.complex128), np.zeros(2, object)):
        with pytest.raises((TypeError, ValueError)):
            shuffled(values)
    with pytest.raises(OSError, match="8 bytes, not 6"):
        unshuffled(flat, np.empty(3, np.int16))
    for stored in (flat.view(np.int16), flat.reshape(2, 4), np.zeros(16, np.uint8)[::2]):
        with pytest.raises(ValueError, match=r"Buffer|contig"):
            fletcher32(stored)
        with pytest.raises((OSError, ValueError)):
            unshuffled(stored, np.empty(4, np.int16))
