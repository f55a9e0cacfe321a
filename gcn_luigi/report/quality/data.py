"""The data that the quality page shows, read once from a finished dataset."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.classes import ClassTable, LabelClass
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.parquet import read_columns
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.equality import content_keys
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.appearance import colour_bands
from gcn_luigi.prepare.chips.duplicates import Repeats, count_repeats, footprint_keys
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.prepare.split.leakage import Leakage, measure_leakage
from gcn_luigi.prepare.statistics.statistics import Histogram, empty_histogram, ks_distance
from gcn_luigi.settings import RegionSettings

# Enough chips to know a share to a fraction of a per cent, and few enough for a large region.
_FLAG_SAMPLE = 1000


@dataclass(frozen=True)
class FlagCounts:
    """How often each value of the flags occurs in a sample of `n_chips` of the `n_all` chips of a split.

    `pixels`, (256,) int64, counts pixels by value; a pixel counts once for every chip that shows it.
    """

    pixels: NDArray[np.int64]
    n_chips: int
    n_all: int

    def share(self, needed: int, *, without: int = 0) -> float:
        """Return the share of pixels, 0 to 1, with all bits of `needed` and none of `without`; 0 without pixels."""
        values = np.arange(256)
        chosen = (values & needed == needed) & (values & without == 0)
        return float(self.pixels[chosen].sum() / max(int(self.pixels.sum()), 1))


@dataclass(frozen=True)
class ReportData:
    """Tables, counts and notes of a dataset, without images.

    Attributes
    ----------
    catalog, index : GeoDataFrame
        One row per partition, one row per chip.
    statistics, audit, grids : dict
        ``statistics.json``, ``split.json``, ``grid_comparison.json``.
    tile_quality : dict of dict
        Counts of all tiles, by band that is read from tiles.
    histograms : dict of ndarray
        By split: (band, 65536) int64, each valid pixel once.
    leaks : Leakage
        What every two splits share, measured on the finished chips.
    same_bytes, same_place : Repeats
        Chips that are equal to the byte, and chips that show the same pixels of the same year.
    label_notes : dict or None
        ``label.json``, which a ready-made label does not have.
    folds : DataFrame or None
        ``folds.parquet``, which only a dataset with folds has.
    autocorrelation : dict or None
        ``autocorrelation.json``, if the settings ask for it.
    """

    settings: RegionSettings
    inventory: Inventory
    catalog: gpd.GeoDataFrame
    index: gpd.GeoDataFrame
    statistics: dict[str, Any]
    audit: dict[str, Any]
    grids: dict[str, Any]
    tile_quality: dict[str, dict[str, Any]]
    histograms: dict[str, Histogram]
    flags: dict[str, FlagCounts]
    leaks: Leakage
    same_bytes: Repeats
    same_place: Repeats
    label_notes: dict[str, Any] | None = None
    folds: pd.DataFrame | None = None
    autocorrelation: dict[str, Any] | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the dataset: train, dev, and test if it has one."""
        return self.settings.splits

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands of the chips, in order."""
        return self.settings.schema_bands.image

    @property
    def shown(self) -> tuple[int, int, int]:
        """The positions of the bands that pictures show as red, green and blue."""
        return colour_bands(self.bands, self.settings.report.composite or ())

    @property
    def classes(self) -> ClassTable:
        """The classes of the label."""
        return self.settings.class_table

    def shown_classes(self, most: int) -> tuple[LabelClass, ...]:
        """Return the `most` classes with most train pixels, in the order of the table, without the class none."""
        pixels = self.of_split("train")["classes"]["pixels"]
        named = [each for each in self.classes if each.name != "none"]
        frequent = sorted(named, key=lambda each: -pixels[each.name])[:most]
        return tuple(each for each in named if each in frequent)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that can be missing, in the order of the stack."""
        present = {band.role for band in self.settings.schema_bands}
        return tuple(role for role in Role if role in present and role.name in Flag.__members__)

    def of_split(self, split: str) -> dict[str, Any]:
        """Return ``bands``, ``classes`` and ``as_sampled`` of a split from the statistics."""
        described: dict[str, Any] = self.statistics if split == "train" else self.statistics[split]
        return described

    def distance(self, position: int) -> float | None:
        """Return the Kolmogorov-Smirnov distance of train and dev in a band; None if either has no valid pixel."""
        train, dev = (self.histograms[split][position] for split in ("train", "dev"))
        return ks_distance(train, dev) if train.any() and dev.any() else None

    def n_chips(self, split: str) -> int:
        """Return how many chips a split has."""
        return int((self.index["split"] == split).sum())


def read_report_data(settings: RegionSettings, paths: DatasetPaths) -> ReportData:
    """Read the data that the page shows.

    Of the pixels, only the flags of at most 1000 chips per split are decoded; shards of windows are decoded completely
    to find equal chips. Raises InputError if a table or the inventory is missing or damaged.
    """
    index, catalog = read_geoparquet(paths.index), read_geoparquet(paths.catalog)
    inventory = Inventory.from_json(paths.inventory.read_text(encoding="utf-8"))
    places = list(zip(index["shard"].astype(str), index["shard_row"].astype(int), strict=True))
    splits, ids = index["split"].tolist(), index["chip_id"].tolist()
    from_tiles = [*(band for band in settings.schema_bands if band.role is Role.OPTICAL), *settings.topo_bands]
    return ReportData(
        settings=settings,
        inventory=inventory,
        catalog=catalog,
        index=index,
        statistics=_read_json(paths.statistics),
        audit=_read_json(paths.split_audit),
        grids=_read_json(paths.grid_comparison),
        tile_quality={band.name: _read_json(paths.tile_quality(band.name)) for band in from_tiles},
        histograms={split: _histogram(settings, paths, split) for split in settings.splits},
        flags={split: _count_flags(index[index["split"] == split], paths.shards) for split in settings.splits},
        leaks=measure_leakage(index, catalog, inventory.lattice, settings.splits),
        same_bytes=count_repeats(content_keys(paths.shards, places), splits, ids),
        same_place=count_repeats(footprint_keys(index, inventory.lattice), splits, ids),
        label_notes=_label_notes(settings, paths),
        folds=read_columns(paths.folds) if settings.split.folds else None,
        autocorrelation=_read_json(paths.autocorrelation) if settings.evaluation.autocorrelation else None,
    )


def _label_notes(settings: RegionSettings, paths: DatasetPaths) -> dict[str, Any] | None:
    # Earlier versions wrote no notes on a label from votes.
    is_there = settings.label.source is not None or (settings.label.stem is not None and paths.label_notes.is_file())
    return _read_json(paths.label_notes) if is_there else None


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _histogram(settings: RegionSettings, paths: DatasetPaths, split: str) -> Histogram:
    total = empty_histogram(len(settings.schema_bands.image))
    n_shards = settings.n_shards[split]
    for number in range(n_shards):
        with open_shard(paths.shard(split, number, n_shards)) as shard:
            total += shard.table("statistics")["histogram"]
    return total


def _count_flags(chips: gpd.GeoDataFrame, shards: Path) -> FlagCounts:
    pixels = np.zeros(256, np.int64)
    chosen = np.linspace(0, len(chips) - 1, min(len(chips), _FLAG_SAMPLE)).round().astype(np.int64)
    for name, rows in chips.iloc[chosen].groupby("shard", sort=True):
        with open_shard(shards / str(name)) as shard:
            for row in rows["shard_row"]:
                pixels += np.bincount(shard.pixels("flags", int(row)).ravel(), minlength=256)
    return FlagCounts(pixels, len(chosen), len(chips))
