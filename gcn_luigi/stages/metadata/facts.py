"""What the build knows about a dataset, collected once for all of its descriptions."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyproj

from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.paths import WITH_TEST, DatasetPaths
from gcn_luigi.io.tables import column_types, read_columns
from gcn_luigi.prepare.partitions.geojson import bounding_box, footprint, in_degrees
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.layers.mosaics import read_inventory

# How a gap begins that only people can fill.
GAP = "TO BE FILLED IN BY THE AUTHORS"
_LONGEST_CODE = 32
_BOX = ["left", "bottom", "right", "top"]
_READ = ["split", "shard", "partition", "year", "year_gap", *_BOX]


@dataclass(frozen=True)
class Facts:
    """Facts about a dataset.

    Attributes
    ----------
    settings : RegionSettings
        The settings of the region.
    files : Mapping
        Size and digest of each described file, by path.
    crs : str
        CRS of the chips: an authority code or WKT; projected, in metres.
    pixel_size : float
        Edge of a pixel, in metres.
    chips : DataFrame
        One row per chip, with the columns split, shard, partition, year, year_gap, left, bottom, right and top.
    n_partitions : int
        All cells, also those that are not used.
    columns : Mapping
        The columns of ``index.parquet`` and ``catalog.parquet``, each with its Arrow type.
    statistics, audit : Mapping
        The content of ``statistics.json`` and ``split.json``.
    """

    settings: RegionSettings
    files: Mapping[str, ManifestEntry]
    crs: str
    pixel_size: float
    chips: pd.DataFrame
    n_partitions: int
    columns: Mapping[str, Mapping[str, str]]
    statistics: Mapping[str, Any]
    audit: Mapping[str, Any]

    @property
    def crs_name(self) -> str:
        """The CRS in a sentence: its code, or its name if it has none."""
        return self.crs if is_code(self.crs) else str(pyproj.CRS.from_user_input(self.crs).name)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have a chip, train first."""
        found = set(self.chips["split"])
        known = [name for name in WITH_TEST if name in found]
        return (*known, *sorted(found - set(known)))

    @property
    def n_chips(self) -> dict[str, int]:
        """The number of chips of each split."""
        return {split: int((self.chips["split"] == split).sum()) for split in self.splits}

    @property
    def shards(self) -> tuple[str, ...]:
        """The paths of all shards: train first, as in `splits`, then by number."""
        order = {split: place for place, split in enumerate(WITH_TEST)}
        paths = [path for path in self.files if path.startswith("shards/")]
        return tuple(sorted(paths, key=lambda path: (order.get(split_of(path), len(order)), path)))

    @property
    def years(self) -> tuple[int, ...]:
        """The years of the chips, in ascending order."""
        return tuple(sorted(int(year) for year in self.chips["year"].unique()))

    @property
    def largest_gap(self) -> int | None:
        """The largest number of years between outline and composite; None if no outline has a date."""
        gap = int(self.chips["year_gap"].max())
        return None if gap < 0 else gap

    @property
    def title(self) -> str:
        """The title that is given, or one that says what the dataset is."""
        return self.settings.dataset.title or default_title(self.settings)

    @property
    def description(self) -> str:
        """The description that is given, followed by what the build knows."""
        said = self.settings.dataset.description
        return f"{said} {self.summary}" if said else self.summary

    @property
    def summary(self) -> str:
        """Two sentences about the chips."""
        settings, size = self.settings, self.settings.chips.size
        *first, last = (f"{count:,} {split}" for split, count in self.n_chips.items())
        counts = f"{', '.join(first)} and {last}" if first else last
        return (
            f"{counts} chips of {size} x {size} pixels in {len(settings.schema_bands.image)} bands, each with a label "
            f"({settings.class_table.described()}, 255 ignore) and flags of missing pixels. The pixels have an edge of "
            f"{self.pixel_size:g} m in {self.crs_name}; the composites are of {_years(self.years)}."
        )


def collect_facts(settings: RegionSettings, paths: DatasetPaths, files: Iterable[ManifestEntry]) -> Facts:
    """Read index, catalog, statistics, audit of the split and inventory.

    `files` are size and digest of each file that is described: shards, index, catalog and statistics.
    """
    lattice = read_inventory(paths).lattice
    return Facts(
        settings=settings,
        files={file.path: file for file in sorted(files)},
        crs=lattice.crs,
        pixel_size=lattice.pixel_size,
        chips=read_columns(paths.index, _READ),
        n_partitions=len(read_columns(paths.catalog, ["partition"])),
        columns={path.name: column_types(path) for path in (paths.index, paths.catalog)},
        statistics=json.loads(paths.statistics.read_text(encoding="utf-8")),
        audit=json.loads(paths.split_audit.read_text(encoding="utf-8")),
    )


def shard_footprints(facts: Facts) -> dict[str, Any]:
    """Return the footprint of the chips of each shard that has chips, in WGS 84, by path."""
    return {
        f"shards/{name}": in_degrees(footprint(chips[_BOX].to_numpy(float)), facts.crs)
        for name, chips in facts.chips.groupby("shard")
    }


def whole_box(footprints: Mapping[str, Any]) -> list[float]:
    """Return west, south, east and north of all footprints, in degrees."""
    return bounding_box(list(footprints.values()))


def default_title(settings: RegionSettings) -> str:
    """Return a title for a dataset that was given none."""
    return f"{settings.region}: training chips of glacier ice and debris"


def split_of(shard: str) -> str:
    """Return the split of a shard by its path, ``shards/train-00000-of-00004.h5``."""
    return Path(shard).name.rsplit("-", 3)[0]


def is_code(crs: str) -> bool:
    """Return whether a CRS is an authority code, such as ``EPSG:3338``, and not WKT."""
    return ":" in crs and len(crs) <= _LONGEST_CODE


def _years(years: tuple[int, ...]) -> str:
    return str(years[0]) if len(years) == 1 else f"{len(years)} years from {years[0]} to {years[-1]}"
