"""Blend what overlapping windows say about a raster: where they start, what they weigh, and means of their values."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Blending = Literal["hann", "linear"]
Floats = NDArray[np.float64]


def window_starts(length: int, size: int, step: int) -> NDArray[np.int64]:
    """Return where windows start along one axis, in ascending order, in pixels.

    They start every `step` pixels, from 1 to `size`. The last one is moved inwards so that it ends with the raster. A
    raster that is not longer than a window has one window, which starts at 0 and reaches over the end.

    Examples
    --------
    >>> window_starts(300, 128, 64)
    array([  0,  64, 128, 172])
    >>> window_starts(100, 128, 64)
    array([0])
    """
    if length <= size:
        return np.zeros(1, np.int64)
    return np.append(np.arange(0, length - size, step, dtype=np.int64), length - size)


def window_weights(size: int, overlap: int, blending: Blending) -> Floats:
    """Return the weight of each pixel of a window, (y, x) float64, larger than 0 and at most 1.

    The weight rises from the edge of the window over the width of the overlap, but at most over half of the window,
    and is 1 further in. With ``hann`` it rises as the square of a sine, so that it changes smoothly; with ``linear`` it
    rises in equal steps. Where two windows overlap regularly, their weights add up to 1. An overlap of 0 has equal
    weights everywhere.
    """
    rise = min(overlap, size // 2)
    along = np.ones(size)
    if rise:
        shares = (np.arange(rise) + 0.5) / rise
        along[:rise] = np.sin(0.5 * np.pi * shares) ** 2 if blending == "hann" else shares
        along[size - rise :] = along[:rise][::-1]
    return np.outer(along, along)


def shares_of(scores: NDArray[np.floating]) -> Floats:
    """Return the softmax of scores (class, y, x) of one window: the share of each class, in double precision.

    Every pixel is computed by itself, so equal scores give equal shares wherever they are.
    """
    wide = scores.astype(np.float64)
    risen = np.exp(wide - wide.max(axis=0))
    found: Floats = risen / risen.sum(axis=0)
    return found


class BlendedRows:
    """Weighted means of overlapping windows, of a few rows at a time: memory does not depend on the raster's height.

    Windows are added from the top down. All windows that start at one row are added before the rows above the next
    start are taken. The sums of a pixel then always have the same order, so its mean does not depend on where the first
    or the last window is.

    Parameters
    ----------
    n_planes : int
        Planes of a window, such as classes.
    width : int
        Columns, at least those of a window.
    weights : ndarray of float64
        (y, x), the weights of the pixels of a square window.
    """

    def __init__(self, n_planes: int, width: int, weights: Floats) -> None:
        self._weights = weights
        self._sums = np.zeros((n_planes, len(weights), width))
        self._totals = np.zeros((len(weights), width))

    def add(self, col: int, values: Floats) -> None:
        """Add a window (plane, y, x) that starts at the first row and at column `col`."""
        cols = slice(col, col + len(self._weights))
        self._sums[..., cols] += self._weights * values
        self._totals[:, cols] += self._weights

    def take(self, n_rows: int) -> Floats:
        """Return the means of the first rows, (plane, y, x), and go on below them. Pixels in no window are NaN."""
        sums, totals = self._sums[:, :n_rows], self._totals[:n_rows]
        means = np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0)
        for plane in (*self._sums, self._totals):
            plane[:-n_rows] = plane[n_rows:]
            plane[-n_rows:] = 0.0
        return means
