"""How the chunks of a shard are stored: compressed and checked outside HDF5, so that threads can share the work.

HDF5 knows what was done by the filters that a dataset declares, and undoes it for any reader. Every codec notices a
flipped bit: deflate by the checksum of its stream, the others by HDF5's Fletcher-32 behind the chunk.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi._core import filters as kernel
from gcn_luigi.errors import ConfigError
from gcn_luigi.io import bitshuffle, zstd
from gcn_luigi.io.deflate import deflated, inflate
from gcn_luigi.settings import Codec

CODECS: tuple[Codec, ...] = get_args(Codec)
CHECKSUM_BYTES = 4
_SHUFFLE, _DEFLATE, _FLETCHER = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32
# Filters of a dataset, in the order they are applied on writing.
_CODEC_OF: Mapping[tuple[int, ...], Codec] = MappingProxyType(
    {
        (_DEFLATE,): "deflate",
        (_SHUFFLE, _DEFLATE): "deflate",
        (bitshuffle.FILTER, _FLETCHER): "bitshuffle-lz4",
        (zstd.FILTER, _FLETCHER): "zstd",
        (_SHUFFLE, zstd.FILTER, _FLETCHER): "zstd",
        (_FLETCHER,): "none",
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
            return {"compression": "gzip", "compression_opts": 1, "shuffle": is_wide}
        case "bitshuffle-lz4":
            bitshuffle.register()
            return {"compression": bitshuffle.FILTER, "compression_opts": bitshuffle.OPTIONS, "fletcher32": True}
        case "zstd":
            options = {"compression": zstd.FILTER, "compression_opts": zstd.OPTIONS, "allow_unknown_filter": True}
            return {**options, "shuffle": is_wide, "fletcher32": True}
        case "none":
            return {"fletcher32": True}
    raise ConfigError(f"no codec {codec!r}", where="shards.codec", fix=f"use one of {', '.join(CODECS)}")


def codec_of(dataset: h5py.Dataset) -> Codec | None:
    """Return the codec that a dataset's filters stand for; None for any other filters."""
    plist = dataset.id.get_create_plist()
    return _CODEC_OF.get(tuple(plist.get_filter(number)[0] for number in range(plist.get_nfilters())))


def encode(codec: Codec, chunk: NDArray[Any]) -> bytes:
    """Return the bytes HDF5 stores for a chunk under ``filters(codec, chunk.dtype)``: the same for the same chunk.

    Parameters
    ----------
    codec : {"deflate", "bitshuffle-lz4", "zstd", "none"}
        As in `filters`.
    chunk : ndarray
        Any shape, made C-contiguous if it is not.

    Returns
    -------
    bytes
        Compressed; behind them, for all codecs but deflate, their Fletcher-32.

    Raises
    ------
    ConfigError
        The codec's library is not installed.
    """
    if codec == "deflate":
        return deflated(chunk)
    compress: Callable[[NDArray[Any]], bytes | memoryview] = _COMPRESS[codec]
    stored = compress(chunk)
    return b"".join((stored, _checksum(np.frombuffer(stored, np.uint8))))


def decode(codec: Codec, stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Write the chunk that `encode` made `stored` of into `out`, its checksum verified.

    Parameters
    ----------
    codec : {"deflate", "bitshuffle-lz4", "zstd", "none"}
        As in `filters`.
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
    if codec == "deflate":
        inflate(stored.data, out)
        return
    body, trailer = stored[:-CHECKSUM_BYTES], stored[-CHECKSUM_BYTES:]
    check(body, trailer)
    if codec == "bitshuffle-lz4":
        bitshuffle.decompress(body, out)
    elif codec == "zstd":
        zstd.decompress(body, out)
    else:
        target = out.reshape(-1).view(np.uint8)
        if body.size != target.size:
            raise OSError(f"a chunk holds {body.size} bytes, not {target.size}")
        target[:] = body


def check(body: NDArray[np.uint8], trailer: NDArray[np.uint8]) -> None:
    """Raise OSError unless the four bytes of `trailer` are the little-endian Fletcher-32 of `body`, both (byte,)."""
    if _checksum(body) != trailer.tobytes():
        raise OSError("the checksum of a chunk is wrong: it is damaged")


def _checksum(stored: NDArray[np.uint8]) -> bytes:
    out = np.empty(1, np.uint32)
    kernel.fletcher32(stored, out)
    return int(out[0]).to_bytes(CHECKSUM_BYTES, "little")


def _plain(chunk: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).data


_COMPRESS: Mapping[str, Callable[[NDArray[Any]], bytes | memoryview]] = MappingProxyType(
    {"bitshuffle-lz4": bitshuffle.compressed, "zstd": zstd.compressed, "none": _plain}
)
