"""Read windows of stacks directly from the source files, so that each block is decoded about once."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.gdal import environment
from gcn_luigi.io.raster.compositor import Compositor, DatasetCache, Layer, Plane
from gcn_luigi.io.raster.vrt import Vrt
from gcn_luigi.lattice import Window

# (band, y, x) of one of the types of a stack.
Stack = NDArray[Any]
Request = tuple[int, Window]

# A band is read ahead if more than this many bytes are decoded per byte read. For blocks of 256 px with one band each
# the number is 1 if windows are aligned with the blocks, and 4 if not. Then neighbours share each block, but may be far
# apart in the order of reading, because those of other years are between them.
_COSTLY = 2.0


# Size of GDAL's cache of decoded blocks, and of windows read ahead: 64 windows of 5 bands and 256 x 256 pixels.
BLOCK_BYTES, AHEAD_BYTES = 32_000_000, 42_000_000


class StackReader:
    """Read windows of stacks. This is a context manager that belongs to one process.

    The pixels are those that GDAL would read from the stacks' VRTs, but without its floating point arithmetic: parts of
    files are copied from bottom to top. If a band needs more than copies, because the type of the stack cannot hold a
    type on the way, GDAL reads it from the VRT. All stacks have one type: that of their bands.

    Files are opened when they are first needed; the number of open files is limited. If the blocks of a band hold far
    more than one window, such as all years of a tile or all of its columns, windows announced by `expect` are read
    ahead, some dozen at a time and file by file. So each block is decoded once for all of them. Windows may have any
    size.
    """

    def __init__(
        self, stacks: Mapping[int, Vrt], *, block_bytes: int = BLOCK_BYTES, ahead_bytes: int = AHEAD_BYTES
    ) -> None:
        self._stacks = stacks
        self._room = ahead_bytes
        is_float = any(band.dtype == "float32" for stack in stacks.values() for band in stack.bands)
        self._dtype = np.dtype("float32" if is_float else "int16")
        self._environment = environment(GDAL_CACHEMAX=block_bytes, GDAL_NUM_THREADS="1")
        self._datasets = DatasetCache(block_bytes)
        self._compositor = Compositor(self._datasets, block_bytes // 2)
        self._layers: dict[int, list[Layer | None]] = {}
        self._expected: list[Request] = []
        self._place: dict[Request, int] = {}
        # Key: number of the band.
        self._is_costly: dict[int, bool] = {}
        self._ahead: dict[Request, dict[int, Stack]] = {}
        self._buffers = {"ahead": np.empty(0, self._dtype), "asked": np.empty(0, self._dtype)}

    def __enter__(self) -> Self:
        """Limit GDAL's cache of blocks."""
        self._environment.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all files. If there was no other error, make sure that no file was replaced meanwhile."""
        with self._datasets:
            self._environment.__exit__(kind, error, traceback)
        if error is None:
            self._datasets.check_unchanged()

    def expect(self, requests: Sequence[Request]) -> None:
        """Announce which windows will be read, in this order. Other windows may be read as well."""
        self._expected = list(requests)
        self._place = {request: place for place, request in reversed(list(enumerate(self._expected)))}

    def read(self, year: int, window: Window) -> Stack:
        """Read one window of one year, (band, y, x), without correcting or filling pixels.

        Beyond the lattice each band has its nodata value. The array belongs to the reader and is valid until the next
        call.

        Raises
        ------
        InputError
            A file is gone, damaged, or was replaced. The message names it.
        """
        shape = len(self._layers_of(year)), window.height, window.width
        out = self._buffer("asked", int(np.prod(shape))).reshape(shape)
        request = year, window
        planes = [self._plane(request, index, pixels) for index, pixels in enumerate(out)]
        ahead = self._read_ahead(request, planes)
        self._compositor.draw([plane for plane in planes if plane.index not in ahead])
        for index, pixels in ahead.items():
            np.copyto(out[index], pixels)
        return out

    def _layers_of(self, year: int) -> list[Layer | None]:
        if year not in self._layers:
            stack = self._stacks[year]
            self._layers[year] = [Layer.of(band, stack.lattice) for band in stack.bands]
        return self._layers[year]

    def _plane(self, request: Request, index: int, pixels: Stack) -> Plane:
        year, window = request
        return Plane(self._stacks[year].path, index, self._layers_of(year)[index], window, pixels)

    def _read_ahead(self, request: Request, planes: list[Plane]) -> dict[int, Stack]:
        """Return the expensive bands of an expected window, which are decoded together with those of the next ones."""
        if request not in self._place:
            return {}
        if request not in self._ahead:
            for plane in planes:
                if plane.index not in self._is_costly and (waste := self._compositor.waste(plane)) is not None:
                    self._is_costly[plane.index] = waste > _COSTLY
            self._ahead = self._read_batch(request, [index for index, costly in self._is_costly.items() if costly])
        return self._ahead[request]

    def _read_batch(self, first: Request, indices: list[int]) -> dict[Request, dict[int, Stack]]:
        batch: dict[Request, None] = {}
        room = self._room
        for request in self._expected[self._place[first] :]:
            pixels = len(indices) * request[1].height * request[1].width
            room -= 0 if request in batch else self._dtype.itemsize * pixels
            if batch and (room < 0 or not indices):
                break
            batch[request] = None
        free = self._buffer("ahead", sum(len(indices) * window.height * window.width for _, window in batch))
        ahead: dict[Request, dict[int, Stack]] = {request: {} for request in batch}
        for request, bands in ahead.items():
            height, width = request[1].height, request[1].width
            for index in indices:
                bands[index], free = free[: height * width].reshape(height, width), free[height * width :]
        self._compositor.draw(
            [self._plane(request, index, pixels) for request, bands in ahead.items() for index, pixels in bands.items()]
        )
        return ahead

    def _buffer(self, name: str, count: int) -> Stack:
        if self._buffers[name].size < count:
            self._buffers[name] = np.empty(count, self._dtype)
        return self._buffers[name][:count]
