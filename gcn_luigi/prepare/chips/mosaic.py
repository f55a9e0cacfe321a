"""Pixels of overlapping chips or partitions laid back onto the lattice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.lattice import Window

Planes = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Canvas:
    """A window of the lattice that is filled piece by piece.

    Attributes
    ----------
    window : Window
        Where it lies.
    planes : mapping
        ``image`` (band, y, x), ``label`` and ``flags`` (y, x).
    covered : ndarray of bool
        (y, x): a piece lay here.
    """

    window: Window
    planes: Planes
    covered: NDArray[np.bool_]

    @classmethod
    def empty(cls, window: Window, like: Planes, fills: Mapping[str, int]) -> Self:
        """Return one that holds `fills` everywhere.

        Parameters
        ----------
        window : Window
            Where it lies.
        like : mapping
            Arrays of the same names, dtypes and bands.
        fills : mapping
            What a pixel without a piece holds, by name.
        """
        shape = window.height, window.width
        planes = {name: np.full((*plane.shape[:-2], *shape), fills[name], plane.dtype) for name, plane in like.items()}
        return cls(window, planes, np.zeros(shape, bool))

    def add(self, piece: Planes, at: Window, shown: Window) -> int:
        """Lay a piece down where nothing lies yet, and compare it with what does.

        Parameters
        ----------
        piece : mapping
            Arrays of the canvas's names, (..., y, x) of `at`.
        at : Window
            Where its first pixel lies; height and width are those of the arrays.
        shown : Window
            The part of it that counts, within `at`.

        Returns
        -------
        int
            Pixels that differ from what lay there; those stay as they were.

        Examples
        --------
        >>> one = {"label": np.array([[1, 2]], np.uint8)}
        >>> canvas = Canvas.empty(Window(0, 0, 1, 3), one, {"label": 255})
        >>> canvas.add(one, Window(0, 0, 1, 2), Window(0, 0, 1, 2))
        0
        >>> canvas.add(one, Window(0, 1, 1, 2), Window(0, 1, 1, 2))
        1
        >>> canvas.planes["label"].tolist()
        [[1, 2, 2]]
        """
        common = shown.intersection(at).intersection(self.window)
        if common.is_empty:
            return 0
        here, there = _slices(common, self.window), _slices(common, at)
        lies = self.covered[here].copy()
        differs = np.zeros(lies.shape, bool)
        for name, plane in self.planes.items():
            target, source = plane[(..., *here)], piece[name][(..., *there)]
            unlike = (target != source) & lies
            differs |= unlike.any(axis=0) if unlike.ndim == 3 else unlike
            np.copyto(target, source, where=~lies)
        self.covered[here] = True
        return int(differs.sum())


def _slices(part: Window, whole: Window) -> tuple[slice, slice]:
    row, col = part.row - whole.row, part.col - whole.col
    return slice(row, row + part.height), slice(col, col + part.width)
