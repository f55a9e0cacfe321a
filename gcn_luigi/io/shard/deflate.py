"""Deflate as HDF5 stores it: bytes shuffled, then a zlib stream, its noise left as it is.

In shuffled pixels the low bytes of most bands are noise: deflate spends nearly all of its time on them and saves a few
per cent. They are put into the stream as stored blocks (RFC 1951, 3.2.4), which any inflate copies, and the rest is
compressed by libdeflate. What is stored depends on the bytes alone, so equal chunks give equal streams.
"""

import struct
from typing import Any

import deflate
import numpy as np
from numpy.typing import NDArray

from gcn_luigi._core import repeats
from gcn_luigi.io.shard.filters import shuffled, unshuffled

# Level of libdeflate: the fastest that looks for matches.
_LEVEL = 1
# Deflate, a window of 32 KB, fastest method: what zlib writes at level 1 (RFC 1950).
_ZLIB_HEADER = b"\x78\x01"
_LONGEST_STORED = 65535
# Bytes looked at, in a segment: one of so many.
_STRIDE = 4
# A band is noise where two of its bytes are equal with a chance of 1 in 64 at most: its entropy (Renyi's, of order 2,
# which is no larger than Shannon's) is 6 of 8 bits or more, so that coding its bytes saves a quarter at most.
_NOISE = 64


def deflated(chunk: NDArray[Any]) -> bytes:
    """Return the bytes that HDF5's shuffle and deflate filters stand for.

    Parameters
    ----------
    chunk : ndarray
        (..., band, y, x), or any other shape; made C-contiguous if it is not. Bands are judged one by one.

    Returns
    -------
    bytes
        A zlib stream of the shuffled bytes; of the plain ones where a value is one byte wide.
    """
    solid = np.ascontiguousarray(chunk)
    mixed = shuffled(solid)
    if solid.itemsize == 1:
        return bytes(deflate.zlib_compress(mixed.data, _LEVEL))
    bands = solid.shape[-3] if solid.ndim >= 3 else 1
    stored = _noise(mixed[: solid.size], bands)
    if not stored:
        return bytes(deflate.zlib_compress(mixed.data, _LEVEL))
    blocks: list[bytes | bytearray | memoryview] = [_ZLIB_HEADER]
    for first in range(0, stored, _LONGEST_STORED):
        block = mixed[first : min(first + _LONGEST_STORED, stored)]
        blocks += [struct.pack("<BHH", 0, block.size, block.size ^ 0xFFFF), block.data]
    blocks += [deflate.deflate_compress(mixed[stored:].data, _LEVEL), struct.pack(">I", deflate.adler32(mixed.data))]
    return b"".join(blocks)


def inflate(stored: bytes | NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Write the chunk that `deflated`, or any other zlib with HDF5's shuffle, made into `out`.

    Parameters
    ----------
    stored : bytes or ndarray of uint8
        The stream; (byte,), C-contiguous.
    out : ndarray
        C-contiguous, of the chunk's shape and dtype; written to.

    Raises
    ------
    OSError
        The stream is damaged: it cannot be decoded, its Adler-32 is wrong, or it is of another length. An Adler-32
        misses some damage: one flipped bit of a stream may change several bytes whose changes cancel out in its sums.
    """
    target = out.reshape(-1).view(np.uint8)
    content = stored.data if isinstance(stored, np.ndarray) else stored
    try:
        plain = np.frombuffer(deflate.zlib_decompress(content, target.size), np.uint8)
    except (deflate.DeflateError, ValueError) as error:
        raise OSError(f"a deflated chunk is damaged: {error}") from error
    if plain.size != target.size:
        raise OSError(f"a deflated chunk holds {plain.size} bytes, not {target.size}")
    unshuffled(plain, out)


def _noise(plane: NDArray[np.uint8], bands: int) -> int:
    """Return how many bytes of the plane of low bytes, from its start on, are bands of noise."""
    segment = plane.size // bands
    squares = np.empty(bands, np.int64)
    repeats.squared_counts(plane, segment, _STRIDE, np.empty(256, np.uint32), squares)
    looked_at = -(-segment // _STRIDE)
    # In whole numbers: a logarithm could round otherwise on another machine, and give other bytes.
    is_noise = squares * _NOISE <= looked_at * looked_at
    return segment * (bands if is_noise.all() else int(np.argmin(is_noise)))
