"""Decode one block of a TIFF: undo its compression, its predictor and its byte order."""

from typing import Any

import deflate
import numpy as np
import zstandard
from numpy.typing import NDArray

from gcn_luigi._core import predictors
from gcn_luigi.io.tiff.directory import Directory

# Values of the tag Compression. Deflate has two: Adobe's and an older one of libtiff.
_NONE, _DEFLATE, _ZSTD = 1, (8, 32946), 50000
# Values of the tag Predictor.
_NO_PREDICTOR, _DIFFERENCES, _FLOATS = 1, 2, 3


def can_decode(directory: Directory) -> bool:
    """Return whether `decoded` knows the compression and the predictor of a TIFF."""
    if directory.compression == _NONE:
        # Predictors belong to compression; readers disagree about them without it.
        return directory.predictor == _NO_PREDICTOR
    if directory.compression not in (*_DEFLATE, _ZSTD):
        return False
    is_float = directory.dtype.kind == "f"
    return directory.predictor in (_NO_PREDICTOR, _DIFFERENCES) or (is_float and directory.predictor == _FLOATS)


def decoded(stored: bytes, directory: Directory, n_rows: int) -> NDArray[Any]:
    """Return a block of which the file holds the bytes `stored`: (y, x, sample), in the byte order of the machine.

    The last strip of a file may have fewer rows than others; `n_rows` is how many rows the raster has there. All rows
    of a block that the file holds are returned, at least `n_rows`.

    Raises
    ------
    ValueError
        The stream cannot be decoded, its checksum is wrong (deflate has an Adler-32 of the pixels), or it holds too
        many or too few bytes. The text completes a sentence that begins with "because".
    """
    width = directory.block[1] * directory.block_samples
    row_bytes = width * directory.dtype.itemsize
    plain = np.frombuffer(_plain(stored, directory), np.uint8)
    if plain.size < n_rows * row_bytes or plain.size % row_bytes:
        raise ValueError(f"it holds {plain.size:,} bytes instead of {n_rows * row_bytes:,}")
    rows = plain.reshape(-1, row_bytes)
    if directory.predictor == _FLOATS:
        pixels = _joined(rows, directory)
    else:
        pixels = rows.view(directory.dtype.newbyteorder(directory.byteorder))
        if not pixels.dtype.isnative:
            pixels = pixels.astype(directory.dtype)
        if directory.predictor == _DIFFERENCES:
            words = pixels.view(f"u{directory.dtype.itemsize}")
            summed = np.empty_like(words)
            predictors.sum_differences(words, directory.block_samples, summed)
            pixels = summed.view(directory.dtype)
    return pixels.reshape(len(rows), directory.block[1], directory.block_samples)


def _joined(rows: NDArray[np.uint8], directory: Directory) -> NDArray[Any]:
    size = directory.dtype.itemsize
    words = np.empty((len(rows), rows.shape[1] // size), f"u{size}")
    # The sums of the differences take the place of these.
    predictors.join_float_bytes(rows.copy(), directory.block_samples, words)
    return words.view(directory.dtype)


def _plain(stored: bytes, directory: Directory) -> bytes | bytearray:
    """Undo the compression. A stream that claims more bytes than a block has is not decoded."""
    size = directory.block_bytes
    if directory.compression == _NONE:
        return stored[:size]
    try:
        if directory.compression in _DEFLATE:
            return deflate.zlib_decompress(stored, size)
        if zstandard.frame_content_size(stored) <= size:
            return zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
    except (deflate.DeflateError, zstandard.ZstdError, ValueError) as error:
        raise ValueError("the checksum or the length of its stream is wrong") from error
    raise ValueError("its stream holds too much")
