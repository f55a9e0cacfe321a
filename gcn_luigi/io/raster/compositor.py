"""Draw the bands of stacks from their source files, as GDAL would show them of the VRTs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.dataset_cache import Handles
from gcn_luigi.io.raster.provenance import rasterio_window, unreadable
from gcn_luigi.io.raster.vrt_parser import OTHER, Layer, Part
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Window

# Pixels along the edge of a unit of blocks read together; blocks may be strips of one row.
_UNIT = 256


@dataclass(frozen=True, eq=False)
class Plane:
    """One band of one window, to be drawn.

    Attributes
    ----------
    stack : Path
        The stack's VRT.
    index : int
        0-based band of the stack.
    layer : Layer
        What the band is made of.
    window : Window
        On the lattice; it may reach beyond.
    pixels : ndarray of int16
        (y, x) of the window's shape, C-contiguous; written to.
    """

    stack: Path
    index: int
    layer: Layer
    window: Window
    pixels: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class _Stroke:
    """One call of GDAL; `is_bare` where nothing was drawn below."""

    plane: Plane
    part: Part
    is_bare: bool


class Painter:
    """Draws planes from open files.

    Parameters
    ----------
    handles : Handles
        Where files are opened.
    unit_bytes : int
        Decoded blocks that GDAL's cache surely holds together.
    """

    def __init__(self, handles: Handles, unit_bytes: int) -> None:
        self._handles = handles
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
        strokes = [stroke for plane in planes for stroke in _strokes(plane)]
        # Band by band and file by file, from bottom to top.
        strokes.sort(key=_file_of)
        for _, group in groupby(strokes, key=_file_of):
            self._draw_file([stroke for stroke in group if not self._is_other(stroke.plane)])
        for plane in planes:
            if self._is_other(plane):
                self._show_by_gdal(plane)

    def waste(self, plane: Plane) -> float:
        """Return how many bytes are decoded for one byte of `plane`, if no block serves another window too.

        Other windows and other bands in the same blocks are what the rest is for. 1 where no file lies.
        """
        for part in plane.layer.parts(plane.window)[:1]:
            dataset = self._handles.get(part.path, part.seen, plane.stack.name)
            height, width = dataset.block_shapes[part.band - 1]
            window = part.own
            n_blocks = -(-window.height // height) * -(-window.width // width)
            return float(n_blocks * self._handles.block_bytes(part.path) / (2 * window.height * window.width))
        return 1.0

    def _draw_file(self, strokes: list[_Stroke]) -> None:
        """Draw what one file shows, block after block, so that none is decoded again for the next window."""
        if len(strokes) > 1:
            part, stack = strokes[0].part, strokes[0].plane.stack
            unit = self._unit(self._dataset(part, stack), part)
            strokes = [piece for stroke in strokes for piece in _cut(stroke, unit)]
            strokes.sort(key=lambda piece: (piece.part.own.row // unit[0], piece.part.own.col // unit[1]))
        for stroke in strokes:
            self._show(stroke)

    def _is_other(self, plane: Plane) -> bool:
        return plane.layer is OTHER or (plane.stack, plane.index) in self._others

    def _unit(self, dataset: Any, part: Part) -> tuple[int, int]:
        """Return the rows and columns of whole blocks, some hundred pixels a side, that the cache holds together."""
        height, width = dataset.block_shapes[part.band - 1]
        wide = max(1, _UNIT // width)
        fitting = self._unit_bytes // (wide * self._handles.block_bytes(part.path))
        return height * max(1, min(_UNIT // height, fitting)), width * wide

    def _show(self, stroke: _Stroke) -> None:
        part, plane = stroke.part, stroke.plane
        dataset = self._dataset(part, plane.stack)
        if not np.can_cast(dataset.dtypes[part.band - 1], plane.layer.dtype):
            self._others.add((plane.stack, plane.index))
            return
        row, col = part.seen.row - plane.window.row, part.seen.col - plane.window.col
        target = plane.pixels[row : row + part.seen.height, col : col + part.seen.width]
        try:
            if stroke.is_bare:
                dataset.read(part.band, window=rasterio_window(part.own), out=target)
                if part.nodata is not None and part.nodata != plane.layer.nodata:
                    target[target == part.nodata] = plane.layer.nodata
            else:
                above = dataset.read(part.band, window=rasterio_window(part.own))
                np.copyto(target, above, where=True if part.nodata is None else above != part.nodata)
        except RasterioIOError as error:
            raise unreadable(Path(part.path), part.seen, plane.stack.name) from error

    def _dataset(self, part: Part, stack: Path) -> Any:
        dataset = self._handles.get(part.path, part.seen, stack.name)
        whole = Window(0, 0, dataset.height, dataset.width)
        # rasterio would stretch the pixels that are there over the whole window.
        if part.band > dataset.count or part.own.intersection(whole) != part.own:
            raise InputError(
                f"has {dataset.count} bands of {dataset.height} x {dataset.width} pixels, less than {stack.name} takes "
                "from it",
                where=part.path,
                fix="put the file back that the mosaics were made of, or delete inventory.json and run again",
            )
        return dataset

    def _show_by_gdal(self, plane: Plane) -> None:
        """Draw from the VRT, by GDAL, what is more than copies of pixels."""
        dataset = self._handles.get(str(plane.stack), plane.window, plane.stack.name)
        tag = dataset.nodatavals[plane.index]
        values = read_dataset(dataset, plane.window, bands=[plane.index + 1], fill=0 if tag is None else tag)
        if not np.can_cast(values.dtype, np.int16):
            raise InputError(
                f"is {values.dtype}, and a stack is int16", where=str(plane.stack), fix="make the stack again"
            )
        plane.pixels[...] = values[0]


def _strokes(plane: Plane) -> list[_Stroke]:
    """Return what is to be drawn of a plane, and fill it with nodata where that leaves pixels out."""
    parts = plane.layer.parts(plane.window)
    if not parts or parts[0].seen != plane.window:
        plane.pixels[...] = plane.layer.nodata
    return [
        _Stroke(plane, part, all(part.seen.intersection(lower.seen).is_empty for lower in parts[:place]))
        for place, part in enumerate(parts)
    ]


def _file_of(stroke: _Stroke) -> tuple[int, int, str]:
    return stroke.plane.index, stroke.part.position, stroke.part.path


def _cut(stroke: _Stroke, unit: tuple[int, int]) -> Iterator[_Stroke]:
    """Yield a stroke in pieces that lie in one unit each."""
    part = stroke.part
    own, (height, width) = part.own, unit
    down, along = part.seen.row - own.row, part.seen.col - own.col
    for row in range(own.row // height * height, own.row + own.height, height):
        for col in range(own.col // width * width, own.col + own.width, width):
            piece = Window(row, col, height, width).intersection(own)
            seen = Window(piece.row + down, piece.col + along, piece.height, piece.width)
            yield replace(stroke, part=replace(part, own=piece, seen=seen))
