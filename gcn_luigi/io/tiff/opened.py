"""Read windows of a GeoTIFF by decoding its blocks here: each once for all windows that share it, and checked."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from numpy.typing import NDArray

from gcn_luigi.errors import InputError
from gcn_luigi.io.tiff.blocks import Directory, can_decode, can_hold, decoded, most_stored, read_directory

# Smaller blocks take less time in GDAL, since each costs some microseconds of Python here.
_SMALLEST = 1 << 15

# Path of a file, plane, and row and column of a block.
_Key = tuple[str, int, int, int]


class BlockCache:
    """Decoded blocks of all files of a process, up to a number of bytes; the least recently used is dropped first."""

    def __init__(self, n_bytes: int) -> None:
        self._room = n_bytes
        self._blocks: OrderedDict[_Key, NDArray[Any]] = OrderedDict()
        # Bytes that were decoded so far.
        self.decoded_bytes = 0

    def get(self, key: _Key) -> NDArray[Any] | None:
        """Return a block, (y, x, sample), that nobody may change; None if it is not here."""
        if key in self._blocks:
            self._blocks.move_to_end(key)
        return self._blocks.get(key)

    def put(self, key: _Key, block: NDArray[Any]) -> None:
        """Keep a block that was decoded, at least until the next one comes."""
        self.decoded_bytes += block.nbytes
        self._blocks[key] = block
        self._room -= block.nbytes
        while self._room < 0 and len(self._blocks) > 1:
            self._room += self._blocks.popitem(last=False)[1].nbytes


class DecodedTiff:
    """An open GeoTIFF of which windows are read without GDAL, with the pixels that GDAL would give.

    `of` says which files these are. It is closed by the caller and does not close `dataset`.
    """

    def __init__(self, path: str, handle: int, directory: Directory, fills: Sequence[float], cache: BlockCache) -> None:
        self._path = path
        self._handle = handle
        self._directory = directory
        self._fills = fills
        self._cache = cache

    @classmethod
    def of(cls, dataset: Any, cache: BlockCache) -> Self | None:
        """Return the blocks of an open rasterio dataset, or None if GDAL must read it.

        GDAL reads other formats, compressions and types, small blocks such as rows, files with blocks that were never
        written without a nodata tag that fits their type, and every file that GDAL describes otherwise than its
        directory does.
        """
        if dataset.driver != "GTiff":
            return None
        try:
            handle = os.open(dataset.name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        directory = read_directory(handle)
        fills = None if directory is None else _fills(dataset, directory)
        if directory is None or fills is None or not can_decode(directory, handle) or directory.block_bytes < _SMALLEST:
            os.close(handle)
            return None
        return cls(dataset.name, handle, directory, fills, cache)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def read(self, bands: Sequence[int], row: int, col: int, out: NDArray[Any]) -> None:
        """Read a window that starts at `row` and `col` into `out`, (band, y, x), of any type that holds the pixels.

        `bands` are 1-based. The window must be within the raster. A block that was never written has the nodata tag of
        its band.

        Raises
        ------
        InputError
            A block is damaged or beyond the end of the file.
        """
        form = self._directory
        height, width = form.block
        planes = [0] if form.is_mixed else sorted({band - 1 for band in bands})
        for plane in planes:
            shown = [(place, band) for place, band in enumerate(bands) if form.is_mixed or band - 1 == plane]
            for block_row in range(row // height, -(-(row + out.shape[1]) // height)):
                for block_col in range(col // width, -(-(col + out.shape[2]) // width)):
                    block = self._block(plane, block_row, block_col)
                    ys, own_ys = _common(row, out.shape[1], block_row * height, height)
                    xs, own_xs = _common(col, out.shape[2], block_col * width, width)
                    for place, band in shown:
                        sample = band - 1 if form.is_mixed else 0
                        out[place, ys, xs] = self._fills[band - 1] if block is None else block[own_ys, own_xs, sample]

    def _block(self, plane: int, row: int, col: int) -> NDArray[Any] | None:
        """Return a decoded block, (y, x, sample); None if it was never written."""
        form, key = self._directory, (self._path, plane, row, col)
        if form.counts[plane, row, col] == 0:
            return None
        block = self._cache.get(key)
        if block is None:
            # Tiles are stored whole; the last strip ends with the raster.
            n_rows = form.block[0] if form.is_tiled else min(form.block[0], form.height - row * form.block[0])
            try:
                block = decoded(self._stored(plane, row, col), form, n_rows)
            except ValueError as error:
                raise InputError(
                    f"cannot be decoded: it is damaged, because {error} (block at row {row * form.block[0]}, column "
                    f"{col * form.block[1]})",
                    where=self._path,
                    fix="copy or download the file again; if its pixels are right, write it again: rio convert",
                ) from error
            self._cache.put(key, block)
        return block

    def _stored(self, plane: int, row: int, col: int) -> bytes:
        start, length = int(self._directory.offsets[plane, row, col]), int(self._directory.counts[plane, row, col])
        if length > most_stored(self._directory.block_bytes):
            raise ValueError(f"it claims {length:,} bytes, more than it can have")
        stored = os.pread(self._handle, length, start)
        if len(stored) < length:
            raise ValueError("it is beyond the end of the file")
        return stored


@contextmanager
def open_blocks(dataset: Any, n_bytes: int) -> Iterator[DecodedTiff | None]:
    """Yield the blocks of an open rasterio dataset with a cache of `n_bytes`; None if GDAL must read it."""
    blocks = DecodedTiff.of(dataset, BlockCache(n_bytes))
    try:
        yield blocks
    finally:
        if blocks is not None:
            blocks.close()


def _common(start: int, length: int, own_start: int, own_length: int) -> tuple[slice, slice]:
    """Return what a window and a block share along one axis: as a slice of the window and as a slice of the block."""
    first, last = max(start, own_start), min(start + length, own_start + own_length)
    return slice(first - start, last - start), slice(first - own_start, last - own_start)


def _fills(dataset: Any, directory: Directory) -> list[float] | None:
    """Return the value of pixels in blocks that were never written, by band; None if GDAL must say."""
    is_same = (
        (dataset.height, dataset.width, dataset.count) == (directory.height, directory.width, directory.n_samples)
        and set(dataset.block_shapes) == {directory.block}
        and set(dataset.dtypes) == {directory.dtype.name}
    )
    if not is_same:
        return None
    if (directory.counts > 0).all():
        return [0] * directory.n_samples
    # rasterio says None also for a tag beyond the type, which GDAL turns into the nearest value.
    tags = [tag for tag in dataset.nodatavals if tag is not None and can_hold(tag, directory.dtype.name)]
    return tags if len(tags) == directory.n_samples else None
