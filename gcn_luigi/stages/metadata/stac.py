"""Write ``stac/``: a STAC 1.1 collection, and an item for each shard, with paths relative to each other.

Specifications: github.com/radiantearth/stac-spec 1.1.0, and the extensions that `EXTENSIONS` names.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import shapely

from gcn_luigi.bands import Band
from gcn_luigi.licences import is_listed
from gcn_luigi.prepare.partitions.geojson import bounding_box
from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.facts import Facts, is_code, split_of

STAC = "1.1.0"
EXTENSIONS: Mapping[str, str] = MappingProxyType({
    "classification": "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "ml-aoi": "https://stac-extensions.github.io/ml-aoi/v0.2.0/schema.json",
    "projection": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "scientific": "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
    "version": "https://stac-extensions.github.io/version/v1.2.0/schema.json",
})  # fmt: skip
# What ML-AOI calls the splits.
_SPLITS = {"train": "train", "dev": "validate", "test": "test"}
_HDF5, _PARQUET, _JSON = "application/x-hdf5", "application/vnd.apache.parquet", "application/json"
# How the multihash of a SHA-256 begins: its code, and its length of 32 bytes.
_SHA256 = "1220"
_COLLECTION = "./collection.json"
_TABLES = (
    ("index.parquet", "One row per chip (GeoParquet)", _PARQUET),
    ("catalog.parquet", "One row per partition (GeoParquet)", _PARQUET),
    ("statistics.json", "Statistics of bands and classes", _JSON),
)


def collection_text(facts: Facts, footprints: Mapping[str, Any]) -> str:
    """Return the text of ``stac/collection.json``. `footprints` are those of the shards with chips, in degrees."""
    dataset = facts.settings.dataset
    used = ["file", "ml-aoi", "projection"]
    content: dict[str, Any] = {
        "type": "Collection",
        "stac_version": STAC,
        "id": facts.settings.region,
        "title": facts.title,
        "description": facts.description,
        "keywords": list(dict.fromkeys([*dataset.keywords, "glaciers", "training data"])),
        "license": _licence(facts),
        "extent": {
            "spatial": {"bbox": [bounding_box(list(footprints.values()))]},
            "temporal": {"interval": [list(_span(facts.years))]},
        },
        "summaries": {
            "ml-aoi:split": sorted({_SPLITS[split] for split in facts.splits if split in _SPLITS}),
            **({"proj:code": [facts.crs]} if is_code(facts.crs) else {}),
        },
        "links": [
            _link("root", _COLLECTION),
            *(_link("item", f"./{_stem(path)}.json") for path in facts.shards),
            *_about(facts),
        ],
        "assets": {name.partition(".")[0]: _table(facts, name, title, kind) for name, title, kind in _TABLES},
    }
    if dataset.creators:
        content["providers"] = [
            {"name": creator.full_name, "roles": ["producer", "licensor"]} for creator in dataset.creators
        ]
    if dataset.doi:
        used.append("scientific")
        content["sci:doi"] = dataset.doi
        if citation := words.citation(dataset, facts.title):
            content["sci:citation"] = citation
    if dataset.version:
        used.append("version")
        content["version"] = dataset.version
    content["stac_extensions"] = [EXTENSIONS[name] for name in sorted(used)]
    return _text(content)


def item_text(facts: Facts, path: str, footprints: Mapping[str, Any]) -> str:
    """Return the text of the item of the shard `path`; a shard without chips has no geometry."""
    chips = facts.chips[facts.chips["shard"] == PurePosixPath(path).name]
    years = tuple(sorted({int(year) for year in chips["year"]})) or facts.years
    start, end = _span(years)
    split, area = split_of(path), footprints.get(path)
    properties: dict[str, Any] = {
        "title": f"{facts.title}: {_stem(path)}",
        "datetime": None,
        "start_datetime": start,
        "end_datetime": end,
        "gcn:split": split,
        "gcn:chips": len(chips),
        "gcn:partitions": int(chips["partition"].nunique()),
        "gcn:years": list(years) if len(chips) else [],
        **_projection(facts, chips),
    }
    if split in _SPLITS:
        properties["ml-aoi:split"] = _SPLITS[split]
    content: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC,
        "stac_extensions": [EXTENSIONS[name] for name in ("classification", "file", "ml-aoi", "projection", "raster")],
        "id": f"{facts.settings.region}-{_stem(path)}",
        "geometry": None if area is None else shapely.geometry.mapping(area),
        "properties": properties,
        "collection": facts.settings.region,
        "links": [_link("root", _COLLECTION), _link("parent", _COLLECTION), _link("collection", _COLLECTION)],
        "assets": {"chips": _shard(facts, path)},
    }
    if area is not None:
        content["bbox"] = bounding_box([area])
    return _text(content)


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def _link(rel: str, href: str, **more: str) -> dict[str, Any]:
    return {"rel": rel, "href": href, **({"type": _JSON} if href.endswith(".json") else {}), **more}


def _about(facts: Facts) -> list[dict[str, Any]]:
    """Return links to the licence, the DOI and the pages of the sources."""
    dataset = facts.settings.dataset
    links = []
    if page := words.licence_page(dataset):
        links.append(_link("license", page, title=str(dataset.licence)))
    if dataset.doi:
        links.append(_link("cite-as", f"https://doi.org/{dataset.doi}"))
    for kind, source in words.sources(facts.settings):
        if source is not None and (page := words.source_page(source)):
            links.append(_link("via", page, title=f"{source.title} ({kind})"))
    return links


def _licence(facts: Facts) -> str:
    licence = facts.settings.dataset.licence
    # STAC's word for terms that are not on the SPDX list, and for unknown ones.
    return licence if licence is not None and is_listed(licence) else "other"


def _span(years: tuple[int, ...]) -> tuple[str, str]:
    return f"{years[0]}-01-01T00:00:00Z", f"{years[-1]}-12-31T23:59:59Z"


def _projection(facts: Facts, chips: pd.DataFrame) -> dict[str, Any]:
    named = {"proj:code": facts.crs} if is_code(facts.crs) else {"proj:code": None, "proj:wkt2": facts.crs}
    if not len(chips):
        return named
    sides = [chips["left"].min(), chips["bottom"].min(), chips["right"].max(), chips["top"].max()]
    return {**named, "proj:bbox": [float(side) for side in sides]}


def _checked(facts: Facts, path: str) -> dict[str, Any]:
    entry = facts.files[path]
    return {"href": f"../{path}", "file:size": entry.size, "file:checksum": f"{_SHA256}{entry.sha256}"}


def _table(facts: Facts, path: str, title: str, kind: str) -> dict[str, Any]:
    return {**_checked(facts, path), "type": kind, "title": title, "roles": ["metadata"]}


def _shard(facts: Facts, path: str) -> dict[str, Any]:
    """Return the asset of a shard, with its bands in the order of ``image``, and the classes of ``label``."""
    settings = facts.settings
    classes = [
        {"value": one.value, "name": one.name, "title": one.title, "color_hint": one.colour.removeprefix("#").upper()}
        for one in settings.class_table
    ]
    bands = [_band(band, settings.stack.dtype, facts.pixel_size) for band in settings.schema_bands.image]
    return {
        **_checked(facts, path),
        "type": _HDF5,
        "title": "Chips",
        "description": f"{words.pixels(settings)} The classes are those of label; a pixel without a class holds 255.",
        "roles": ["data"],
        "bands": bands,
        "classification:classes": classes,
    }


def _band(band: Band, dtype: str, pixel_size: float) -> dict[str, Any]:
    given = {"description": band.description, "unit": band.unit}
    # The images hold the fill value where a pixel is missing, and flags say so: no value stands for nodata.
    return {
        "name": band.name,
        "data_type": np.dtype(dtype).name,
        "raster:spatial_resolution": pixel_size,
        **{key: value for key, value in given.items() if value},
    }
