"""Regions for tests of staleness: the same small world under configurations of which one value is changed."""

import copy
import itertools
import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
from shapely.geometry import box

from tests.integration.builds import build_inline, dataset
from tests.integration.commands import Tiny

# What else a base configuration says than that of the tiny region.
BASES: dict[str, dict[str, Any]] = {
    "tested": {"split.test_share": 0.2, "split.buffer_partitions": 0, "split.block_partitions": 1},
    "unfolded": {"split.buffer_partitions": 0, "split.block_partitions": 1},
    "folded": {"split.folds": 2, "split.buffer_partitions": 0, "split.block_partitions": 1},
    "regions": {
        "split.regions": "made/ranges.gpkg",
        "split.regions_layer": "ranges",
        "split.region_column": "name",
        "split.buffer_partitions": 0,
    },
    "plain": {},
    "copied": {"bands.0.path": "optical/{tile}/*_ndsi.tif"},
    "warped": {"align.resampling": "bilinear", "lattice.bounds": [336010.0, 1288330.0, 345580.0, 1295980.0]},
    "cells": {"grid.path": "made/cells.gpkg"},
    "label": {"label": {"raster": "made/label.tif"}},
    "outlined": {"label": {"source": "outlines"}},
    "debris": {"label": {"source": "outlines", "debris_outlines": "made/debris.gpkg"}},
    "typed": {
        "outlines.path": "made/outlines.gpkg",
        "label": {"source": "outlines", "class_column": "type", "classes": {"a": "ice", "b": "debris"}},
    },
    "metres": {"distance.raster": "made/distance.tif"},
    "excluding": {"grid.reject_ids_path": "made/rejects.csv", "grid.exclude_polygons_path": "made/away.gpkg"},
    "gaps": {"tiles.on_missing": "gap"},
    "from label": {"distance.source": "label"},
    "derived": {"bands.3.name": "slope", "bands.3.role": "topo", "bands.3.derive": "slope"},
    "sure": {
        "label.max_votes": 7,
        "label.confidence": ["votes", "edge", "years"],
        "label.edge_px": 2,
        "label.confidence_lost_per_year": 1.0,
        "label.min_confidence": 70,
    },
    "legacy": {"nodata.mode": "legacy", "nodata.legacy.topo_band": -2},
}


def add_sources(sources: Path, built: Path) -> None:
    """Add second files of each kind to the sources, made from a finished dataset of them."""
    made = sources / "made"
    made.mkdir()
    for name in ("label.tif", "distance.tif"):
        shutil.copyfile(built / name, made / name)
    cells = pyogrio.read_dataframe(built / "grid.gpkg")
    cells = cells.rename(columns={"partition": "label"})
    cells["second"] = [f"c{number}" for number in range(len(cells))]
    cells = cells[["label", "second", "geometry"]]
    cells.to_file(made / "cells.gpkg", layer="cells", engine="pyogrio")
    outlines = pyogrio.read_dataframe(sources / "rgi/outlines.gpkg")
    outlines["own_id"] = outlines["RGIId"]
    outlines["own_date"] = outlines["BgnDate"]
    outlines["type"] = ["a" if row % 2 else "b" for row in range(len(outlines))]
    outlines["other_type"] = outlines["type"]
    outlines.to_file(made / "outlines.gpkg", engine="pyogrio")
    debris = gpd.GeoDataFrame(geometry=outlines.geometry.centroid.buffer(500.0), crs=outlines.crs)
    debris.to_file(made / "debris.gpkg", layer="debris", engine="pyogrio")
    with rasterio.open(made / "label.tif") as label, rasterio.open(made / "debris.tif", "w", **label.profile) as out:
        out.write(label.read() == 1)
    shutil.copyfile(next((sources / "stem").glob("*.tif")), made / "votes.tif")
    shutil.copytree(sources / "optical", made / "optical")
    shutil.copytree(sources / "topo", made / "topo")
    # Three regions that share edges, and the same ones under other names.
    left, bottom, right, top = cells.total_bounds
    edges = np.linspace(left, right, 4)
    parts = [box(west, bottom, east, top) for west, east in itertools.pairwise(edges)]
    names = {"name": ["West", "Middle", "East"], "second": ["W", "M", "E"]}
    ranges = gpd.GeoDataFrame(names, geometry=parts, crs=cells.crs)
    for layer in ("ranges", "others"):
        ranges.to_file(made / "ranges.gpkg", layer=layer, engine="pyogrio")
    (made / "rejects.csv").write_text(f"{cells['label'].iloc[0]}\n")
    gpd.GeoDataFrame(geometry=cells.geometry.iloc[[1]], crs=cells.crs).to_file(made / "away.gpkg", engine="pyogrio")


def write_config(directory: Path, tiny: Tiny, *changes: Mapping[str, Any]) -> Path:
    """Write the region's TOML file with values changed by dotted key (None takes a key away); return the directory.

    The number after the last table of a list adds a table.
    """
    tree = tomllib.loads((tiny.config / f"{tiny.region}.toml").read_text(encoding="utf-8"))
    for key, value in (item for change in changes for item in change.items()):
        *path, last = key.split(".")
        place: Any = tree
        for name in path:
            if name.isdigit() and int(name) == len(place):
                place.append({})
            place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{tiny.region}.toml").write_text(_toml(tree), encoding="utf-8")
    return directory


def rebuild(tiny: Tiny, output: Path, config: Path) -> list[str]:
    """Build what is not current, in this process; return the names of what was built."""
    return build_inline(dataset(tiny.region, output, tiny.sources, config), page=True)


def _toml(tree: Mapping[str, Any]) -> str:
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    lists = {key: value for key, value in tree.items() if isinstance(value, list) and isinstance(value[0], dict)}
    lines = [f"{key} = {_value(value)}" for key, value in tree.items() if key not in tables and key not in lists]
    for key, table in tables.items():
        lines += [f"[{key}]", *(f"{name} = {_value(value)}" for name, value in table.items())]
    for key, rows in lists.items():
        for row in rows:
            lines += [f"[[{key}]]", *(f"{name} = {_value(value)}" for name, value in row.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
