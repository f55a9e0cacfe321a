"""Regions, splits and folds of a catalog, and the files that list the folds."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.vector import read_areas
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.split.folds import FoldPlan, FoldRequest, assign_folds, audit_folds
from gcn_luigi.prepare.split.units import refuse_empty_regions, refuse_unknown_regions, regions_of


def read_regions(
    region: Region, catalog: gpd.GeoDataFrame, lattice: Lattice
) -> "tuple[pd.Series[str] | None, list[str]]":
    """Return the region of each partition by its id, from the polygons of the settings, and notes; None without any."""
    settings = region.settings.split
    if settings.regions is None:
        return None, []
    path = region.root / settings.regions
    polygons, notes = read_areas(
        path, settings.regions_layer, region.settings.outlines, lattice, settings.region_column
    )
    refuse_unknown_regions(settings.test_regions, polygons, str(path))
    found, told = regions_of(catalog, polygons, str(path))
    refuse_empty_regions(settings.test_regions, found, catalog, str(path))
    return found, [*(f"split.regions: {note}" for note in notes), *told]


def make_folds(
    region: Region, catalog: gpd.GeoDataFrame, joined: pd.DataFrame, regions: "pd.Series[str] | None"
) -> FoldPlan | None:
    """Return the folds that the settings ask for; None without folds. `catalog` has its splits and is sorted."""
    settings = region.settings.split
    if not settings.folds:
        return None
    used = catalog[catalog["used"].to_numpy(bool)]
    edge = int(max(used["height"].max(), used["width"].max()))
    request = FoldRequest(
        count=settings.folds,
        buffer_px=settings.buffer_partitions * edge,
        unit=settings.unit,
        block=settings.block_partitions,
        seed=settings.seed,
        by_glacier=settings.by_glacier,
        classes=region.settings.class_table,
    )
    return assign_folds(catalog, joined, request, regions)


def with_folds(catalog: gpd.GeoDataFrame, plan: FoldPlan) -> gpd.GeoDataFrame:
    """Return the catalog with the column fold (Int64, missing for test and for partitions that are not used)."""
    fold = pd.array(plan.fold, dtype="Int64")
    fold[plan.fold < 0] = pd.NA
    result = catalog.copy()
    result.insert(result.columns.get_loc("block") + 1, "fold", fold)
    return result


def fold_audit(region: Region, catalog: gpd.GeoDataFrame, joined: pd.DataFrame, plan: FoldPlan) -> dict[str, Any]:
    """Return what ``split.json`` says about the folds."""
    return {"folds": audit_folds(catalog, joined, plan.table, region.settings.class_table)}


def write_folds(table: pd.DataFrame, parquet_out: Path, csv_out: Path) -> None:
    """Write the table of folds as Parquet and as CSV; equal tables give equal bytes."""
    table.to_parquet(parquet_out, index=False, compression="zstd")
    table.to_csv(csv_out, index=False, lineterminator="\n")
