"""Slope, aspect and other topographic bands, computed from an elevation raster.

Gradients are Horn's third-order finite differences over 3 x 3 pixels (Horn 1981, "Hill shading and the
reflectance map", Proc. IEEE 69(1), 14-47). Rows run south, columns run east.
A pixel is missing (NaN) in every result if its 3 x 3 neighbourhood contains nodata, NaN or an infinity. Beyond the edge
of the array the surface is continued linearly, so an array without gaps gives a result without gaps.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi.errors import InputError

Surface = npt.NDArray[np.floating[Any]]


def gradient(
    elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None
) -> tuple[Surface, Surface]:
    """Return how steeply a surface (row, col) rises to the east and to the north, in metres per metre.

    Heights and `pixel_size` are in metres. float32 is computed in float32, every other type in float64. `nodata`, NaN
    and infinities are missing. Raise InputError for fewer than 2 x 2 pixels or a pixel size that is not positive.
    """
    around = _framed(elevation, pixel_size, nodata)
    with np.errstate(invalid="ignore"):
        across = around[:, 2:] - around[:, :-2]
        along = around[:-2] - around[2:]
        east = across[:-2] + 2 * across[1:-1] + across[2:]
        north = along[:, :-2] + 2 * along[:, 1:-1] + along[:, 2:]
        # Horn's sums leave out the pixel itself, but a missing pixel must still have no slope.
        unknown = around[1:-1, 1:-1] * 0
    step = around.dtype.type(8 * pixel_size)
    return east / step + unknown, north / step + unknown


def slope(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return the angle between the surface and the horizontal, in radians, 0 to pi/2. Arguments as for `gradient`."""
    east, north = gradient(elevation, pixel_size, nodata)
    angle: Surface = np.arctan(np.hypot(east, north))
    return angle


def aspect(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return the compass direction in which the surface falls. Arguments as for `gradient`.

    The unit is radians clockwise from north, in [0, 2 pi). Flat pixels are NaN, like missing ones.
    """
    east, north = gradient(elevation, pixel_size, nodata)
    turn = east.dtype.type(2 * np.pi)
    direction: Surface = np.arctan2(-east, -north) % turn
    # A tiny negative angle rounds up to a full turn.
    direction[direction >= turn] = 0
    direction[(east == 0) & (north == 0)] = np.nan
    return direction


def northness(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return the cosine of the aspect: 1 faces north, -1 faces south, 0 is flat. Arguments as for `gradient`."""
    east, north = gradient(elevation, pixel_size, nodata)
    return _cosine(east, north)


def southness(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return minus the cosine of the aspect times the sine of the slope. Arguments as for `gradient`.

    Values range from -1 to 1: 1 is a vertical wall that faces south, 0 is flat.
    """
    east, north = gradient(elevation, pixel_size, nodata)
    steepness = np.hypot(east, north)
    facing: Surface = -_cosine(east, north) * steepness / np.hypot(steepness, steepness.dtype.type(1))
    return facing


def curvature(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return minus the Laplacian over four neighbours, in 1/100 m: summits are positive. Arguments: see `gradient`."""
    around = _framed(elevation, pixel_size, nodata)
    with np.errstate(invalid="ignore"):
        centre = around[1:-1, 1:-1]
        neighbours = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        corners = (around[:-2, :-2] + around[:-2, 2:] + around[2:, :-2] + around[2:, 2:]) * 0
    rounded: Surface = (4 * centre - neighbours + corners) * around.dtype.type(100 / pixel_size**2)
    return rounded


def _cosine(east: Surface, north: Surface) -> Surface:
    length = np.hypot(east, north)
    flat = length == 0
    cosine: Surface = np.where(flat, length, -north / np.where(flat, 1, length))
    return cosine


def _framed(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None) -> Surface:
    """Return heights with NaN where they are missing, and with a frame of one linearly continued pixel."""
    if elevation.ndim != 2 or min(elevation.shape) < 2 or not pixel_size > 0:
        raise InputError(
            f"slope cannot be computed from an array of shape {elevation.shape} with pixels of {pixel_size} m",
            where="elevation",
            fix="give an array (row, col) of at least 2 x 2 heights, and a positive pixel size",
        )
    heights: Surface = elevation.astype(np.float32 if elevation.dtype == np.float32 else np.float64)
    missing = ~np.isfinite(heights)
    if nodata is not None:
        missing |= elevation == nodata
    heights[missing] = np.nan
    framed: Surface = np.pad(heights, 1, mode="reflect", reflect_type="odd")
    return framed
