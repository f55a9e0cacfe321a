"""Columns of a shard: one value, or row of values, a chip or window, written in blocks as they come."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.shard.objects import CHECKED, PACKED, attach, closing

# Rows kept in memory, and rows of an HDF5 chunk: memory does not grow with the shard.
_BLOCK = 4096
# Second axes, by column.
_AXES: Mapping[str, str] = MappingProxyType({"transform": "affine", "window_transform": "affine"})


class ColumnWriter:
    """Appends rows to the columns along one axis.

    Parameters
    ----------
    file : h5py.File
        Holds the axes as dimension scales.
    axis : str
        The first axis.
    """

    def __init__(self, file: h5py.File, axis: str) -> None:
        self._file, self._axis = file, axis
        self._pending: dict[str, list[NDArray[Any]]] = {}
        self._n_pending, self._n_written = 0, 0

    def __len__(self) -> int:
        return self._n_written + self._n_pending

    def misfits(self, columns: Mapping[str, NDArray[Any]], count: int) -> Iterator[str]:
        """Yield what keeps `count` rows of `columns` from being appended."""
        for name, values in columns.items():
            if len(values) != count:
                yield f"column {name} is of {len(values)} {self._axis}s, not {count}"
        if len(self):
            yield from self.unlike(columns)

    def unlike(self, columns: Mapping[str, NDArray[Any]]) -> Iterator[str]:
        """Yield the names that not all rows have."""
        for name in sorted(set(columns) ^ set(self._pending)):
            yield f"column {name} is not there for every {self._axis}"

    def append(self, columns: Mapping[str, NDArray[Any]], count: int) -> None:
        """Add `count` rows, (row,) or (row, ...), which `misfits` found nothing against."""
        for name, values in columns.items():
            self._pending.setdefault(name, []).append(np.asarray(values))
        self._n_pending += count
        while self._n_pending >= _BLOCK:
            self._flush(_BLOCK)

    def finish(self, empty: Mapping[str, NDArray[Any]]) -> None:
        """Write what is left, and the axis; `empty` are columns of length 0, for a shard without rows."""
        if not len(self):
            self._pending = {name: [values] for name, values in empty.items()}
        if self._n_pending or not self._n_written:
            self._flush(self._n_pending)
        with closing(self._file[self._axis]) as scale:
            scale.resize(self._n_written, axis=0)
            scale[:] = np.arange(self._n_written)

    def _flush(self, count: int) -> None:
        first = self._n_written
        for name, parts in self._pending.items():
            values = np.concatenate(parts)
            self._pending[name] = [values[count:]]
            with closing(self._file[name] if first else self._create(name, values[:count])) as dataset:
                dataset.resize(first + count, axis=0)
                dataset[first:] = values[:count]
        self._n_written += count
        self._n_pending -= count

    def _create(self, name: str, values: NDArray[Any]) -> h5py.Dataset:
        rest = values.shape[1:]
        # Texts are long and nearly alike; numbers are few bytes, and are found at once where they lie plainly.
        stored = PACKED if values.dtype.kind == "S" else CHECKED
        dataset = self._file.create_dataset(
            name, (0, *rest), values.dtype, chunks=(max(len(values), 1), *rest), maxshape=(None, *rest), **stored
        )
        attach(self._file, dataset, 0, self._axis)
        if name in _AXES:
            attach(self._file, dataset, 1, _AXES[name])
        return dataset
