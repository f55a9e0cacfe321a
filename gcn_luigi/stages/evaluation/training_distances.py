"""Measure how far dev, test and the whole area are from training, in metres and in standardised feature space."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gcn_luigi.config import Region
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.parquet import read_columns, write_columns
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.reader import ShardReader, open_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice, Window, hilbert_order
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.evaluation.comparison import Places, compare
from gcn_luigi.prepare.evaluation.dissimilarity import SEED, TrainingSpace
from gcn_luigi.prepare.evaluation.distances import sampled
from gcn_luigi.prepare.evaluation.features import LEAST_VALID, chip_features, feature_names
from gcn_luigi.prepare.missing.fill import band_flags
from gcn_luigi.prepare.split.folds import HELD_OUT, LEFT_OUT
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.partition_reader import read_partitions
from gcn_luigi.stages.shards.shard import catalog_of_shards

# Chips of a split, and windows of the whole area, whose pixels are read for features.
MOST_TRAIN, MOST_OTHER, MOST_WINDOWS = 40_000, 10_000, 2_000
# Chips whose features are computed at a time.
_BATCH = 32
# Batches that are decoded in advance.
_AHEAD = 2
# Positions in a list of chips, with the images and flags of these chips.
_Pixels = tuple[NDArray[np.intp], NDArray[Any], NDArray[np.uint8]]
# A cell counts as a part of the area if at most this share of it is outside the tiles.
_MOST_OUTSIDE = 1 - LEAST_VALID
# Columns of a dataset with folds.
_OF_FOLDS = ("fold", "left_out")
# The key of the parquet file's metadata that holds scaling, mean distance and threshold as JSON.
SPACE = "gcn_luigi"


def write_training_distances(
    region: Region, paths: DatasetPaths, shards: Sequence[Path], table_out: Path, text_out: Path, say: Say
) -> None:
    """Write the features of chips in `shards` to `table_out`, as Parquet, and distances to `text_out`, as JSON.

    In space every chip and every cell counts. For features the pixels of at most `MOST_TRAIN` train chips,
    `MOST_OTHER` chips of each other split and `MOST_WINDOWS` windows of the area are read, chosen at random with a
    fixed seed. A window of the area has the size of a chip and lies in the middle of a cell of the catalog, used or
    not; its year is that of the cell or, without one, the most frequent year of the used cells.

    Raises
    ------
    InputError, ShardError
        A source, a table or a shard is missing or damaged.
    """
    settings, lattice = region.settings, read_inventory(paths).lattice
    names = feature_names([band.name for band in settings.schema_bands.image])
    catalog = read_geoparquet(catalog_of_shards(settings, paths))
    folds = read_columns(paths.folds) if settings.split.folds else None
    chips = _chips(shards, catalog, folds, settings, lattice)
    chosen = _chosen(chips)
    features = np.full((len(chosen), len(names)), np.nan, np.float32)
    for rows, found in _read_chips(shards, settings, chosen, say):
        features[rows] = found
    area = catalog[catalog["outside_share"] <= _MOST_OUTSIDE]
    windows = _windows(area.iloc[sampled(len(area), MOST_WINDOWS, SEED)], settings, lattice)
    of_area = _read_windows(region, paths, windows, say)
    table = pd.concat(
        [
            chosen[
                ["chip_id", "split", "partition", "block", *(name for name in _OF_FOLDS if name in chosen), "x", "y"]
            ],
            pd.DataFrame(features, columns=list(names), index=chosen.index),
        ],
        axis=1,
    )
    space = TrainingSpace.of(table, names)
    say("comparing distances", 0.95)
    centres = area[["left", "right", "bottom", "top"]].to_numpy(np.float64)
    content = {
        "chip_size_px": settings.chips.size,
        "pixel_size_m": lattice.pixel_size,
        "points": "centres of chips, and centres of the cells of the catalog",
        "least_valid_share": LEAST_VALID,
        **compare(
            Places(chips, np.column_stack([centres[:, :2].mean(axis=1), centres[:, 2:].mean(axis=1)])),
            Places(table, of_area, names),
            space,
        ),
    }
    write_columns(table_out, table, {SPACE: json.dumps(content["features"]["space"], sort_keys=True)})
    text_out.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _chips(
    shards: Sequence[Path],
    catalog: gpd.GeoDataFrame,
    folds: pd.DataFrame | None,
    settings: RegionSettings,
    lattice: Lattice,
) -> pd.DataFrame:
    """Return one row per chip: id, split, partition, block, centre, shard and row there.

    With `folds`, the table of what each fold does with each partition, also fold and left_out.
    """
    found = []
    for number, path in enumerate(shards):
        with open_shard(path) as shard:
            rows = pd.DataFrame({"chip_id": shard.column("chip_id"), "partition": shard.column("partition")})
            split, corner = shard.attributes["split"], shard.column("transform")
        rows["split"], rows["shard"], rows["shard_row"] = str(split), number, np.arange(len(rows))
        half = settings.chips.size * lattice.pixel_size / 2
        rows["x"], rows["y"] = corner[:, 2] + half, corner[:, 5] - half
        found.append(rows)
    chips = pd.concat(found, ignore_index=True).astype(dict.fromkeys(("chip_id", "partition", "split"), "str"))
    by_partition = catalog.set_index("partition")
    if folds is not None:
        held_out = folds.loc[folds["role"] == HELD_OUT].set_index("partition")["fold"]
        chips["fold"] = chips["partition"].map(held_out).astype("Int64")
        lost = folds.loc[folds["role"] == LEFT_OUT].sort_values("fold").astype({"fold": "str"})
        texts = lost.groupby("partition")["fold"].agg(";".join)
        chips["left_out"] = pd.array([texts.get(name, "") for name in chips["partition"]], dtype="str")
    chips["block"] = chips["partition"].map(by_partition["block"]).astype("str")
    if (chips["block"] == "").all():
        # Only one method of the split makes blocks. Squares of the same size serve for the others.
        edge = settings.split.block_partitions * settings.grid.size * lattice.pixel_size
        across, up = ((chips[axis] // edge).astype(np.int64).astype("str") for axis in ("x", "y"))
        chips["block"] = across + "_" + up
    return chips


def _chosen(chips: pd.DataFrame) -> pd.DataFrame:
    splits = chips["split"].to_numpy(str)
    kept = []
    for split in np.unique(splits):
        rows = np.flatnonzero(splits == split)
        kept.append(rows[sampled(len(rows), MOST_TRAIN if split == "train" else MOST_OTHER, SEED)])
    return chips.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def _read_chips(
    shards: Sequence[Path], settings: RegionSettings, chosen: pd.DataFrame, say: Say
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Yield positions in `chosen` and their features, shard by shard; another thread decodes the next chips."""
    bits, done = band_flags(settings.schema_bands), 0
    of_shard = chosen["shard"].to_numpy(np.int64)
    for number in np.unique(of_shard).tolist():
        rows = np.flatnonzero(of_shard == number)
        with open_shard(shards[number]) as shard, ThreadPoolExecutor(1, thread_name_prefix="gcn-chips") as lane:
            calls = _calls(shard, chosen["shard_row"].to_numpy(np.int64)[rows])
            for part, images, flags in in_order(lane, calls, _AHEAD):
                yield rows[part], chip_features(images, flags, bits)
                done += len(part)
                say(f"features of {done:,} of {len(chosen):,} chips", 0.7 * done / len(chosen))


def _calls(shard: ShardReader, numbers: NDArray[np.int64]) -> Iterator[Callable[[], _Pixels]]:
    """Yield calls of `_pixels` for `numbers` in order; no window is decoded by two of them."""
    windows = shard.places[numbers, 0]
    starts = np.flatnonzero(np.append(True, windows[1:] != windows[:-1]))
    if shard.layout == "chips":
        starts = np.arange(0, len(numbers), _BATCH)
    for first, end in zip(starts.tolist(), [*starts[1:].tolist(), len(numbers)], strict=True):
        yield partial(_pixels, shard, numbers, np.arange(first, end))


def _pixels(shard: ShardReader, numbers: NDArray[np.int64], part: NDArray[np.intp]) -> _Pixels:
    """Return positions in `numbers`, and the images and flags of these chips."""
    planes: dict[str, NDArray[Any]] = {}
    held, within = np.unique(shard.places[numbers[part], 0], return_inverse=True)
    for name in ("image", "flags"):
        array = shard.arrays[name]
        whole = np.empty((len(held), *array.shape[1:]), array.dtype)
        for row, out in zip(held.tolist(), whole, strict=True):
            shard.read_row(name, row, out)
        places = np.column_stack([within, shard.places[numbers[part], 1:]]).astype(np.int64)
        size = shard.chip_size
        out = np.empty((len(part), *array.shape[1:-2], size, size), array.dtype)
        planes[name] = shard.cut(name, whole, places, shard.extents[held], out)
    return part, planes["image"], planes["flags"]


def _windows(cells: gpd.GeoDataFrame, settings: RegionSettings, lattice: Lattice) -> list[Partition]:
    """Return a window of the size of a chip in the middle of each cell, along the Hilbert curve."""
    size, used = settings.chips.size, cells["used"].to_numpy(bool)
    usual = cells["year"][used if used.any() else slice(None)].mode()
    year = int(usual.iloc[0]) if len(usual) else max(settings.years)
    found = []
    for cell in cells.iloc[hilbert_order(cells["row"], cells["col"])].itertuples():
        row, col = int(cell.row) + (int(cell.height) - size) // 2, int(cell.col) + (int(cell.width) - size) // 2
        when = year if pd.isna(cell.year) else int(cell.year)
        found.append(Partition(str(cell.partition), str(cell.split), when, -1, Window(row, col, size, size), lattice))
    return found


def _read_windows(region: Region, paths: DatasetPaths, windows: list[Partition], say: Say) -> NDArray[np.float32]:
    """Return the features (window, feature) of windows of the stacks."""
    schema = region.settings.schema_bands
    bits, found = band_flags(schema), []
    if windows:
        for window in read_partitions(region, paths, read_inventory(paths), windows, in_thread=True):
            found.append(chip_features(window.image[np.newaxis], window.flags[np.newaxis], bits))
            say(f"windows of the area: {len(found):,} of {len(windows):,}", 0.7 + 0.25 * len(found) / len(windows))
    return np.concatenate([np.zeros((0, 2 * len(bits)), np.float32), *found])
