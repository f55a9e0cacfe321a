"""The ground that chips show, put together from the chips: each pixel once, although chips overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.read.reader import ChipReader, Positions


@dataclass(frozen=True)
class Ground:
    """What chips of one partition and year show.

    Attributes
    ----------
    chips : ndarray of int64
        (chip,): positions in the reader.
    rows, cols : ndarray of int64
        (chip,): the first pixel of each chip in the planes.
    height, width : int
        Of the smallest window that holds all chips, in pixels.
    """

    chips: Positions
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    height: int
    width: int

    def planes(self, reader: ChipReader) -> dict[str, NDArray[Any]]:
        """Return the pixels by name, (band, y, x) or (y, x), from as few chips as show all of them.

        A pixel that no chip shows is 0.
        """
        size = reader.size
        chosen = _covering(self.rows, self.cols, size, (self.height, self.width))
        batch: dict[str, Any] = dict(reader.batch(self.chips[chosen]))
        batch.pop("position")
        planes: dict[str, NDArray[Any]] = {}
        for name, pixels in batch.items():
            planes[name] = np.zeros((*pixels.shape[1:-2], self.height, self.width), pixels.dtype)
            for number, chip in zip(chosen.tolist(), pixels, strict=True):
                row, col = int(self.rows[number]), int(self.cols[number])
                planes[name][..., row : row + size, col : col + size] = chip
        return planes


def grounds_of(reader: ChipReader) -> Iterator[Ground]:
    """Yield the ground of every partition and year that `reader` has chips of, in the order of their first chips.

    Chips that were stretched over an edge do not lie on the pixels of others. Each of them is a ground of its own.
    """
    table, size = reader.placed, reader.size
    if reader.edge == "legacy":
        for position in range(len(reader)):
            yield Ground(np.array([position]), np.zeros(1, np.int64), np.zeros(1, np.int64), size, size)
        return
    years = table["year"].to_numpy(np.int64) if "year" in table else np.zeros(len(table), np.int64)
    keys = list(zip(table["partition"].to_numpy(str).tolist(), years.tolist(), strict=True))
    members: dict[tuple[str, int], list[int]] = {}
    for position, key in enumerate(keys):
        members.setdefault(key, []).append(position)
    rows, cols = table["row"].to_numpy(np.int64), table["col"].to_numpy(np.int64)
    for positions in members.values():
        chips = np.array(positions, np.int64)
        own_rows, own_cols = rows[chips] - rows[chips].min(), cols[chips] - cols[chips].min()
        yield Ground(chips, own_rows, own_cols, int(own_rows.max()) + size, int(own_cols.max()) + size)


def _covering(rows: NDArray[np.int64], cols: NDArray[np.int64], size: int, shape: Sequence[int]) -> NDArray[np.intp]:
    """Return chips that together show every pixel that any chip shows: those side by side first, then what is left."""
    is_shown = np.zeros(shape, bool)
    chosen = []
    for number in np.lexsort((cols, rows, (rows % size != 0) | (cols % size != 0))).tolist():
        window = is_shown[rows[number] : rows[number] + size, cols[number] : cols[number] + size]
        if not window.all():
            window[...] = True
            chosen.append(number)
    return np.array(sorted(chosen), np.intp)
