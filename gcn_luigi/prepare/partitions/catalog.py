"""The catalog: what is known of every partition, and why it is used or not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.partitions.grid import Cell
from gcn_luigi.prepare.partitions.grid_import import cell_id
from gcn_luigi.prepare.partitions.overlay import cell_boxes
from gcn_luigi.settings import GridSettings

_CLASSES = ("share_none", "share_debris", "share_ice", "share_missing")


# How a note begins that says that polygons to leave out lie elsewhere.
NOTHING_EXCLUDED = "exclude_polygons_path leaves out no cell"


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

    @property
    def cell_ids(self) -> frozenset[str]:
        """The ids in the spelling of `Cell.id`."""
        return frozenset(cell_id(name) for name in self.ids)

    def unknown_ids(self, cells: Sequence[Cell]) -> list[str]:
        """Return the ids that name none of the cells, sorted: a list of another grid, or a slip of the pen."""
        return sorted(self.cell_ids - {cell.id for cell in cells})

    def notes(self, boxes: npt.NDArray[Any]) -> list[str]:
        """Return a note where there are polygons and none lies on a cell; `boxes` is (cell,), shapely polygons."""
        if not self.polygons or _on_polygons(boxes, self.polygons).any():
            return []
        return [f"{NOTHING_EXCLUDED}: none of its {len(self.polygons)} polygons lies on one; check their CRS and place"]


@dataclass(frozen=True)
class CellFacts:
    """What is known of each cell before it is judged.

    Attributes
    ----------
    joined : DataFrame
        From `gcn_luigi.prepare.partitions.overlay.join_outlines` or `join_glaciers`.
    years : DataFrame
        From `gcn_luigi.prepare.partitions.years.partition_years`.
    label_counts : ndarray
        Axes (cell, class) = none, debris, ice, missing; int64 pixels, cells in the order given to `build_catalog`.
        Pixels in none of the four, those beyond the lattice, count as missing.
    outside_share : ndarray
        Axes (cell,), float64: share of the cell beyond the tiles.
    exclusions : Exclusions
        Cells that are never used.
    is_far : ndarray or None
        Axes (cell,), bool, from `gcn_luigi.prepare.partitions.overlay.far_from_outlines`; None if distance is not used.
    """

    joined: pd.DataFrame
    years: pd.DataFrame
    label_counts: npt.NDArray[np.int64]
    outside_share: npt.NDArray[np.float64]
    exclusions: Exclusions = field(default_factory=Exclusions)
    is_far: npt.NDArray[np.bool_] | None = None


def build_catalog(
    cells: Sequence[Cell], lattice: Lattice, facts: CellFacts, settings: GridSettings
) -> gpd.GeoDataFrame:
    """Return the catalog: one row a cell, sorted by id, not yet split.

    The first of these that holds is a cell's reason for not being used: ``rejected id``, ``exclusion polygon``,
    ``outside the tiles``, ``no outline``, ``no dated outline``, ``no composite for 2004`` or ``year gap 7``,
    ``far from outlines``, ``too little glacier``. The split may add others later.

    Parameters
    ----------
    cells : sequence of Cell
        The grid.
    lattice : Lattice
        Where the cells' pixels lie.
    facts : CellFacts
        What is known of each cell.
    settings : GridSettings
        `max_outside_share` and `min_outline_share`.

    Returns
    -------
    GeoDataFrame
        partition, row, col, height, width (pixels), left, bottom, right, top (metres), split (as an imported grid
        says, else empty), block (empty), year, year_gap, outline_year, outline_year_min, outline_year_max
        (Int64), n_outlines, rgi_ids (";" between, largest area first), glacier_share (what outlines cover, overlaps
        once), share_none, share_debris,
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
    table["glacier_share"] = np.minimum(glaciers["union_m2"].fillna(0.0).to_numpy(float) / shapely.area(boxes), 1.0)
    shares = facts.label_counts / (table["height"] * table["width"]).to_numpy(float)[:, None]
    shares[:, 3] = np.maximum(1.0 - shares[:, :3].sum(axis=1), 0.0)
    table[list(_CLASSES)] = shares
    table["outside_share"] = facts.outside_share
    reason = _reasons(table, years["reason"], boxes, facts, settings)
    table["used"] = reason == ""
    table["reason"] = pd.array(reason, dtype="str")
    catalog = gpd.GeoDataFrame(table, geometry=boxes, crs=lattice.crs)
    return catalog.sort_values("partition", ignore_index=True)


def _check_facts(ids: list[str], facts: CellFacts) -> None:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    lengths = {len(facts.label_counts), len(facts.outside_share), len(ids if facts.is_far is None else facts.is_far)}
    if repeated or lengths != {len(ids)} or facts.label_counts.shape[1:] != (4,):
        raise InputError(
            f"{len(ids)} cells ({len(repeated)} ids twice {repeated[:5]}), label counts {facts.label_counts.shape}, "
            f"outside shares {facts.outside_share.shape}",
            where="catalog",
            fix="give each cell its own id, four label counts and one value of each other fact, in the same order",
        )


def _glaciers(joined: pd.DataFrame) -> pd.DataFrame:
    largest_first = joined.sort_values(["cell", "area_m2", "outline"], ascending=[True, False, True])
    return largest_first.groupby("cell").agg(
        n_outlines=("outline", "size"), rgi_ids=("outline", ";".join), union_m2=("union_m2", "first")
    )


def _reasons(
    table: pd.DataFrame, year_reason: Any, boxes: npt.NDArray[Any], facts: CellFacts, settings: GridSettings
) -> npt.NDArray[Any]:
    no_year = year_reason.fillna("no dated outline").to_numpy(object)
    no_year[(no_year == "no dated outline") & (table["n_outlines"] == 0).to_numpy()] = "no outline"
    conditions = [
        table["partition"].isin(facts.exclusions.cell_ids).to_numpy(bool),
        _on_polygons(boxes, facts.exclusions.polygons),
        (table["outside_share"] > settings.max_outside_share).to_numpy(bool),
        no_year != "",
        np.zeros(len(table), dtype=bool) if facts.is_far is None else facts.is_far,
        (table["glacier_share"] < settings.min_outline_share).to_numpy(bool),
    ]
    texts = [
        "rejected id",
        "exclusion polygon",
        "outside the tiles",
        no_year,
        "far from outlines",
        "too little glacier",
    ]
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
