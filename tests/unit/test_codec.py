"""A chunk compressed by us is what HDF5 itself would read back."""

import zlib
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from gcn_luigi.io.codec import deflated, filters

DTYPES = ["u1", "<i2", "<i4", "<f4", "<f8"]


def noise(dtype, shape, seed=1):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (1, 1, 1), (2, 3, 5)], ids=str)
def test_hdf5_reads_what_was_compressed_outside_of_it(tmp_path, dtype, shape):
    values = noise(dtype, shape)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", shape, dtype, chunks=shape, **filters("deflate", np.dtype(dtype)))
        dataset.id.write_direct_chunk((0,) * len(shape), deflated(values))

    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["x"][...], values)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_stream_is_the_shuffled_bytes(dtype):
    values = noise(dtype, (4, 6))
    planes = [values.tobytes()[byte :: values.itemsize] for byte in range(values.itemsize)]

    assert zlib.decompress(deflated(values)) == b"".join(planes)


def test_threads_give_the_same_bytes_every_time():
    # Small chunks of few values: here the output of some compressors depends on where memory lies.
    classes = np.random.default_rng(5).choice(np.array([0, 1, 2, 255], np.uint8), (150, 16, 16))
    first = [deflated(chunk) for chunk in classes]

    for _ in range(40):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(deflated, classes)) == first


def test_a_view_is_compressed_as_it_is_seen():
    values = noise("<i2", (4, 6, 8))

    assert deflated(values[:, ::2, ::-1]) == deflated(values[:, ::2, ::-1].copy())
    assert deflated(values.T) == deflated(np.ascontiguousarray(values.T))


def test_the_array_is_not_changed():
    values = noise("<i2", (4, 6))
    before = values.copy()

    deflated(values)

    np.testing.assert_array_equal(values, before)


def test_narrow_types_are_not_shuffled():
    assert filters("deflate", np.dtype("u1")) == {"compression": "gzip", "compression_opts": 1, "shuffle": False}
    assert filters("deflate", np.dtype("<i2")) == {"compression": "gzip", "compression_opts": 1, "shuffle": True}


@pytest.mark.parametrize("dtype", ["u1", "<i2"])
def test_without_compression_a_checksum_is_kept(dtype):
    assert filters("none", np.dtype(dtype)) == {"fletcher32": True}
