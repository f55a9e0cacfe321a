"""Slope, aspect and other topographic bands, computed from an elevation raster.

Gradients are Horn's third-order finite differences over 3 x 3 pixels (Horn 1981, "Hill shading and the
reflectance map", Proc. IEEE 69(1), 14-47). Curvatures are second derivatives of the polynomial of Zevenbergen and
Thorne (1987, "Quantitative analysis of land surface topography", Earth Surf. Process. Landforms 12(1), 47-56), which
goes through all 9 pixels. They are positive where the surface is convex. Rows run south, columns run east.
A pixel is missing (NaN) in every result if its 3 x 3 neighbourhood contains nodata, NaN or an infinity. Beyond the edge
of the array the surface is continued linearly, so an array without gaps gives a result without gaps.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi.bands import Band
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.source_values import UNSCALED

# Words of units in which a foot or a metre is named.
_FEET = frozenset({"ft", "foot", "feet", "ftus", "usft"})
_METRES = frozenset({"m", "metre", "metres", "meter", "meters"})
Surface = npt.NDArray[np.floating[Any]]
Frame = tuple[tuple[bool, bool], tuple[bool, bool]]
# The aspect of a flat pixel, in degrees, as in ArcGIS.
_FLAT = -1.0


def with_neighbours(window: Window, lattice: Lattice) -> tuple[Window, Frame]:
    """Return a window with one more pixel on each side where the lattice has one, and where it has."""
    above, left = window.row > 0, window.col > 0
    below = window.row + window.height < lattice.height
    right = window.col + window.width < lattice.width
    grown = Window(window.row - above, window.col - left, window.height + above + below, window.width + left + right)
    return grown, ((above, below), (left, right))


def gradient(
    elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None
) -> tuple[Surface, Surface]:
    """Return how steeply a surface (row, col) rises to the east and to the north, in metres per metre.

    Heights and `pixel_size` are in metres. float32 is computed in float32, every other type in float64. `nodata`, NaN
    and infinities are missing. Raise InputError for fewer than 2 x 2 pixels or a pixel size that is not positive.
    """
    return _gradient(_framed(elevation, pixel_size, nodata), pixel_size)


def hillshade(elevation: npt.NDArray[Any], pixel_size: float, nodata: float | None) -> npt.NDArray[np.float64]:
    """Return the brightness of a surface, (y, x) in metres, in light from the north-west, 45 degrees high.

    This is the cosine of the angle to the light, 0 to 1 (Horn 1981); NaN where the elevation is `nodata` or not finite.
    """
    east, north = gradient(elevation.astype(float), pixel_size, nodata)
    light = (0.5 * east - 0.5 * north + np.sqrt(0.5)) / np.sqrt(1 + east**2 + north**2)
    bounded: npt.NDArray[np.float64] = np.clip(light, 0.0, 1.0)
    return bounded


def _gradient(around: Surface, pixel_size: float) -> tuple[Surface, Surface]:
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
    return _slope(_framed(elevation, pixel_size, nodata), pixel_size)


def _slope(around: Surface, pixel_size: float) -> Surface:
    east, north = _gradient(around, pixel_size)
    angle: Surface = np.arctan(np.hypot(east, north))
    return angle


def _steepness(around: Surface, pixel_size: float) -> Surface:
    """Return the slope in degrees."""
    degrees: Surface = np.degrees(_slope(around, pixel_size))
    return degrees


def aspect(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return the compass direction in which the surface falls. Arguments as for `gradient`.

    The unit is radians clockwise from north, in [0, 2 pi). Flat pixels are NaN, like missing ones.
    """
    east, north = gradient(elevation, pixel_size, nodata)
    direction = _direction(east, north)
    direction[(east == 0) & (north == 0)] = np.nan
    return direction


def _direction(east: Surface, north: Surface) -> Surface:
    turn = east.dtype.type(2 * np.pi)
    direction: Surface = np.arctan2(-east, -north) % turn
    # A tiny negative angle rounds up to a full turn.
    direction[direction >= turn] = 0
    return direction


def _compass(around: Surface, pixel_size: float) -> Surface:
    """Return the aspect in degrees, and -1 where the surface is flat."""
    east, north = _gradient(around, pixel_size)
    degrees: Surface = np.degrees(_direction(east, north))
    degrees[(east == 0) & (north == 0)] = _FLAT
    return degrees


def northness(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return the cosine of the aspect: 1 faces north, -1 faces south, 0 is flat. Arguments as for `gradient`."""
    return _northness(_framed(elevation, pixel_size, nodata), pixel_size)


def _northness(around: Surface, pixel_size: float) -> Surface:
    east, north = _gradient(around, pixel_size)
    return _cosine(east, north)


def eastness(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return the sine of the aspect: 1 faces east, -1 faces west, 0 is flat. Arguments as for `gradient`."""
    return _eastness(_framed(elevation, pixel_size, nodata), pixel_size)


def _eastness(around: Surface, pixel_size: float) -> Surface:
    east, north = _gradient(around, pixel_size)
    return _cosine(north, east)


def southness(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return minus the cosine of the aspect times the sine of the slope. Arguments as for `gradient`.

    Values range from -1 to 1: 1 is a vertical wall that faces south, 0 is flat.
    """
    return _southness(_framed(elevation, pixel_size, nodata), pixel_size)


def _southness(around: Surface, pixel_size: float) -> Surface:
    east, north = _gradient(around, pixel_size)
    steepness = np.hypot(east, north)
    facing: Surface = -_cosine(east, north) * steepness / np.hypot(steepness, steepness.dtype.type(1))
    return facing


def curvature(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return minus the Laplacian over four neighbours, in 1/100 m: summits are positive. Arguments: see `gradient`."""
    return _curvature(_framed(elevation, pixel_size, nodata), pixel_size)


def _curvature(around: Surface, pixel_size: float) -> Surface:
    with np.errstate(invalid="ignore"):
        centre = around[1:-1, 1:-1]
        neighbours = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        corners = (around[:-2, :-2] + around[:-2, 2:] + around[2:, :-2] + around[2:, 2:]) * 0
    rounded: Surface = (4 * centre - neighbours + corners) * around.dtype.type(100 / pixel_size**2)
    return rounded


def profile_curvature(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return minus the second derivative along the line of steepest descent, in 1/100 m. Arguments: see `gradient`.

    Positive where a slope gets steeper downhill. 0 where the surface is flat, because it has no such line there. With
    the opposite sign this is the profile curvature of Zevenbergen and Thorne and of ESRI.
    """
    return _profile(_framed(elevation, pixel_size, nodata), pixel_size)


def _profile(around: Surface, pixel_size: float) -> Surface:
    east, north, across, along, mixed = _derivatives(around, pixel_size)
    return _directional(east, north, across * east**2 + 2 * mixed * east * north + along * north**2)


def planform_curvature(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None = None) -> Surface:
    """Return minus the second derivative across the line of steepest descent, in 1/100 m. Arguments: see `gradient`.

    Positive on ridges, negative in valleys, 0 where the surface is flat. Elsewhere `curvature` is the sum of this and
    `profile_curvature`. This is not the curvature of contour lines, which has no limit where the ground is nearly flat.
    """
    return _planform(_framed(elevation, pixel_size, nodata), pixel_size)


def _planform(around: Surface, pixel_size: float) -> Surface:
    east, north, across, along, mixed = _derivatives(around, pixel_size)
    return _directional(east, north, across * north**2 - 2 * mixed * east * north + along * east**2)


def _directional(east: Surface, north: Surface, second: Surface) -> Surface:
    """Return minus a second derivative that was multiplied by the square of the gradient, in 1/100 m."""
    square = east**2 + north**2
    flat = square == 0
    # A flat pixel next to a missing corner is missing, too, which only the second derivative shows.
    curved: Surface = np.where(flat, second * 0, -100 * second / np.where(flat, 1, square))
    return curved


def _derivatives(around: Surface, pixel_size: float) -> tuple[Surface, Surface, Surface, Surface, Surface]:
    """Return the first derivatives to the east and north, the second ones, and the mixed one; H, G, 2E, 2D and F."""
    step = around.dtype.type(pixel_size)
    with np.errstate(invalid="ignore"):
        centre = around[1:-1, 1:-1]
        west, east = around[1:-1, :-2], around[1:-1, 2:]
        north, south = around[:-2, 1:-1], around[2:, 1:-1]
        corners = around[:-2, 2:] - around[:-2, :-2] - around[2:, 2:] + around[2:, :-2]
        return (
            (east - west) / (2 * step),
            (north - south) / (2 * step),
            (east - 2 * centre + west) / step**2,
            (north - 2 * centre + south) / step**2,
            corners / (4 * step**2),
        )


def length_unit(tag: str) -> str:
    """Return ``feet`` or ``metres``, whichever a unit tag names (``US survey foot``, ``m``); empty if neither."""
    words = set(re.split(r"[^a-z]+", tag.lower()))
    return "feet" if words & _FEET else "metres" if words & _METRES else ""


def metres_of(
    values: npt.NDArray[np.generic],
    band: Band,
    *,
    nodata: float | None = None,
    z_factor: float = 1.0,
    tags: tuple[float, float] = UNSCALED,
) -> npt.NDArray[np.float64]:
    """Return the elevations of a band in metres, with NaN where they are missing or beyond the band's valid range.

    `values` are as delivered, of any real dtype and shape; `nodata`, NaN and infinities are missing. The valid range of
    `band` is that of stored values, after scaling. `z_factor` is the number of metres in the unit of `values`.
    `tags` are the scale and offset tags of the files, which are applied first.
    """
    metres = values.astype(np.float64)
    missing = ~np.isfinite(metres)
    if nodata is not None:
        missing |= values == nodata
    with np.errstate(invalid="ignore", over="ignore"):
        if tags != UNSCALED:
            metres = metres * tags[0] + tags[1]
        stored = metres * band.scale + band.offset
        if band.valid_min is not None:
            missing |= stored < band.valid_min
        if band.valid_max is not None:
            missing |= stored > band.valid_max
    metres *= z_factor
    metres[missing] = np.nan
    return metres


def derive(name: str, around: npt.NDArray[np.float64], frame: Frame, pixel_size: float) -> Surface:
    """Return a derived band in the units of its stored values before they are scaled.

    Parameters
    ----------
    name : str
        The quantity, a key of `gcn_luigi.settings.derived.DERIVED`. Angles are in degrees, curvatures in 1/100 m, and
        the aspect of flat pixels is -1, as in ArcGIS. "north" is the northness and "south" the southness.
    around : float64 array (row, col)
        Elevations in metres, NaN where they are missing.
    frame : pair of pairs of bool
        Whether `around` reaches one pixel beyond the result: above and below, left and right. On the other sides the
        surface ends, and is continued linearly.
    pixel_size : float
        Edge of a pixel in metres.

    Returns
    -------
    float64 array (row, col)
        NaN where the 3 x 3 neighbourhood has a missing pixel.

    Raises
    ------
    InputError
        The surface has fewer than 2 x 2 pixels.
    """
    _check(around, pixel_size)
    sides = [(int(not before), int(not after)) for before, after in frame]
    return _DERIVATIONS[name](np.pad(around, sides, mode="reflect", reflect_type="odd"), pixel_size)


def _cosine(east: Surface, north: Surface) -> Surface:
    length = np.hypot(east, north)
    flat = length == 0
    cosine: Surface = np.where(flat, length, -north / np.where(flat, 1, length))
    return cosine


def _framed(elevation: npt.NDArray[np.generic], pixel_size: float, nodata: float | None) -> Surface:
    """Return heights with NaN where they are missing, and with a frame of one linearly continued pixel."""
    _check(elevation, pixel_size)
    heights: Surface = elevation.astype(np.float32 if elevation.dtype == np.float32 else np.float64)
    missing = ~np.isfinite(heights)
    if nodata is not None:
        missing |= elevation == nodata
    heights[missing] = np.nan
    framed: Surface = np.pad(heights, 1, mode="reflect", reflect_type="odd")
    return framed


def _check(elevation: npt.NDArray[np.generic], pixel_size: float) -> None:
    if elevation.ndim != 2 or min(elevation.shape) < 2 or not pixel_size > 0:
        raise InputError(
            f"slope cannot be computed from an array of shape {elevation.shape} with pixels of {pixel_size} m",
            where="elevation",
            fix="give an array (row, col) of at least 2 x 2 heights, and a positive pixel size",
        )


_DERIVATIONS: Mapping[str, Callable[[Surface, float], Surface]] = MappingProxyType({
    "slope": _steepness,
    "aspect": _compass,
    "northness": _northness,
    "eastness": _eastness,
    "north": _northness,
    "south": _southness,
    "curvature": _curvature,
    "profile_curvature": _profile,
    "planform_curvature": _planform,
})  # fmt: skip
