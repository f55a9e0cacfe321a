"""A finished dataset, read back."""

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, ShardError
from gcn_luigi.io.confine import inside
from gcn_luigi.io.index import read_geoparquet
from gcn_luigi.io.layout import SPLITS, Layout
from gcn_luigi.io.shard_reader import ShardReader
from gcn_luigi.read.reader import Chip, ChipReader

__all__ = ["Chip", "ChipReader", "Dataset"]

_SYNONYMS = {"val": "dev", "validate": "dev"}


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
        path = inside(self.layout.shards, str(self.index["shard"].iloc[0]), where=self.layout.index)
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

    def chips(self, split: str, *, threads: int = 1, cache_mb: int = 256) -> ChipReader:
        """Return the chips of ``train`` or ``dev`` (``val`` is understood).

        Parameters
        ----------
        split : str
            Which.
        threads, cache_mb : int
            See `ChipReader`.

        Raises
        ------
        ConfigError
            There is no such split.
        """
        name = _SYNONYMS.get(split, split)
        if name not in SPLITS:
            raise ConfigError(f"no split {split!r}", where=str(self.layout.root), fix="use train or dev")
        index = self.index
        return ChipReader(self.layout.shards, index[index["split"] == name], threads=threads, cache_mb=cache_mb)


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
