"""Deflated blocks of a GeoTIFF, checked by their own checksums.

libtiff refuses a block that does not decode, but takes one that decodes to more than a block: it keeps what fits,
does not look at the Adler-32, and leaves the end of the block as it was in memory. Such pixels are wild or plausible,
and may differ from one reading to the next.

An Adler-32 has a blind spot: one flipped bit of a stream can change several decoded bytes whose changes cancel out in
its sums (+1, -1, -1, +1). On image data that was some one flip in 14 000. What it lets through is caught only where the
values leave the band's valid range.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deflate
import numpy as np
from rasterio.enums import Compression, Interleaving

from gcn_luigi.errors import InputError


def check_deflated(dataset: Any, path: Path) -> None:
    """Decode every block of an open GeoTIFF and compare checksums; any other file or compression passes.

    Parameters
    ----------
    dataset : DatasetReader
        Open with rasterio.
    path : Path
        Its file.

    Raises
    ------
    InputError
        A block is damaged or lies beyond the end of the file.
    """
    if dataset.driver != "GTiff" or dataset.compression is not Compression.deflate:
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for band, row, col, size in _blocks(dataset):
            place = f"{col}_{row}"
            start = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
            # A sparse block has neither.
            if start and length and not _is_sound(handle, int(start), int(length), size):
                height, width = dataset.block_shapes[band - 1]
                raise InputError(
                    f"cannot be decoded: it is damaged, as the checksum of the block at row {row * height}, "
                    f"column {col * width} says",
                    where=str(path),
                    fix="copy or download the file again; if its pixels are right, write it anew: rio convert",
                )
    finally:
        os.close(handle)


def _blocks(dataset: Any) -> Iterator[tuple[int, int, int, int]]:
    """Yield band, row and column of each block that is stored, and the bytes that it holds."""
    is_mixed = dataset.interleaving is Interleaving.pixel
    for band in (1,) if is_mixed else dataset.indexes:
        height, width = dataset.block_shapes[band - 1]
        size = height * width * np.dtype(dataset.dtypes[band - 1]).itemsize * (dataset.count if is_mixed else 1)
        for row in range(-(-dataset.height // height)):
            for col in range(-(-dataset.width // width)):
                yield band, row, col, size


def _is_sound(handle: int, start: int, length: int, size: int) -> bool:
    # More than a block can need, stored or coded: the length itself is damaged.
    if length > 2 * size + 1024:
        return False
    try:
        # The last strip may be shorter.
        deflate.zlib_decompress(os.pread(handle, length, start), size)
    except (deflate.DeflateError, ValueError):
        return False
    return True
