"""Write a shard: one HDF5 file of chips, or of corrected partitions that chips are cut from."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ShardError
from gcn_luigi.io.shard.codecs import crc32, encode, filters
from gcn_luigi.io.shard.format import (
    CHECKED,
    CHECKSUMS,
    LIBRARY_VERSIONS,
    PACKED,
    ROW_AXES,
    ShardHeader,
    attach,
    closing,
    create_small,
    describe,
    describe_pixels,
    pixel_types,
    write_footer,
    write_scales,
)

if TYPE_CHECKING:
    # pydantic is not needed to read.
    from gcn_luigi.settings import Codec

_NOTHING: Mapping[str, NDArray[Any]] = MappingProxyType({})
# Rows of columns kept in memory, and rows of an HDF5 chunk. So memory does not grow with the shard.
_BLOCK = 4096
# The second axis of some columns.
_AXES: Mapping[str, str] = MappingProxyType({"transform": "affine", "window_transform": "affine"})
# Bytes written between two syncs: enough to keep a disk busy, and few enough to leave little for the last sync.
_SYNCED = 64_000_000


@dataclass(frozen=True)
class EncodedRows:
    """Compressed rows of the pixel arrays: chips or windows."""

    count: int
    # By array, one chunk per row. Uncompressed chunks are the memory of the arrays that they come from.
    chunks: Mapping[str, Sequence[bytes | memoryview]]
    # Columns of checksums, if chunks do not contain checksums.
    checksums: Mapping[str, NDArray[np.uint32]]


class ShardWriter:
    """Append to a new shard. Use `create_shard` to get a writer."""

    def __init__(self, file: h5py.File, header: ShardHeader, codec: "Codec", disk: "BackgroundFsync") -> None:
        self._file, self.codec, self._disk = file, codec, disk
        self._title = header.title
        self._axis, self._count = ROW_AXES[header.layout], 0
        write_scales(file, header)
        height, width = header.row_shape
        self._rows: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            name: (dtype, (len(header.bands), height, width) if name == "image" else (height, width))
            for name, dtype in pixel_types(header.dtype, has_confidence=bool(header.confidence)).items()
        }
        # Arrays are looked up once and stay open until `finish`, because finding one by name takes HDF5 as long as
        # writing a chip.
        self._stored = {
            name: file.create_dataset(
                name, (0, *shape), dtype, chunks=(1, *shape), maxshape=(None, *shape), **filters(codec, dtype)
            ).id
            for name, (dtype, shape) in self._rows.items()
        }
        describe_pixels(file, header)
        self._columns = {axis: ColumnWriter(file, axis) for axis in dict.fromkeys(("chip", self._axis))}

    def encode(self, pixels: Mapping[str, NDArray[Any]]) -> EncodedRows:
        """Compress rows for `write`. This does not change the writer, so threads may call it.

        `pixels` are ``image`` (row, band, y, x) in the type of the header, and ``label``, ``flags`` and, if the header
        has sources of it, ``confidence`` (row, y, x) uint8. A row is a chip or, in the layout ``windows``, a corrected
        partition. Raise ShardError if an array has another shape or dtype.
        """
        count = len(pixels["image"])
        # HDF5 does not check compressed bytes. It would accept those of any array and return wrong pixels.
        self._refuse(
            f"{name} is {pixels[name].shape} {pixels[name].dtype.str}, not {(count, *shape)} {dtype}"
            for name, (dtype, shape) in self._rows.items()
            if pixels[name].dtype != dtype or pixels[name].shape != (count, *shape)
        )
        chunks = {name: [encode(self.codec, row) for row in pixels[name]] for name in self._rows}
        checksums = {}
        if self.codec == "none":
            checksums = {CHECKSUMS[name]: np.array([*map(crc32, chunks[name])], np.uint32) for name in self._rows}
        return EncodedRows(count, chunks, checksums)

    def write(
        self,
        rows: EncodedRows,
        columns: Mapping[str, NDArray[Any]],
        windows: Mapping[str, NDArray[Any]] = _NOTHING,
    ) -> None:
        """Add encoded rows and the metadata of their chips.

        `columns` are the columns of chips, (chip,) or ``transform`` (chip, 6), with the same names in every call. In
        the layout ``chips`` there is one chip per row. `windows` are the columns of windows in the layout ``windows``,
        otherwise empty. Raise ShardError if columns have another length or other names than before; then nothing is
        added.
        """
        added: dict[str, tuple[Mapping[str, NDArray[Any]], int]] = {
            "chip": (columns, len(next(iter(columns.values()))))
        }
        added[self._axis] = ({**(columns if self._axis == "chip" else windows), **rows.checksums}, rows.count)
        self._refuse(misfit for axis, part in added.items() for misfit in self._columns[axis].misfits(*part))
        for name, chunks in rows.chunks.items():
            stored, (_, shape) = self._stored[name], self._rows[name]
            stored.set_extent((self._count + rows.count, *shape))
            zeros = (0,) * len(shape)
            for position, chunk in enumerate(chunks, self._count):
                stored.write_direct_chunk((position, *zeros), chunk)
                self._disk.wrote(len(chunk))
        for axis, part in added.items():
            self._columns[axis].append(*part)
        self._count += rows.count

    def finish(
        self,
        empty_columns: Mapping[str, NDArray[Any]],
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        empty_windows: Mapping[str, NDArray[Any]] = _NOTHING,
    ) -> None:
        """Write the rest of the columns, and the side tables, which are groups of arrays such as ``statistics``.

        The empty columns, of length 0, are written if no chip, or no window, was added. Raise ShardError if chips were
        added with columns of other names.
        """
        for axis, writer in self._columns.items():
            empty = {**(empty_columns if axis == "chip" else empty_windows)}
            if axis == self._axis and self.codec == "none":
                empty |= {name: np.empty(0, np.uint32) for name in map(CHECKSUMS.__getitem__, self._rows)}
            if len(writer):
                self._refuse(writer.unlike(empty))
            writer.finish(empty)
        for name in self._rows:
            self._stored[name].close()
            with closing(self._file[name]) as dataset:
                attach(self._file, dataset, 0, self._axis)
        # Sorted by name, as they are read back, so that a converted shard has the same bytes as one that was built.
        for group in sorted(tables):
            with closing(self._file.create_group(group)) as target:
                for name, values in sorted(tables[group].items()):
                    create_small(target, name, values).id.close()
        describe(self._file, {"complete": np.uint8(1)})

    def _refuse(self, misfits: Iterator[str]) -> None:
        found = "; ".join(misfits)
        if found:
            raise ShardError(
                f"chips do not fit the shard: {found}",
                where=self._title,
                fix="give (chip, ...) arrays with the bands and size of the header, and the same columns every time",
            )


@contextmanager
def create_shard(path: Path, header: ShardHeader, codec: "Codec") -> Iterator[ShardWriter]:
    """Yield a writer for a new shard at `path`, which the caller publishes. Its last call must be `finish`.

    Equal chips give equal bytes: the file does not depend on the clock, the machine, the order of threads, or other
    objects in memory. Raise ConfigError if the library of the codec is not installed.
    """
    # HDF5 2.0 crashes when it closes a file whose cached chunks it could not write, as on a full disk. Without a cache
    # the write itself fails. The bytes are the same.
    with (
        h5py.File(path, "w", libver=LIBRARY_VERSIONS, rdcc_nbytes=0) as file,
        BackgroundFsync(path) as disk,
    ):
        yield ShardWriter(file, header, codec, disk)
    write_footer(path)


class ColumnWriter:
    """Append rows to the columns along one axis, a dimension scale of the file. Rows are written in blocks."""

    def __init__(self, file: h5py.File, axis: str) -> None:
        self._file, self._axis = file, axis
        self._pending: dict[str, list[NDArray[Any]]] = {}
        self._n_pending, self._n_written = 0, 0

    def __len__(self) -> int:
        return self._n_written + self._n_pending

    def misfits(self, columns: Mapping[str, NDArray[Any]], count: int) -> Iterator[str]:
        """Yield the reasons why `count` rows of `columns` cannot be appended."""
        for name, values in columns.items():
            if len(values) != count:
                yield f"column {name} has {len(values)} {self._axis}s, not {count}"
        if len(self):
            yield from self.unlike(columns)

    def unlike(self, columns: Mapping[str, NDArray[Any]]) -> Iterator[str]:
        """Yield a message for each column that only some rows have."""
        for name in sorted(set(columns) ^ set(self._pending)):
            yield f"column {name} does not exist for every {self._axis}"

    def append(self, columns: Mapping[str, NDArray[Any]], count: int) -> None:
        """Add `count` rows, (row,) or (row, ...), that `misfits` has accepted."""
        for name, values in columns.items():
            self._pending.setdefault(name, []).append(np.asarray(values))
        self._n_pending += count
        while self._n_pending >= _BLOCK:
            self._flush(_BLOCK)

    def finish(self, empty: Mapping[str, NDArray[Any]]) -> None:
        """Write the remaining rows, and the axis. `empty` are columns of length 0, for a shard without rows."""
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
        # Texts are long and nearly equal, so they are compressed. Numbers are short and faster to read uncompressed.
        stored = PACKED if values.dtype.kind == "S" else CHECKED
        dataset = self._file.create_dataset(
            name, (0, *rest), values.dtype, chunks=(max(len(values), 1), *rest), maxshape=(None, *rest), **stored
        )
        attach(self._file, dataset, 0, self._axis)
        if name in _AXES:
            attach(self._file, dataset, 1, _AXES[name])
        return dataset


class BackgroundFsync:
    """Sync a growing file in a separate thread, so that the last sync is short.

    This does not change the file and guarantees nothing: the code that publishes the file syncs it again, and reports a
    sync that fails.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="gcn-sync")
        self._running: Future[None] | None = None
        self._unsynced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lane.shutdown()
        os.close(self._handle)

    def wrote(self, count: int) -> None:
        """Record that `count` more bytes were written, and start a sync if enough have accumulated."""
        self._unsynced += count
        if self._unsynced >= _SYNCED and (self._running is None or self._running.done()):
            # macOS has no fdatasync.
            self._running = self._lane.submit(getattr(os, "fdatasync", os.fsync), self._handle)
            self._unsynced = 0
