"""How the chunks of a shard are stored: compressed and checked outside HDF5, so that threads can share the work.

HDF5 knows what was done by the filters that a dataset declares, and undoes it for any reader. Every codec notices a
flipped bit: behind each compressed chunk stands HDF5's Fletcher-32 of its stored bytes, which any reader compares, and
what is not compressed has a column of CRC-32 beside the chunks, which HDF5 itself does not look at.

The checksum within a deflate stream is not enough. It is an Adler-32 of the decoded bytes, and one flipped bit of the
stream can change several of them so that their sums stay the same (+1, -1, -1, +1).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

import deflate
import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.shard import bitshuffle, zstd
from gcn_luigi.io.shard.deflate import deflated, inflate
from gcn_luigi.io.shard.filters import fletcher32
from gcn_luigi.settings import Codec

CODECS: tuple[Codec, ...] = get_args(Codec)
_CHECKSUM_BYTES = 4
_SHUFFLE, _DEFLATE, _FLETCHER = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32
# Filters of a dataset, in the order they are applied on writing.
_CODEC_OF: Mapping[tuple[int, ...], Codec] = MappingProxyType(
    {
        (_DEFLATE, _FLETCHER): "deflate",
        (_SHUFFLE, _DEFLATE, _FLETCHER): "deflate",
        (bitshuffle.FILTER, _FLETCHER): "bitshuffle-lz4",
        (zstd.FILTER, _FLETCHER): "zstd",
        (_SHUFFLE, zstd.FILTER, _FLETCHER): "zstd",
        (): "none",
    }
)


def filters(codec: Codec, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the `h5py.Group.create_dataset` arguments that declare how chunks are stored.

    Parameters
    ----------
    codec : {"deflate", "bitshuffle-lz4", "zstd", "none"}
        Any HDF5 reads ``deflate`` and ``none`` without a plugin; the other two need hdf5plugin.
    dtype : dtype
        Of the dataset.

    Returns
    -------
    dict of str
        Keyword arguments.

    Raises
    ------
    ConfigError
        The codec's library is not installed.
    """
    is_wide = dtype.itemsize > 1
    match codec:
        case "deflate":
            return {"compression": "gzip", "compression_opts": 1, "shuffle": is_wide, "fletcher32": True}
        case "bitshuffle-lz4":
            bitshuffle.register()
            return {"compression": bitshuffle.FILTER, "compression_opts": bitshuffle.OPTIONS, "fletcher32": True}
        case "zstd":
            options = {"compression": zstd.FILTER, "compression_opts": zstd.OPTIONS, "allow_unknown_filter": True}
            return {**options, "shuffle": is_wide, "fletcher32": True}
        case "none":
            return {}
    raise ConfigError(f"no codec {codec!r}", where="shards.codec", fix=f"use one of {', '.join(CODECS)}")


def check_codec(codec: Codec) -> None:
    """Raise ConfigError where the library of a codec is not installed: better now than at the first shard."""
    encode(codec, np.zeros(8, np.int16))
    filters(codec, np.dtype(np.int16))


def codec_of(dataset: h5py.Dataset) -> Codec | None:
    """Return the codec that a dataset's filters stand for; None for any other filters."""
    plist = dataset.id.get_create_plist()
    return _CODEC_OF.get(tuple(plist.get_filter(number)[0] for number in range(plist.get_nfilters())))


def encode(codec: Codec, chunk: NDArray[Any]) -> bytes | memoryview:
    """Return the bytes HDF5 stores for a chunk under ``filters(codec, chunk.dtype)``: the same for the same chunk.

    Parameters
    ----------
    codec : {"deflate", "bitshuffle-lz4", "zstd", "none"}
        As in `filters`.
    chunk : ndarray
        Any shape, made C-contiguous if it is not.

    Returns
    -------
    bytes or memoryview
        Compressed, with a Fletcher-32 behind. For ``none`` the chunk's own memory.

    Raises
    ------
    ConfigError
        The codec's library is not installed.
    """
    if codec == "none":
        return np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).data
    stored = _COMPRESS[codec](chunk)
    return stored + _checksum(np.frombuffer(stored, np.uint8))


def decode(codec: Codec, stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Write the chunk that `encode` made `stored` of into `out`, its checksum verified.

    Parameters
    ----------
    codec : {"deflate", "bitshuffle-lz4", "zstd"}
        As in `filters`; what is stored plainly needs no decoding.
    stored : ndarray of uint8
        (byte,), C-contiguous.
    out : ndarray
        C-contiguous, of the chunk's shape and dtype; written to, also before damage is noticed.

    Raises
    ------
    OSError
        The bytes are damaged, or of another chunk.
    ConfigError
        The codec's library is not installed.
    """
    body, trailer = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
    if _checksum(body) != trailer.tobytes():
        raise OSError("the checksum of a chunk is wrong: it is damaged")
    _DECOMPRESS[codec](body, out)


def crc32(chunk: NDArray[Any] | memoryview | bytes) -> int:
    """Return the CRC-32 of zlib and PNG of a C-contiguous chunk, faster than memory is read."""
    plain = chunk.reshape(-1).view(np.uint8).data if isinstance(chunk, np.ndarray) else chunk
    return int(deflate.crc32(plain))


def _checksum(stored: NDArray[np.uint8]) -> bytes:
    return fletcher32(stored).to_bytes(_CHECKSUM_BYTES, "little")


_COMPRESS: Mapping[str, Callable[[NDArray[Any]], bytes]] = MappingProxyType(
    {"deflate": deflated, "bitshuffle-lz4": bitshuffle.compressed, "zstd": zstd.compressed}
)
_DECOMPRESS: Mapping[str, Callable[[NDArray[np.uint8], NDArray[Any]], None]] = MappingProxyType(
    {"deflate": inflate, "bitshuffle-lz4": bitshuffle.decompress, "zstd": zstd.decompress}
)
