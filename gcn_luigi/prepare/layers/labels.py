"""Layers from outlines: the label (0 none, 1 debris, 2 debris-free ice, 255 ignore) and the distance to glacier."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from gcn_luigi._core import counts as kernel
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Lattice

_INT16_MAX = 32767


def rasterize_outlines(geometries: Sequence[Any] | NDArray[Any], lattice: Lattice) -> NDArray[np.bool_]:
    """Return which pixel centres are inside any outline, bool (y, x).

    Polygons are in the lattice's CRS; None and empty ones are skipped. A crop of the lattice gives the same pixels as
    the whole lattice, so callers can work window by window.
    """
    shapes = np.asarray(geometries, dtype=object).ravel()
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    left, bottom, right, top = lattice.bounds
    # NaN bounds (None, empty) compare False.
    near = (bounds[:, 0] < right) & (bounds[:, 2] > left) & (bounds[:, 1] < top) & (bounds[:, 3] > bottom)
    if not near.any():
        return np.zeros(lattice.shape, dtype=bool)
    burnt: NDArray[np.uint8] = rasterize(
        list(shapes[near]), out_shape=lattice.shape, transform=Affine(*lattice.transform), dtype="uint8"
    )
    return burnt.astype(bool)


def combine_label(
    inside: NDArray[np.bool_],
    votes: NDArray[Any],
    votes_missing: NDArray[np.bool_],
    min_votes: int,
    *,
    ice_outside: Literal["none", "ignore", "ice"] = "none",
    classes: ClassTable = DEFAULT_CLASSES,
) -> NDArray[np.uint8]:
    """Return the class of each pixel from the outlines and the STEM votes.

    A pixel without votes is 255, inside outlines and outside: missing data never mean "no glacier".

    Parameters
    ----------
    inside : ndarray
        Axes (y, x), bool: True where the pixel centre is inside an outline.
    votes : ndarray
        Axes (y, x), any number type: votes for debris-free ice.
    votes_missing : ndarray
        Axes (y, x), bool: True where the votes are nodata or the pixel is beyond the STEM raster.
    min_votes : int
        Pixels with this many votes or more are debris-free ice.
    ice_outside : str
        Class of debris-free ice outside all outlines: ``"none"`` gives 0 (the published rule), ``"ignore"`` gives
        255, and ``"ice"`` gives 2.
    classes : ClassTable
        The classes of the label; none, debris and ice are among them, here with their default values.

    Returns
    -------
    ndarray
        Axes (y, x), uint8: 0, 1, 2 or 255.
    """
    is_ice, value_of = votes >= min_votes, classes.value_of
    label = np.where(inside, value_of["debris"], value_of["none"]).astype(np.uint8)
    label[inside & is_ice] = value_of["ice"]
    label[~inside & is_ice] = value_of[ice_outside]
    label[votes_missing] = LABEL_IGNORE
    return label


def count_classes(label: NDArray[np.uint8], classes: ClassTable = DEFAULT_CLASSES) -> NDArray[np.int64]:
    """Return the number of pixels of each class.

    Parameters
    ----------
    label : ndarray
        Any shape, uint8: values of `classes`; other values are missing.
    classes : ClassTable
        The classes of the label.

    Returns
    -------
    ndarray
        Axes (class,) = each class by rising value, then missing; int64.
    """
    counts = np.empty(len(classes) + 1, np.int64)
    kernel.count_classes(np.ascontiguousarray(label).reshape(-1), classes.value_array, counts)
    return counts


def halo_px(pixel_size: float, max_m: int) -> int:
    """Return how far around a block pixels can affect its distances, in pixels: distances are capped at `max_m`."""
    return math.ceil(max_m / pixel_size)


def distance_to_glacier(
    inside: NDArray[np.bool_], pixel_size: float, max_m: int, unit: Literal["m", "px"] = "m"
) -> NDArray[np.int16]:
    """Return the distance from each pixel centre to the nearest pixel centre that is glacier.

    The transform is exact and Euclidean (Maurer et al. 2003, as implemented by scipy). If a block is computed with
    `halo_px` extra pixels on every side and then trimmed, it equals the same part of the whole.

    Parameters
    ----------
    inside : ndarray
        Axes (y, x), bool: True where the pixel is glacier, by outline or by label.
    pixel_size : float
        Pixel size in metres.
    max_m : int
        The cap, always in metres. Larger distances become this value; without any glacier, all pixels do.
    unit : str
        ``"m"`` for metres or ``"px"`` for pixels.

    Returns
    -------
    ndarray
        Axes (y, x), int16, in `unit`, rounded half to even; 0 on glacier. There is no nodata.

    Raises
    ------
    ConfigError
        `max_m`, in `unit`, does not fit int16, or a length is not positive.
    """
    scale = pixel_size if unit == "m" else 1.0
    limit = max_m if unit == "m" or pixel_size <= 0 else max_m / pixel_size
    if not 0 < limit <= _INT16_MAX or pixel_size <= 0:
        raise ConfigError(
            f"distances up to {max_m} m in {unit} cannot be computed or stored for pixels of {pixel_size} m",
            where="[distance]",
            fix=f"use a positive pixel size and a max_m from 1 m to {_INT16_MAX} {unit}",
        )
    if not inside.any():
        return np.full(inside.shape, np.rint(limit), dtype=np.int16)
    distance: NDArray[np.float64] = scipy.ndimage.distance_transform_edt(~inside) * scale
    capped: NDArray[np.int16] = np.rint(np.minimum(distance, limit)).astype(np.int16)
    return capped
