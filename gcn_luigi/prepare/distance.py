"""Distance to the nearest outline, in metres."""

import math

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


def distance_to_outline(inside: npt.NDArray[np.bool_], pixel_size: float, max_m: int) -> npt.NDArray[np.int16]:
    """Return the distance from each pixel centre to the nearest pixel centre inside an outline.

    The transform is the exact Euclidean one (Maurer et al. 2003, as implemented by scipy). A block computed with
    `halo_px` more pixels on every side, then trimmed, equals the same part of the whole.

    Parameters
    ----------
    inside : ndarray
        Axes (y, x), bool: the pixel centre lies inside an outline. Not modified.
    pixel_size : float
        Edge of a pixel, in metres.
    max_m : int
        Larger distances, and all of them where nothing is inside, become this; at most 32767.

    Returns
    -------
    ndarray
        Axes (y, x), int16, metres rounded half to even; 0 inside. It holds no nodata.

    Raises
    ------
    ConfigError
        `max_m` does not fit int16, or a length is not positive.
    """
    if not 0 < max_m <= _INT16_MAX or pixel_size <= 0:
        raise ConfigError(
            f"no distances up to {max_m} m for pixels of {pixel_size} m",
            where="[distance]",
            fix=f"use 1 <= max_m <= {_INT16_MAX} and a positive pixel size",
        )
    if not inside.any():
        return np.full(inside.shape, max_m, dtype=np.int16)
    metres: npt.NDArray[np.float64] = ndimage.distance_transform_edt(~inside) * pixel_size
    capped: npt.NDArray[np.int16] = np.rint(np.minimum(metres, max_m)).astype(np.int16)
    return capped
