"""Where tiles lie, asked window by window."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from gcn_luigi.lattice import Window


class TileCover:
    """The union of rectangles of pixels.

    Parameters
    ----------
    windows : iterable of Window
        On one lattice, in any order; they may overlap each other and reach beyond the lattice.

    Examples
    --------
    >>> cover = TileCover([Window(0, 0, 4, 4)])
    >>> cover.without(Window(1, 1, 2, 2)) is None
    True
    >>> cover.without(Window(3, 3, 1, 2)).tolist()
    [[False, True]]
    """

    def __init__(self, windows: Iterable[Window]) -> None:
        edges = sorted({(at.row, at.col, at.row + at.height, at.col + at.width) for at in windows})
        self._edges = np.array(edges, np.int64).reshape(-1, 4)

    def without(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of `window` lie in no rectangle, (y, x) bool; None where all of them lie in one."""
        bottom, right = window.row + window.height, window.col + window.width
        row, col, end, far = self._edges.T
        if ((row <= window.row) & (end >= bottom) & (col <= window.col) & (far >= right)).any():
            return None
        empty = np.ones((window.height, window.width), bool)
        met = (row < bottom) & (end > window.row) & (col < right) & (far > window.col)
        for first, left, last, edge in self._edges[met].tolist():
            rows = slice(max(first - window.row, 0), last - window.row)
            empty[rows, max(left - window.col, 0) : edge - window.col] = False
        return empty if empty.any() else None
