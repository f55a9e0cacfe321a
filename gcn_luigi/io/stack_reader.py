"""Windows of virtual stacks, read straight from the source files: each block is decoded about once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.damage import rasterio_window, unreadable
from gcn_luigi.io.handles import Handles
from gcn_luigi.io.layers import OTHER, Layer, Part, read_layers
from gcn_luigi.io.raster import read_dataset
from gcn_luigi.lattice import Window

Stack = NDArray[np.int16]


@dataclass(frozen=True)
class Memory:
    """What a reader may hold, in bytes.

    Attributes
    ----------
    blocks : int
        Of GDAL's cache of decoded blocks. Two rows of blocks of 256 px of a tile of 1667 px with 18 years fit into
        the default.
    ahead : int
        Of windows read ahead: by default 32 of 10 bands and 256 x 256 pixels.
    """

    blocks: int = 64_000_000
    ahead: int = 42_000_000


DEFAULT_MEMORY = Memory()


@dataclass(frozen=True)
class _Read:
    """One call of GDAL: a part of one band of one window."""

    layer: int
    part: Part
    request: int
    is_bare: bool


class StackReader:
    """Read windows of stacks that `write_vrt` wrote; a context manager that belongs to one process.

    The pixels are those GDAL shows of the VRTs, without its floating point arithmetic: parts of files are copied
    from bottom to top. A band for which that would not do, because a source or a type on the way to it is none
    that int16 holds, is read by GDAL from the VRT.

    Files are opened when first needed and stay open within a bound. Windows announced by `expect` are read ahead,
    some dozen at a time and file by file, so that a block that several of them share is decoded once, even where
    it holds all years of a tile or all of its columns.

    Parameters
    ----------
    stack_of : callable
        The VRT of a year; int16, as many bands each year.
    threads : int
        Threads of GDAL that decode the blocks of one file; no effect on the pixels.
    memory : Memory
        Bounds; one window is read whatever its size.
    """

    def __init__(self, stack_of: Callable[[int], Path], *, threads: int = 1, memory: Memory = DEFAULT_MEMORY) -> None:
        self._stack_of = stack_of
        self._ahead = memory.ahead
        self._environment = rasterio.Env(GDAL_CACHEMAX=memory.blocks, GDAL_NUM_THREADS=str(threads))
        self._handles = Handles()
        self._layers: dict[int, list[Layer]] = {}
        self._odd: set[tuple[int, int]] = set()
        self._expected: list[tuple[int, Window]] = []
        self._place: dict[tuple[int, Window], int] = {}
        self._ready: dict[tuple[int, Window], Stack] = {}
        self._arena = np.empty(0, np.int16)

    def __enter__(self) -> Self:
        """Bound GDAL's cache of blocks."""
        self._environment.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all files; where nothing else went wrong, make sure that none of them was replaced meanwhile."""
        with self._handles:
            self._environment.__exit__(kind, error, traceback)
        if error is None:
            self._handles.check_unchanged()

    def expect(self, requests: Sequence[tuple[int, Window]]) -> None:
        """Announce what will be read, in this order; what is read then still needs not be the same."""
        self._expected = list(requests)
        self._place = {request: place for place, request in reversed(list(enumerate(self._expected)))}

    def read(self, year: int, window: Window, out: Stack | None = None) -> Stack:
        """Read one window of one year.

        Parameters
        ----------
        year : int
            Of the stack.
        window : Window
            It may reach beyond the lattice; each band is filled with its nodata there.
        out : ndarray of int16 or None
            (band, y, x) of the window's shape; written to and returned.

        Returns
        -------
        ndarray of int16
            (band, y, x), unfilled and uncorrected. Without `out` it belongs to the reader and holds until the next
            call.

        Raises
        ------
        InputError
            A file is gone, damaged or was replaced; the message names it. Or `out` does not fit.
        """
        if (year, window) not in self._ready:
            self._read_together(self._batch(year, window))
        stack = self._ready[year, window]
        if out is None:
            return stack
        if out.shape != stack.shape or out.dtype != stack.dtype:
            raise InputError(
                f"a buffer of shape {out.shape} and dtype {out.dtype} where {stack.shape} int16 are needed",
                where="out",
                fix="give an array of that shape and type, or none",
            )
        np.copyto(out, stack)
        return out

    def _batch(self, year: int, window: Window) -> list[tuple[int, Window]]:
        """Return the window asked for and, where it is expected, as many that follow it as fit into memory."""
        asked = (year, window)
        batch, room = {asked: None}, self._ahead - 2 * self._count(asked)
        for request in self._expected[self._place.get(asked, len(self._expected)) :]:
            if request in batch:
                continue
            room -= 2 * self._count(request)
            if room < 0:
                break
            batch[request] = None
        return list(batch)

    def _count(self, request: tuple[int, Window]) -> int:
        year, window = request
        return len(self._layers_of(year)) * window.height * window.width

    def _layers_of(self, year: int) -> list[Layer]:
        if year not in self._layers:
            path = self._stack_of(year)
            layers = read_layers(path)
            self._layers[year] = layers or [OTHER] * self._handles.get(str(path), Window(0, 0, 0, 0), path.name).count
        return self._layers[year]

    def _read_together(self, batch: list[tuple[int, Window]]) -> None:
        self._ready = {}
        needed = sum(map(self._count, batch))
        if self._arena.size < needed:
            self._arena = np.empty(needed, np.int16)
        stacks, start = [], 0
        for request in batch:
            shape = len(self._layers_of(request[0])), request[1].height, request[1].width
            stacks.append(self._arena[start : start + self._count(request)].reshape(shape))
            start += self._count(request)
        # Band by band and file by file; a file from north to south, so that few of its blocks are needed at a time.
        reads = [read for number, request in enumerate(batch) for read in self._reads(number, *request, stacks[number])]
        reads.sort(key=lambda read: (read.layer, read.part.position, read.part.own.row, read.part.own.col))
        for read in reads:
            year, window = batch[read.request]
            if (year, read.layer) not in self._odd:
                self._show(read, year, window, stacks[read.request][read.layer])
        for (year, window), stack in zip(batch, stacks, strict=True):
            self._read_odd(year, window, stack)
        self._ready = dict(zip(batch, stacks, strict=True))

    def _reads(self, number: int, year: int, window: Window, stack: Stack) -> list[_Read]:
        """Return what is to be read of one window, and fill its bands with nodata where that leaves pixels out."""
        reads = []
        for index, layer in enumerate(self._layers_of(year)):
            if layer is OTHER:
                self._odd.add((year, index))
            parts = layer.parts(window)
            if not parts or parts[0].seen != window:
                stack[index] = layer.nodata
            for place, part in enumerate(parts):
                is_bare = all(part.seen.intersection(lower.seen).is_empty for lower in parts[:place])
                reads.append(_Read(index, part, number, is_bare))
        return reads

    def _show(self, read: _Read, year: int, window: Window, plane: NDArray[np.int16]) -> None:
        part, layer = read.part, self._layers[year][read.layer]
        row, col = part.seen.row - window.row, part.seen.col - window.col
        target = plane[row : row + part.seen.height, col : col + part.seen.width]
        stack = self._stack_of(year).name
        dataset = self._handles.get(part.path, part.seen, stack)
        if part.band > dataset.count or not _holds(dataset, part.own):
            raise InputError(
                f"has {dataset.count} bands of {dataset.height} x {dataset.width} pixels, fewer than {stack} takes "
                "from it",
                where=part.path,
                fix="put the file back that the mosaics were made of, or delete inventory.json and run again",
            )
        if not np.can_cast(dataset.dtypes[part.band - 1], layer.dtype):
            self._odd.add((year, read.layer))
            return
        try:
            if read.is_bare:
                dataset.read(part.band, window=rasterio_window(part.own), out=target)
                if part.nodata is not None and part.nodata != layer.nodata:
                    target[target == part.nodata] = layer.nodata
            else:
                above = dataset.read(part.band, window=rasterio_window(part.own))
                np.copyto(target, above, where=True if part.nodata is None else above != part.nodata)
        except RasterioIOError as error:
            raise unreadable(Path(part.path), part.seen, stack) from error

    def _read_odd(self, year: int, window: Window, stack: Stack) -> None:
        """Read by GDAL, from the VRT, what is more than a copy of pixels."""
        odd = [index for index in range(len(stack)) if (year, index) in self._odd]
        if not odd:
            return
        path = self._stack_of(year)
        dataset = self._handles.get(str(path), window, path.name)
        tags = [dataset.nodatavals[index] for index in odd]
        fill = [0 if tag is None else tag for tag in tags]
        values = read_dataset(dataset, window, bands=[index + 1 for index in odd], fill=fill)
        if not np.can_cast(values.dtype, np.int16):
            raise InputError(f"is {values.dtype}, and a stack is int16", where=str(path), fix="make the stack again")
        stack[odd] = values


def _holds(dataset: Any, window: Window) -> bool:
    return window.intersection(Window(0, 0, dataset.height, dataset.width)) == window
