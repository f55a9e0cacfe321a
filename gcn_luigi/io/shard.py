"""The shard: one HDF5 file of chips that h5py, xarray and netCDF open without a plugin."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from gcn_luigi.bands import CLASS_NAMES, LABEL_IGNORE, Band
from gcn_luigi.io.codec import Codec, deflated, filters

FORMAT = "gcn_luigi chips 1"
PIXELS = ("image", "label", "flags")
_FLAGS = {1: "optical_missing", 2: "topo_missing", 4: "label_missing", 8: "outside_mosaic", 16: "distance_missing"}
_COLUMNS_DIMENSION = {"transform": "affine"}
_AFFINE = ("a", "b", "c", "d", "e", "f")


@dataclass(frozen=True)
class ShardHeader:
    """What a shard says of itself.

    Attributes
    ----------
    region, split : str
        Whose chips these are.
    number, total : int
        Which shard of the split this is, from 0.
    bands : tuple of Band
        Bands of `image`, in order.
    crs : str
        Of `transform`.
    size, step : int
        Chip edge and distance between chips, in pixels.
    nodata_mode : str
        ``strict`` or ``legacy``.
    fill : int
        Value of missing image pixels.
    """

    region: str
    split: str
    number: int
    total: int
    bands: tuple[Band, ...]
    crs: str
    size: int
    step: int
    nodata_mode: str
    fill: int


class ShardWriter:
    """Appends chips to a new shard; used through `create_shard`."""

    def __init__(self, file: h5py.File, header: ShardHeader, codec: Codec, pool: Executor | None) -> None:
        self._file, self._codec, self._pool = file, codec, pool
        self._count = 0
        self._columns: dict[str, list[NDArray[Any]]] = {}
        _write_scales(file, header)
        size, bands = header.size, len(header.bands)
        for name, shape, dtype in (
            ("image", (bands, size, size), np.dtype("<i2")),
            ("label", (size, size), np.dtype("u1")),
            ("flags", (size, size), np.dtype("u1")),
        ):
            file.create_dataset(
                name, (0, *shape), dtype, chunks=(1, *shape), maxshape=(None, *shape), **filters(codec, dtype)
            )
        _describe_pixels(file, header)

    def append(self, pixels: Mapping[str, NDArray[Any]], columns: Mapping[str, NDArray[Any]]) -> None:
        """Add chips.

        Parameters
        ----------
        pixels : mapping
            ``image`` (chip, band, y, x) int16, ``label`` and ``flags`` (chip, y, x) uint8.
        columns : mapping
            Metadata, (chip,) or ``transform`` (chip, 6); the same names at every call.
        """
        added = len(pixels["image"])
        for name in PIXELS:
            self._write(self._file[name], pixels[name])
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(np.asarray(values))
        self._count += added

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
        """
        chip = self._file["chip"]
        chip.resize(self._count, axis=0)
        chip[:] = np.arange(self._count)
        for name, empty in empty_columns.items():
            values = np.concatenate(self._columns[name]) if self._count else empty
            _write_column(self._file, name, values)
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


def _write_scales(file: h5py.File, header: ShardHeader) -> None:
    file.attrs.update(
        {
            "Conventions": "CF-1.11",
            "title": f"{header.region} {header.split} chips, shard {header.number} of {header.total}",
            "format": FORMAT,
            "region": header.region,
            "split": header.split,
            "shard_number": np.int32(header.number),
            "shard_total": np.int32(header.total),
            "chip_size": np.int32(header.size),
            "chip_step": np.int32(header.step),
            "nodata_mode": header.nodata_mode,
            "band_names": json.dumps([band.name for band in header.bands]),
            "band_roles": json.dumps([band.role.value for band in header.bands]),
        }
    )
    chip = file.create_dataset("chip", (0,), "<i4", chunks=(4096,), maxshape=(None,))
    chip.make_scale("chip")
    _scale(file, "band", np.array([band.name for band in header.bands], dtype=h5py.string_dtype()))
    _scale(file, "y", np.arange(header.size, dtype="<i4"))
    _scale(file, "x", np.arange(header.size, dtype="<i4"))
    _scale(file, "affine", np.array(_AFFINE, dtype=h5py.string_dtype()))
    mapping = file.create_dataset("spatial_ref", data=np.int32(0))
    for name, value in CRS.from_user_input(header.crs).to_cf().items():
        mapping.attrs[name] = value


def _scale(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    file.create_dataset(name, data=values).make_scale(name)


def _describe_pixels(file: h5py.File, header: ShardHeader) -> None:
    image, label, flags = (file[name] for name in PIXELS)
    image.attrs.update(
        {"long_name": "image bands", "grid_mapping": "spatial_ref", "missing_pixels_hold": np.int16(header.fill)}
    )
    label.attrs.update(
        {
            "long_name": "class label",
            "flag_values": np.array([0, 1, 2, LABEL_IGNORE], dtype="u1"),
            "flag_meanings": " ".join((*CLASS_NAMES, "ignore")),
        }
    )
    flags.attrs.update(
        {
            "long_name": "what is missing",
            "flag_masks": np.array(list(_FLAGS), dtype="u1"),
            "flag_meanings": " ".join(_FLAGS.values()),
        }
    )
    for name in PIXELS:
        dataset = file[name]
        axes: Sequence[str] = ("band", "y", "x") if dataset.ndim == 4 else ("y", "x")
        for axis, scale in enumerate(axes, 1):
            dataset.dims[axis].attach_scale(file[scale])


def _write_column(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    dataset = file.create_dataset(
        name, data=values, maxshape=(None, *values.shape[1:]), chunks=(max(len(values), 1), *values.shape[1:])
    )
    dataset.dims[0].attach_scale(file["chip"])
    if name in _COLUMNS_DIMENSION:
        dataset.dims[1].attach_scale(file[_COLUMNS_DIMENSION[name]])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
