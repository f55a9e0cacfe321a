"""How a TIFF stores its pixels in blocks (TIFF 6.0, Adobe 1992; BigTIFF, Aware Systems), and one block decoded."""

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

import deflate
import numpy as np
from numpy.typing import NDArray

from gcn_luigi._core import lzw, predictors

# Tags, by the names that the specification gives them.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 322, 323, 324, 325, 339
_DEFAULTS = MappingProxyType({
    _BITS: 1, _COMPRESSION: 1, _PHOTOMETRIC: 1, _FILL_ORDER: 1, _SAMPLES: 1, _ROWS_PER_STRIP: (1 << 32) - 1,
    _PLANAR: 1, _PREDICTOR: 1, _FORMAT: 1,
})  # fmt: skip
# numpy's codes of the unsigned types of values that tags read here may have: SHORT, LONG and LONG8.
_TYPES = MappingProxyType({3: "u2", 4: "u4", 16: "u8"})
_KINDS = MappingProxyType({1: "u", 2: "i", 3: "f"})
_SEPARATE, _YCBCR = 2, 6
# No writer needs more. A damaged directory may claim any number.
_MOST_TAGS = 4096
# Values of the tag Compression. Deflate has two: Adobe's and an older one of libtiff.
_NONE, _LZW, _DEFLATE, _ZSTD = 1, 5, (8, 32946), 50000
# The first byte of a stream of LZW whose first code clears the table: 256 in 9 bits.
_CLEAR = b"\x80"
# Values of the tag Predictor.
_NO_PREDICTOR, _DIFFERENCES, _FLOATS = 1, 2, 3

# Little-endian or big-endian.
ByteOrder = Literal["<", ">"]
_BYTE_ORDERS: Mapping[bytes, ByteOrder] = MappingProxyType({b"II": "<", b"MM": ">"})


@dataclass(frozen=True, eq=False)
class Directory:
    """How the pixels of a TIFF are stored."""

    byteorder: ByteOrder
    height: int
    width: int
    # Bands.
    n_samples: int
    # Of all samples, in the byte order of the machine.
    dtype: np.dtype[np.generic]
    # Values of the tags of these names.
    compression: int
    predictor: int
    # Rows and columns of a block: a tile or a strip.
    block: tuple[int, int]
    # False for strips.
    is_tiled: bool
    # True if a block holds all samples of its pixels, False if it holds one band.
    is_mixed: bool
    # Bytes from the start of the file, and number of bytes, (plane, row, col) of blocks; both 0 for a block that was
    # never written. There is one plane of mixed blocks, and otherwise one for each sample.
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def block_samples(self) -> int:
        """The number of samples that a block holds of each of its pixels."""
        return self.n_samples if self.is_mixed else 1

    @property
    def block_bytes(self) -> int:
        """The bytes of a decoded block."""
        return self.block[0] * self.block[1] * self.block_samples * self.dtype.itemsize


def read_directory(handle: int) -> Directory | None:
    """Return what the first directory of an open TIFF says; None if it is damaged or says anything uncommon.

    Common are samples of one type of 8, 16, 32 or 64 bits, in strips or tiles that are all listed.
    """
    try:
        byteorder, tags = _tags(handle)
        return _directory(byteorder, tags)
    except (KeyError, TypeError, ValueError, struct.error):
        return None


def can_decode(directory: Directory, handle: int) -> bool:
    """Return whether `decoded` knows the compression and the predictor of an open TIFF."""
    if directory.compression == _NONE:
        # Predictors belong to compression; readers disagree about them without it.
        return directory.predictor == _NO_PREDICTOR
    if directory.compression == _LZW:
        # Without differences LZW hardly compresses pixels of several bytes, and GDAL decodes such streams faster.
        if directory.predictor == _NO_PREDICTOR or _is_old_lzw(directory, handle):
            return False
    elif directory.compression == _ZSTD:
        if not _has_zstandard():
            return False
    elif directory.compression not in _DEFLATE:
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


def most_stored(block_bytes: int) -> int:
    """Return the most bytes that a block takes in a file. Compression makes none that much longer than its pixels."""
    return 2 * block_bytes + 1024


def can_hold(tag: float, dtype: str) -> bool:
    """Return whether a pixel of a type can hold a nodata tag. GDAL turns other tags into 0 or the nearest value.

    Examples
    --------
    >>> can_hold(255, "uint8"), can_hold(-9999, "uint8"), can_hold(float("nan"), "int16")
    (True, False, False)
    """
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return float(tag).is_integer() and limits.min <= tag <= limits.max
    return kind.kind != "f" or not math.isfinite(tag) or abs(tag) <= float(np.finfo(kind).max)


def _tags(handle: int) -> tuple[ByteOrder, dict[int, NDArray[np.int64]]]:
    """Return the byte order of a TIFF and the values of its tags, those that are read here."""
    size = os.fstat(handle).st_size
    head = os.pread(handle, 16, 0)
    byteorder: ByteOrder = _BYTE_ORDERS[head[:2]]
    is_big = struct.unpack_from(byteorder + "H", head, 2)[0] == 43
    entry, room, place, length = ("HHQ8s", 8, "Q", "Q") if is_big else ("HHI4s", 4, "I", "H")
    (start,) = struct.unpack_from(byteorder + place, head, 8 if is_big else 4)
    (n_tags,) = struct.unpack(byteorder + length, _piece(handle, start, struct.calcsize("=" + length), size))
    if n_tags > _MOST_TAGS:
        raise ValueError("too many tags")
    each = struct.calcsize("=" + entry)
    listed = _piece(handle, start + struct.calcsize("=" + length), n_tags * each, size)
    tags = {}
    for tag, kind, count, inline in struct.iter_unpack(byteorder + entry, listed):
        if kind in _TYPES:
            dtype = np.dtype(byteorder + _TYPES[kind])
            n_bytes = count * dtype.itemsize
            is_inline = n_bytes <= room
            listed_at = 0 if is_inline else struct.unpack(byteorder + place, inline)[0]
            values = inline[:n_bytes] if is_inline else _piece(handle, listed_at, n_bytes, size)
            tags[tag] = np.frombuffer(values, dtype).astype(np.int64)
    return byteorder, tags


def _piece(handle: int, start: int, length: int, size: int) -> bytes:
    if start + length > size:
        raise ValueError("beyond the end of the file")
    return os.pread(handle, length, start)


def _directory(byteorder: ByteOrder, tags: dict[int, NDArray[np.int64]]) -> Directory:
    def value(tag: int) -> int:
        """Return the value of a tag, which must be the same for all samples."""
        (only,) = set(tags[tag].tolist()) if tag in tags else {_DEFAULTS[tag]}
        return int(only)

    height, width, n_samples = value(_HEIGHT), value(_WIDTH), value(_SAMPLES)
    is_tiled = _TILE_OFFSETS in tags
    rows = value(_TILE_HEIGHT) if is_tiled else min(value(_ROWS_PER_STRIP), height)
    cols = value(_TILE_WIDTH) if is_tiled else width
    dtype = np.dtype(f"{_KINDS[value(_FORMAT)]}{_whole_bytes(value(_BITS))}")
    # Subsampled colours and reversed bits need more than what is done here.
    if value(_FILL_ORDER) != 1 or value(_PHOTOMETRIC) == _YCBCR or min(height, width, n_samples, rows, cols) < 1:
        raise ValueError("uncommon")
    is_mixed = value(_PLANAR) != _SEPARATE
    shape = 1 if is_mixed else n_samples, -(-height // rows), -(-width // cols)
    offsets, counts = (
        tags[tag].reshape(shape)
        for tag in ((_TILE_OFFSETS, _TILE_COUNTS) if is_tiled else (_STRIP_OFFSETS, _STRIP_COUNTS))
    )
    if ((offsets == 0) != (counts == 0)).any() or min(offsets.min(), counts.min()) < 0:
        raise ValueError("blocks that are only half listed")
    return Directory(
        byteorder=byteorder,
        height=height,
        width=width,
        n_samples=n_samples,
        dtype=dtype,
        compression=value(_COMPRESSION),
        predictor=value(_PREDICTOR),
        block=(rows, cols),
        is_tiled=is_tiled,
        is_mixed=is_mixed,
        offsets=offsets,
        counts=counts,
    )


def _whole_bytes(bits: int) -> int:
    if bits not in (8, 16, 32, 64):
        raise ValueError("parts of bytes")
    return bits // 8


def _joined(rows: NDArray[np.uint8], directory: Directory) -> NDArray[Any]:
    size = directory.dtype.itemsize
    words = np.empty((len(rows), rows.shape[1] // size), f"u{size}")
    # The sums of the differences take the place of these.
    predictors.join_float_bytes(rows.copy(), directory.block_samples, words)
    return words.view(directory.dtype)


def _is_old_lzw(directory: Directory, handle: int) -> bool:
    """Return whether the first block does not begin with a clear code, as in files of 1988 with bits in reverse."""
    first = directory.offsets[directory.counts > 0][:1].tolist()
    return any(os.pread(handle, 1, start) != _CLEAR for start in first)


def _has_zstandard() -> bool:
    """Return whether the library for Zstandard is installed, which is an extra."""
    try:
        import_module("zstandard")
    except ImportError:
        return False
    return True


def _plain(stored: bytes, directory: Directory) -> bytes | bytearray | NDArray[np.uint8]:
    """Undo the compression. A stream that claims more bytes than a block has is not decoded."""
    size = directory.block_bytes
    if directory.compression == _NONE:
        return stored[:size]
    if directory.compression == _LZW:
        plain = np.empty(size, np.uint8)
        n_plain = lzw.decode(np.frombuffer(stored, np.uint8), plain)
        if n_plain < 0:
            raise ValueError("its stream has a code that means nothing")
        return plain[:n_plain]
    if directory.compression in _DEFLATE:
        try:
            return deflate.zlib_decompress(stored, size)
        except (deflate.DeflateError, ValueError) as error:
            raise ValueError("the checksum or the length of its stream is wrong") from error
    library = import_module("zstandard")
    try:
        if library.frame_content_size(stored) <= size:
            frame: bytes = library.ZstdDecompressor().decompress(stored, max_output_size=size)
            return frame
    except library.ZstdError as error:
        raise ValueError("the checksum or the length of its stream is wrong") from error
    raise ValueError("its stream holds too much")
