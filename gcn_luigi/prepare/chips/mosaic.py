"""Join overlapping chips or partitions again, on the lattice or in the partition that they were cut from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.lattice import Window
from gcn_luigi.prepare.chips.chips import Edge, Origins, check_origins
from gcn_luigi.prepare.dtypes import Array

Planes = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Canvas:
    """A window of the lattice that is filled piece by piece."""

    window: Window
    # image (band, y, x), label and flags (y, x).
    planes: Planes
    # (y, x): True where a piece was added.
    covered: NDArray[np.bool_]

    @classmethod
    def empty(cls, window: Window, like: Planes, fills: Mapping[str, int]) -> Self:
        """Return a canvas filled with `fills` (by array name), with the array names, dtypes and bands of `like`."""
        shape = window.height, window.width
        planes = {name: np.full((*plane.shape[:-2], *shape), fills[name], plane.dtype) for name, plane in like.items()}
        return cls(window, planes, np.zeros(shape, bool))

    def add(self, piece: Planes, at: Window, shown: Window) -> int:
        """Add a piece where the canvas is still empty. Return how many pixels differ from those already there.

        `piece` has arrays with the names of the canvas, (..., y, x), for the window `at`. Only the part inside
        `shown` is used. Pixels of the canvas that are already covered never change.

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
        is_covered = self.covered[here].copy()
        differs = np.zeros(is_covered.shape, bool)
        for name, plane in self.planes.items():
            target, source = plane[(..., *here)], piece[name][(..., *there)]
            unlike = (target != source) & is_covered
            differs |= unlike.any(axis=0) if unlike.ndim == 3 else unlike
            np.copyto(target, source, where=~is_covered)
        self.covered[here] = True
        return int(differs.sum())


def _slices(part: Window, whole: Window) -> tuple[slice, slice]:
    row, col = part.row - whole.row, part.col - whole.col
    return slice(row, row + part.height), slice(col, col + part.width)


def reassemble(chips: Array, origins: Origins, extent: tuple[int, int], *, edge: Edge, fill: float) -> Array:
    """Return the plane (y, x) or stack (band, y, x) that chips were cut from, with `fill` where no chip shows it.

    ``cut_chips(reassemble(chips, origins, ...), origins, ...)`` gives the chips back, to the bit. `chips` are (chip,
    band, y, x) or (chip, y, x), `origins` (chip, 2), and `extent` the rows and columns of the result. `edge` is the
    policy by which the chips were cut: parts that hang over the edge are left out, and parts that ``legacy`` stretched
    are shrunk back. Raise InputError if an origin is negative.
    """
    size = chips.shape[-1]
    origins = check_origins(origins, size)
    whole = np.full((*chips.shape[1:-2], *extent), fill, chips.dtype)
    for chip, (row, col) in zip(chips, origins.tolist(), strict=True):
        height, width = min(size, extent[0] - row), min(size, extent[1] - col)
        if min(height, width) < 1:
            continue
        rows, cols = np.arange(height), np.arange(width)
        if edge == "legacy" and min(height, width) < size:
            rows, cols = _first_shown(height, size), _first_shown(width, size)
        whole[..., row : row + height, col : col + width] = chip[..., rows[:, np.newaxis], cols]
    return whole


def _first_shown(length: int, size: int) -> NDArray[np.int64]:
    """Return, for each of `length` source pixels, the first of `size` chip pixels that shows it.

    Chip pixel i shows source pixel ``floor(i * length / size)``.
    """
    return -(-np.arange(length) * size // length)
