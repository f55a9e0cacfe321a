"""Warp a raster onto a lattice with GDAL, block by block, so that missing pixels stay missing and reach no other pixel.

Every block is warped by one call of ``rasterio.warp.reproject``, from the pixels that it needs. The blocks depend on
the raster and the lattice alone. So the result is the same for any number of threads and any amount of memory, and
memory does not grow with the raster.
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from gcn_luigi.io.gdal import pin_rasters
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.raster.geotiff import BLOCK, blocks
from gcn_luigi.io.raster.header import crs_of, open_raster
from gcn_luigi.io.raster.placement import EVERYWHERE, Placement
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Lattice, Window

# Blocks are one block of the written file tall. GDAL transforms the ends and the middle of each row of a block and
# interpolates between them, so narrow blocks are more exact: within about a hundredth of a pixel for 512.
_BLOCK = (BLOCK, 512)
# A block that needs more bytes of the raster is warped in parts, down to this edge.
_MOST_BYTES, _LEAST_EDGE = 8_000_000, 16
# Pixels between the places of a block at which the raster's pixels are looked up.
_STEP = 32
# Half the width of each kernel, and a margin for what lies between these places.
_RADIUS = {"nearest": 1, "bilinear": 1, "cubic": 2, "cubic_spline": 2, "average": 1, "mode": 1}
_MARGIN = 2
# These take all pixels that a pixel of the lattice covers.
_OF_AREAS = ("average", "mode")
# A pixel of the lattice that covers more pixels of the raster than this gets their mean in place of an interpolation.
_MOST_INTERPOLATED = 2.0
# From this number of pixels per pixel on, GDAL widens a kernel.
_WIDENED = 1 / 0.95
# A mean of less than half of the area is no mean of the pixel. The rest allows for rounding.
_LEAST_SHARE = 0.5 - 1e-6
# More than a block takes, so that GDAL warps it as a whole.
_WARP_MB = 512


@dataclass(frozen=True)
class Warp:
    """What is warped, and how.

    Attributes
    ----------
    path : Path
        The raster.
    placement : Placement
        Its pixels.
    bands : tuple of int
        The bands, counted from 1.
    missing : tuple of tuple of float
        For each band, the values that mean missing, possibly nan. Pixels that are not finite are missing as well.
    lattice : Lattice
        The pixels to make.
    method : str
        A name of `rasterio.enums.Resampling`.
    dtype : str
        The numpy name of the result's type, which can hold the values of the raster.
    nodata : float
        The value of missing pixels in the result. Valid values that would be equal to it are moved to the next value.
    """

    path: Path
    placement: Placement
    bands: tuple[int, ...]
    missing: tuple[tuple[float, ...], ...]
    lattice: Lattice
    method: str
    dtype: str
    nodata: float

    def blocks(self, threads: int = 1) -> Iterator[tuple[Window, NDArray[Any]]]:
        """Yield windows of the lattice with their pixels, (band, y, x) of `dtype`, row-major, one block tall.

        A pixel is missing where the raster's pixel at its centre is missing or absent. The kernel gives missing pixels
        no weight. For ``average`` and ``mode``, a pixel is missing if its centre is outside the raster, or if less than
        half of the part of its area that is in the raster is valid.

        Raises
        ------
        InputError
            The raster is damaged or gone.
        """
        pin_rasters()
        scale = self._scale()
        with ExitStack() as stack:
            datasets: SimpleQueue[Any] = SimpleQueue()
            for _ in range(threads):
                datasets.put(stack.enter_context(open_raster(self.path)))
            pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="gcn-warp"))
            windows, again = itertools.tee(blocks(self.lattice, _BLOCK))
            calls: Iterator[Callable[[], NDArray[Any]]] = (
                partial(self._lent, datasets, window, scale) for window in windows
            )
            yield from zip(again, in_order(pool, calls, 2 * threads), strict=True)

    def _lent(self, datasets: SimpleQueue[Any], window: Window, scale: tuple[float, float]) -> NDArray[Any]:
        # A dataset of GDAL may be used by one thread at a time.
        dataset = datasets.get()
        try:
            result = np.full((len(self.bands), window.height, window.width), self.nodata, self.dtype)
            self._fill(dataset, window, result, scale)
            return result
        finally:
            datasets.put(dataset)

    def _fill(self, dataset: Any, window: Window, result: NDArray[Any], scale: tuple[float, float]) -> None:
        """Warp one window into `result`, (band, y, x), which holds nodata; in parts if it needs many pixels."""
        needed = self._source_of(window, scale)
        source = needed.intersection(Window(0, 0, self.placement.height, self.placement.width))
        n_bytes = source.height * source.width * result.itemsize * len(self.bands)
        longest = max(window.height, window.width)
        if source.is_empty:
            return
        if n_bytes <= _MOST_BYTES or longest <= _LEAST_EDGE:
            self._warp(dataset, window, source, result, scale, is_inside=source == needed)
            return
        height, width = ((edge + 1) // 2 if edge == longest else edge for edge in (window.height, window.width))
        for row in range(0, window.height, height):
            for col in range(0, window.width, width):
                part = Window(window.row + row, window.col + col, height, width).intersection(window)
                # A copy, because GDAL writes into arrays without gaps only.
                place = (slice(None), slice(row, row + part.height), slice(col, col + part.width))
                piece = result[place].copy()
                self._fill(dataset, part, piece, scale)
                result[place] = piece

    def _warp(
        self,
        dataset: Any,
        window: Window,
        source: Window,
        result: NDArray[Any],
        scale: tuple[float, float],
        *,
        is_inside: bool,
    ) -> None:
        """Warp one window in one call. `is_inside` says that the raster surely has all pixels that it needs."""
        stored = read_dataset(dataset, source, bands=self.bands, fill=0)
        valid = np.stack([_valid(plane, some) for plane, some in zip(stored, self.missing, strict=True)])
        if not valid.any():
            return
        onto = partial(self._reproject, window=window, source=source, scale=scale)
        values = stored.astype(self.dtype, copy=False)
        is_whole = bool(valid.all())
        if is_whole and is_inside:
            # Twice as fast, because GDAL makes no masks. It then does not avoid the nodata value either.
            onto(values, result, self.method)
            if not (result == self.nodata).any():
                return
        if not is_whole:
            values[~valid] = self.nodata
        onto(values, result, self.method, src_nodata=self.nodata, dst_nodata=self.nodata)
        if self.method in _OF_AREAS:
            kept = self._at_centre(onto, np.ones_like(valid[:1]), result.shape[1:])
            if not is_whole:
                share = np.zeros(result.shape, np.float32)
                onto(valid.astype(np.float32), share, "average")
                kept = kept & (share >= _LEAST_SHARE)
            result[~np.broadcast_to(kept, result.shape)] = self.nodata
        elif not is_whole:
            # Most often all years lack the same pixels.
            masks = valid[:1] if (valid == valid[:1]).all() else valid
            kept = self._at_centre(onto, masks, result.shape[1:])
            result[~np.broadcast_to(kept, result.shape)] = self.nodata

    @staticmethod
    def _at_centre(onto: Callable[..., None], valid: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return, (band, y, x), whether the pixel of the raster at the centre of each pixel is valid and exists."""
        found = np.zeros((len(valid), *shape), np.uint8)
        onto(valid.astype(np.uint8), found, "nearest")
        return found.astype(bool)

    def _reproject(
        self,
        values: NDArray[Any],
        result: NDArray[Any],
        method: str,
        *,
        window: Window,
        source: Window,
        scale: tuple[float, float],
        **nodata: float,
    ) -> None:
        a, b, c, d, e, f = self.placement.transform
        start = a * source.col + b * source.row + c, d * source.col + e * source.row + f
        reproject(
            values,
            result,
            src_transform=Affine(a, b, start[0], d, e, start[1]),
            src_crs=CRS.from_user_input(self.placement.crs),
            dst_transform=Affine(*self.lattice.crop(window).transform),
            dst_crs=crs_of(self.lattice.crs, where="lattice.crs"),
            resampling=Resampling[method],
            warp_mem_limit=_WARP_MB,
            # GDAL would guess the widening of its kernels anew for every block.
            XSCALE=scale[0],
            YSCALE=scale[1],
            # Otherwise a year that is missing would count as valid where another year is valid.
            UNIFIED_SRC_NODATA="NO",
            **nodata,
        )

    def _scale(self) -> tuple[float, float]:
        """Return how many pixels of the lattice one pixel of the raster takes along its rows and columns; at most 1."""
        across, down, _ = self.placement.pixels_per_pixel(self.lattice, self.lattice.window)
        return 1 / across if across >= _WIDENED else 1.0, 1 / down if down >= _WIDENED else 1.0

    def _source_of(self, window: Window, scale: tuple[float, float]) -> Window:
        """Return the pixels that a window of the lattice needs; the raster may not have all of them."""
        rows, cols = (
            np.unique([*range(start, start + length, _STEP), start + length]).astype(np.float64)
            for start, length in ((window.row, window.height), (window.col, window.width))
        )
        own_rows, own_cols = self.placement.pixels_at(self.lattice, *(side.ravel() for side in np.meshgrid(rows, cols)))
        is_place = np.isfinite(own_rows) & np.isfinite(own_cols)
        if not is_place.any():
            return Window(0, 0, 0, 0)
        if not is_place.all():
            # Near the limits of a CRS, what lies between the places cannot be told, except in the smallest parts.
            if max(window.height, window.width) > _LEAST_EDGE:
                return EVERYWHERE
            own_rows, own_cols = own_rows[is_place], own_cols[is_place]
        reach = [int(np.ceil(_RADIUS[self.method] / one)) + _MARGIN for one in scale]
        col, row = (int(np.floor(side.min())) - more for side, more in zip((own_cols, own_rows), reach, strict=True))
        right, bottom = (
            int(np.ceil(side.max())) + more for side, more in zip((own_cols, own_rows), reach, strict=True)
        )
        return Window(row, col, bottom - row, right - col)


def suited_method(asked: str, placement: Placement, lattice: Lattice, window: Window) -> str:
    """Return ``average`` where `asked` would interpolate between few of many pixels that a pixel covers, else `asked`.

    That is so if a pixel of the lattice, in the middle of `window`, covers more than two pixels of the raster.
    """
    if asked not in ("bilinear", "cubic", "cubic_spline"):
        return asked
    return "average" if placement.pixels_per_pixel(lattice, window)[2] > _MOST_INTERPOLATED else asked


def _valid(plane: NDArray[Any], missing: tuple[float, ...]) -> NDArray[np.bool_]:
    valid = np.isfinite(plane) if plane.dtype.kind == "f" else np.ones(plane.shape, bool)
    for value in missing:
        valid &= plane != value
    return valid
