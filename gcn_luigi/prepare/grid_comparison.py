"""How glacier cover is spread over train and dev in grids of different cell sizes."""

from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.grid import Cell
from gcn_luigi.prepare.overlay import cell_boxes, join_outlines

N_BINS = 100


def compare_grids(
    lattice: Lattice, outlines: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, sizes: Iterable[int] = (128, 256, 512)
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the distribution of glacier share over the cells of each size and split.

    A cell belongs to the split whose partitions cover more of it, and counts only where they cover at least half;
    sizes are thus compared on the same ground. Cells of every size start where the catalog's own do, at its smallest
    row and column: at its own size they are its own cells where these lie side by side.

    Parameters
    ----------
    lattice : Lattice
        The region's pixels.
    outlines : GeoDataFrame
        Columns outline, year and geometry, in the lattice's CRS.
    catalog : GeoDataFrame
        With row, col, split and used filled in.
    sizes : iterable of int
        Edges of the cells, in pixels.

    Returns
    -------
    dict
        ``{"128": {"train": {...}, "dev": {...}}, ...}``; each innermost dict as from `describe_shares`.
    """
    result = {}
    for size in sizes:
        cells = _aligned_cells(lattice, catalog, size)
        joined = join_outlines(cells, lattice, outlines)
        area = joined.groupby("cell")["area_m2"].sum().reindex([cell.id for cell in cells]).fillna(0.0)
        boxes = cell_boxes(cells, lattice)
        share = np.minimum(area.to_numpy(float) / shapely.area(boxes), 1.0)
        cover = {
            name: _cover(boxes, catalog[catalog["used"] & (catalog["split"] == name)]) for name in ("train", "dev")
        }
        is_dev = (cover["dev"] >= 0.5) & (cover["dev"] > cover["train"])
        is_train = (cover["train"] >= 0.5) & ~is_dev
        result[str(size)] = {"train": describe_shares(share[is_train]), "dev": describe_shares(share[is_dev])}
    return result


def describe_shares(shares: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return count, mean, spread and histogram of glacier shares.

    Parameters
    ----------
    shares : ndarray
        Axes (cell,), float64, 0 to 1.

    Returns
    -------
    dict
        n_cells; mean, variance and std (over the cells, ddof 0; None without cells); histogram, the counts in
        100 equal bins from 0 to 1, the last one closed.
    """
    counts, _ = np.histogram(shares, bins=N_BINS, range=(0.0, 1.0))
    is_empty = len(shares) == 0
    return {
        "n_cells": len(shares),
        "mean": None if is_empty else float(np.mean(shares)),
        "variance": None if is_empty else float(np.var(shares)),
        "std": None if is_empty else float(np.std(shares)),
        "histogram": counts.tolist(),
    }


def _aligned_cells(lattice: Lattice, catalog: gpd.GeoDataFrame, size: int) -> list[Cell]:
    """Return cells that cover the lattice, in step with the catalog's smallest row and column."""
    row, col = (0, 0) if catalog.empty else (int(catalog["row"].min()), int(catalog["col"].min()))
    # From the last step at or before 0; % of a negative number is not negative.
    rows, cols = range(-(-row % size), lattice.height, size), range(-(-col % size), lattice.width, size)
    return [Cell(f"{top}_{left}", Window(top, left, size, size)) for top in rows for left in cols]


def _cover(boxes: npt.NDArray[Any], partitions: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Return the share of each box that the partitions cover; partitions that overlap count twice."""
    sources = partitions.geometry.to_numpy()
    which, near = shapely.STRtree(sources).query(boxes, predicate="intersects")
    common = shapely.area(shapely.intersection(boxes[which], sources[near]))
    sums = pd.Series(common).groupby(which).sum().reindex(range(len(boxes))).fillna(0.0)
    shares: npt.NDArray[np.float64] = sums.to_numpy(float) / shapely.area(boxes)
    return shares
