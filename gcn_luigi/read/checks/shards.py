"""Compare shards with the index and the catalog, and verify the checksums of their chunks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import ConfigError, few
from gcn_luigi.io.shard.format import CONFIDENCE, FORMATS, classes_of
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.prepare.chips.metadata import indexed_columns
from gcn_luigi.prepare.missing.fill import NO_CONFIDENCE, Flag
from gcn_luigi.prepare.partitions.years import years_of_rows
from gcn_luigi.read.dataset import Dataset

_UNREADABLE = (OSError, KeyError, RuntimeError, ConfigError, TypeError)
# What the classes of a shard and of its dataset must agree on.
_MEANING = ("name", "value", "glacier")
_MOST_NAMED = 3
# Percent.
_SURE = 100


def index_problems(dataset: Dataset, names: list[str]) -> Iterator[str]:
    """Yield disagreements between the shards `names` (from ``dataset.json``), the index and the catalog."""
    index, catalog = dataset.chip_boxes, dataset.partition_table.set_index("partition")
    for chip_id in index["chip_id"][index["chip_id"].duplicated()].unique():
        yield f"index.parquet: {chip_id} occurs twice"
    for name in sorted(set(index["shard"]) - set(names)):
        yield f"index.parquet: shard {name} is not part of the dataset"
    for name in sorted(names):
        try:
            rows = index[index["shard"] == name]
            problems = list(_shard(dataset, name, rows))
        except _UNREADABLE as error:
            problems = [f"cannot be read: {error}"]
        yield from (f"{name}: {problem}" for problem in problems)
    used = catalog.loc[index["partition"]]
    wrong = (used["split"].to_numpy() != index["split"].to_numpy()) | ~used["used"].to_numpy(bool)
    cut_from = dict(zip(used.index, years_of_rows(used), strict=True))
    years = zip(index["partition"], index["year"].to_numpy(np.int64).tolist(), strict=True)
    wrong |= np.array([year not in cut_from[partition] for partition, year in years], bool)
    for chip_id in index["chip_id"][wrong]:
        yield f"index.parquet: {chip_id} does not agree with its partition in catalog.parquet"


def chunk_problems(path: Path) -> Iterator[str]:
    """Yield which chips of a shard are damaged, by verifying the checksum of each chunk.

    If the structure of a shard is damaged, single chips cannot be identified, and the whole shard is named.
    """
    try:
        with ShardReader(path) as shard:
            shard.check()
            ids, row_of = shard.column("chip_id"), shard.places[:, 0]
            for row, damaged in _damaged_rows(shard):
                chips = np.flatnonzero(row_of == row)
                where = f"row {row}" if shard.layout == "chips" else f"window {row}"
                yield f"{path.name}: {where}, {_named(ids[chips])}: {damaged}"
    except _UNREADABLE as error:
        yield f"{path.name}: cannot be read: {error}"


def _damaged_rows(shard: ShardReader) -> Iterator[tuple[int, str]]:
    rows: dict[str, NDArray[Any]] = {
        name: np.empty(array.shape[1:], array.dtype) for name, array in shard.arrays.items()
    }
    for row in range(shard.arrays["label"].shape[0]):
        damaged = []
        for name, out in rows.items():
            try:
                shard.read_row(name, row, out)
            except OSError as error:
                damaged.append(f"{name}: {error}")
        if not damaged and CONFIDENCE in rows:
            damaged += _wrong_confidence(rows)
        if damaged:
            yield row, "; ".join(damaged)


def _wrong_confidence(planes: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return what is wrong with the confidence of one row: 0 to 100 percent, or 255 where the label is missing."""
    confidence, is_missing = planes[CONFIDENCE], planes["label"] == LABEL_IGNORE
    # The published rule for missing pixels may give them a class.
    is_missing |= (planes["flags"] & Flag.LABEL) > 0
    wrong = np.where(is_missing, confidence != NO_CONFIDENCE, confidence > _SURE)
    return [f"{CONFIDENCE}: {confidence[wrong][0]} is no percentage, or does not fit the label"] if wrong.any() else []


def _named(ids: NDArray[np.str_]) -> str:
    return f"chip{'s' if len(ids) > 1 else ''} {few(ids, _MOST_NAMED)}"


def _shard(dataset: Dataset, name: str, rows: gpd.GeoDataFrame) -> Iterator[str]:
    classes = dataset.classes
    with ShardReader(dataset.paths.shards / name) as shard:
        said = shard.attributes
        if said.get("format") not in FORMATS.values():
            yield f"not a shard of the formats {', '.join(FORMATS.values())}"
            return
        shard.check()
        if (own := classes_of(said).facts(*_MEANING)) != classes.facts(*_MEANING):
            yield f"its label has the classes {', '.join(str(each['name']) for each in own)}, the dataset has others"
            return
        size = int(said["chip_size"])
        yield from _form(shard, size, dataset.dtype)
        if (CONFIDENCE in shard.arrays) != dataset.has_confidence:
            has, other = ("no", "one") if dataset.has_confidence else ("a", "none")
            yield f"it has {has} confidence of the label, but the dataset has {other}"
        if len(shard) != len(rows) or rows["shard_row"].tolist() != list(range(len(shard))):
            yield f"{len(shard)} chips, but the index lists {len(rows)}, or lists them in another order"
            return
        if not (rows["split"] == said["split"]).all():
            yield f"a shard of {said['split']}, but the index gives another split"
        for column in indexed_columns(classes):
            unequal = shard.column(column) != rows[column].to_numpy()
            if unequal.any():
                yield f"{column} of row {int(np.argmax(unequal))} differs from the index"
        if not _is_in_place(shard.column("transform"), size, rows):
            yield "the georeference of a chip differs from the index"


def _form(shard: ShardReader, size: int, dtype: str) -> Iterator[str]:
    """Yield what is wrong with the types and shapes of the arrays."""
    if (found := shard.arrays["image"].dtype) != dtype:
        yield f"image is {found}, but the stack of the dataset is {dtype}"
    for name, array in shard.arrays.items():
        if shard.layout == "chips" and array.shape[-2:] != (size, size):
            yield f"{name} has shape {array.shape}, which does not fit chips of {size} px"


def _is_in_place(transform: Any, size: int, rows: gpd.GeoDataFrame) -> bool:
    # Both come from the same numbers, so they must be equal. A tolerance would hide a shift by part of a pixel.
    left, top = transform[:, 2], transform[:, 5]
    box = np.column_stack([left, top + size * transform[:, 4], left + size * transform[:, 0], top])
    return np.array_equal(box, rows.geometry.bounds.to_numpy().reshape(-1, 4)) and np.array_equal(
        box, rows[["left", "bottom", "right", "top"]].to_numpy()
    )
