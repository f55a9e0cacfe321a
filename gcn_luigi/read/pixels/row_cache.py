"""Decoded rows of shards kept in memory: all of them, or those used last."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Key = tuple[int, int]


class RowCache:
    """A fixed number of places for decoded rows; the row not used for longest makes room.

    Parameters
    ----------
    shapes : mapping
        Shape of a row, by array.
    dtypes : mapping
        Type of its values, by array.
    n_slots : int
        Rows that fit. Memory is touched only as far as rows come.

    Attributes
    ----------
    planes : dict of ndarray
        (slot, ...), by array.
    extents : ndarray of int64
        (slot, 2): rows and columns that are no padding.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype[Any]], n_slots: int
    ) -> None:
        self.planes: dict[str, NDArray[Any]] = {
            name: np.empty((n_slots, *shape), dtypes[name]) for name, shape in shapes.items()
        }
        self.extents = np.zeros((n_slots, 2), np.int64)
        self._slots: OrderedDict[Key, int] = OrderedDict()
        self._free = list(range(n_slots - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def n_slots(self) -> int:
        """Rows that fit."""
        return len(self._slots) + len(self._free)

    def slot(self, key: Key) -> int | None:
        """Return where a row lies, and count it as used now; None where it is not there."""
        slot = self._slots.get(key)
        if slot is not None:
            self._slots.move_to_end(key)
        return slot

    def claim(self) -> int:
        """Return a place for a row that is to come; the row used longest ago is given up for it."""
        if self._free:
            return self._free.pop()
        return self._slots.popitem(last=False)[1]

    def keep(self, key: Key, slot: int) -> None:
        """Say that a claimed place holds a row now, whole."""
        self._slots[key] = slot

    def release(self, slot: int) -> None:
        """Give a claimed place back: its row could not be read."""
        self._free.append(slot)
