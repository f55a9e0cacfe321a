"""Collect the index, the statistics and the published workflow's log from the shards."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.io.tables import read_geoparquet, write_geopackage, write_geoparquet
from gcn_luigi.prepare.chips.chips import place_ids
from gcn_luigi.prepare.chips.metadata import indexed_columns
from gcn_luigi.prepare.statistics.float_counts import FloatHistogram
from gcn_luigi.prepare.statistics.statistics import (
    BandSummary,
    class_weights,
    empty_histogram,
    summarise,
    summarise_confidence,
)
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.layers.mosaics import read_inventory


def shard_paths(settings: RegionSettings, paths: DatasetPaths, split: str) -> list[Path]:
    """Return the shards of a split, in order."""
    total = settings.n_shards[split]
    return [paths.shard(split, number, total) for number in range(total)]


def write_index(settings: RegionSettings, paths: DatasetPaths, table_out: Path, map_out: Path, log_out: Path) -> None:
    """Write the index, with one row per chip: id, shard, position and shares.

    `table_out` and `map_out` are the index as GeoParquet and as GeoPackage; the geometry is the box of the chip. With
    the year rule ``all``, the column `place` is equal for chips that show the same ground in several years.
    `log_out` gets the eight lines of the published workflow's metadata log.
    """
    crs = read_inventory(paths).lattice.crs
    columns = indexed_columns(settings.class_table)
    every = ((split, path) for split in settings.splits for path in shard_paths(settings, paths, split))
    parts = [_shard_rows(split, path, columns) for split, path in every]
    rows = pd.concat(parts, ignore_index=True)
    if settings.nodata.mode == "legacy":
        rows["published_name"] = published_names(rows)
    if settings.split.folds:
        folds = read_geoparquet(paths.catalog).set_index("partition")["fold"]
        rows["fold"] = folds.reindex(rows["partition"]).to_numpy()
        rows["fold"] = rows["fold"].astype("Int64")
    if settings.year.rule == "all":
        ids = place_ids(*(rows[name].tolist() for name in ("partition", "row", "col")))
        rows["place"] = np.array(ids, dtype=object)
        rows = rows.astype({"place": "str"})
    _refuse_empty(settings, paths, set(rows["split"]))
    boxes = shapely.box(rows["left"], rows["bottom"], rows["right"], rows["top"])
    index = gpd.GeoDataFrame(rows, geometry=boxes, crs=crs)
    write_geoparquet(table_out, index)
    write_geopackage(map_out, index, "chips")
    log_out.write_text(_log(settings, index), encoding="utf-8")


def write_statistics(settings: RegionSettings, paths: DatasetPaths, out: Path) -> None:
    """Merge the counts of all shards, which are whole numbers, into band statistics and class weights, as JSON.

    ``bands`` and ``classes`` describe the train split. Each pixel in a kept chip counts once there. In ``as_sampled``
    it counts once for every chip that shows it, as in a training epoch. Missing pixels never count. The other splits
    are described as well, for comparison but never for normalisation.
    """
    described = {split: _describe(settings, paths, split) for split in settings.splits}
    content = {
        "split": "train",
        "pixels": "valid pixels of the train split, each once",
        "bands": described["train"]["bands"],
        "classes": described["train"]["classes"],
        "as_sampled": described["train"]["as_sampled"],
        **{
            split: {key: described[split][key] for key in ("bands", "classes", "as_sampled")}
            for split in settings.splits[1:]
        },
        "chips": {split: described[split]["chips"] for split in settings.splits},
        "out_of_range": {split: described[split]["out_of_range"] for split in settings.splits},
    }
    if settings.label.confidence:
        content["confidence"] = {
            "sources": list(settings.label.confidence),
            "min_confidence": settings.label.min_confidence,
            "unit": "percent; labelled pixels, each once",
            **{split: described[split]["confidence"] for split in settings.splits},
        }
    out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def published_names(rows: pd.DataFrame) -> pd.Series:
    """Return the file names that the published workflow gave such chips, including dev chips. They may not be unique.

    The id in a name is the first run of digits in the id of the partition.
    """
    numbers = rows["partition"].str.extract(r"(\d+)", expand=False).fillna("")
    offsets = "_row" + rows["row"].astype("str") + "_col" + rows["col"].astype("str")
    return "grid_tile_" + numbers + "_train_chip" + offsets + ".tif"


def _refuse_empty(settings: RegionSettings, paths: DatasetPaths, present: set[str]) -> None:
    for split in settings.splits:
        if split not in present:
            outcomes = _outcomes(partitions for _, partitions in _tables(settings, paths, split))
            reasons = ", ".join(f"{count} {reason}" for reason, count in outcomes.items() if count) or "no partition"
            raise ConfigError(
                f"no {split} chip is left: {reasons}",
                where=f"region {settings.region}",
                fix="lower the minimum shares in [chips]; catalog.gpkg gives the reason why a partition is not used",
            )


def _outcomes(tables: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return how many candidate chips were kept and rejected, by reason."""
    outcomes: dict[str, int] = {}
    for partitions in tables:
        for reason, count in zip(partitions["reasons"], partitions["verdicts"].sum(axis=0), strict=True):
            outcomes[reason.decode()] = outcomes.get(reason.decode(), 0) + int(count)
    return outcomes


def _shard_rows(split: str, path: Path, columns: Sequence[str]) -> pd.DataFrame:
    with open_shard(path) as shard:
        rows = pd.DataFrame({name: shard.column(name) for name in columns})
        transform = shard.column("transform")
        edge = int(shard.attributes["chip_size"])
    rows.insert(1, "split", split)
    rows.insert(2, "shard", path.name)
    rows.insert(3, "shard_row", np.arange(len(rows), dtype=np.int32))
    rows["left"], rows["top"] = transform[:, 2], transform[:, 5]
    rows["right"] = transform[:, 2] + edge * transform[:, 0]
    rows["bottom"] = transform[:, 5] + edge * transform[:, 4]
    return rows.astype(dict.fromkeys(("chip_id", "split", "shard", "partition"), "str"))


def _log(settings: RegionSettings, index: gpd.GeoDataFrame) -> str:
    # The published log gives the time and duration of the run. Here, equal inputs must give equal bytes.
    lines = {
        "Generation time": "not recorded, see dataset.json",
        "Partitions processed": index["partition"].nunique(),
        "Chips processed": len(index),
        "Time for extraction": "not recorded, see the scheduler",
        "njobs": sum(settings.n_shards.values()),
        "Partition size": settings.grid.size,
        "Chip size": settings.chips.size,
        "Step size": settings.chips.step,
    }
    return "".join(f"{key} : {value}\n" for key, value in lines.items())


def _tables(
    settings: RegionSettings, paths: DatasetPaths, split: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for path in shard_paths(settings, paths, split):
        with open_shard(path) as shard:
            yield shard.table("statistics"), shard.table("partitions")


def _describe(settings: RegionSettings, paths: DatasetPaths, split: str) -> dict[str, Any]:
    names = [band.name for band in settings.schema_bands.image]
    bands, of_label = _BandCounts(len(names), settings.stack.dtype), settings.class_table.names
    classes, sampled_classes = (np.zeros(len(of_label), np.int64) for _ in range(2))
    out_of_range = np.zeros(len(names), np.int64)
    sure = np.zeros((len(of_label), 101), np.int64)
    tables = []
    for counts, partitions in _tables(settings, paths, split):
        bands.add(counts)
        classes += counts["class_pixels"]
        sampled_classes += counts["chip_class_pixels"]
        out_of_range += partitions["out_of_range"].sum(axis=0)
        sure += counts.get("confidence_pixels", 0)
        tables.append(partitions)
    return {
        "bands": _bands(names, bands.summaries("")),
        "classes": _classes(of_label, classes),
        "as_sampled": {
            "bands": _bands(names, bands.summaries("chip_")),
            "classes": _classes(of_label, sampled_classes),
        },
        "chips": _outcomes(tables),
        "out_of_range": dict(zip(names, out_of_range.tolist(), strict=True)),
        "confidence": {
            name: vars(summarise_confidence(row, settings.label.min_confidence))
            for name, row in zip(of_label, sure, strict=True)
        },
    }


class _BandCounts:
    """The counts of all shards: each pixel once, and, with the prefix ``chip_``, once for every chip."""

    def __init__(self, n_bands: int, dtype: str) -> None:
        self._n_bands, self._is_float, prefixes = n_bands, dtype == "float32", ("", "chip_")
        self._floats = {prefix: FloatHistogram(n_bands) for prefix in prefixes if self._is_float}
        self._whole = {prefix: empty_histogram(n_bands) for prefix in prefixes if not self._is_float}

    def add(self, table: dict[str, Any]) -> None:
        for prefix, histogram in self._floats.items():
            histogram.add(table, prefix)
        for prefix in self._whole:
            self._whole[prefix] += table[f"{prefix}histogram"]

    def summaries(self, prefix: str) -> list[BandSummary]:
        if self._is_float:
            return [self._floats[prefix].summary(band) for band in range(self._n_bands)]
        return [summarise(row) for row in self._whole[prefix]]


def _bands(names: list[str], summaries: list[BandSummary]) -> dict[str, Any]:
    return {name: vars(summary) for name, summary in zip(names, summaries, strict=True)}


def _classes(names: Sequence[str], counts: Any) -> dict[str, Any]:
    by_name = dict(zip(names, counts.tolist(), strict=True))
    return {"pixels": by_name, "weights": class_weights(by_name)}
