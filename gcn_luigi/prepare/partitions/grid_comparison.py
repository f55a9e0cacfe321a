"""Compare the distribution of glacier cover over train and dev between grids of different cell sizes."""

from collections.abc import Iterable, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.partitions.catalog import present_splits
from gcn_luigi.prepare.partitions.grid import Cell
from gcn_luigi.prepare.partitions.overlay import cell_boxes, join_outlines
from gcn_luigi.prepare.statistics.statistics import ks_of_samples


def compare_grids(
    lattice: Lattice, outlines: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, sizes: Iterable[int]
) -> dict[str, dict[str, Any]]:
    """Return the distribution of glacier share over the cells of each size and split.

    A cell belongs to the split whose partitions cover more of it, and counts only if they cover at least half of it.
    So all sizes are compared on the same ground. Cells of every size start at the smallest row and column of the
    catalog. With the catalog's own size they equal its cells if those are next to each other.

    Parameters
    ----------
    lattice : Lattice
        The region's pixels.
    outlines : GeoDataFrame
        Columns outline, year and geometry, in the lattice's CRS.
    catalog : GeoDataFrame
        With columns row, col, split and used filled in.
    sizes : iterable of int
        Edge lengths of the cells, in pixels.

    Returns
    -------
    dict
        ``{"128": {"train": {...}, "dev": {...}, "ks": ..., "glacier_m2": {...}}, ...}``. train, dev, and test if the
        catalog has it, come from `describe_shares`, ks, of train and dev, from `ks_of_samples` (None if either has no
        cell). glacier_m2 holds the area of outlines in the cells of each split, and on the whole lattice. Only areas
        on the lattice count, and outlines that overlap count once.
    """
    result = {}
    for size in sizes:
        cells = describe_cells(lattice, outlines, catalog, size)
        of_split = {name: cells[cells["split"] == name] for name in present_splits(catalog)}
        shares = {name: rows["share"].to_numpy(float) for name, rows in of_split.items()}
        area = {name: float(rows["glacier_m2"].sum()) for name, rows in of_split.items()}
        result[str(size)] = {
            **{name: describe_shares(values) for name, values in shares.items()},
            "ks": ks_of_samples(shares["train"], shares["dev"]),
            "glacier_m2": {**area, "lattice": float(cells["glacier_m2"].sum())},
        }
    return result


def describe_cells(lattice: Lattice, outlines: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, size: int) -> pd.DataFrame:
    """Return the cells of `size` pixels with their split and glacier area.

    The table has one row per cell, in row-major order: row, col (int64, the first pixel, which may be outside the
    lattice if the cell hangs over), split (or "" if none covers half), share (float64, 0 to 1, of
    the whole cell) and glacier_m2 (float64, only on the lattice). Other arguments as in `compare_grids`.
    """
    cells = _aligned_cells(lattice, catalog, size)
    boxes = cell_boxes(cells, lattice)
    area = _glacier_area(cells, lattice, outlines)
    splits = present_splits(catalog)
    cover = np.stack([_cover(boxes, catalog[catalog["used"] & (catalog["split"] == name)]) for name in splits])
    # Of equal shares, the first split's counts.
    most = np.array(splits, dtype=object)[cover.argmax(axis=0)]
    inside = area.copy()
    parts = [cell.window.intersection(lattice.window) for cell in cells]
    hangs = np.array([part != cell.window for part, cell in zip(parts, cells, strict=True)], bool)
    cut = [Cell(cell.id, part) for cell, part, is_cut in zip(cells, parts, hangs, strict=True) if is_cut]
    inside[hangs] = _glacier_area(cut, lattice, outlines)
    return pd.DataFrame(
        {
            "row": np.array([cell.window.row for cell in cells], np.int64),
            "col": np.array([cell.window.col for cell in cells], np.int64),
            "split": pd.array(np.where(cover.max(axis=0) >= 0.5, most, ""), dtype="str"),
            "share": np.minimum(area / shapely.area(boxes), 1.0),
            "glacier_m2": inside,
        }
    )


def describe_shares(shares: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Describe glacier shares (cell,): n_cells; mean, variance and std (ddof 0, None without cells); histogram.

    The histogram is a list of counts in 100 equal bins from 0 to 1. The last bin includes 1.
    """
    counts, _ = np.histogram(shares, bins=100, range=(0.0, 1.0))
    is_empty = len(shares) == 0
    return {
        "n_cells": len(shares),
        "mean": None if is_empty else float(np.mean(shares)),
        "variance": None if is_empty else float(np.var(shares)),
        "std": None if is_empty else float(np.std(shares)),
        "histogram": counts.tolist(),
    }


def _aligned_cells(lattice: Lattice, catalog: gpd.GeoDataFrame, size: int) -> list[Cell]:
    """Return cells that cover the lattice, aligned with the smallest row and column of the catalog."""
    row, col = (0, 0) if catalog.empty else (int(catalog["row"].min()), int(catalog["col"].min()))
    # Start at the last step at or before 0. In Python, % of a negative number is not negative.
    rows, cols = range(-(-row % size), lattice.height, size), range(-(-col % size), lattice.width, size)
    return [Cell(f"{top}_{left}", Window(top, left, size, size)) for top in rows for left in cols]


def _glacier_area(cells: Sequence[Cell], lattice: Lattice, outlines: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Return the area of outlines in each cell, in square metres. Overlaps count once."""
    areas = join_outlines(cells, lattice, outlines).groupby("cell")["union_m2"].first()
    found: npt.NDArray[np.float64] = areas.reindex([cell.id for cell in cells]).fillna(0.0).to_numpy(float)
    return found


def _cover(boxes: npt.NDArray[Any], partitions: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Return the share of each box that the partitions cover. Where partitions overlap, the area counts twice."""
    sources = partitions.geometry.to_numpy()
    which, near = shapely.STRtree(sources).query(boxes, predicate="intersects")
    common = shapely.area(shapely.intersection(boxes[which], sources[near]))
    sums = pd.Series(common).groupby(which).sum().reindex(range(len(boxes))).fillna(0.0)
    shares: npt.NDArray[np.float64] = sums.to_numpy(float) / shapely.area(boxes)
    return shares
