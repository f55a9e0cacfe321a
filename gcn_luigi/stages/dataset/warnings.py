"""Warnings about a dataset that a person should know before training on it, in a few sentences.

The files of the dataset contain all of this as well. It is collected here because nobody reads all files.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd

from gcn_luigi.bands import Band
from gcn_luigi.errors import few
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_columns, read_geoparquet
from gcn_luigi.prepare.layers.vote_counts import vote_warnings
from gcn_luigi.prepare.outlines.overlaps import SAME_GROUND
from gcn_luigi.prepare.partitions.catalog import NOTHING_EXCLUDED
from gcn_luigi.prepare.partitions.overview import unused_years_warning
from gcn_luigi.prepare.partitions.year_gaps import year_warnings
from gcn_luigi.prepare.split.split import REDUCED, TOO_NEAR
from gcn_luigi.settings import RegionSettings

# A band is reported if more than this share of its measured pixels is beyond its valid range.
_MANY = 0.01


def dataset_warnings(settings: RegionSettings, paths: DatasetPaths) -> list[str]:
    """Return warnings about a dataset, or about those of its files that exist already, as plain sentences.

    The most serious come first: train close to dev, a buffer shorter than the measured autocorrelation, a fold without
    a chip, ice outside all outlines, polygons that exclude nothing, two outlines of one glacier, outlines and images of
    different times, no outline on the tiles, a split without a class, composites that are not used, bands with many
    pixels out of range, tiles with undeclared missing pixels.
    """
    audit = _json(paths.split_audit)
    catalog = read_geoparquet(paths.catalog) if paths.catalog.is_file() else None
    return [
        *_about_split(audit, settings),
        *_about_buffer(settings, paths),
        *_about_folds(settings, paths),
        *vote_warnings(_json(paths.label_notes), settings.label),
        *_about_inputs(audit.get("notes", {})),
        *(() if catalog is None else _about_catalog(catalog, settings, audit.get("notes", {}))),
        *(() if catalog is None else unused_years_warning(catalog, settings)),
        *(line for band in settings.checked_bands for line in _about_band(band, _json(paths.tile_quality(band.name)))),
    ]


def _about_split(audit: dict[str, Any], settings: RegionSettings) -> Iterator[str]:
    notes = audit.get("notes", {}).get("split", [])
    yield from (note for note in notes if note.startswith((REDUCED, TOO_NEAR)))
    gap = audit.get("least_distance_px")
    if gap is not None and gap < settings.chips.size:
        apart = "touch" if gap == 0 else f"are {audit['least_distance_m']:,.0f} m apart, less than one chip"
        keys = "block_partitions and buffer_partitions"
        yield f"train and dev {apart}: scores on dev will be too good (see [split] {keys})"


def _about_buffer(settings: RegionSettings, paths: DatasetPaths) -> Iterator[str]:
    found = _json(paths.autocorrelation) if settings.evaluation.autocorrelation else {}
    if found and found["comparison"]["longer"]:
        yield " ".join(found["comparison"]["hints"])


def _about_folds(settings: RegionSettings, paths: DatasetPaths) -> Iterator[str]:
    """Yield a warning about folds whose partitions gave no chip: nothing can be scored on them."""
    if not settings.split.folds or not paths.index.is_file():
        return
    held_out = set(read_columns(paths.index, ["fold"])["fold"].dropna().astype(int))
    empty = [str(fold) for fold in range(settings.split.folds) if fold not in held_out]
    if empty:
        which = f"fold {empty[0]} holds" if len(empty) == 1 else f"folds {few(empty)} hold"
        yield f"{which} out no chip: lower [split] folds, or the minimum shares in [chips]"


def _about_inputs(notes: dict[str, list[str]]) -> Iterator[str]:
    # The second text is that of an earlier version.
    nothing = (NOTHING_EXCLUDED, NOTHING_EXCLUDED.replace("_path", ""))
    yield from (note for note in notes.get("grid", []) if note.startswith(nothing))
    # The rest of the note lists all names.
    yield from (note.partition(": ")[0] for note in notes.get("outlines", []) if note.startswith(SAME_GROUND))


def _about_catalog(catalog: gpd.GeoDataFrame, settings: RegionSettings, notes: dict[str, list[str]]) -> Iterator[str]:
    yield from year_warnings(catalog, settings, notes.get("outlines", []))
    if not (catalog["n_outlines"] > 0).any():
        yield "no outline lies on any partition: check the CRS of the outlines, and that they are of this region"
    for split in settings.splits:
        cells = catalog[catalog["split"] == split]
        # The build itself reports a class that is in neither split.
        lacking = [
            name
            for name in settings.class_table.names
            if len(cells) and not cells[f"share_{name}"].any() and catalog.loc[catalog["used"], f"share_{name}"].any()
        ]
        if lacking:
            yield f"{split} has no pixel of class {' or '.join(lacking)}"


def _about_band(band: Band, quality: dict[str, Any]) -> Iterator[str]:
    totals = quality.get("totals", {"valid": 0, "out_of_range": 0})
    measured = totals["valid"] + totals["out_of_range"]
    if measured and totals["out_of_range"] > _MANY * measured:
        limits = " to ".join("" if limit is None else f"{limit:g}" for limit in (band.valid_min, band.valid_max))
        yield (
            f"band {band.name}: {totals['out_of_range'] / measured:.1%} of its pixels lie beyond the valid range "
            f"({limits.strip()}) and count as missing: check valid_min, valid_max and the scale of the tiles"
        )
    if lost := quality.get("lost", 0):
        yield (
            f"band {band.name}: {lost:,} pixels do not fit the type of the stack after scaling, and are stored as "
            "[convert] overflow says: check the scale of the band"
        )
    # If a tag declares missing pixels, another frequent value is usually flat water. Only the quality page lists it.
    if suspect := [row for row in quality.get("suspect", ()) if row["is_error"] or row["is_tag"]]:
        n_tiles, first = len({row["path"] for row in suspect}), suspect[0]
        told = f"{first['path']}: {first['reason']}"
        tiles = "one tile" if n_tiles == 1 else f"{n_tiles} tiles"
        yield f"band {band.name}: in {tiles} one value may mean missing, but is not declared so: {told}"


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content
