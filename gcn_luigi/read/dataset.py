"""A finished dataset, read back."""

import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, ShardError
from gcn_luigi.io.index import read_geoparquet
from gcn_luigi.io.layout import SPLITS, Layout
from gcn_luigi.io.shard import ShardReader

_SYNONYMS = {"val": "dev", "validate": "dev"}
# What h5py answers to a damaged file: it depends on the place that is hit.
_UNREADABLE = (OSError, LookupError, RuntimeError, AttributeError, TypeError, ValueError)


class Chip(TypedDict):
    """One sample.

    ``image`` (band, y, x) int16; ``label`` (y, x) uint8: 0 none, 1 debris, 2 debris-free ice, 255 ignore;
    ``flags`` (y, x) uint8, set bits mean missing; ``chip_id`` str.
    """

    image: NDArray[np.int16]
    label: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    chip_id: str


class ChipReader:
    """The chips of one split, in the order of the index.

    Shards are opened when first needed, in each process anew, so a reader may be pickled and used after a fork.

    Parameters
    ----------
    directory : Path
        Of the shards.
    index : GeoDataFrame
        Rows of the index, of this split.
    """

    def __init__(self, directory: Path, index: gpd.GeoDataFrame) -> None:
        self._directory = directory
        self._ids: list[str] = index["chip_id"].tolist()
        self._shards: list[str] = index["shard"].tolist()
        self._rows: list[int] = index["shard_row"].tolist()
        self._open: dict[str, ShardReader] = {}
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Chip]:
        return (self[position] for position in range(len(self)))

    def __getitem__(self, position: int) -> Chip:
        """Return one chip; negative positions count from the end.

        Raises
        ------
        IndexError
            There is no such chip.
        ShardError
            The shard is missing, damaged or not complete.
        """
        if not -len(self) <= position < len(self):
            raise IndexError(f"chip {position} of {len(self)}")
        name, row, chip_id = self._shards[position], self._rows[position], self._ids[position]
        try:
            shard = self._shard(name)
            image, label, flags = (shard.pixels(plane, row) for plane in ("image", "label", "flags"))
        except _UNREADABLE as error:
            raise ShardError(
                f"chip {chip_id} cannot be read: {error}",
                where=f"{self._directory / name}, row {row}",
                fix="run the build again: it makes a missing or damaged shard anew",
            ) from error
        return Chip(image=image, label=label, flags=flags, chip_id=chip_id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def close(self) -> None:
        """Close all shards; the next access opens them again."""
        for shard in self._open.values():
            shard.close()
        self._open.clear()

    def _shard(self, name: str) -> ShardReader:
        if self._process != os.getpid():
            # Handles of the parent share its file offsets: forget them, do not close them.
            self._open, self._process = {}, os.getpid()
        if name not in self._open:
            shard = ShardReader(self._directory / name)
            try:
                shard.check()
            except BaseException:
                shard.close()
                raise
            self._open[name] = shard
        return self._open[name]


class Dataset:
    """A region's dataset on disk.

    Parameters
    ----------
    directory : path-like
        Where ``dataset.json`` lies.

    Raises
    ------
    ShardError
        There is no finished dataset.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.layout = Layout(Path(directory).resolve())
        self.description: dict[str, Any] = _load(self.layout.dataset)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.chips(split))} {split}" for split in SPLITS)
        return f"<gcn_luigi dataset {self.description['region']}: {counts} chips>"

    @cached_property
    def index(self) -> gpd.GeoDataFrame:
        """One row a chip: id, split, shard, shard_row, partition, place, year, shares; geometry is the chip's box."""
        return read_geoparquet(self.layout.index)

    @cached_property
    def catalog(self) -> gpd.GeoDataFrame:
        """One row a partition, used or not, with the reason."""
        return read_geoparquet(self.layout.catalog)

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Band statistics and class counts of the train split."""
        return _load(self.layout.statistics)

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands of every chip's image, in order, by name and role, as the shards state them."""
        path = self.layout.shards / str(self.index["shard"].iloc[0])
        try:
            with ShardReader(path) as shard:
                names, roles = (json.loads(shard.attributes[key]) for key in ("band_names", "band_roles"))
        except (OSError, KeyError, ValueError) as error:
            raise ShardError(
                f"the shard's bands cannot be read: {error}",
                where=str(path),
                fix="run the build again: it makes a missing or damaged shard anew",
            ) from error
        return tuple(Band(name, Role(role)) for name, role in zip(names, roles, strict=True))

    def chips(self, split: str) -> ChipReader:
        """Return the chips of ``train`` or ``dev`` (``val`` is understood).

        Raises
        ------
        ConfigError
            There is no such split.
        """
        name = _SYNONYMS.get(split, split)
        if name not in SPLITS:
            raise ConfigError(f"no split {split!r}", where=str(self.layout.root), fix="use train or dev")
        index = self.index
        return ChipReader(self.layout.shards, index[index["split"] == name])


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfinished(path) from error
    if not isinstance(content, dict):
        raise _unfinished(path)
    return content


def _unfinished(path: Path) -> ShardError:
    return ShardError(
        "no finished dataset here",
        where=str(path),
        fix="build it: gcn run <region>",
    )
