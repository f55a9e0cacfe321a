"""Where the pixels of any raster lie: in any CRS, of any shape, rotated or not; and where they fall on a lattice."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.transform import Affine

from gcn_luigi.lattice import FARTHEST, Lattice, Window

# Points along each edge, and along each side of the interior, at which the outline of a raster is transformed.
_EDGE_POINTS, _INNER_POINTS = 257, 17
# An edge this close to a pixel edge of the lattice, in pixels, is on it.
_TOLERANCE_PX = 1e-3
# The window of a raster of which a part has no place in the CRS of the lattice.
EVERYWHERE = Window(-(1 << 30), -(1 << 30), 1 << 31, 1 << 31)


@dataclass(frozen=True)
class Placement:
    """The pixels of a raster that need not be a lattice.

    Attributes
    ----------
    crs : str
        An authority code or WKT of any CRS, projected or geographic.
    transform : tuple of float
        Affine coefficients a, b, c, d, e, f: ``x = a col + b row + c``, ``y = d col + e row + f``, in units of the CRS.
    height, width : int
        Rows and columns.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    height: int
    width: int

    def window_on(self, lattice: Lattice) -> Window:
        """Return the window of the lattice that holds all pixels, which may reach beyond it.

        It is `EVERYWHERE` if a part of the raster has no place in the lattice's CRS, for example far from a UTM
        zone, or is absurdly far away.
        """
        edge, inner = np.linspace(0.0, 1.0, _EDGE_POINTS), np.linspace(0.0, 1.0, _INNER_POINTS)
        sides = [np.stack([edge, np.full_like(edge, end)]) for end in (0.0, 1.0)]
        parts = [*sides, *(side[::-1] for side in sides), np.stack(np.meshgrid(inner, inner)).reshape(2, -1)]
        across, down = np.concatenate(parts, axis=1)
        x, y = _between(self.crs, lattice.crs).transform(
            *_applied(self.transform, across * self.width, down * self.height)
        )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return EVERYWHERE
        cols, rows = (x - lattice.left) / lattice.pixel_size, (lattice.top - y) / lattice.pixel_size
        if max(np.abs(rows).max(), np.abs(cols).max()) >= FARTHEST:
            return EVERYWHERE
        row, col = (math.floor(places.min() + _TOLERANCE_PX) for places in (rows, cols))
        bottom, right = (math.ceil(places.max() - _TOLERANCE_PX) for places in (rows, cols))
        return Window(row, col, max(bottom - row, 1), max(right - col, 1))

    def pixels_at(
        self, lattice: Lattice, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the rows and columns of this raster at places of a lattice, given as rows and columns; all fractional.

        A place without coordinates in the CRS of this raster gives infinity or NaN.
        """
        x, y = lattice.left + cols * lattice.pixel_size, lattice.top - rows * lattice.pixel_size
        x, y = _between(lattice.crs, self.crs).transform(x, y)
        if _is_geographic(self.crs):
            # Longitudes may run from -180 to 180 or from 0 to 360, in degrees.
            west = min(self.transform[2], self.transform[2] + self.transform[0] * self.width)
            x = west + (x - west) % 360.0
        own_cols, own_rows = _applied(tuple(~Affine(*self.transform))[:6], x, y)
        return own_rows, own_cols

    def pixels_per_pixel(self, lattice: Lattice, window: Window) -> tuple[float, float, float]:
        """Return how many pixels one pixel of the lattice, in the middle of `window`, takes.

        The three numbers are those along the rows of the raster, along its columns, and of the whole area.
        """
        row, col = window.row + window.height / 2, window.col + window.width / 2
        rows, cols = self.pixels_at(lattice, np.array([row, row, row + 1]), np.array([col, col + 1, col]))
        (by_x, by_y), (down_x, down_y) = (values[1:] - values[0] for values in (cols, rows))
        return math.hypot(by_x, by_y), math.hypot(down_x, down_y), abs(by_x * down_y - by_y * down_x)


def _applied(
    transform: tuple[float, ...], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the image of places under affine coefficients a, b, c, d, e, f.

    The versions 2 and 3 of affine have different operators for this.
    """
    a, b, c, d, e, f = transform
    return a * x + b * y + c, d * x + e * y + f


@functools.lru_cache(maxsize=64)
def _is_geographic(crs: str) -> bool:
    return bool(pyproj.CRS(crs).is_geographic)


@functools.lru_cache(maxsize=64)
def _between(one: str, other: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(one, other, always_xy=True)
