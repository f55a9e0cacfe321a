"""The catalog: what is known of every partition, and why it is used or not."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.grid import Cell
from gcn_luigi.prepare.grid_import import cell_id
from gcn_luigi.settings import GridSettings

_JOINED = {"cell": "str", "outline": "str", "year": "Int64", "area_m2": "float64"}
# Rounding leaves slivers between neighbours that only touch.
_LEAST_SHARE = 1e-9
_CLASSES = ("share_none", "share_debris", "share_ice", "share_missing")


@dataclass(frozen=True)
class Exclusions:
    """Cells that are never used.

    Attributes
    ----------
    ids : frozenset of str
        Ids as the user wrote them; compared whole, never as parts.
    polygons : tuple of shapely geometries
        In the lattice's CRS; a cell that shares any area with one is left out.
    """

    ids: frozenset[str] = frozenset()
    polygons: tuple[Any, ...] = ()


@dataclass(frozen=True)
class CellFacts:
    """What is known of each cell before it is judged.

    Attributes
    ----------
    joined : DataFrame
        From `join_outlines`.
    years : DataFrame
        From `gcn_luigi.prepare.years.partition_years`.
    label_counts : ndarray
        Axes (cell, class) = none, debris, ice, missing; int64 pixels, cells in the order given to `build_catalog`.
        Pixels in none of the four, those beyond the lattice, count as missing.
    outside_share : ndarray
        Axes (cell,), float64: share of the cell beyond the tiles.
    exclusions : Exclusions
        Cells that are never used.
    """

    joined: pd.DataFrame
    years: pd.DataFrame
    label_counts: npt.NDArray[np.int64]
    outside_share: npt.NDArray[np.float64]
    exclusions: Exclusions = field(default_factory=Exclusions)


def join_outlines(cells: Sequence[Cell], lattice: Lattice, outlines: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return one row for each cell and outline that share area.

    Parameters
    ----------
    cells : sequence of Cell
        The grid.
    lattice : Lattice
        Where the cells' pixels lie.
    outlines : GeoDataFrame
        Columns outline, year and geometry, valid polygons in the lattice's CRS.

    Returns
    -------
    DataFrame
        Columns cell, outline (str), year (Int64) and area_m2 (float64, of the common area), sorted by cell and
        outline. Cells that only touch an outline are not joined.
    """
    boxes, shapes = cell_boxes(cells, lattice), outlines.geometry.to_numpy()
    which_shape, which_box = shapely.STRtree(boxes).query(shapes, predicate="intersects")
    shapely.prepare(shapes)
    whole, bounds = shapely.area(boxes)[which_box], shapely.bounds(boxes)[which_box]
    area = whole.copy()
    # Most cells on a large glacier lie wholly inside it. Cutting by a rectangle costs a 25th of an overlay there.
    for i in np.flatnonzero(~shapely.covers(shapes[which_shape], boxes[which_box])):
        area[i] = shapely.area(shapely.clip_by_rect(shapes[which_shape[i]], *bounds[i]))
    shares_area = area > _LEAST_SHARE * whole
    found = which_shape[shares_area]
    rows = pd.DataFrame(
        {
            "cell": np.array([cell.id for cell in cells], dtype=object)[which_box[shares_area]],
            "outline": outlines["outline"].to_numpy(object)[found],
            "year": outlines["year"].array.take(found),
            "area_m2": area[shares_area],
        }
    )
    return rows.astype(_JOINED).sort_values(["cell", "outline"], ignore_index=True)


def cell_boxes(cells: Sequence[Cell], lattice: Lattice) -> npt.NDArray[Any]:
    """Return the cells as polygons.

    Parameters
    ----------
    cells : sequence of Cell
        The grid.
    lattice : Lattice
        Where the cells' pixels lie.

    Returns
    -------
    ndarray
        Axes (cell,), shapely polygons in the lattice's CRS.
    """
    bounds = np.array([lattice.crop(cell.window).bounds for cell in cells]).reshape(-1, 4)
    boxes: npt.NDArray[Any] = shapely.box(*bounds.T)
    return boxes


def outside_shares(cells: Sequence[Cell], tiles: Iterable[Window]) -> npt.NDArray[np.float64]:
    """Return the share of each cell that no tile covers.

    Parameters
    ----------
    cells : sequence of Cell
        The grid.
    tiles : iterable of Window
        Pixels of each tile, on the same lattice; they may overlap.

    Returns
    -------
    ndarray
        Axes (cell,), float64, 0 to 1.
    """
    windows = [cell.window for cell in cells]
    boxes, sources = _pixel_boxes(windows), _pixel_boxes(tiles)
    tree = shapely.STRtree(sources)
    shares = np.ones(len(boxes))
    # Whole numbers of pixels: the areas are exact.
    area = shapely.area(boxes)
    which, near = tree.query(boxes, predicate="intersects")
    whole = shapely.area(shapely.intersection(sources[near], boxes[which])) == area[which]
    shares[which[whole]] = 0.0
    is_cut = shares[which] > 0.0
    for i, hits in pd.Series(near[is_cut]).groupby(which[is_cut]):
        covered = shapely.area(shapely.union_all(shapely.intersection(sources[hits], boxes[i])))
        shares[i] = 1.0 - covered / area[i]
    return shares


def _pixel_boxes(windows: Iterable[Window]) -> npt.NDArray[Any]:
    edges = np.array([(w.col, w.row, w.col + w.width, w.row + w.height) for w in windows], dtype=float).reshape(-1, 4)
    boxes: npt.NDArray[Any] = shapely.box(*edges.T)
    return boxes


def build_catalog(
    cells: Sequence[Cell], lattice: Lattice, facts: CellFacts, settings: GridSettings
) -> gpd.GeoDataFrame:
    """Return the catalog: one row a cell, sorted by id, not yet split.

    The first of these that holds is a cell's reason for not being used: ``rejected id``, ``exclusion polygon``,
    ``outside the tiles``, ``no outline``, ``no dated outline``, ``no composite for 2004`` or ``year gap 7``,
    ``too little glacier``. The split may add others later.

    Parameters
    ----------
    cells : sequence of Cell
        The grid.
    lattice : Lattice
        Where the cells' pixels lie.
    facts : CellFacts
        What is known of each cell.
    settings : GridSettings
        `max_outside_share` and `min_glacier_share`.

    Returns
    -------
    GeoDataFrame
        partition, row, col, height, width (pixels), left, bottom, right, top (metres), split (as an imported grid
        says, else empty), block (empty), year, year_gap, outline_year, outline_year_min, outline_year_max
        (Int64), n_outlines, rgi_ids (";" between, largest area first), glacier_share, share_none, share_debris,
        share_ice, share_missing, outside_share (0 to 1), used, reason; geometry = the cell's box.

    Raises
    ------
    InputError
        Two cells have one id, or the facts do not fit the cells.
    """
    ids = [cell.id for cell in cells]
    _check_facts(ids, facts)
    boxes = cell_boxes(cells, lattice)
    table = pd.DataFrame(
        [(c.id, c.window.row, c.window.col, c.window.height, c.window.width) for c in cells],
        columns=["partition", "row", "col", "height", "width"],
    ).astype({"partition": "str", "row": "int64", "col": "int64", "height": "int64", "width": "int64"})
    table[["left", "bottom", "right", "top"]] = shapely.bounds(boxes).reshape(-1, 4)
    table["split"] = pd.array([cell.split for cell in cells], dtype="str")
    table["block"] = pd.array([""] * len(cells), dtype="str")
    years = facts.years.reindex(ids)
    for name in ("year", "year_gap", "outline_year", "outline_year_min", "outline_year_max"):
        table[name] = years[name].astype("Int64").array
    glaciers = _glaciers(facts.joined).reindex(ids)
    table["n_outlines"] = glaciers["n_outlines"].fillna(0).astype("int64").array
    table["rgi_ids"] = glaciers["rgi_ids"].fillna("").astype("str").array
    # Outlines that overlap each other would count twice.
    table["glacier_share"] = np.minimum(glaciers["area_m2"].fillna(0.0).to_numpy(float) / shapely.area(boxes), 1.0)
    shares = facts.label_counts / (table["height"] * table["width"]).to_numpy(float)[:, None]
    shares[:, 3] = np.maximum(1.0 - shares[:, :3].sum(axis=1), 0.0)
    table[list(_CLASSES)] = shares
    table["outside_share"] = facts.outside_share
    reason = _reasons(table, years["reason"], boxes, facts.exclusions, settings)
    table["used"] = reason == ""
    table["reason"] = pd.array(reason, dtype="str")
    catalog = gpd.GeoDataFrame(table, geometry=boxes, crs=lattice.crs)
    return catalog.sort_values("partition", ignore_index=True)


def _check_facts(ids: list[str], facts: CellFacts) -> None:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated or facts.label_counts.shape != (len(ids), 4) or facts.outside_share.shape != (len(ids),):
        raise InputError(
            f"{len(ids)} cells ({len(repeated)} ids twice {repeated[:5]}), label counts {facts.label_counts.shape}, "
            f"outside shares {facts.outside_share.shape}",
            where="catalog",
            fix="give each cell its own id, four label counts and one outside share, in the order of the cells",
        )


def _glaciers(joined: pd.DataFrame) -> pd.DataFrame:
    largest_first = joined.sort_values(["cell", "area_m2", "outline"], ascending=[True, False, True])
    return largest_first.groupby("cell").agg(
        n_outlines=("outline", "size"), rgi_ids=("outline", ";".join), area_m2=("area_m2", "sum")
    )


def _reasons(
    table: pd.DataFrame, year_reason: Any, boxes: npt.NDArray[Any], exclusions: Exclusions, settings: GridSettings
) -> npt.NDArray[Any]:
    rejected = {cell_id(name) for name in exclusions.ids}
    no_year = year_reason.fillna("no dated outline").to_numpy(object)
    no_year[(no_year == "no dated outline") & (table["n_outlines"] == 0).to_numpy()] = "no outline"
    conditions = [
        table["partition"].isin(rejected).to_numpy(bool),
        _on_polygons(boxes, exclusions.polygons),
        (table["outside_share"] > settings.max_outside_share).to_numpy(bool),
        no_year != "",
        (table["glacier_share"] < settings.min_glacier_share).to_numpy(bool),
    ]
    texts = ["rejected id", "exclusion polygon", "outside the tiles", no_year, "too little glacier"]
    reason: npt.NDArray[Any] = np.full(len(table), "", dtype=object)
    for condition, text in reversed(list(zip(conditions, texts, strict=True))):
        reason = np.where(condition, text, reason)
    return reason


def _on_polygons(boxes: npt.NDArray[Any], polygons: tuple[Any, ...]) -> npt.NDArray[np.bool_]:
    hit = np.zeros(len(boxes), dtype=bool)
    shapes = np.array(polygons, dtype=object)
    which_shape, which_box = shapely.STRtree(boxes).query(shapes, predicate="intersects")
    shares_area = ~shapely.touches(shapes[which_shape], boxes[which_box])
    hit[which_box[shares_area]] = True
    return hit
