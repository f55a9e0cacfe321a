"""Decoded rows of shards in memory."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Shard and row.
Key = tuple[int, int]


class RowCache:
    """A fixed number of slots for decoded rows. If all are in use, the least recently used row is replaced.

    Attributes
    ----------
    planes : dict of ndarray
        (slot, ...), by array.
    extents : ndarray of int64
        (slot, 2): height and width without the padding.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype[Any]], n_slots: int
    ) -> None:
        # Memory is used only when rows are written to it.
        self.planes: dict[str, NDArray[Any]] = {
            name: np.empty((n_slots, *shape), dtypes[name]) for name, shape in shapes.items()
        }
        self.extents = np.zeros((n_slots, 2), np.int64)
        self._slots: OrderedDict[Key, int] = OrderedDict()

    def slot(self, key: Key) -> int | None:
        """Return the slot of a row and mark it as just used; None if the row is not in memory."""
        slot = self._slots.get(key)
        if slot is not None:
            self._slots.move_to_end(key)
        return slot

    def has(self, key: Key) -> bool:
        """Return whether a row is in memory, without marking it."""
        return key in self._slots

    def claim(self, key: Key) -> int:
        """Return a slot into which a row can be decoded. If necessary, the least recently used row is dropped."""
        is_full = len(self._slots) == len(self.extents)
        slot = self._slots.popitem(last=False)[1] if is_full else len(self._slots)
        self._slots[key] = slot
        return slot
