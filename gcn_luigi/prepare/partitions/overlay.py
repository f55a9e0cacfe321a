"""Overlay cells with outlines and tiles: the area that they share, and cells far from outlines."""

from collections.abc import Iterable, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.lattice import Lattice, Window, WindowSet
from gcn_luigi.prepare.partitions.grid import Cell

_JOINED = {"cell": "str", "outline": "str", "year": "Int64", "area_m2": "float64", "union_m2": "float64"}
# Rounding leaves slivers between neighbours that only touch.
_LEAST_SHARE = 1e-9


def cell_boxes(cells: Sequence[Cell], lattice: Lattice) -> npt.NDArray[Any]:
    """Return the cells as (cell,) shapely boxes in the lattice's CRS."""
    bounds = np.array([lattice.crop(cell.window).bounds for cell in cells]).reshape(-1, 4)
    boxes: npt.NDArray[Any] = shapely.box(*bounds.T)
    return boxes


def join_outlines(cells: Sequence[Cell], lattice: Lattice, outlines: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return one row for each pair of a cell and an outline that share area.

    Parameters
    ----------
    cells : sequence of Cell
        The grid.
    lattice : Lattice
        The lattice of the cells' pixels.
    outlines : GeoDataFrame
        Columns outline, year and geometry, valid polygons in the lattice's CRS.

    Returns
    -------
    DataFrame
        Columns cell, outline (str), year (Int64), area_m2 (float64, of the common area) and union_m2 (float64, the
        area of the cell that all outlines cover together: the same in each row of a cell), sorted by cell and outline.
        A cell that only touches an outline is not joined with it.
    """
    boxes, shapes = cell_boxes(cells, lattice), outlines.geometry.to_numpy()
    which_shape, which_box = shapely.STRtree(boxes).query(shapes, predicate="intersects")
    shapely.prepare(shapes)
    whole, bounds = shapely.area(boxes)[which_box], shapely.bounds(boxes)[which_box]
    area, cut = whole.copy(), boxes[which_box]
    # Most cells on a large glacier are completely inside it. Clipping by a rectangle takes a 25th of an overlay's time.
    for i in np.flatnonzero(~shapely.covers(shapes[which_shape], boxes[which_box])):
        cut[i] = shapely.clip_by_rect(shapes[which_shape[i]], *bounds[i])
        area[i] = shapely.area(cut[i])
    shares_area = area > _LEAST_SHARE * whole
    found = which_shape[shares_area]
    rows = pd.DataFrame(
        {
            "cell": np.array([cell.id for cell in cells], dtype=object)[which_box[shares_area]],
            "outline": outlines["outline"].to_numpy(object)[found],
            "year": outlines["year"].array.take(found),
            "area_m2": area[shares_area],
            "union_m2": _union_areas(cut[shares_area], area[shares_area], which_box[shares_area], whole[shares_area]),
        }
    )
    return rows.astype(_JOINED).sort_values(["cell", "outline"], ignore_index=True)


def _union_areas(
    cut: npt.NDArray[Any],
    area: npt.NDArray[np.float64],
    which_box: npt.NDArray[np.int64],
    whole: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return, for each part of a box, the area of the union of all parts of that box."""
    if not len(area):
        return area
    total = np.bincount(which_box, weights=area)[which_box].astype(np.float64)
    is_full = np.isin(which_box, which_box[area >= whole])
    total[is_full] = whole[is_full]
    open_rows = np.flatnonzero((np.bincount(which_box)[which_box] > 1) & ~is_full)
    for _, rows in pd.Series(open_rows).groupby(which_box[open_rows]):
        union = float(shapely.area(shapely.union_all(cut[rows.to_numpy()])))
        # Neighbours that share a divide do not overlap. Their plain sum avoids the rounding of an overlay.
        if total[rows.iloc[0]] - union > _LEAST_SHARE * whole[rows.iloc[0]]:
            total[rows.to_numpy()] = union
    return total


def join_glaciers(joined: pd.DataFrame, outlines: gpd.GeoDataFrame) -> pd.DataFrame:
    """Reduce the rows of `join_outlines` to one per cell and glacier, however many analyses a glacier has.

    `outlines` has the columns outline and glacier. In the result, outline is the id of the glacier; area_m2 and year
    are those of the glacier's outline with the largest area in the cell.
    """
    glacier = dict(zip(outlines["outline"], outlines["glacier"], strict=True))
    largest = joined.assign(_name=joined["outline"], outline=joined["outline"].map(glacier).astype("str"))
    largest = largest.sort_values(["cell", "outline", "area_m2", "_name"], ascending=[True, True, False, True])
    return largest.drop_duplicates(["cell", "outline"], ignore_index=True).drop(columns="_name")


def far_from_outlines(
    cells: Sequence[Cell], lattice: Lattice, outlines: gpd.GeoDataFrame, max_m: float
) -> npt.NDArray[np.bool_]:
    """Return which cells are farther than `max_m` metres from every outline, (cell,); all are if there are none.

    The distance is measured between the nearest points of cell and outline. A cell at exactly `max_m` is not far.
    Outlines beyond the lattice count as well.
    """
    is_far = np.ones(len(cells), dtype=bool)
    tree = shapely.STRtree(outlines.geometry.to_numpy())
    near, _ = tree.query_nearest(cell_boxes(cells, lattice), max_distance=max_m, all_matches=False)
    is_far[near] = False
    return is_far


def outside_shares(cells: Sequence[Cell], tiles: Iterable[Window]) -> npt.NDArray[np.float64]:
    """Return the share of each cell that no tile covers, (cell,), 0 to 1. Tiles may overlap."""
    covered = WindowSet(tiles)
    masks = (covered.uncovered(cell.window) for cell in cells)
    return np.array([0.0 if mask is None else 1.0 - np.count_nonzero(~mask) / mask.size for mask in masks], float)
