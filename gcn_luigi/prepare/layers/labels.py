"""The class label: 0 none, 1 debris, 2 debris-free ice, 255 ignore."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from gcn_luigi._core import counts as kernel
from gcn_luigi.bands import LABEL_DEBRIS, LABEL_ICE, LABEL_IGNORE, LABEL_NONE
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice

_ICE_OUTSIDE = {"none": LABEL_NONE, "ignore": LABEL_IGNORE, "ice": LABEL_ICE}


def rasterize_outlines(geometries: Sequence[Any] | npt.NDArray[Any], lattice: Lattice) -> npt.NDArray[np.bool_]:
    """Return which pixel centres lie inside any outline.

    Any crop of the lattice gives the same pixels as the whole: work window by window.

    Parameters
    ----------
    geometries : sequence of shapely geometries
        Polygons in the lattice's CRS; None and empty ones are passed over.
    lattice : Lattice
        The pixels to fill, usually a crop of the region's.

    Returns
    -------
    ndarray
        Axes (y, x), bool.
    """
    shapes = np.asarray(geometries, dtype=object).ravel()
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    left, bottom, right, top = lattice.bounds
    # NaN bounds (None, empty) compare False.
    near = (bounds[:, 0] < right) & (bounds[:, 2] > left) & (bounds[:, 1] < top) & (bounds[:, 3] > bottom)
    if not near.any():
        return np.zeros(lattice.shape, dtype=bool)
    burnt: npt.NDArray[np.uint8] = rasterize(
        list(shapes[near]), out_shape=lattice.shape, transform=Affine(*lattice.transform), dtype="uint8"
    )
    return burnt.astype(bool)


def combine_label(
    inside: npt.NDArray[np.bool_],
    votes: npt.NDArray[Any],
    votes_missing: npt.NDArray[np.bool_],
    min_votes: int,
    *,
    ice_outside: Literal["none", "ignore", "ice"] = "none",
) -> npt.NDArray[np.uint8]:
    """Return the class of each pixel from the outlines and the STEM votes.

    A pixel without votes is 255 wherever it lies: missing is never "no glacier".

    Parameters
    ----------
    inside : ndarray
        Axes (y, x), bool: the pixel centre lies inside an outline.
    votes : ndarray
        Axes (y, x), any number type: votes for debris-free ice.
    votes_missing : ndarray
        Axes (y, x), bool: the votes hold nodata here, or the STEM raster ends.
    min_votes : int
        As many votes, or more, are debris-free ice.
    ice_outside : str
        What debris-free ice outside every outline becomes: ``"none"``, class 0 (the published rule); ``"ignore"``,
        255; ``"ice"``, class 2.

    Returns
    -------
    ndarray
        Axes (y, x), uint8: 0, 1, 2 or 255.

    Raises
    ------
    InputError
        The three arrays differ in shape.
    """
    if not inside.shape == votes.shape == votes_missing.shape:
        raise InputError(
            f"outlines {inside.shape}, votes {votes.shape} and their mask {votes_missing.shape} differ in shape",
            where="label",
            fix="read all of them for the same window of the lattice",
        )
    is_ice = votes >= min_votes
    label = np.where(inside, LABEL_DEBRIS, LABEL_NONE).astype(np.uint8)
    label[inside & is_ice] = LABEL_ICE
    label[~inside & is_ice] = _ICE_OUTSIDE[ice_outside]
    label[votes_missing] = LABEL_IGNORE
    return label


def count_classes(label: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the number of pixels of each class.

    Parameters
    ----------
    label : ndarray
        Any shape, uint8: 0, 1, 2; anything else is missing.

    Returns
    -------
    ndarray
        Axes (class,) = none, debris, ice, missing; int64.

    Raises
    ------
    InputError
        The label is not uint8.
    """
    if label.dtype != np.uint8:
        raise InputError(
            f"classes cannot be counted in dtype {label.dtype}", where="label", fix="give an array of uint8"
        )
    counts = np.empty(4, np.int64)
    kernel.count_classes(np.ascontiguousarray(label).reshape(-1), counts)
    return counts
