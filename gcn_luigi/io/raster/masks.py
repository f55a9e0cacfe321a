"""Pixels that a raster hides without a nodata value: by an alpha band, or by a mask in the file or next to it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from gcn_luigi.lattice import Window

# The mask of a file, in place of the number of an alpha band.
MASK = -1
# What GDAL says of a band that has no mask of its own.
_NO_MASK = frozenset({MaskFlags.all_valid, MaskFlags.nodata})


def mask_of(dataset: Any) -> int:
    """Return what hides pixels of an open raster: the number of its alpha band, `MASK`, or 0 for nothing.

    `MASK` is a mask in the file or in ``.msk`` next to it. The last of several bands is an alpha band if its colour
    says so, in a file of any number of bands. GDAL itself takes it for a mask only in a file of two or four.
    """
    if dataset.count > 1 and dataset.colorinterp[-1] is ColorInterp.alpha:
        return int(dataset.count)
    return MASK if any(_NO_MASK.isdisjoint(flags) for flags in dataset.mask_flag_enums) else 0


def hidden_pixels(dataset: Any, mask: int, band: int, window: Window) -> NDArray[np.bool_]:
    """Return which pixels of a window are hidden, (y, x): those where the mask, or the alpha band, is 0.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        An open raster.
    mask : int
        What `mask_of` returns for it. With 0 nothing is hidden.
    band : int
        The band that is read, counted from 1. It may have a mask of its own.
    window : Window
        Lies within the raster.
    """
    if mask == 0:
        return np.zeros((window.height, window.width), bool)
    values = (
        dataset.read_masks(band, window=window.ranges) if mask == MASK else dataset.read(mask, window=window.ranges)
    )
    hidden: NDArray[np.bool_] = values == 0
    return hidden
