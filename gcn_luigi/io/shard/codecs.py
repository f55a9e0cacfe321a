"""Compress and check the chunks of a shard outside HDF5, so that threads can share the work.

The filters that a dataset declares tell HDF5 how a chunk was compressed, so any HDF5 reader can decode it. HDF5 holds
one lock for all its work; the functions here hold none. Every codec detects a flipped bit. Each compressed chunk ends
with HDF5's Fletcher-32 of its stored bytes, which every reader compares. Uncompressed chunks have a column of CRC-32
next to them, which HDF5 itself does not check.

The checksum within a deflate stream is not enough. It is an Adler-32 of the decoded bytes, and one flipped bit of the
stream can change several of them so that the sums stay the same (+1, -1, -1, +1).
"""

import ctypes
import functools
import struct
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import deflate
import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi._core import filters as kernel
from gcn_luigi._core import repeats
from gcn_luigi.errors import ConfigError

if TYPE_CHECKING:
    # pydantic is not needed to read.
    from gcn_luigi.settings import Codec

CODECS: tuple["Codec", ...] = ("deflate", "bitshuffle-lz4", "zstd", "none")
_CHECKSUM_BYTES = 4

_SHUFFLE, _DEFLATE, _FLETCHER = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32
# Registered numbers of HDF5 filters that come with hdf5plugin.
_BITSHUFFLE, _ZSTD = 32008, 32015
# Filters of a dataset, in the order in which they are applied on writing.
_CODEC_OF: Mapping[tuple[int, ...], "Codec"] = MappingProxyType(
    {
        (_DEFLATE, _FLETCHER): "deflate",
        (_SHUFFLE, _DEFLATE, _FLETCHER): "deflate",
        (_BITSHUFFLE, _FLETCHER): "bitshuffle-lz4",
        (_ZSTD, _FLETCHER): "zstd",
        (_SHUFFLE, _ZSTD, _FLETCHER): "zstd",
        (): "none",
    }
)

# The level for libdeflate and Zstandard: the fastest one that searches for matches.
_LEVEL = 1
# The header that zlib writes at level 1: deflate, a window of 32 KB, fastest method (RFC 1950).
_ZLIB_HEADER = b"\x78\x01"
_LONGEST_STORED = 65535
# One of this many bytes of a segment is examined.
_STRIDE = 4
# A band is noise if two of its bytes are equal with a probability of at most 1 in 64. Its entropy (Renyi's, of order 2,
# which is not larger than Shannon's) is then at least 6 of 8 bits, so coding its bytes saves at most a quarter.
_NOISE = 64
# cd_values of bitshuffle: the default block size of the library, and LZ4. The filter prepends its version.
_BITSHUFFLE_OPTIONS = (0, 2)
# The header before the blocks of bitshuffle: bytes of the chunk and bytes of a block, both big-endian.
_BLOCKS_HEADER = struct.Struct(">QI")


def filters(codec: "Codec", dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the `h5py.Group.create_dataset` arguments that declare how chunks of `dtype` are stored.

    Any HDF5 reads ``deflate`` and ``none`` without a plugin; ``bitshuffle-lz4`` and ``zstd`` need hdf5plugin. Raise
    ConfigError if the codec is unknown or its library is not installed.
    """
    is_wide = dtype.itemsize > 1
    match codec:
        case "deflate":
            return {"compression": "gzip", "compression_opts": _LEVEL, "shuffle": is_wide, "fletcher32": True}
        case "bitshuffle-lz4":
            # hdf5plugin registers the filter when it is imported.
            bitshuffle_library()
            return {"compression": _BITSHUFFLE, "compression_opts": _BITSHUFFLE_OPTIONS, "fletcher32": True}
        case "zstd":
            options = {"compression": _ZSTD, "compression_opts": (_LEVEL,), "allow_unknown_filter": True}
            return {**options, "shuffle": is_wide, "fletcher32": True}
        case "none":
            return {}
    raise ConfigError(f"there is no codec {codec!r}", where="shards.codec", fix=f"use one of {', '.join(CODECS)}")


def check_codec(codec: "Codec") -> None:
    """Raise ConfigError if the library of a codec is not installed. Call this early, before the first shard."""
    encode(codec, np.zeros(8, np.int16))
    filters(codec, np.dtype(np.int16))


def codec_of(dataset: h5py.Dataset) -> "Codec | None":
    """Return the codec that the filters of a dataset mean; None for any other filters."""
    plist = dataset.id.get_create_plist()
    return _CODEC_OF.get(tuple(plist.get_filter(number)[0] for number in range(plist.get_nfilters())))


def encode(codec: "Codec", chunk: NDArray[Any]) -> bytes | memoryview:
    """Return the bytes that HDF5 stores for a chunk with ``filters(codec, chunk.dtype)``: equal for equal chunks.

    They are compressed and end with a Fletcher-32; for ``none`` they are the memory of the chunk. Raise ConfigError if
    the library of the codec is not installed.
    """
    solid = np.ascontiguousarray(chunk)
    if codec == "none":
        return solid.reshape(-1).view(np.uint8).data
    stored = _COMPRESS[codec](solid)
    return stored + _checksum(np.frombuffer(stored, np.uint8))


def decode(codec: "Codec", stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Decode `stored`, (byte,), the result of `encode`, into `out`. This is not for the codec ``none``.

    `out` is C-contiguous and has the shape and dtype of the chunk. Some damage is noticed only after `out` was written
    to. Raise OSError if the bytes are damaged or belong to a different chunk, ConfigError if the library of the codec
    is not installed.
    """
    body, trailer = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
    if _checksum(body) != trailer.tobytes():
        raise OSError("the checksum of a chunk is wrong: it is damaged")
    _DECOMPRESS[codec](body, out)


def crc32(chunk: NDArray[Any] | memoryview | bytes) -> int:
    """Return the CRC-32 (as in zlib and PNG) of a C-contiguous chunk."""
    plain = chunk.reshape(-1).view(np.uint8).data if isinstance(chunk, np.ndarray) else chunk
    return int(deflate.crc32(plain))


def _checksum(stored: NDArray[np.uint8]) -> bytes:
    return fletcher32(stored).to_bytes(_CHECKSUM_BYTES, "little")


def shuffled(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of `values` with bytes of equal significance together, (byte,), like HDF5's shuffle filter.

    Raise ValueError unless items have 1, 2, 4 or 8 bytes.
    """
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    out = np.empty(flat.shape, np.uint8)
    kernel.shuffle(flat, values.itemsize, out)
    return out


def unshuffled(stored: NDArray[np.uint8], out: NDArray[Any]) -> NDArray[Any]:
    """Undo `shuffled`: write the items to `out`, which is C-contiguous, and return it.

    Raise OSError if the number of bytes does not match.
    """
    if stored.size != out.nbytes:
        raise OSError(f"a chunk holds {stored.size} bytes, not {out.nbytes}")
    kernel.unshuffle(stored, out.itemsize, out.reshape(-1).view(np.uint8))
    return out


def fletcher32(stored: NDArray[np.uint8]) -> int:
    """Return the checksum that HDF5's fletcher32 filter appends to a chunk, as four little-endian bytes.

    It consists of two sums modulo 65535 of big-endian 16-bit words; the second adds up the running values of the first
    (Fletcher, 1982). A last odd byte is the high byte of its word. `stored` is (byte,), the chunk after all other
    filters.
    """
    checksum = np.empty(1, np.uint32)
    kernel.fletcher32(stored, checksum)
    return int(checksum[0])


def deflated(chunk: NDArray[Any]) -> bytes:
    """Return a zlib stream that HDF5's shuffle (wide types only) and deflate filters can decode.

    `chunk` is C-contiguous, (..., band, y, x) or any other shape. In shuffled pixels the low bytes of most bands are
    noise: deflate would spend nearly all of its time on them and save a few per cent. Leading bands that are noise are
    put into the stream as stored blocks (RFC 1951, 3.2.4), which any inflate copies. libdeflate compresses the rest.
    The result depends only on the bytes, so equal chunks give equal streams.
    """
    mixed = shuffled(chunk)
    n_bands = chunk.shape[-3] if chunk.ndim >= 3 else 1
    n_stored = _noise(mixed[: chunk.size], n_bands) if chunk.itemsize > 1 else 0
    if not n_stored:
        return bytes(deflate.zlib_compress(mixed.data, _LEVEL))
    blocks: list[bytes | bytearray | memoryview] = [_ZLIB_HEADER]
    for first in range(0, n_stored, _LONGEST_STORED):
        block = mixed[first : min(first + _LONGEST_STORED, n_stored)]
        blocks += [struct.pack("<BHH", 0, block.size, block.size ^ 0xFFFF), block.data]
    blocks += [deflate.deflate_compress(mixed[n_stored:].data, _LEVEL), struct.pack(">I", deflate.adler32(mixed.data))]
    return b"".join(blocks)


def _noise(plane: NDArray[np.uint8], bands: int) -> int:
    """Return how many bytes at the start of the plane of low bytes belong to bands of noise."""
    segment = plane.size // bands
    squares = np.empty(bands, np.int64)
    repeats.squared_counts(plane, segment, _STRIDE, np.empty(256, np.uint32), squares)
    looked_at = -(-segment // _STRIDE)
    # Computed in whole numbers: a logarithm could round differently on another machine and so give other bytes.
    is_noise = squares * _NOISE <= looked_at * looked_at
    return segment * (bands if is_noise.all() else int(np.argmin(is_noise)))


def inflate(stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Decode a chunk from `deflated`, or from any other zlib with HDF5's shuffle, into `out`.

    Raise OSError if the stream cannot be decoded, its Adler-32 is wrong, or its length differs.
    """
    try:
        plain = deflate.zlib_decompress(stored.data, out.nbytes)
    except (deflate.DeflateError, ValueError) as error:
        raise OSError(f"a deflated chunk is damaged: {error}") from error
    unshuffled(np.frombuffer(plain, np.uint8), out)


def zstd_compressed(chunk: NDArray[Any]) -> bytes:
    """Return the Zstandard frame of a shuffled chunk. The frame states the size of its content, as the filter needs."""
    # Threads must not share a compressor.
    frame: bytes = _zstandard().ZstdCompressor(level=_LEVEL).compress(shuffled(chunk).data)
    return frame


def zstd_decompress(stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Decode a chunk from `zstd_compressed` into `out`. Raise OSError for any other frame."""
    library = _zstandard()
    try:
        plain = library.ZstdDecompressor().decompress(stored.data, max_output_size=out.nbytes)
    except library.ZstdError as error:
        raise OSError(f"a Zstandard frame is damaged: {error}") from error
    unshuffled(np.frombuffer(plain, np.uint8), out)


def _zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ImportError as error:
        raise _not_installed("zstd", "zstandard", error) from error


def bitshuffle_compressed(chunk: NDArray[Any]) -> bytes:
    """Return the header and blocks that the bitshuffle filter gives for a C-contiguous chunk."""
    library = bitshuffle_library()
    target = np.empty(_BLOCKS_HEADER.size + library.bshuf_compress_lz4_bound(chunk.size, chunk.itemsize, 0), np.uint8)
    block = library.bshuf_default_block_size(chunk.itemsize)
    target[: _BLOCKS_HEADER.size] = np.frombuffer(_BLOCKS_HEADER.pack(chunk.nbytes, block * chunk.itemsize), np.uint8)
    blocks = target[_BLOCKS_HEADER.size :].ctypes.data
    written = library.bshuf_compress_lz4(chunk.ctypes.data, blocks, chunk.size, chunk.itemsize, 0)
    if written < 0:
        raise OSError(f"bitshuffle could not compress a chunk: error {written}")
    return target[: _BLOCKS_HEADER.size + written].tobytes()


def bitshuffle_decompress(stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Decode a chunk from `bitshuffle_compressed` into `out`. Raise OSError if it has another size.

    The library does not detect damage, so the checksum must be compared before.
    """
    library = bitshuffle_library()
    if stored.size < _BLOCKS_HEADER.size:
        raise OSError(f"a chunk of {stored.size} bytes has no header")
    size, block = _BLOCKS_HEADER.unpack(stored[: _BLOCKS_HEADER.size].tobytes())
    if size != out.nbytes or block % out.itemsize:
        raise OSError(
            f"the header of a chunk says {size} bytes in blocks of {block}, but {out.nbytes} bytes are needed"
        )
    blocks = stored[_BLOCKS_HEADER.size :]
    read = library.bshuf_decompress_lz4(
        blocks.ctypes.data, out.ctypes.data, out.size, out.itemsize, block // out.itemsize
    )
    if read != blocks.size:
        raise OSError(f"bitshuffle could not read a chunk: {read} of {blocks.size} bytes")


@functools.cache
def bitshuffle_library() -> Any:
    """Return the C library of hdf5plugin. It is loaded once per process and never unloaded."""
    try:
        # Its suffix is the system's: .so, or .dylib.
        plugins = Path(import_module("hdf5plugin").PLUGIN_PATH)
        library = ctypes.CDLL(str(next(plugins.glob("libh5bshuf.*"), plugins / "libh5bshuf.so")))
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        signatures: dict[str, tuple[Any, list[Any]]] = {
            "compress_lz4": (ctypes.c_int64, [pointer, pointer, size, size, size]),
            "decompress_lz4": (ctypes.c_int64, [pointer, pointer, size, size, size]),
            "compress_lz4_bound": (size, [size, size, size]),
            "default_block_size": (size, [size]),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(library, f"bshuf_{name}")
            function.restype, function.argtypes = result, arguments
    except (ImportError, OSError, AttributeError) as error:
        raise _not_installed("bitshuffle-lz4", "hdf5plugin", error) from error
    return library


def _not_installed(codec: "Codec", package: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"the codec {codec} is not installed: {error}",
        where="shards.codec",
        fix=f"pip install {package} (the extra gcn-luigi[codecs]), or use the codec deflate",
    )


_COMPRESS: Mapping[str, Callable[[NDArray[Any]], bytes]] = MappingProxyType(
    {"deflate": deflated, "bitshuffle-lz4": bitshuffle_compressed, "zstd": zstd_compressed}
)
_DECOMPRESS: Mapping[str, Callable[[NDArray[np.uint8], NDArray[Any]], None]] = MappingProxyType(
    {"deflate": inflate, "bitshuffle-lz4": bitshuffle_decompress, "zstd": zstd_decompress}
)
