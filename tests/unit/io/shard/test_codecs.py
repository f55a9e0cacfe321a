"""A chunk stored by us is what HDF5 itself would read back, and what we read back, whatever the codec."""

import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import get_args

import h5py
import numpy as np
import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.shard.codecs import (
    CODECS,
    bitshuffle_compressed,
    bitshuffle_decompress,
    check_codec,
    codec_of,
    crc32,
    decode,
    deflated,
    encode,
    filters,
    inflate,
    zstd_decompress,
)
from gcn_luigi.settings import Codec

DTYPES = ["u1", "<i2", "<i4", "<f4", "<f8"]
SHAPES = [(1,), (7,), (3, 5), (1, 1, 1), (2, 3, 5), (3, 64, 64)]
# Those that have something to decode.
COMPRESSING = [codec for codec in CODECS if codec != "none"]
# One of each library beside deflate.
LIBRARIES = {"bitshuffle-lz4": "hdf5plugin", "zstd": "zstandard"}


def test_every_codec_that_can_be_configured_is_known():
    assert get_args(Codec) == CODECS


def noise(dtype, shape, seed=1):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def bands(shape=(6, 64, 64), seed=2):
    """Return bands of int16: noise, smooth ground with noise, nothing, small numbers, gaps, noise again."""
    rng = np.random.default_rng(seed)
    image = rng.integers(-30000, 30000, shape).astype(np.int16)
    image[1] = 1000 + np.add.outer(np.arange(shape[1]), np.arange(shape[2])) + rng.integers(-120, 120, shape[1:])
    image[2] = 0
    image[3] = rng.integers(0, 9, shape[1:])
    image[4, : shape[1] // 2] = 0
    return image


def stored(values):
    return np.frombuffer(values, np.uint8).copy()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_hdf5_reads_what_was_compressed_outside_of_it_and_so_do_we(tmp_path, codec, dtype, shape):
    if codec in LIBRARIES:
        # HDF5 finds the filters of both once this is imported.
        import_module("hdf5plugin")
    values = noise(dtype, shape)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", shape, dtype, chunks=shape, **filters(codec, np.dtype(dtype)))
        dataset.id.write_direct_chunk((0,) * len(shape), encode(codec, values))

    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["x"][...], values)
        assert codec_of(file["x"]) == codec
    if codec != "none":
        back = np.empty_like(values)
        decode(codec, stored(encode(codec, values)), back)
        np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("codec", COMPRESSING)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_we_read_what_hdf5_compressed(tmp_path, codec, dtype, shape):
    values = noise(dtype, shape)
    # Filters of other packages only write if HDF5 has found them.
    made = {name: value for name, value in filters(codec, np.dtype(dtype)).items() if name != "allow_unknown_filter"}
    if codec in LIBRARIES:
        pytest.importorskip("hdf5plugin")

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=shape, **made)
    with h5py.File(tmp_path / "a.h5") as file:
        _, chunk = file["x"].id.read_direct_chunk((0,) * len(shape))

    back = np.empty_like(values)
    decode(codec, stored(chunk), back)
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("codec", COMPRESSING)
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 40, -1])
def test_a_chunk_cut_short_is_noticed(codec, length):
    whole = stored(encode(codec, bands()))

    with pytest.raises(OSError, match=r"\w"):
        decode(codec, whole[:length].copy(), np.empty((6, 64, 64), np.int16))


@pytest.mark.parametrize("codec", COMPRESSING)
@pytest.mark.parametrize("shape", [(5, 64, 64), (7, 64, 64)])
def test_a_chunk_of_another_size_is_noticed(codec, shape):
    whole = stored(encode(codec, bands()))

    with pytest.raises(OSError, match=r"\w"):
        decode(codec, whole, np.empty(shape, np.int16))


@pytest.mark.parametrize("codec", CODECS)
def test_threads_give_the_same_bytes_every_time(codec):
    # Small chunks of few values: here the output of some compressors depends on where memory lies.
    classes = np.random.default_rng(5).choice(np.array([0, 1, 2, 255], np.uint8), (150, 16, 16))
    first = [encode(codec, chunk) for chunk in classes]

    for _ in range(40 if codec == "deflate" else 5):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda chunk: encode(codec, chunk), classes)) == first


@pytest.mark.parametrize("codec", CODECS)
def test_a_view_is_compressed_as_it_is_seen(codec):
    values = noise("<i2", (4, 6, 8))

    assert encode(codec, values[:, ::2, ::-1]) == encode(codec, values[:, ::2, ::-1].copy())
    assert encode(codec, values.T) == encode(codec, np.ascontiguousarray(values.T))


@pytest.mark.parametrize("codec", CODECS)
def test_the_array_is_not_changed(codec):
    values = bands()
    before = values.copy()

    encode(codec, values)

    np.testing.assert_array_equal(values, before)


class TestDeflate:
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_stream_is_the_shuffled_bytes(self, dtype):
        values = noise(dtype, (4, 6))
        planes = [values.tobytes()[byte :: values.itemsize] for byte in range(values.itemsize)]

        assert zlib.decompress(deflated(values)) == b"".join(planes)

    @pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (0, 5, 1, 2, 3, 4), (2, 0, 1, 3, 4, 5), (0, 5, 1)], ids=str)
    def test_noise_is_stored_as_it_is_up_to_the_first_band_that_compresses(self, order):
        image = bands()[list(order)]
        stream = deflated(image)
        low = image.tobytes()[::2]
        n_noise = next((n for n, band in enumerate(order) if band in (2, 3, 4)), len(order))

        # Blocks of at most 65,535 bytes, each behind five bytes.
        length = n_noise * 64 * 64
        if length:
            assert stream[:2] == b"\x78\x01"
            assert stream[7 : 7 + length] == low[:length]
        assert zlib.decompress(stream) == low + image.tobytes()[1::2]

    def test_stored_noise_longer_than_a_block_of_deflate(self):
        image = np.random.default_rng(3).integers(-30000, 30000, (3, 256, 256)).astype(np.int16)

        assert zlib.decompress(deflated(image)) == image.tobytes()[::2] + image.tobytes()[1::2]
        # Noise cannot be made smaller: five bytes a block, six around them.
        assert len(deflated(image)) < image.nbytes * 1.001

    def test_a_stream_costs_few_more_bytes_than_compressing_all_of_it(self):
        rng = np.random.default_rng(4)
        ground = np.cumsum(rng.normal(0, 12, (5, 128, 128)), axis=2) + rng.normal(0, 40, (5, 128, 128))
        image = ground.astype(np.int16)

        assert len(deflated(image)) < 1.1 * len(zlib.compress(image.tobytes()[::2] + image.tobytes()[1::2], 1))

    @pytest.mark.parametrize("level", [0, 1, 6, 9])
    def test_streams_of_zlib_itself_are_read(self, level):
        image = bands()
        back = np.empty_like(image)

        inflate(stored(zlib.compress(image.tobytes()[::2] + image.tobytes()[1::2], level)), back)

        np.testing.assert_array_equal(back, image)


class TestFilters:
    def test_narrow_types_are_not_shuffled(self):
        said = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}

        assert filters("deflate", np.dtype("u1")) == {**said, "shuffle": False}
        assert filters("deflate", np.dtype("<i2")) == {**said, "shuffle": True}

    @pytest.mark.parametrize("dtype", ["u1", "<i2"])
    def test_what_is_not_compressed_has_no_filter_and_is_not_copied(self, dtype):
        values = noise(dtype, (4, 6))

        assert filters("none", np.dtype(dtype)) == {}
        assert np.shares_memory(np.frombuffer(encode("none", values), np.uint8), values)

    @pytest.mark.parametrize("shape", [(0,), (1,), (5, 7), (3, 128, 128)])
    def test_the_checksum_of_what_is_not_compressed_is_that_of_zlib(self, shape):
        values = noise("<i2", shape)

        assert crc32(values) == crc32(encode("none", values)) == zlib.crc32(values.tobytes())

    def test_another_codec_is_refused(self):
        with pytest.raises(ConfigError, match="lzma") as caught:
            filters("lzma", np.dtype("<i2"))

        assert "bitshuffle-lz4" in caught.value.fix

    @pytest.mark.parametrize(
        "made", [{"fletcher32": True}, {"compression": "lzf"}, {"compression": "gzip", "shuffle": True}], ids=str
    )
    def test_a_dataset_stored_otherwise_is_of_no_codec(self, tmp_path, made):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            dataset = file.create_dataset("x", data=noise("<i2", (3, 5)), chunks=(3, 5), **made)

            assert codec_of(dataset) is None


class TestMissingLibraries:
    @pytest.mark.parametrize(("codec", "library"), LIBRARIES.items())
    def test_a_codec_whose_library_is_missing_says_what_to_install(self, codec, library):
        # A process of its own: an imported library cannot be taken away.
        program = (
            f"import sys; sys.modules[{library!r}] = None\n"
            "import numpy as np\n"
            "from gcn_luigi.errors import ConfigError\n"
            "from gcn_luigi.io.shard.codecs import encode\n"
            f"try: encode({codec!r}, np.zeros((2, 8), np.int16))\n"
            "except ConfigError as error: print(error.fix)\n"
        )

        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        assert "gcn-luigi[codecs]" in ended.stdout

    def test_a_damaged_header_of_bitshuffle_is_noticed_before_the_library_is_called(self):
        image = bands()
        chunk = stored(bitshuffle_compressed(image))
        chunk[7] ^= 255

        with pytest.raises(OSError, match="bytes are needed"):
            bitshuffle_decompress(chunk, np.empty_like(image))

    def test_a_damaged_frame_of_zstd_is_noticed(self):
        with pytest.raises(OSError, match="damaged"):
            zstd_decompress(np.zeros(50, np.uint8), np.empty((2, 8), np.int16))


def test_a_codec_without_its_library_is_refused_before_anything_is_built(monkeypatch):
    for codec in CODECS:
        check_codec(codec)
    monkeypatch.setitem(sys.modules, "zstandard", None)

    with pytest.raises(ConfigError, match="zstd is not installed"):
        check_codec("zstd")
