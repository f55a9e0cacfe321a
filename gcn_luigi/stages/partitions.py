"""Write the grid, the catalog, the audit of the split, and the comparison of grid sizes."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import ClassTable
from gcn_luigi.config import Region
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.inputs.vector import Outlines, read_grid, read_outlines, read_polygons, read_reject_ids
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.io.tables import read_geoparquet, write_geopackage, write_geoparquet
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.label_values import refuse_absent
from gcn_luigi.prepare.layers.labels import count_classes
from gcn_luigi.prepare.outlines.overlaps import SAME_GROUND
from gcn_luigi.prepare.partitions.catalog import (
    NOTHING_EXCLUDED,
    CellFacts,
    Exclusions,
    build_catalog,
    count_reasons,
    remedy,
)
from gcn_luigi.prepare.partitions.grid import Cell, import_grid, make_grid
from gcn_luigi.prepare.partitions.grid_comparison import compare_grids
from gcn_luigi.prepare.partitions.overlay import (
    cell_boxes,
    far_from_outlines,
    join_glaciers,
    join_outlines,
    outside_shares,
)
from gcn_luigi.prepare.partitions.year_gaps import year_facts, year_remedies
from gcn_luigi.prepare.partitions.years import partition_years, years_of_cells
from gcn_luigi.prepare.split.leakage import audit_split
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.folds import fold_audit, make_folds, read_regions, with_folds, write_folds
from gcn_luigi.stages.layers.mosaics import read_inventory

GRID_SIZES = (128, 256, 512)


def write_grid(region: Region, paths: DatasetPaths, out: Path, notes_out: Path) -> None:
    """Generate or import the cells, and write notes about changes on import to `notes_out`, as JSON.

    `out` is a GeoPackage with the columns partition, row, col, height, width, split, year (the most frequent imported
    year) and years (all imported years, separated by ";"), and the box of each cell.
    """
    lattice = read_inventory(paths).lattice
    settings = region.settings.grid
    if settings.path is None:
        cells, notes = make_grid(lattice, settings.size, settings.origin), list[str]()
    else:
        cells, notes = import_grid(read_grid(region.root / settings.path, settings.layer), lattice, settings)
    table = pd.DataFrame(
        {
            "partition": pd.array([cell.id for cell in cells], dtype="str"),
            **{name: [getattr(cell.window, name) for cell in cells] for name in ("row", "col", "height", "width")},
            "split": pd.array([cell.split for cell in cells], dtype="str"),
            "year": pd.array([cell.year for cell in cells], dtype="Int64"),
            "years": pd.array([";".join(map(str, cell.years)) for cell in cells], dtype="str"),
        }
    )
    write_geopackage(out, gpd.GeoDataFrame(table, geometry=cell_boxes(cells, lattice), crs=lattice.crs), "grid")
    _write_json(notes_out, {"n_cells": len(cells), "size_px": settings.size, "notes": notes})


def write_catalog(
    region: Region, paths: DatasetPaths, table_out: Path, map_out: Path, audit_out: Path, *folds_out: Path
) -> None:
    """Determine the year, shares and split of every cell, or the reason why it is not used.

    `table_out` and `map_out` are the catalog as GeoParquet and as GeoPackage. `audit_out` is JSON with what the
    splits share, and with all notes about outlines, grid and split. If the settings ask for folds, `folds_out` are the
    table of folds as Parquet and as CSV, and the catalog without the folds.

    Raises
    ------
    ConfigError
        No cell is left for one of the splits, there are too few cells for the folds, or the cells that are left have
        no pixel of a class.
    """
    inventory = read_inventory(paths)
    lattice, settings = inventory.lattice, region.settings
    cells = _read_cells(paths)
    outlines = _outlines(region, lattice)
    by_outline = join_outlines(cells, lattice, outlines.table)
    joined = join_glaciers(by_outline, outlines.table)
    exclusions = _read_exclusions(region, lattice)
    dated = years_of_cells(cells, settings.year.rule) if settings.year.source == "grid" else by_outline
    max_m = settings.grid.max_outline_distance_m
    facts = CellFacts(
        joined=joined,
        years=partition_years(dated, settings.years, settings.year, [cell.id for cell in cells]),
        label_counts=_label_counts(paths.label, cells, settings.class_table),
        outside_share=outside_shares(cells, inventory.windows),
        exclusions=exclusions,
        is_far=None if max_m is None else far_from_outlines(cells, lattice, outlines.table, max_m),
    )
    classes = settings.class_table
    unsplit = build_catalog(cells, lattice, facts, settings.grid, classes)
    regions, region_notes = read_regions(region, unsplit, lattice)
    catalog, split_notes = assign_split(unsplit, joined, settings.split, classes, settings.splits, regions)
    split_notes = [*region_notes, *split_notes]
    if not catalog["used"].any():
        told = year_facts(catalog, settings, outlines.notes)
        raise ConfigError(
            "; ".join([f"no partition can be used: {count_reasons(catalog['reason'])}", *told]),
            where=f"grid of {len(catalog)} cells, region {settings.region}",
            fix=remedy(catalog["reason"], year_remedies(catalog, settings)),
        )
    _refuse_empty_split(catalog, split_notes, settings)
    used = np.isin([cell.id for cell in cells], catalog.loc[catalog["used"].to_numpy(bool), "partition"])
    refuse_absent(
        facts.label_counts[used].sum(axis=0),
        settings.label.may_lack(classes.names),
        source=settings.label.made_from,
        region=settings.region,
        classes=classes,
    )
    audit = audit_split(catalog, joined, classes, settings.splits)
    if (folds := make_folds(region, catalog, joined, regions)) is not None:
        audit |= fold_audit(region, catalog, joined, folds)
        parquet_out, csv_out, unfolded_out = folds_out
        write_folds(folds.table, parquet_out, csv_out)
        write_geoparquet(unfolded_out, catalog)
        catalog, split_notes = with_folds(catalog, folds), [*split_notes, *folds.notes]
    write_geoparquet(table_out, catalog)
    write_geopackage(map_out, catalog, "catalog")
    grid_notes = json.loads(paths.grid_notes.read_text(encoding="utf-8"))["notes"] + exclusions.notes(cells, lattice)
    # Lakes and debris are drawn within glaciers: where the class of a polygon counts, that needs no note.
    of_classes = settings.label.class_column is not None
    told = [note for note in outlines.notes if not (of_classes and note.startswith(SAME_GROUND))]
    every_note = {"outlines": told, "grid": grid_notes, "split": split_notes}
    _write_json(audit_out, {**audit, "notes": every_note})


def _refuse_empty_split(catalog: gpd.GeoDataFrame, notes: list[str], settings: RegionSettings) -> None:
    empty = [split for split in settings.splits if not (catalog["split"] == split).any()]
    if empty:
        reasons = count_reasons(catalog["reason"])
        unused = f"; {reasons} of {len(catalog)} cells" if reasons else ""
        smaller = "use a smaller [split] block_partitions or buffer_partitions, or smaller cells ([grid] size)"
        if settings.split.unit != "blocks":
            smaller = 'use a smaller [split] buffer_partitions, smaller regions, or by = "blocks" without regions'
        raise ConfigError(
            f"no partition is left for {' and '.join(empty)}, of {int(catalog['used'].sum())} that can be used{unused}",
            where=f"region {settings.region}: {'; '.join(notes) or 'no note'}",
            fix=f"{remedy(catalog['reason'], year_remedies(catalog, settings))}; or {smaller}" if reasons else smaller,
        )


def write_grid_comparison(region: Region, paths: DatasetPaths, out: Path) -> None:
    """Write the mean, variance, std and histogram of glacier shares, by cell size and split, as JSON."""
    lattice = read_inventory(paths).lattice
    catalog = read_geoparquet(paths.catalog)
    _write_json(out, compare_grids(lattice, _outlines(region, lattice).table, catalog, GRID_SIZES))


def _read_cells(paths: DatasetPaths) -> list[Cell]:
    table = read_grid(paths.grid, None)
    return [
        Cell(
            str(row.partition),
            Window(int(row.row), int(row.col), int(row.height), int(row.width)),
            str(row.split or ""),
            tuple(int(year) for year in str(row.years or "").split(";") if year),
        )
        for row in table.itertuples()
    ]


def _outlines(region: Region, lattice: Lattice) -> Outlines:
    settings = region.settings.outlines
    return read_outlines(region.root / settings.path, settings, lattice, region.settings.years)


def _read_exclusions(region: Region, lattice: Lattice) -> Exclusions:
    settings, ids = region.settings.grid, frozenset[str]()
    if settings.reject_ids_path is not None:
        ids = read_reject_ids(region.root / settings.reject_ids_path)
    if settings.exclude_polygons_path is None:
        return Exclusions(ids)
    polygons = read_polygons(region.root / settings.exclude_polygons_path, lattice)
    notes = [f"{note}, in exclude_polygons_path" for note in polygons.attrs["notes"]]
    if polygons.empty:
        notes.append(f"{NOTHING_EXCLUDED}: the file holds no polygon")
    return Exclusions(ids, tuple(polygons), tuple(notes))


def _label_counts(label: Path, cells: list[Cell], classes: ClassTable) -> Any:
    """Return pixel counts (cell, class), missing ones last. The window of each cell is read once."""
    counts = np.zeros((len(cells), len(classes) + 1), np.int64)
    with open_raster(label) as dataset:
        for position, cell in enumerate(cells):
            counts[position] = count_classes(read_dataset(dataset, cell.window, fill=LABEL_IGNORE)[0], classes)
    return counts


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
