"""A finished dataset, read back."""

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import DIGEST, ManifestEntry, data_digest, read_manifest
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.publish.safe_names import inside
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.io.tables import read_column, read_geoparquet
from gcn_luigi.lattice import Lattice
from gcn_luigi.old_keys import renew
from gcn_luigi.prepare.split.names import split_of
from gcn_luigi.read.reader import Chip, ChipReader
from gcn_luigi.settings import RegionSettings

__all__ = ["Chip", "ChipReader", "Dataset"]

# A third split, which no dataset has so far: dev under this name would pass for pixels that nobody tuned on.
_THIRD = ("test", "testing")


class Dataset:
    """A region's dataset on disk.

    What it reads is what was published: ``dataset.json`` by its own digest, tables by the digest that stands there,
    shards by their checksums.

    Parameters
    ----------
    directory : path-like
        Where ``dataset.json`` lies.

    Raises
    ------
    ShardError
        There is no finished dataset, or ``dataset.json`` is damaged. Later: a table is missing or damaged.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.paths = DatasetPaths(Path(directory).resolve())
        self.description: dict[str, Any] = read_manifest(self.paths.dataset)

    def __repr__(self) -> str:
        region = self.description.get("region", "?")
        try:
            splits = read_column(self._verified(self.paths.index), "split")
        except GcnLuigiError:
            # Whoever looks at a broken dataset wants to see which one it is, not an error.
            return f"<gcn_luigi dataset {region}: index.parquet cannot be read>"
        counts = ", ".join(f"{splits.count(split)} {split}" for split in SPLITS)
        return f"<gcn_luigi dataset {region}: {counts} chips>"

    @property
    def digest(self) -> str:
        """SHA-256 of all that ``dataset.json`` says, with it of every file: equal digests, equal datasets."""
        return str(self.description[DIGEST])

    @property
    def data_digest(self) -> str:
        """SHA-256 over shards, index, catalog and statistics alone: the same wherever the same chips are made.

        `gcn_luigi.io.publish.manifest.data_digest` says what exactly it covers.
        """
        return data_digest(ManifestEntry(**entry) for entry in self.description["files"])

    @cached_property
    def index(self) -> gpd.GeoDataFrame:
        """One row a chip: id, split, shard, shard_row, partition, place, year, shares; geometry is the chip's box."""
        return read_geoparquet(self._verified(self.paths.index))

    @cached_property
    def catalog(self) -> gpd.GeoDataFrame:
        """One row a partition, used or not, with the reason."""
        return read_geoparquet(self._verified(self.paths.catalog))

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Band statistics and class counts of the train split."""
        content: dict[str, Any] = json.loads(self._verified(self.paths.statistics).read_text(encoding="utf-8"))
        return content

    @cached_property
    def lattice(self) -> Lattice:
        """Where the region's pixels lie; catalog and index count rows and columns from its corner."""
        return Inventory.from_json(self._verified(self.paths.inventory).read_text(encoding="utf-8")).lattice

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands of every chip's image, in order: names and roles as the shards state them, the rest as configured.

        Unit, description, nodata, scale and valid range are those of the ``[[bands]]`` tables that the dataset was
        built with. `nodata` is the number for a missing pixel in the stacks; in chips, missing pixels hold the fill,
        and ``flags`` tell.
        """
        path = inside(self.paths.shards, str(self.index["shard"].iloc[0]), where=self.paths.index)
        try:
            with ShardReader(path) as shard:
                names, roles = (json.loads(shard.attributes[key]) for key in ("band_names", "band_roles"))
        except (OSError, KeyError, ValueError) as error:
            raise ShardError(
                f"the shard's bands cannot be read: {error}",
                where=str(path),
                fix="run the build again: gcn run --deep <region> makes a missing or damaged shard anew",
            ) from error
        known = {(band.name, band.role): band for band in self._configured_bands()}
        found = (Band(name, Role(role)) for name, role in zip(names, roles, strict=True))
        return tuple(known.get((band.name, band.role), band) for band in found)

    def chips(self, split: str, *, threads: int = 1, cache_mb: int = 256) -> ChipReader:
        """Return the chips of ``train`` or ``dev``, which is also called ``val`` or ``validation``.

        Parameters
        ----------
        split : str
            Which.
        threads, cache_mb : int
            See `ChipReader`.

        Raises
        ------
        ConfigError
            There is no such split; a third one, for testing, does not exist yet.
        """
        name = split_of(split)
        if name not in SPLITS or split in _THIRD or split != split.strip().lower():
            raise ConfigError(
                f"no split {split!r}: a dataset has two, train and dev",
                where=str(self.paths.root),
                fix="use train or dev",
            )
        index = self.index
        return ChipReader(self.paths.shards, index[index["split"] == name], threads=threads, cache_mb=cache_mb)

    def _configured_bands(self) -> tuple[Band, ...]:
        try:
            # Where the sources lie is not written down, and not needed here.
            settings = RegionSettings.model_validate({**renew(self.description["configuration"])[0], "data_root": "."})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ShardError(
                "was made with other settings than this version knows: its bands cannot be told",
                where=str(self.paths.dataset),
                fix="read it with the version that made it, or build it again: gcn run <region>",
            ) from error
        return settings.schema_bands.image

    def _verified(self, path: Path) -> Path:
        """Return `path` if its bytes are those that were published; a table has no checksum of its own."""
        name = path.relative_to(self.paths.root).as_posix()
        try:
            published = [entry["sha256"] for entry in self.description["files"] if entry["path"] == name]
            found = digest(path)
        except (OSError, KeyError, TypeError) as error:
            raise _lost(f"cannot be read: {error}", path) from error
        if [found] != published:
            raise _lost("its bytes changed (SHA-256 differs)", path)
        return path


def _lost(what: str, path: Path) -> ShardError:
    return ShardError(
        what, where=str(path), fix="run the build again: gcn run --deep <region> makes lost and damaged files anew"
    )
