"""Nodata tags, and whether a pixel can have their value."""

import math

import numpy as np


def can_hold(tag: float, dtype: str) -> bool:
    """Return whether a pixel of a type can hold a nodata tag. GDAL turns other tags into 0 or the nearest value.

    Examples
    --------
    >>> can_hold(255, "uint8"), can_hold(-9999, "uint8"), can_hold(float("nan"), "int16")
    (True, False, False)
    """
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return float(tag).is_integer() and limits.min <= tag <= limits.max
    return kind.kind != "f" or not math.isfinite(tag) or abs(tag) <= float(np.finfo(kind).max)
