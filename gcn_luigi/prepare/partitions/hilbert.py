"""An order of places in the plane in which neighbours follow each other."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Rows and columns within 2**30 pixels of the lattice's corner, on both sides.
_BITS = 31


def along_curve(rows: npt.ArrayLike, cols: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the order of places along Hilbert's curve.

    A square of 2**k x 2**k places at a multiple of 2**k is passed through from one neighbour to the next before the
    curve goes on. So any run of places that follow each other is a compact patch, whatever its length.

    Parameters
    ----------
    rows, cols : array_like of int
        (place,): whole numbers from -2**30 to 2**30 - 1, for example the first pixels of windows. Places need not
        be equally spaced.

    Returns
    -------
    ndarray of intp
        (place,): positions in `rows`, in the order of the curve; equal places keep their order.

    References
    ----------
    D. Hilbert, Ueber die stetige Abbildung einer Linie auf ein Flaechenstueck, Math. Ann. 38 (1891) 459-460.
    """
    y, x = _shifted(rows), _shifted(cols)
    distance = np.zeros(y.shape, np.uint64)
    for bit in range(_BITS - 1, -1, -1):
        side = np.uint64(1 << bit)
        low = side - np.uint64(1)
        upper, right = (y & side) != 0, (x & side) != 0
        quarter = np.where(right, np.where(upper, 2, 3), np.where(upper, 1, 0)).astype(np.uint64)
        distance = (distance << np.uint64(2)) | quarter
        # The curve enters the first and the last quarter along the other axis, the last one mirrored.
        turned, mirrored = ~upper, ~upper & right
        y, x = y & low, x & low
        y, x = np.where(mirrored, low - y, y), np.where(mirrored, low - x, x)
        y, x = np.where(turned, x, y), np.where(turned, y, x)
    return np.argsort(distance, kind="stable")


def _shifted(values: npt.ArrayLike) -> npt.NDArray[Any]:
    return (np.asarray(values, np.int64) + (1 << (_BITS - 1))).astype(np.uint64)
