"""Is a dataset whole? Every file, digest, shape and index row."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.shard_format import FORMATS
from gcn_luigi.io.shard_reader import ShardReader
from gcn_luigi.io.staging import digest
from gcn_luigi.prepare.columns import INDEXED_COLUMNS
from gcn_luigi.read.dataset import Dataset

_NEEDED = ("catalog.parquet", "index.parquet", "statistics.json")
_SEALED = {"path": str, "size": int, "sha256": str}
_MOST_NAMED = 3


def validate(directory: Path) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong; nothing for a sound dataset.

    Checked are: each file of ``dataset.json`` by size and SHA-256; each shard's format, split, shapes and column
    lengths; each row of the index against the shard's own columns and georeference; each chip's partition
    against the catalog's split and year; chip ids for being unique. Where partitions were written as GeoTIFFs, each of
    them by size and SHA-256 as ``partitions.csv`` lists it.

    Parameters
    ----------
    directory : Path
        Where ``dataset.json`` lies.

    Yields
    ------
    str
        What is wrong and where.

    Raises
    ------
    ShardError
        There is no finished dataset at all.
    """
    dataset = Dataset(directory)
    broken = False
    for problem in (*_files(dataset), *_partitions(dataset)):
        broken = True
        yield problem
    if broken:
        # What is inside a damaged file says nothing more.
        return
    try:
        yield from _index(dataset)
    except (GcnLuigiError, OSError, KeyError, TypeError, ValueError) as error:
        yield f"the dataset cannot be read through: {error}"


def unlisted(directory: Path) -> Iterator[str]:
    """Yield one sentence for each directory of a sound dataset with files that are not part of it.

    They do no harm: shards of an earlier configuration, what an interrupted build left behind, or stacks made on
    request.

    Parameters
    ----------
    directory : Path
        Where ``dataset.json`` lies.

    Yields
    ------
    str
        The directory, how many such files it holds, and the first of them.

    Raises
    ------
    ShardError
        There is no finished dataset at all.
    """
    dataset = Dataset(directory)
    root, records = dataset.layout.root, dataset.layout.sidecar(dataset.layout.dataset).parent
    listed = (*dataset.description["files"], *_listed_partitions(dataset))
    known = {dataset.layout.dataset, dataset.layout.partition_list, *(root / entry["path"] for entry in listed)}
    others: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path not in known and not path.is_relative_to(records):
            others.setdefault(path.parent.relative_to(root).as_posix(), []).append(path.name)
    for place, names in others.items():
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield f"{place}: not part of the dataset: {', '.join(names[:_MOST_NAMED])}{more}"


def _files(dataset: Dataset) -> Iterator[str]:
    root = dataset.layout.root
    listed = dataset.description.get("files", [])
    if not isinstance(listed, list) or not all(_is_entry(entry) for entry in listed):
        yield "dataset.json: its list of files holds something else than path, size and sha256"
        return
    for name in _NEEDED:
        if name not in {entry["path"] for entry in listed}:
            yield f"dataset.json: does not list {name}"
    for entry in listed:
        if not (root / entry["path"]).resolve().is_relative_to(root):
            yield f"{entry['path']}: lies outside the dataset"
        else:
            yield from _file(root, entry)


def _file(root: Path, entry: dict[str, Any]) -> Iterator[str]:
    path = root / entry["path"]
    if not path.is_file():
        yield f"{entry['path']}: missing"
    elif path.stat().st_size != entry["size"]:
        yield f"{entry['path']}: {path.stat().st_size} bytes instead of {entry['size']}"
    elif digest(path) != entry["sha256"]:
        yield f"{entry['path']}: its bytes changed (SHA-256 differs)"


def _partitions(dataset: Dataset) -> Iterator[str]:
    try:
        entries = _listed_partitions(dataset)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        yield f"partitions/{dataset.layout.partition_list.name}: cannot be read: {error!r}"
        return
    for entry in entries:
        yield from _file(dataset.layout.root, entry)


def _listed_partitions(dataset: Dataset) -> list[dict[str, Any]]:
    """Return the files written on request; none where nobody asked."""
    listing = dataset.layout.partition_list
    if not listing.is_file():
        return []
    with listing.open(encoding="utf-8", newline="") as stream:
        return [
            {"path": f"partitions/{Path(row['file']).name}", "size": int(row["size"]), "sha256": row["sha256"]}
            for row in csv.DictReader(stream)
        ]


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in _SEALED.items())


def _index(dataset: Dataset) -> Iterator[str]:
    index, catalog = dataset.index, dataset.catalog.set_index("partition")
    listed = {Path(entry["path"]).name for entry in dataset.description["files"] if entry["path"].startswith("shards/")}
    for chip_id in index["chip_id"][index["chip_id"].duplicated()].unique():
        yield f"index.parquet: {chip_id} stands there twice"
    for name in sorted(set(index["shard"]) - listed):
        yield f"index.parquet: shard {name} is not part of the dataset"
    for name in sorted(listed):
        try:
            problems = list(_shard(dataset.layout.shards / name, index[index["shard"] == name]))
        except (OSError, KeyError, RuntimeError) as error:
            problems = [f"cannot be read: {error}"]
        yield from (f"{name}: {problem}" for problem in problems)
    used = catalog.loc[index["partition"]]
    wrong = (used["split"].to_numpy() != index["split"].to_numpy()) | ~used["used"].to_numpy(bool)
    wrong |= used["year"].to_numpy(np.int64) != index["year"].to_numpy(np.int64)
    for chip_id in index["chip_id"][wrong]:
        yield f"index.parquet: {chip_id} does not agree with its partition in catalog.parquet"


def _shard(path: Path, rows: gpd.GeoDataFrame) -> Iterator[str]:
    with ShardReader(path) as shard:
        said = shard.attributes
        if said.get("format") not in FORMATS.values():
            yield f"not a shard of the formats {', '.join(FORMATS.values())}"
            return
        shard.check()
        size = int(said["chip_size"])
        for name, shape in shard.shapes().items():
            if shard.layout == "chips" and shape[-2:] != (size, size):
                yield f"{name} has shape {shape}, which is no chips of {size} px"
        if len(shard) != len(rows) or rows["shard_row"].tolist() != list(range(len(shard))):
            yield f"{len(shard)} chips, the index lists {len(rows)} or in another order"
            return
        if not (rows["split"] == said["split"]).all():
            yield f"a shard of {said['split']}, which the index does not say"
        for column in INDEXED_COLUMNS:
            unequal = shard.column(column) != rows[column].to_numpy()
            if unequal.any():
                yield f"{column} of row {int(np.argmax(unequal))} differs from the index"
        if not _is_in_place(shard.column("transform"), size, rows):
            yield "the georeference of a chip differs from the index"


def _is_in_place(transform: Any, size: int, rows: gpd.GeoDataFrame) -> bool:
    # Both come from the same numbers: a tolerance would let a shift by part of a pixel pass.
    left, top = transform[:, 2], transform[:, 5]
    box = np.column_stack([left, top + size * transform[:, 4], left + size * transform[:, 0], top])
    return np.array_equal(box, rows.geometry.bounds.to_numpy().reshape(-1, 4)) and np.array_equal(
        box, rows[["left", "bottom", "right", "top"]].to_numpy()
    )
