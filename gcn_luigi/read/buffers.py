"""Batches in memory that is used again as soon as nobody holds it any more."""

import sys
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray


class Batch(TypedDict):
    """Several samples.

    ``image`` (chip, band, y, x) int16; ``label`` (chip, y, x) uint8: 0 none, 1 debris, 2 debris-free ice, 255 ignore;
    ``flags`` (chip, y, x) uint8, set bits mean missing; ``position`` (chip,) int64 in the reader.
    """

    image: NDArray[np.int16]
    label: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    position: NDArray[np.int64]


class BufferPool:
    """Hands out arrays of one shape; fresh memory is touched only while all older ones are still held.

    Writing into fresh memory takes several times as long as writing into memory used before. An array counts as free
    when nothing but the pool refers to it: no view, no tensor, no list of the user's.

    Parameters
    ----------
    most : int
        Arrays kept for the next time, of each name.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, list[NDArray[Any]]] = {}

    def take(self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype[Any]]) -> dict[str, Any]:
        """Return an array of each shape; their content is arbitrary."""
        return {name: self._take(name, shape, dtypes[name]) for name, shape in shapes.items()}

    def _take(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        kept = self._kept.setdefault(name, [])
        for position in range(len(kept)):
            # The list, and the argument of getrefcount.
            if sys.getrefcount(kept[position]) == 2 and kept[position].shape == shape:
                return kept[position]
        fresh = np.empty(shape, dtype)
        kept.append(fresh)
        del kept[: -self._most]
        return fresh
