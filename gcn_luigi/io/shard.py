"""The shard: one HDF5 file of chips that h5py, xarray and netCDF open without a plugin."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ShardError
from gcn_luigi.io.codec import Codec, deflated, filters
from gcn_luigi.io.shard_format import FORMAT, PIXELS, ShardHeader, describe_pixels, write_column, write_scales

__all__ = ["FORMAT", "PIXELS", "ShardHeader", "ShardReader", "ShardWriter", "create_shard"]


class ShardWriter:
    """Appends chips to a new shard; used through `create_shard`."""

    def __init__(self, file: h5py.File, header: ShardHeader, codec: Codec, pool: Executor | None) -> None:
        self._file, self._codec, self._pool = file, codec, pool
        self._count = 0
        self._columns: dict[str, list[NDArray[Any]]] = {}
        write_scales(file, header)
        size, bands = header.size, len(header.bands)
        for name, dtype in PIXELS.items():
            shape = (bands, size, size) if name == "image" else (size, size)
            file.create_dataset(
                name, (0, *shape), dtype, chunks=(1, *shape), maxshape=(None, *shape), **filters(codec, dtype)
            )
        describe_pixels(file, header)

    def append(self, pixels: Mapping[str, NDArray[Any]], columns: Mapping[str, NDArray[Any]]) -> None:
        """Add chips.

        Parameters
        ----------
        pixels : mapping
            ``image`` (chip, band, y, x) int16, ``label`` and ``flags`` (chip, y, x) uint8.
        columns : mapping
            Metadata, (chip,) or ``transform`` (chip, 6); the same names at every call.

        Raises
        ------
        ShardError
            An array has another shape, dtype or length; nothing was added.
        """
        added = len(pixels["image"])
        self._refuse(self._misfits(pixels, columns, added))
        for name in PIXELS:
            self._write(self._file[name], pixels[name])
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(np.asarray(values))
        self._count += added

    def _misfits(
        self, pixels: Mapping[str, NDArray[Any]], columns: Mapping[str, NDArray[Any]], added: int
    ) -> Iterator[str]:
        # Compressed bytes go past HDF5: it would take those of any array, and give back others.
        for name in PIXELS:
            values, dataset = pixels[name], self._file[name]
            if values.dtype != dataset.dtype or values.shape != (added, *dataset.shape[1:]):
                wanted = f"{(added, *dataset.shape[1:])} {dataset.dtype}"
                yield f"{name} is {values.shape} {values.dtype.str}, not {wanted}"
        for name, values in columns.items():
            if len(values) != added:
                yield f"column {name} is of {len(values)} chips, not {added}"
        if self._columns:
            yield from self._unlike(columns)

    def _unlike(self, columns: Mapping[str, NDArray[Any]]) -> Iterator[str]:
        for name in sorted(set(columns) ^ set(self._columns)):
            yield f"column {name} is not there for every chip"

    def _refuse(self, misfits: Iterator[str]) -> None:
        told = "; ".join(misfits)
        if told:
            raise ShardError(
                f"chips do not fit the shard: {told}",
                where=str(self._file.attrs["title"]),
                fix="give (chip, ...) arrays of the header's bands and size, and the same columns every time",
            )

    def _write(self, dataset: h5py.Dataset, chips: NDArray[Any]) -> None:
        dataset.resize(self._count + len(chips), axis=0)
        if self._codec == "none":
            dataset[self._count :] = chips
            return
        each = self._pool.map if self._pool is not None else map
        zeros = (0,) * (chips.ndim - 1)
        for position, stored in enumerate(each(deflated, chips), self._count):
            dataset.id.write_direct_chunk((position, *zeros), stored)

    def finish(
        self, empty_columns: Mapping[str, NDArray[Any]], tables: Mapping[str, Mapping[str, NDArray[Any]]]
    ) -> None:
        """Write the columns and the side tables.

        Parameters
        ----------
        empty_columns : mapping
            Arrays of length 0 that stand for the columns where no chip was added.
        tables : mapping
            Groups of arrays that are no chip columns, for example ``statistics``.

        Raises
        ------
        ShardError
            Chips were added with other columns.
        """
        if self._count:
            self._refuse(self._unlike(empty_columns))
        chip = self._file["chip"]
        chip.resize(self._count, axis=0)
        chip[:] = np.arange(self._count)
        for name, empty in empty_columns.items():
            values = np.concatenate(self._columns[name]) if self._count else empty
            write_column(self._file, name, values)
        for name in PIXELS:
            self._file[name].dims[0].attach_scale(chip)
        for group, table in tables.items():
            target = self._file.create_group(group)
            for name, values in table.items():
                wide = values.size > 1024
                target.create_dataset(name, data=values, **({"compression": "gzip", "shuffle": True} if wide else {}))
        self._file.attrs["complete"] = np.uint8(1)


@contextmanager
def create_shard(path: Path, header: ShardHeader, codec: Codec, pool: Executor | None = None) -> Iterator[ShardWriter]:
    """Yield a writer for a new shard at `path`.

    Equal chips give equal bytes: nothing in the file depends on the clock, the machine or the order of threads.

    Parameters
    ----------
    path : Path
        The file; the caller publishes it.
    header : ShardHeader
        What the shard says of itself.
    codec : {"deflate", "none"}
        How chunks are stored.
    pool : Executor or None
        Threads that share the compression.

    Yields
    ------
    ShardWriter
        Its `finish` must be called before the block ends.
    """
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        yield ShardWriter(file, header, codec, pool)


class ShardReader:
    """A finished shard.

    Parameters
    ----------
    path : Path
        The file; opened without a lock, since a published shard never changes.

    Raises
    ------
    ShardError
        From `gcn_luigi.read`, which opens shards for users; here HDF5's own OSError passes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = h5py.File(path, "r", locking=False, rdcc_nbytes=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._file["chip"].shape[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def is_complete(self) -> bool:
        """True when the writer finished."""
        return bool(self._file.attrs.get("complete", 0))

    def check(self) -> None:
        """Raise OSError unless the writer finished and every chip's pixels are there, of the type they must be.

        HDF5 keeps no checksum of its own index of chunks: it reads a chunk that the index has lost as zeros, and one
        whose filters it has lost as it is stored, without a word. Looking costs three microseconds a chunk.
        """
        if not self.is_complete:
            raise OSError("the shard was never finished")
        for name, dtype in PIXELS.items():
            dataset, found = self._file[name], set[tuple[int, ...]]()
            if dataset.dtype != dtype or not dataset.id.get_create_plist().get_nfilters():
                raise OSError(f"{name} is not stored as {dtype.str}, compressed or with a checksum")
            dataset.id.chunk_iter(lambda chunk, found=found: found.add((*chunk.chunk_offset, chunk.filter_mask)))
            origin = (0,) * dataset.ndim
            lost = sum((row, *origin) not in found for row in range(len(self)))
            if lost or len(dataset) != len(self):
                raise OSError(f"the {name} of {lost} chips is lost")

    @property
    def attributes(self) -> dict[str, Any]:
        """What the shard says of itself."""
        return {name: _plain(value) for name, value in self._file.attrs.items()}

    def pixels(self, name: str, position: int) -> NDArray[Any]:
        """Return ``image``, ``label`` or ``flags`` of one chip."""
        values: NDArray[Any] = self._file[name][position]
        return values

    def column(self, name: str) -> NDArray[Any]:
        """Return one metadata column, (chip,) or (chip, 6)."""
        values: NDArray[Any] = self._file[name][...]
        return values.astype(str) if values.dtype.kind == "S" else values

    def table(self, group: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a side table."""
        return {name: self._file[group][name][...] for name in self._file[group]}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the pixel arrays."""
        return {name: tuple(self._file[name].shape) for name in PIXELS}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
