"""Writing a shard: one HDF5 file of chips, or of corrected partitions that chips are cut from."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ShardError
from gcn_luigi.io.shard.codecs import crc32, encode, filters
from gcn_luigi.io.shard.columns import ColumnWriter
from gcn_luigi.io.shard.footer import write_tail
from gcn_luigi.io.shard.format import CHECKSUMS, FORMATS, PIXELS, ROW_AXES, ShardHeader, describe_pixels, write_scales
from gcn_luigi.io.shard.fsync import Writeback
from gcn_luigi.io.shard.objects import LIBRARY_VERSIONS, attach, closing, create_small, describe
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.settings import Codec

__all__ = ["FORMATS", "PIXELS", "EncodedRows", "ShardHeader", "ShardReader", "ShardWriter", "create_shard"]

_NOTHING: Mapping[str, NDArray[Any]] = MappingProxyType({})


@dataclass(frozen=True)
class EncodedRows:
    """Rows of the pixel arrays as they will stand in the file.

    Attributes
    ----------
    count : int
        Chips, or windows.
    chunks : dict of list of bytes
        By array, one chunk a row. Those that are not compressed lie in the memory of the arrays they were made of.
    checksums : dict of ndarray
        Columns of them, where chunks carry none themselves.
    """

    count: int
    chunks: Mapping[str, Sequence[bytes | memoryview]]
    checksums: Mapping[str, NDArray[np.uint32]]


class ShardWriter:
    """Appends to a new shard; used through `create_shard`."""

    def __init__(
        self, file: h5py.File, header: ShardHeader, codec: Codec, pool: Executor | None, disk: Writeback
    ) -> None:
        self._file, self.codec, self._pool, self._disk = file, codec, pool, disk
        self._title = header.title
        self._axis, self._count = ROW_AXES[header.layout], 0
        write_scales(file, header)
        height, width = header.row_shape
        self._rows: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            name: (dtype, (len(header.bands), height, width) if name == "image" else (height, width))
            for name, dtype in PIXELS.items()
        }
        # Looked up once: finding an array by name takes HDF5 as long as writing a chip. Open until `finish`.
        self._stored = {
            name: file.create_dataset(
                name, (0, *shape), dtype, chunks=(1, *shape), maxshape=(None, *shape), **filters(codec, dtype)
            ).id
            for name, (dtype, shape) in self._rows.items()
        }
        describe_pixels(file, header)
        self._columns = {axis: ColumnWriter(file, axis) for axis in dict.fromkeys(("chip", self._axis))}

    def append(
        self,
        pixels: Mapping[str, NDArray[Any]],
        columns: Mapping[str, NDArray[Any]],
        windows: Mapping[str, NDArray[Any]] = _NOTHING,
    ) -> None:
        """Encode rows and write them: `encode`, then `write`."""
        self.write(self.encode(pixels), columns, windows)

    def encode(self, pixels: Mapping[str, NDArray[Any]]) -> EncodedRows:
        """Compress rows; touches nothing of the writer, so that threads may call it.

        Parameters
        ----------
        pixels : mapping
            ``image`` (row, band, y, x) int16, ``label`` and ``flags`` (row, y, x) uint8; a row is a chip or, in the
            layout ``windows``, a corrected partition.

        Returns
        -------
        EncodedRows
            For `write`.

        Raises
        ------
        ShardError
            An array has another shape or dtype.
        """
        count = len(pixels["image"])
        self._refuse(self._misfits(pixels, count))
        each = self._pool.map if self._pool is not None else map
        chunks = {name: list(each(partial(encode, self.codec), pixels[name])) for name in self._rows}
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

        Parameters
        ----------
        rows : EncodedRows
            From `encode`.
        columns : mapping
            Metadata of chips, (chip,) or ``transform`` (chip, 6); the same names at every call. In the layout
            ``chips`` one chip a row.
        windows : mapping
            Metadata of windows in the layout ``windows``, (window,) or (window, 6); else empty.

        Raises
        ------
        ShardError
            Columns have another length or other names than before; nothing was added.
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

    def _misfits(self, pixels: Mapping[str, NDArray[Any]], count: int) -> Iterator[str]:
        # Compressed bytes go past HDF5: it would take those of any array, and give back others.
        for name, (dtype, shape) in self._rows.items():
            values = pixels[name]
            if values.dtype != dtype or values.shape != (count, *shape):
                yield f"{name} is {values.shape} {values.dtype.str}, not {(count, *shape)} {dtype}"

    def _refuse(self, misfits: Iterator[str]) -> None:
        told = "; ".join(misfits)
        if told:
            raise ShardError(
                f"chips do not fit the shard: {told}",
                where=self._title,
                fix="give (chip, ...) arrays of the header's bands and size, and the same columns every time",
            )

    def finish(
        self,
        empty_columns: Mapping[str, NDArray[Any]],
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        empty_windows: Mapping[str, NDArray[Any]] = _NOTHING,
    ) -> None:
        """Write what is left of the columns, and the side tables.

        Parameters
        ----------
        empty_columns, empty_windows : mapping
            Arrays of length 0 that stand for the columns where no chip, or no window, was added.
        tables : mapping
            Groups of arrays that are no columns, for example ``statistics``.

        Raises
        ------
        ShardError
            Chips were added with other columns.
        """
        no_checksums = {name: np.empty(0, np.uint32) for name in CHECKSUMS.values()} if self.codec == "none" else {}
        for axis, writer in self._columns.items():
            empty = {**(empty_columns if axis == "chip" else empty_windows)}
            if axis == self._axis:
                empty |= no_checksums
            if len(writer):
                self._refuse(writer.unlike(empty))
            writer.finish(empty)
        for name in PIXELS:
            self._stored[name].close()
            with closing(self._file[name]) as dataset:
                attach(self._file, dataset, 0, self._axis)
        # By name, as they are read back: a converted shard has the bytes of one that was built.
        for group in sorted(tables):
            with closing(self._file.create_group(group)) as target:
                for name, values in sorted(tables[group].items()):
                    create_small(target, name, values).id.close()
        describe(self._file, {"complete": np.uint8(1)})


@contextmanager
def create_shard(path: Path, header: ShardHeader, codec: Codec, pool: Executor | None = None) -> Iterator[ShardWriter]:
    """Yield a writer for a new shard at `path`.

    Equal chips give equal bytes: nothing in the file depends on the clock, the machine, the order of threads, or on
    what else the process keeps in memory.

    Parameters
    ----------
    path : Path
        The file; the caller publishes it.
    header : ShardHeader
        What the shard says of itself.
    codec : {"deflate", "bitshuffle-lz4", "zstd", "none"}
        How chunks are stored.
    pool : Executor or None
        Threads that share the compression within a call of `ShardWriter.encode`.

    Yields
    ------
    ShardWriter
        Its `finish` must be called before the block ends.

    Raises
    ------
    ConfigError
        The codec's library is not installed.
    """
    with h5py.File(path, "w", libver=LIBRARY_VERSIONS) as file, Writeback(path) as disk:
        yield ShardWriter(file, header, codec, pool, disk)
    write_tail(path)
