"""Distance to the nearest glacier pixel, in metres or pixels."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.errors import ConfigError

_INT16_MAX = 32767


def halo_px(pixel_size: float, max_m: int) -> int:
    """Return how many pixels around a block decide its distances.

    Parameters
    ----------
    pixel_size : float
        Edge of a pixel, in metres.
    max_m : int
        The distance at which values are capped, in metres.

    Returns
    -------
    int
        ``ceil(max_m / pixel_size)``: whatever lies farther than that cannot lower a capped value.
    """
    return math.ceil(max_m / pixel_size)


def distance_to_glacier(
    inside: npt.NDArray[np.bool_], pixel_size: float, max_m: int, unit: Literal["m", "px"] = "m"
) -> npt.NDArray[np.int16]:
    """Return the distance from each pixel centre to the nearest pixel centre that is glacier.

    The transform is the exact Euclidean one (Maurer et al. 2003, as implemented by scipy). A block computed with
    `halo_px` more pixels on every side, then trimmed, equals the same part of the whole.

    Parameters
    ----------
    inside : ndarray
        Axes (y, x), bool: the pixel is glacier, by outline or by label. Not modified.
    pixel_size : float
        Edge of a pixel, in metres.
    max_m : int
        In metres, whatever the unit: larger distances, and all of them where nothing is inside, become this.
    unit : str
        ``"m"``, or ``"px"`` for edges of a pixel.

    Returns
    -------
    ndarray
        Axes (y, x), int16, whole metres or pixels, rounded half to even; 0 inside. It holds no nodata.

    Raises
    ------
    ConfigError
        `max_m`, in `unit`, does not fit int16, or a length is not positive.
    """
    scale = pixel_size if unit == "m" else 1.0
    limit = max_m if unit == "m" or pixel_size <= 0 else max_m / pixel_size
    if not 0 < limit <= _INT16_MAX or pixel_size <= 0:
        raise ConfigError(
            f"no distances up to {max_m} m for pixels of {pixel_size} m in {unit}",
            where="[distance]",
            fix=f"use a positive pixel size and a max_m from 1 m to {_INT16_MAX} {unit}",
        )
    if not inside.any():
        return np.full(inside.shape, np.rint(limit), dtype=np.int16)
    distance: npt.NDArray[np.float64] = ndimage.distance_transform_edt(~inside) * scale
    capped: npt.NDArray[np.int16] = np.rint(np.minimum(distance, limit)).astype(np.int16)
    return capped
