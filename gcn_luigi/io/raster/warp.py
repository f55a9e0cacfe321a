"""Warp a raster onto a lattice with GDAL, block by block, so that missing pixels stay missing and reach no other pixel.

Every block is warped by one call of ``rasterio.warp.reproject``, from the pixels that it needs. The blocks depend on
the raster and the lattice alone. So the result is the same for any number of threads and any amount of memory, and
a larger raster needs no more memory.
"""

import itertools
import warnings
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
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from rasterio.warp import reproject

from gcn_luigi.io.gdal import pin_rasters
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.raster.crs import crs_of
from gcn_luigi.io.raster.geotiff import BLOCK, blocks
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.masks import hidden_pixels
from gcn_luigi.io.raster.placement import EVERYWHERE, Placement
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Lattice, Window

# Blocks are one block of the written file tall. GDAL transforms the ends and the middle of each row of a block and
# interpolates between them, so narrow blocks are more exact: within a hundredth of a pixel for 512 from UTM to Albers.
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
# If a larger share of a block has gaps, all of it is warped with masks.
_MOST_MASKED = 0.6
# More than a block takes, so that GDAL warps it as a whole.
_WARP_MB = 512

# How many pixels of the lattice one pixel of the raster takes along its rows and columns.
_Scale = tuple[float, float]


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
    mask : int
        What else hides pixels of the raster; see `gcn_luigi.io.raster.masks.mask_of`.
    """

    path: Path
    placement: Placement
    bands: tuple[int, ...]
    missing: tuple[tuple[float, ...], ...]
    lattice: Lattice
    method: str
    dtype: str
    nodata: float
    mask: int = 0

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
            # rasterio silences this in each call, but one thread's call restores the filters during another's.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            datasets: SimpleQueue[Any] = SimpleQueue()
            for _ in range(threads):
                datasets.put(stack.enter_context(open_raster(self.path)))
            pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="gcn-warp"))
            windows, again = itertools.tee(blocks(self.lattice, _BLOCK))
            calls: Iterator[Callable[[], NDArray[Any]]] = (
                partial(self._lent, datasets, window, scale) for window in windows
            )
            yield from zip(again, in_order(pool, calls, 2 * threads), strict=True)

    def _lent(self, datasets: SimpleQueue[Any], window: Window, scale: _Scale) -> NDArray[Any]:
        # A dataset of GDAL may be used by one thread at a time.
        dataset = datasets.get()
        try:
            result = np.full((len(self.bands), window.height, window.width), self.nodata, self.dtype)
            self._fill(dataset, window, result, scale)
            return result
        finally:
            datasets.put(dataset)

    def _fill(self, dataset: Any, window: Window, result: NDArray[Any], scale: _Scale) -> None:
        """Warp one window into `result`, (band, y, x), which holds nodata; in parts if it needs many pixels."""
        needed = self._needed(window, scale)
        source = needed.whole.intersection(Window(0, 0, self.placement.height, self.placement.width))
        n_bytes = source.height * source.width * result.itemsize * len(self.bands)
        longest = max(window.height, window.width)
        if source.is_empty:
            return
        if n_bytes <= _MOST_BYTES or longest <= _LEAST_EDGE:
            self._warp(dataset, needed, source, result, scale)
            return
        height, width = ((edge + 1) // 2 if edge == longest else edge for edge in (window.height, window.width))
        for row in range(0, window.height, height):
            for col in range(0, window.width, width):
                part = Window(window.row + row, window.col + col, height, width).intersection(window)
                # A copy, because GDAL writes into arrays without gaps only.
                piece = _within(result, part, window).copy()
                self._fill(dataset, part, piece, scale)
                _within(result, part, window)[...] = piece

    def _warp(self, dataset: Any, needed: "_Needed", source: Window, result: NDArray[Any], scale: _Scale) -> None:
        """Warp one window from the pixels `source` of the raster."""
        stored = read_dataset(dataset, source, bands=self.bands, fill=0)
        valid = np.stack([_valid(plane, some) for plane, some in zip(stored, self.missing, strict=True)])
        if self.mask:
            valid &= ~np.stack([hidden_pixels(dataset, self.mask, band, source) for band in self.bands])
        if not valid.any():
            return
        values = stored.astype(self.dtype, copy=False)
        values[~valid] = self.nodata
        window, masked = needed.window, needed.part_with_gaps(source, valid)
        if masked.height * masked.width <= _MOST_MASKED * window.height * window.width:
            # Without masks GDAL is two to three times as fast. It then does not avoid the nodata value.
            self._reproject(values, result, self.method, window=window, source=source, scale=scale)
            is_taken = result == self.nodata
            if not masked.is_empty:
                _within(is_taken, masked, window)[...] = False
            if is_taken.any():
                masked = window
        else:
            masked = window
        if not masked.is_empty:
            piece = np.full((len(self.bands), masked.height, masked.width), self.nodata, self.dtype)
            onto = partial(self._reproject, window=masked, source=source, scale=scale)
            self._warp_with_gaps(onto, values, valid, piece)
            if self.method in _OF_AREAS or not valid.all():
                # Also of means, whose pixels must have their centre in the raster.
                of = np.ones_like(valid[:1]) if self.method in _OF_AREAS else valid
                piece[~np.broadcast_to(needed.at_centres(masked, source, of), piece.shape)] = self.nodata
            _within(result, masked, window)[...] = piece

    def _warp_with_gaps(
        self, onto: Callable[..., None], values: NDArray[Any], valid: NDArray[np.bool_], result: NDArray[Any]
    ) -> None:
        onto(values, result, self.method, src_nodata=self.nodata, dst_nodata=self.nodata)
        if self.method in _OF_AREAS and not valid.all():
            share = np.zeros(result.shape, np.float32)
            onto(valid.astype(np.float32), share, "average")
            result[share < _LEAST_SHARE] = self.nodata

    def _reproject(
        self,
        values: NDArray[Any],
        result: NDArray[Any],
        method: str,
        *,
        window: Window,
        source: Window,
        scale: _Scale,
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
            # GDAL would guess the widening of its kernels again for every block.
            XSCALE=scale[0],
            YSCALE=scale[1],
            # Otherwise a year that is missing would count as valid where another year is valid.
            UNIFIED_SRC_NODATA="NO",
            **nodata,
        )

    def _scale(self) -> _Scale:
        """Return how many pixels of the lattice one pixel of the raster takes along its rows and columns; at most 1."""
        across, down, _ = self.placement.pixels_per_pixel(self.lattice, self.lattice.window)
        return 1 / across if across >= _WIDENED else 1.0, 1 / down if down >= _WIDENED else 1.0

    def _needed(self, window: Window, scale: _Scale) -> "_Needed":
        """Return which pixels a window of the lattice, and each part of it, needs; the raster may not have all."""
        rows, cols = (
            np.unique([*range(start, start + length, _STEP), start + length])
            for start, length in ((window.row, window.height), (window.col, window.width))
        )
        places = self.placement.pixels_at(
            self.lattice, *np.meshgrid(rows.astype(float), cols.astype(float), indexing="ij")
        )
        reach = [int(np.ceil(_RADIUS[self.method] / one)) + _MARGIN for one in scale]
        return _Needed(window, rows, cols, *places, reach_rows=reach[1], reach_cols=reach[0])


@dataclass(frozen=True, eq=False)
class _Needed:
    """The pixels of a raster that a window of the lattice needs.

    `rows` and `cols` are places in the window. `own_rows` and `own_cols`, (rows, cols), are the same places in the
    raster, not finite where it has no coordinates. A kernel reaches `reach_rows` and `reach_cols` pixels beyond them.
    """

    window: Window
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    own_rows: NDArray[np.float64]
    own_cols: NDArray[np.float64]
    reach_rows: int
    reach_cols: int

    @property
    def whole(self) -> Window:
        """All pixels that are needed."""
        is_place = self._is_place
        if not is_place.any():
            return Window(0, 0, 0, 0)
        if not is_place.all() and max(self.window.height, self.window.width) > _LEAST_EDGE:
            # Near the limits of a CRS, what lies between the places cannot be told, except in the smallest parts.
            return EVERYWHERE
        top, bottom = self._range(self.own_rows[is_place], self.reach_rows)
        left, right = self._range(self.own_cols[is_place], self.reach_cols)
        return Window(top, left, bottom - top, right - left)

    def part_with_gaps(self, source: Window, valid: NDArray[np.bool_]) -> Window:
        """Return the part of the window that needs missing pixels, or pixels beyond the raster.

        `valid`, (band, y, x), says which pixels of `source` are valid.
        """
        if not self._is_place.all():
            return self.window
        n_gaps = np.zeros((valid.shape[1] + 1, valid.shape[2] + 1), np.int64)
        n_gaps[1:, 1:] = (~valid.all(axis=0)).cumsum(axis=0).cumsum(axis=1)
        (top, bottom), (left, right) = (
            (np.floor(_of_corners(own, np.minimum)) - reach, np.ceil(_of_corners(own, np.maximum)) + reach)
            for own, reach in ((self.own_rows, self.reach_rows), (self.own_cols, self.reach_cols))
        )
        sides = (top - source.row, bottom - source.row, left - source.col, right - source.col)
        top, bottom, left, right = (side.astype(np.int64) for side in sides)
        has_gap = (top < 0) | (left < 0) | (bottom > source.height) | (right > source.width)
        top, bottom = (np.clip(side, 0, source.height) for side in (top, bottom))
        left, right = (np.clip(side, 0, source.width) for side in (left, right))
        has_gap |= n_gaps[bottom, right] - n_gaps[top, right] - n_gaps[bottom, left] + n_gaps[top, left] > 0
        if not has_gap.any():
            return Window(self.window.row, self.window.col, 0, 0)
        down, across = np.flatnonzero(has_gap.any(axis=1)), np.flatnonzero(has_gap.any(axis=0))
        row, col = int(self.rows[down[0]]), int(self.cols[across[0]])
        return Window(row, col, int(self.rows[down[-1] + 1]) - row, int(self.cols[across[-1] + 1]) - col)

    def at_centres(self, part: Window, source: Window, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return, (band, y, x) of `part`, whether the raster's pixel at the centre of each pixel is there and valid.

        `valid`, (band, y, x), says which pixels of `source` are valid. Between the places, coordinates are
        interpolated, which is exact within about a thousandth of a pixel.
        """
        down = _between_places(self.rows, part.row, part.height)
        across = _between_places(self.cols, part.col, part.width)
        own = (_interpolated(_interpolated(places, down).T, across).T for places in (self.own_rows, self.own_cols))
        row, col = (side - start for side, start in zip(own, (source.row, source.col), strict=True))
        # Not true where there are no coordinates.
        is_in = (row >= 0) & (row < source.height) & (col >= 0) & (col < source.width)
        rows, cols = (np.where(is_in, side, 0).astype(np.intp) for side in (row, col))
        found: NDArray[np.bool_] = valid.reshape(len(valid), -1)[:, rows * source.width + cols] & is_in
        return found

    @property
    def _is_place(self) -> NDArray[np.bool_]:
        return np.isfinite(self.own_rows) & np.isfinite(self.own_cols)

    @staticmethod
    def _range(own: NDArray[np.float64], reach: int) -> tuple[int, int]:
        return int(np.floor(own.min())) - reach, int(np.ceil(own.max())) + reach


def _between_places(places: NDArray[np.int64], start: int, length: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return, for each pixel centre from `start` on, the place before it and the distance to the next place."""
    centres = np.arange(start, start + length) + 0.5
    before = np.searchsorted(places, centres) - 1
    return before, (centres - places[before]) / (places[before + 1] - places[before])


def _interpolated(
    values: NDArray[np.float64], between: tuple[NDArray[np.intp], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return `values`, (place, ...), at pixels between the places."""
    before, share = between
    found: NDArray[np.float64] = values[before] * (1 - share)[:, np.newaxis] + values[before + 1] * share[:, np.newaxis]
    return found


def _of_corners(places: NDArray[np.float64], choose: "np.ufunc") -> NDArray[np.float64]:
    """Return the smallest or largest value at the four corners of each part between places."""
    pairs = choose(places[1:], places[:-1])
    chosen: NDArray[np.float64] = choose(pairs[:, 1:], pairs[:, :-1])
    return chosen


def _within(values: NDArray[Any], part: Window, window: Window) -> NDArray[Any]:
    """Return the view of `part` in an array (band, y, x) of `window`."""
    row, col = part.row - window.row, part.col - window.col
    return values[:, row : row + part.height, col : col + part.width]


def suited_method(asked: str, placement: Placement, lattice: Lattice, window: Window) -> str:
    """Return the method to use: ``average`` if `asked` would interpolate and skip many pixels, otherwise `asked`.

    It skips many if a pixel of the lattice, in the middle of `window`, covers more than two pixels of the raster.
    """
    if asked not in ("bilinear", "cubic", "cubic_spline"):
        return asked
    return "average" if placement.pixels_per_pixel(lattice, window)[2] > _MOST_INTERPOLATED else asked


def _valid(plane: NDArray[Any], missing: tuple[float, ...]) -> NDArray[np.bool_]:
    valid = np.isfinite(plane) if plane.dtype.kind == "f" else np.ones(plane.shape, bool)
    for value in missing:
        valid &= plane != value
    return valid
