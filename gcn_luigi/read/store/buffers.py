"""Memory for batches, which is reused as soon as nothing refers to it any more."""

import sys
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import InputError


class Batch(TypedDict):
    """Several samples.

    ``image`` (chip, band, y, x) int16, or float32 if the stack is; ``label`` (chip, y, x) uint8: values of
    `Dataset.classes`, 255 ignore; ``flags`` (chip, y, x) uint8, where set bits mean missing; ``position`` (chip,)
    int64, the position in the reader. If the dataset was built with a confidence of the label, also ``confidence``
    (chip, y, x) uint8, percent, 255 where the label is missing, and ``weight`` (chip, y, x) float32, 0 to 1.
    """

    image: NDArray[Any]
    label: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    position: NDArray[np.int64]
    confidence: NotRequired[NDArray[np.uint8]]
    weight: NotRequired[NDArray[np.float32]]


class BufferPool:
    """Provide arrays of given shapes. New memory is used only if all older arrays are still in use.

    Writing into new memory takes several times as long as writing into memory that was used before. An array is free if
    only the pool refers to it: no view, no tensor and no list of the user.

    Parameters
    ----------
    most : int
        How many arrays of each name are kept for reuse.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, list[NDArray[Any]]] = {}

    def take(self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype[Any]]) -> dict[str, Any]:
        """Return an array of each shape, with arbitrary content."""
        return {name: self._take(name, shape, dtypes[name]) for name, shape in shapes.items()}

    def _take(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        kept = self._kept.setdefault(name, [])
        for position in range(len(kept)):
            # Two references: one from the list, and the argument of getrefcount.
            if sys.getrefcount(kept[position]) == 2 and kept[position].shape == shape:
                return kept[position]
        fresh = np.empty(shape, dtype)
        kept.append(fresh)
        del kept[: -self._most]
        return fresh


def fitting(array: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return `array` if it is one of this shape and dtype that can be filled; raise InputError about `name` if not."""
    is_array = isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.writeable
    if not is_array or array.shape != shape or array.dtype != dtype:
        raise InputError(
            f"{name} of {getattr(array, 'shape', None)} {getattr(array, 'dtype', None)}, not {shape} {dtype}",
            where="ChipReader.batch, out",
            fix="give a batch with the same number of chips from this reader, or omit it",
        )
    return cast("NDArray[Any]", array)
