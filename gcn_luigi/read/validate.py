"""Is a dataset whole? Every file, digest, shape and index row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.shard import FORMAT, PIXELS, ShardReader
from gcn_luigi.io.staging import digest
from gcn_luigi.read.dataset import Dataset

_INDEXED = ("chip_id", "partition", "row", "col", "year", "year_gap", "valid_share")


def validate(directory: Path) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong; nothing for a sound dataset.

    Checked are: each file of ``dataset.json`` by size and SHA-256; each shard's format, shapes and column
    lengths; each row of the index against the shard's own columns and georeference; each chip's partition
    against the catalog's split and year; chip ids for being unique.

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
    for problem in _files(dataset):
        broken = True
        yield problem
    if broken:
        # What is inside a damaged file says nothing more.
        return
    try:
        yield from _index(dataset)
    except (GcnLuigiError, OSError, KeyError, ValueError) as error:
        yield f"the dataset cannot be read through: {error}"


def _files(dataset: Dataset) -> Iterator[str]:
    root = dataset.layout.root
    listed = dataset.description.get("files", [])
    if not listed:
        yield "dataset.json lists no files"
    for entry in listed:
        path = root / entry["path"]
        if not path.resolve().is_relative_to(root):
            yield f"{entry['path']}: lies outside the dataset"
        elif not path.is_file():
            yield f"{entry['path']}: missing"
        elif path.stat().st_size != entry["size"]:
            yield f"{entry['path']}: {path.stat().st_size} bytes instead of {entry['size']}"
        elif digest(path) != entry["sha256"]:
            yield f"{entry['path']}: its bytes changed (SHA-256 differs)"


def _index(dataset: Dataset) -> Iterator[str]:
    index, catalog = dataset.index, dataset.catalog.set_index("partition")
    listed = {Path(entry["path"]).name for entry in dataset.description["files"] if entry["path"].startswith("shards/")}
    for chip_id in index["chip_id"][index["chip_id"].duplicated()].unique():
        yield f"index.parquet: {chip_id} stands there twice"
    for name in sorted(set(index["shard"]) - listed):
        yield f"index.parquet: shard {name} is not part of the dataset"
    for name in sorted(listed):
        yield from _shard(dataset.layout.shards / name, index[index["shard"] == name])
    used = catalog.loc[index["partition"]]
    wrong = (used["split"].to_numpy() != index["split"].to_numpy()) | ~used["used"].to_numpy(bool)
    wrong |= used["year"].to_numpy(np.int64) != index["year"].to_numpy(np.int64)
    for chip_id in index["chip_id"][wrong]:
        yield f"index.parquet: {chip_id} does not agree with its partition in catalog.parquet"


def _shard(path: Path, rows: gpd.GeoDataFrame) -> Iterator[str]:
    name = path.name
    with ShardReader(path) as shard:
        attributes = shard.attributes
        if attributes.get("format") != FORMAT or not shard.is_complete:
            yield f"{name}: not a finished shard of the format {FORMAT!r}"
            return
        yield from (f"{name}: {problem}" for problem in _shapes(shard, attributes))
        if len(shard) != len(rows) or rows["shard_row"].tolist() != list(range(len(shard))):
            yield f"{name}: {len(shard)} chips, the index lists {len(rows)}"
            return
        for column in _INDEXED:
            unequal = shard.column(column) != rows[column].to_numpy()
            if unequal.any():
                yield f"{name}: {column} of row {int(np.argmax(unequal))} differs from the index"
        transform, bounds = shard.column("transform"), rows.geometry.bounds.to_numpy().reshape(-1, 4)
        if not (np.allclose(transform[:, 2], bounds[:, 0]) and np.allclose(transform[:, 5], bounds[:, 3])):
            yield f"{name}: the georeference of a chip differs from the index"


def _shapes(shard: ShardReader, attributes: dict[str, Any]) -> Iterator[str]:
    size = int(attributes["chip_size"])
    for name, shape in shard.shapes().items():
        if shape[0] != len(shard) or shape[-2:] != (size, size):
            yield f"{name} has shape {shape}, which is not {len(shard)} chips of {size} px"
    if sorted(shard.shapes()) != sorted(PIXELS):
        yield f"it does not hold {', '.join(PIXELS)}"
