"""Draw the bands of virtual rasters from their source files, as GDAL would show them of the VRTs."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource
from gcn_luigi.io.raster.windows import read_dataset, unreadable
from gcn_luigi.lattice import Lattice, Window, WindowSet

# Types that int16 holds whole: only among them is a copy of pixels all that a VRT does.
_PLAIN_TYPES = ("uint8", "int8", "int16")
# No pixel of a plain type is as large.
_LARGE = 1 << 16
# Pixels along the edge of a unit of blocks read together; blocks may be strips of one row.
_UNIT = 256
# GDAL holds one decoded block of every open GeoTIFF, all its bands where they are interleaved by pixel.
_MOST_FILES = 64
_MOST_BLOCK_BYTES = 8_000_000


class DatasetCache:
    """Rasters of this process, opened when first asked for; those not used for longest are closed.

    A file that is replaced meanwhile would give pixels of both: it is refused when it is opened again, and by
    `check_unchanged`.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._stamps: dict[str, tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1][0].close()

    def get(self, path: str, window: Window, whose: str) -> Any:
        """Return the open dataset of `path`; `window` of the raster with the name `whose` is why it is needed.

        Raises
        ------
        InputError
            The file is gone, cannot be opened, or was replaced after it was opened first.
        """
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path][0]
        try:
            self._check(path)
            dataset = open_local(Path(path))
        except (RasterioIOError, OSError) as error:
            raise unreadable(Path(path), window, whose) from error
        self._open[path] = dataset, _block_bytes(dataset)
        while len(self._open) > 1 and not self._is_within_bounds():
            self._open.popitem(last=False)[1][0].close()
        return dataset

    def block_bytes(self, path: str) -> int:
        """Return the bytes of a decoded block of an open file: of one band, or of all that are decoded with it."""
        return self._open[path][1]

    def check_unchanged(self) -> None:
        """Raise InputError when a file that was opened is no longer the same on disk."""
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

    def _is_within_bounds(self) -> bool:
        return len(self._open) <= _MOST_FILES and sum(size for _, size in self._open.values()) <= _MOST_BLOCK_BYTES


def _block_bytes(dataset: Any) -> int:
    sizes = [
        height * width * np.dtype(dtype).itemsize
        for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    ]
    return sum(sizes) if dataset.interleaving is Interleaving.pixel else max(sizes)


def _replaced(path: str) -> InputError:
    return InputError(
        "was replaced, or removed, while it was read", where=path, fix="leave the sources alone and run the build again"
    )


@dataclass(frozen=True, eq=False)
class Layer:
    """One band of a stack as copies of pixels, seen through the mosaic that it shows."""

    # The narrowest type on the way to the pixels.
    dtype: str
    # Value where no source has a valid pixel.
    nodata: int
    # From bottom to top.
    sources: tuple[VrtSource, ...]
    # Those of the sources, and the lattice, which cuts them.
    windows: WindowSet
    whole: Window

    @classmethod
    def of(cls, band: VrtBand, lattice: Lattice) -> Self | None:
        """Return the layer of a band, or None where GDAL does more than copy pixels that int16 holds."""
        if band.dtype not in _PLAIN_TYPES:
            return None
        if len(band.sources) == 1 and (mosaic := band.sources[0].mosaic) is not None:
            only, inner = band.sources[0], cls.of(mosaic, lattice)
            # The band's nodata stands for the mosaic's gaps, and hides nothing: there is nothing below.
            is_seen_through = only.nodata in (None, band.nodata) and mosaic.nodata == band.nodata
            is_kept = inner is not None and np.can_cast(inner.dtype, band.dtype)
            return inner if is_kept and is_seen_through and only.window == lattice.window else None
        nodata, limits = float(band.nodata or 0), np.iinfo(band.dtype)
        is_exact = nodata.is_integer() and limits.min <= nodata <= limits.max
        if not is_exact or not all(map(_is_plain, band.sources)):
            return None
        windows = WindowSet([source.window for source in band.sources])
        return cls(band.dtype, int(nodata), band.sources, windows, lattice.window)


def _matchable(source: VrtSource) -> float | None:
    """Return the nodata value of a source where a pixel of a plain type may have it; it may be nan or infinite."""
    return None if source.nodata is None or not abs(source.nodata) <= _LARGE else float(source.nodata)


def _is_plain(source: VrtSource) -> bool:
    """Return whether the pixels of a source are those of a file, and compared with a whole number.

    A VRT of somebody else may do anything, and GDAL allows for rounding when it compares.
    """
    is_whole = (_matchable(source) or 0.0).is_integer()
    return is_whole and source.mosaic is None and source.path.suffix != ".vrt"


@dataclass(frozen=True, eq=False)
class Plane:
    """One band, from 0, of one window, to be drawn into `pixels`: (y, x), C-contiguous.

    Where `layer` is None, GDAL reads the VRT `stack`. The window may reach beyond the lattice.
    """

    stack: Path
    index: int
    layer: Layer | None
    window: Window
    pixels: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Part:
    """What one source of a layer shows of a plane, by one call of GDAL: the pixels `seen` of the lattice."""

    plane: Plane
    layer: Layer
    # Of the source in the layer; those at a higher position are above.
    position: int
    seen: Window
    # Nothing is drawn below.
    is_bare: bool

    @property
    def source(self) -> VrtSource:
        """The band of a file that is shown."""
        return self.layer.sources[self.position]

    @property
    def path(self) -> str:
        """The file."""
        return str(self.source.path)

    @property
    def own(self) -> Window:
        """The same pixels in the file."""
        whole = self.source.window
        return Window(self.seen.row - whole.row, self.seen.col - whole.col, self.seen.height, self.seen.width)

    @property
    def nodata(self) -> int | None:
        """Pixels of this value show what is below; None shows every pixel."""
        nodata = _matchable(self.source)
        return None if nodata is None else int(nodata)


class Compositor:
    """Draws planes from open files; `unit_bytes` are the decoded blocks that GDAL's cache surely holds together."""

    def __init__(self, datasets: DatasetCache, unit_bytes: int) -> None:
        self._datasets = datasets
        self._unit_bytes = unit_bytes
        # Bands, by stack, that turned out to hold more than int16 on the way.
        self._others: set[tuple[Path, int]] = set()

    def draw(self, planes: Sequence[Plane]) -> None:
        """Draw all pixels of `planes`, in the order in which files and their blocks follow each other.

        Raises
        ------
        InputError
            A file is gone, damaged, smaller than it was or was replaced; the message names it.
        """
        parts = []
        for plane in planes:
            shown = parts_of(plane)
            if plane.layer is not None and (not shown or shown[0].seen != plane.window):
                plane.pixels[...] = plane.layer.nodata
            parts += shown
        # Band by band and file by file, from bottom to top.
        parts.sort(key=_file_of)
        for _, group in groupby(parts, key=_file_of):
            self._draw_file([part for part in group if not self._is_other(part.plane)])
        for plane in planes:
            if self._is_other(plane):
                self._show_by_gdal(plane)

    def waste(self, plane: Plane) -> float | None:
        """Return how many bytes are decoded for one byte of `plane`, if no block serves another window too.

        Other windows and other bands in the same blocks are what the rest is for. None where there is no file.
        """
        for part in parts_of(plane)[:1]:
            dataset = self._datasets.get(part.path, part.seen, plane.stack.name)
            height, width = dataset.block_shapes[part.source.band - 1]
            window = part.own
            n_blocks = -(-window.height // height) * -(-window.width // width)
            return float(n_blocks * self._datasets.block_bytes(part.path) / (2 * window.height * window.width))
        return None

    def _draw_file(self, parts: list[Part]) -> None:
        """Draw what one file shows, block after block, so that none is decoded again for the next window."""
        if len(parts) > 1:
            height, width = self._unit(parts[0])
            parts = [piece for part in parts for piece in _cut(part, height, width)]
            parts.sort(key=lambda piece: (piece.own.row // height, piece.own.col // width))
        for part in parts:
            self._show(part)

    def _is_other(self, plane: Plane) -> bool:
        return plane.layer is None or (plane.stack, plane.index) in self._others

    def _unit(self, part: Part) -> tuple[int, int]:
        """Return the rows and columns of whole blocks, some hundred pixels a side, that the cache holds together."""
        height, width = self._dataset(part).block_shapes[part.source.band - 1]
        wide = max(1, _UNIT // width)
        fitting = self._unit_bytes // (wide * self._datasets.block_bytes(part.path))
        return height * max(1, min(_UNIT // height, fitting)), width * wide

    def _show(self, part: Part) -> None:
        plane, layer, band = part.plane, part.layer, part.source.band
        dataset = self._dataset(part)
        if not np.can_cast(dataset.dtypes[band - 1], layer.dtype):
            self._others.add((plane.stack, plane.index))
            return
        row, col = part.seen.row - plane.window.row, part.seen.col - plane.window.col
        target = plane.pixels[row : row + part.seen.height, col : col + part.seen.width]
        window, nodata = part.own.ranges, part.nodata
        try:
            if part.is_bare:
                dataset.read(band, window=window, out=target)
                if nodata is not None and nodata != layer.nodata:
                    target[target == nodata] = layer.nodata
            else:
                above = dataset.read(band, window=window)
                np.copyto(target, above, where=True if nodata is None else above != nodata)
        except RasterioIOError as error:
            raise unreadable(part.source.path, part.seen, plane.stack.name) from error

    def _dataset(self, part: Part) -> Any:
        stack = part.plane.stack.name
        dataset = self._datasets.get(part.path, part.seen, stack)
        whole = Window(0, 0, dataset.height, dataset.width)
        # rasterio would stretch the pixels that are there over the whole window.
        if part.source.band > dataset.count or part.own.intersection(whole) != part.own:
            raise InputError(
                f"has {dataset.count} bands of {dataset.height} x {dataset.width} pixels, less than {stack} takes "
                "from it",
                where=part.path,
                fix="put the file back that the mosaics were made of, or delete inventory.json and run again",
            )
        return dataset

    def _show_by_gdal(self, plane: Plane) -> None:
        """Draw from the VRT, by GDAL, what is more than copies of pixels."""
        dataset = self._datasets.get(str(plane.stack), plane.window, plane.stack.name)
        tag = dataset.nodatavals[plane.index]
        values = read_dataset(dataset, plane.window, bands=[plane.index + 1], fill=0 if tag is None else tag)
        if not np.can_cast(values.dtype, np.int16):
            raise InputError(
                f"is {values.dtype}, and a stack is int16", where=str(plane.stack), fix="make the stack again"
            )
        plane.pixels[...] = values[0]


def parts_of(plane: Plane) -> list[Part]:
    """Return what the sources show of a plane, from bottom to top."""
    if (layer := plane.layer) is None:
        return []
    inside = plane.window.intersection(layer.whole)
    parts: list[Part] = []
    for position in layer.windows.meeting(inside) if not inside.is_empty else ():
        seen = layer.sources[position].window.intersection(inside)
        is_bare = all(seen.intersection(lower.seen).is_empty for lower in parts)
        parts.append(Part(plane, layer, position, seen, is_bare))
    return parts


def _file_of(part: Part) -> tuple[int, int, str]:
    return part.plane.index, part.position, part.path


def _cut(part: Part, height: int, width: int) -> Iterator[Part]:
    """Yield a part in pieces that are in one unit of blocks each."""
    own, whole = part.own, part.source.window
    for row in range(own.row // height * height, own.row + own.height, height):
        for col in range(own.col // width * width, own.col + own.width, width):
            piece = Window(row, col, height, width).intersection(own)
            seen = Window(piece.row + whole.row, piece.col + whole.col, piece.height, piece.width)
            yield replace(part, seen=seen)
