"""Draw the bands of virtual rasters from their source files, with the pixels that GDAL would read from the VRTs."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.copied import copied_sources
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource
from gcn_luigi.io.raster.windows import read_dataset, unreadable
from gcn_luigi.io.tiff.blocks import can_hold
from gcn_luigi.io.tiff.opened import BlockCache, DecodedTiff
from gcn_luigi.lattice import Lattice, Window, WindowSet

# Types of mosaics and stacks between which a VRT simply copies pixels, as each can hold the values of the one before.
_PLAIN_TYPES = ("uint8", "int8", "int16", "float32")
# Larger than any pixel of a plain type.
_LARGE = 1 << 16
# Blocks are read together in units of about this many pixels along the edge. Blocks may be strips of one row.
_UNIT = 256
# GDAL keeps one decoded block of every open GeoTIFF: of all its bands if they are interleaved by pixel.
_MOST_FILES = 64
_MOST_BLOCK_BYTES = 8_000_000


class DatasetCache:
    """Open rasters of this process. A raster is opened when it is first needed; the least recently used is closed.

    Up to `block_bytes` of decoded blocks are kept for `read`.

    If a file is replaced while it is in use, its pixels could come from both versions. Such a file is refused when it
    is opened again, and by `check_unchanged`.
    """

    def __init__(self, block_bytes: int = 0) -> None:
        self._open: OrderedDict[str, tuple[Any, int, DecodedTiff | None]] = OrderedDict()
        self._blocks = BlockCache(block_bytes)
        self._stamps: dict[str, tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all files."""
        while self._open:
            self._close_oldest()

    def get(self, path: str, window: Window, whose: str) -> Any:
        """Return the open dataset of `path`.

        `window` and `whose`, the name of a raster, say in error messages what the file is needed for.

        Raises
        ------
        InputError
            The file does not exist any more, cannot be opened, or was replaced after it was first opened.
        """
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path][0]
        try:
            self._check(path)
            dataset = open_local(Path(path))
        except (RasterioIOError, OSError) as error:
            raise unreadable(Path(path), window, whose) from error
        self._open[path] = dataset, _block_bytes(dataset), DecodedTiff.of(dataset, self._blocks)
        while len(self._open) > 1 and not self._is_within_bounds():
            self._close_oldest()
        return dataset

    def read(self, path: str, band: int, window: Window, out: NDArray[Any]) -> None:
        """Read a window of a band of an open file into `out`, (y, x), whose type must hold the pixels.

        Raises
        ------
        InputError
            A block is damaged. The message names the file and the block.
        RasterioIOError
            GDAL cannot read a file that is not decoded here.
        """
        dataset, _, blocks = self._open[path]
        if blocks is None:
            dataset.read(band, window=window.ranges, out=out)
        else:
            blocks.read([band], window.row, window.col, out[np.newaxis])

    def block_bytes(self, path: str) -> int:
        """Return the bytes of a decoded block of an open file: of one band, or of all bands decoded together."""
        return self._open[path][1]

    def check_unchanged(self) -> None:
        """Raise InputError if a file that was opened has changed on disk."""
        for path in sorted(self._stamps):
            try:
                self._check(path)
            except OSError as error:
                raise _replaced(path) from error

    def _check(self, path: str) -> None:
        status = Path(path).stat()
        stamp = status.st_size, status.st_mtime_ns, status.st_ino
        if self._stamps.setdefault(path, stamp) != stamp:
            raise _replaced(path)

    def _close_oldest(self) -> None:
        dataset, _, blocks = self._open.popitem(last=False)[1]
        if blocks is not None:
            blocks.close()
        dataset.close()

    def _is_within_bounds(self) -> bool:
        return len(self._open) <= _MOST_FILES and sum(size for _, size, _ in self._open.values()) <= _MOST_BLOCK_BYTES


def _block_bytes(dataset: Any) -> int:
    sizes = [
        height * width * np.dtype(dtype).itemsize
        for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    ]
    return sum(sizes) if dataset.interleaving is Interleaving.pixel else max(sizes)


def _replaced(path: str) -> InputError:
    return InputError(
        "was replaced or removed while it was read",
        where=path,
        fix="do not change the sources during a build, and run the build again",
    )


@dataclass(frozen=True, eq=False)
class Layer:
    """One band of a stack whose pixels are copies of pixels in source files."""

    # The narrowest type between the files and the stack.
    dtype: str
    # Value where no source has a valid pixel.
    nodata: int
    # From bottom to top.
    sources: tuple[VrtSource, ...]
    # The windows of the sources, and the window of the lattice, which limits them.
    windows: WindowSet
    whole: Window

    @classmethod
    def of(cls, band: VrtBand, lattice: Lattice) -> Self | None:
        """Return the layer of a band, or None if GDAL does more than copy pixels that its type can hold."""
        if band.dtype not in _PLAIN_TYPES:
            return None
        if len(band.sources) == 1 and (mosaic := band.sources[0].mosaic) is not None:
            only, inner = band.sources[0], cls.of(mosaic, lattice)
            # The nodata value of the band marks the gaps of the mosaic. It hides nothing, as nothing is below.
            is_seen_through = only.nodata in (None, band.nodata) and mosaic.nodata == band.nodata
            is_kept = inner is not None and np.can_cast(inner.dtype, band.dtype)
            return inner if is_kept and is_seen_through and only.window == lattice.window else None
        nodata = float(band.nodata or 0)
        is_exact = nodata.is_integer() and can_hold(nodata, band.dtype)
        sources = band.sources
        if any(source.path.suffix == ".vrt" for source in sources):
            sources = tuple(chain.from_iterable(copied_sources(source) or (source,) for source in sources))
        # A pixel of a float may equal any nodata value. Only whole numbers of a plain type are compared here.
        if band.dtype == "float32" and any(source.nodata != _matchable(source) for source in sources):
            return None
        if not is_exact or not all(map(_is_plain, sources)):
            return None
        windows = WindowSet([source.window for source in sources])
        return cls(band.dtype, int(nodata), sources, windows, lattice.window)


def _matchable(source: VrtSource) -> float | None:
    """Return the nodata value of a source if a pixel of a plain type can have it; otherwise None, as for nan."""
    return None if source.nodata is None or not abs(source.nodata) <= _LARGE else float(source.nodata)


def _is_plain(source: VrtSource) -> bool:
    """Return whether a source is a plain file whose nodata value, if any, is a whole number.

    A VRT that does more than copy may do anything, and GDAL compares fractions with a tolerance.
    """
    is_whole = (_matchable(source) or 0.0).is_integer()
    return is_whole and source.mosaic is None and source.path.suffix != ".vrt"


@dataclass(frozen=True, eq=False)
class Plane:
    """One band (counted from 0) of one window, to be drawn into `pixels`, (y, x), C-contiguous.

    If `layer` is None, GDAL reads the band from the VRT `stack`. The window may reach beyond the lattice.
    """

    stack: Path
    index: int
    layer: Layer | None
    window: Window
    pixels: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Part:
    """The part of a plane that one source shows, read in one call: the window `seen` on the lattice."""

    plane: Plane
    layer: Layer
    # Position of the source in the layer. Sources at higher positions are above.
    position: int
    seen: Window
    # True if no other part is drawn below this one.
    is_bare: bool

    @property
    def source(self) -> VrtSource:
        """The source: one band of one file."""
        return self.layer.sources[self.position]

    @property
    def path(self) -> str:
        """The path of the file."""
        return str(self.source.path)

    @property
    def own(self) -> Window:
        """The window of the same pixels in the file."""
        whole = self.source.window
        return Window(self.seen.row - whole.row, self.seen.col - whole.col, self.seen.height, self.seen.width)

    @property
    def nodata(self) -> int | None:
        """Pixels of this value are transparent; None means that all pixels are shown."""
        nodata = _matchable(self.source)
        return None if nodata is None else int(nodata)


class Compositor:
    """Draw planes from open files. `unit_bytes` is the size of decoded blocks that surely fit GDAL's cache together."""

    def __init__(self, datasets: DatasetCache, unit_bytes: int) -> None:
        self._datasets = datasets
        self._unit_bytes = unit_bytes
        # Stacks and bands whose source files turned out to have a type that the layer cannot hold.
        self._others: set[tuple[Path, int]] = set()

    def draw(self, planes: Sequence[Plane]) -> None:
        """Draw all pixels of `planes`, file by file and block by block.

        Raises
        ------
        InputError
            A file is gone, damaged, smaller than it was, or was replaced. The message names it.
        """
        parts = []
        for plane in planes:
            shown = parts_of(plane)
            if plane.layer is not None and (not shown or shown[0].seen != plane.window):
                plane.pixels[...] = plane.layer.nodata
            parts += shown
        # From bottom to top; bands of one file together, because its blocks may hold all of them.
        parts.sort(key=_file_of)
        for _, group in groupby(parts, key=_file_of):
            self._draw_file([part for part in group if not self._is_other(part.plane)])
        for plane in planes:
            if self._is_other(plane):
                self._show_by_gdal(plane)

    def waste(self, plane: Plane) -> float | None:
        """Return how many bytes are decoded per byte of `plane` if no block is used for another window as well.

        The other bytes belong to other windows and other bands in the same blocks. None if there is no file.
        """
        for part in parts_of(plane)[:1]:
            dataset = self._datasets.get(part.path, part.seen, plane.stack.name)
            height, width = dataset.block_shapes[part.source.band - 1]
            window = part.own
            n_blocks = -(-window.height // height) * -(-window.width // width)
            shown = plane.pixels.itemsize * window.height * window.width
            return float(n_blocks * self._datasets.block_bytes(part.path) / shown)
        return None

    def _draw_file(self, parts: list[Part]) -> None:
        """Draw all parts from one file, block by block, so that no block is decoded again for the next window."""
        if len(parts) > 1:
            height, width = self._unit(parts[0])
            parts = [piece for part in parts for piece in _cut(part, height, width)]
            parts.sort(key=lambda piece: (piece.own.row // height, piece.own.col // width))
        for part in parts:
            self._show(part)

    def _is_other(self, plane: Plane) -> bool:
        return plane.layer is None or (plane.stack, plane.index) in self._others

    def _unit(self, part: Part) -> tuple[int, int]:
        """Return the rows and columns of a unit: whole blocks, about 256 pixels on a side, that fit the cache."""
        height, width = self._dataset(part).block_shapes[part.source.band - 1]
        fitting = self._unit_bytes // self._datasets.block_bytes(part.path)
        wide = max(1, min(_UNIT // width, fitting))
        return height * max(1, min(_UNIT // height, fitting // wide)), width * wide

    def _show(self, part: Part) -> None:
        plane, layer, band = part.plane, part.layer, part.source.band
        dataset = self._dataset(part)
        if not np.can_cast(dataset.dtypes[band - 1], layer.dtype):
            self._others.add((plane.stack, plane.index))
            return
        row, col = part.seen.row - plane.window.row, part.seen.col - plane.window.col
        target = plane.pixels[row : row + part.seen.height, col : col + part.seen.width]
        nodata = part.nodata
        try:
            if part.is_bare:
                self._datasets.read(part.path, band, part.own, target)
                if nodata is not None and nodata != layer.nodata:
                    target[target == nodata] = layer.nodata
            else:
                above = np.empty(target.shape, dataset.dtypes[band - 1])
                self._datasets.read(part.path, band, part.own, above)
                np.copyto(target, above, where=True if nodata is None else above != nodata)
        except RasterioIOError as error:
            raise unreadable(part.source.path, part.seen, plane.stack.name) from error

    def _dataset(self, part: Part) -> Any:
        stack = part.plane.stack.name
        dataset = self._datasets.get(part.path, part.seen, stack)
        whole = Window(0, 0, dataset.height, dataset.width)
        # Without this check, rasterio would stretch the existing pixels over the whole window.
        if part.source.band > dataset.count or part.own.intersection(whole) != part.own:
            raise InputError(
                f"has {dataset.count} bands of {dataset.height} x {dataset.width} pixels, fewer than {stack} needs "
                "from it",
                where=part.path,
                fix="restore the file that the mosaics were made from, or delete inventory.json and run again",
            )
        return dataset

    def _show_by_gdal(self, plane: Plane) -> None:
        """Let GDAL draw a plane from the VRT, because it takes more than copying pixels."""
        dataset = self._datasets.get(str(plane.stack), plane.window, plane.stack.name)
        tag = dataset.nodatavals[plane.index]
        values = read_dataset(dataset, plane.window, bands=[plane.index + 1], fill=0 if tag is None else tag)
        if not np.can_cast(values.dtype, plane.pixels.dtype):
            raise InputError(
                f"is {values.dtype}, but the stack must be {plane.pixels.dtype}",
                where=str(plane.stack),
                fix="build the stack again",
            )
        plane.pixels[...] = values[0]


def parts_of(plane: Plane) -> list[Part]:
    """Return the parts of a plane that its sources show, from bottom to top."""
    if (layer := plane.layer) is None:
        return []
    inside = plane.window.intersection(layer.whole)
    parts: list[Part] = []
    for position in layer.windows.meeting(inside) if not inside.is_empty else ():
        seen = layer.sources[position].window.intersection(inside)
        is_bare = all(seen.intersection(lower.seen).is_empty for lower in parts)
        parts.append(Part(plane, layer, position, seen, is_bare))
    return parts


def _file_of(part: Part) -> tuple[int, str]:
    return part.position, part.path


def _cut(part: Part, height: int, width: int) -> Iterator[Part]:
    """Yield a part in pieces, each of which is within one unit of blocks."""
    own, whole = part.own, part.source.window
    for row in range(own.row // height * height, own.row + own.height, height):
        for col in range(own.col // width * width, own.col + own.width, width):
            piece = Window(row, col, height, width).intersection(own)
            seen = Window(piece.row + whole.row, piece.col + whole.col, piece.height, piece.width)
            yield replace(part, seen=seen)
