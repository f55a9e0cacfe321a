"""Pixels of overlapping chips or partitions laid back onto the lattice, or into the partition they were cut from."""

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
    # (y, x): where a piece was laid.
    covered: NDArray[np.bool_]

    @classmethod
    def empty(cls, window: Window, like: Planes, fills: Mapping[str, int]) -> Self:
        """Return one that holds `fills`, by name, in arrays of the names, dtypes and bands of `like`."""
        shape = window.height, window.width
        planes = {name: np.full((*plane.shape[:-2], *shape), fills[name], plane.dtype) for name, plane in like.items()}
        return cls(window, planes, np.zeros(shape, bool))

    def add(self, piece: Planes, at: Window, shown: Window) -> int:
        """Lay a piece down where there is none yet, and return how many pixels differ from those that are there.

        `piece` has arrays of the canvas's names, (..., y, x) of the window `at`; the part of it that counts is
        `shown`. Pixels that differ stay as they were.

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
    """Return the plane (y, x) or stack (band, y, x) that chips were cut from, as far as they show it, else `fill`.

    ``cut_chips(reassemble(chips, origins, ...), origins, ...)`` gives the chips back, to the bit. `chips` are (chip,
    band, y, x) or (chip, y, x), `origins` (chip, 2), `extent` rows and columns of the result, `edge` the policy by
    which the chips were cut: what hangs over the edge is left out, or shrunk back where ``legacy`` stretched it. Raise
    InputError where an origin is negative.
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
    """Return for each of `length` source pixels the first of `size` that shows it: ``floor(i * length / size)``."""
    return -(-np.arange(length) * size // length)
