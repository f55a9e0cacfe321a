"""The catalog: what is known about every partition, why it is not used, and which setting would change that."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.partitions.grid import Cell, cell_id
from gcn_luigi.prepare.partitions.overlay import cell_boxes
from gcn_luigi.settings import GridSettings

_MOST_NAMED = 10
# The first words of the note that no exclusion polygon is on a cell.
NOTHING_EXCLUDED = "exclude_polygons_path leaves out no cell"

# What to change for each reason that `build_catalog` or the split gives. A reason may end in a number.
_REMEDIES = {
    "rejected id": "check the list of [grid] reject_ids_path",
    "exclusion polygon": "check the polygons of [grid] exclude_polygons_path",
    "outside the tiles": "raise [grid] max_outside_share, or check that grid and tiles cover the same area",
    "no outline": "check that grid and outlines cover the same area, or set [year] no_year",
    "no dated outline": "name the column of dates in [outlines] date_field and its format in date_format, "
    "or set [year] no_year",
    "no composite for": 'use [year] rule = "nearest"',
    "year gap": "raise [year] max_gap_years, or add composites nearer to the outlines",
    "far from outlines": "raise [grid] max_outline_distance_m",
    "too little glacier": "lower [grid] min_outline_share",
    "buffer": "lower [split] buffer_partitions or block_partitions",
    "overlaps dev": "import a grid in which train and dev cells do not overlap",
    "overlaps test": "import a grid in which test cells overlap no others",
    "no split in the grid": "fill the split column of the grid",
}


@dataclass(frozen=True)
class Exclusions:
    """Cells that are never used.

    Attributes
    ----------
    ids : frozenset of str
        Ids as the user wrote them. An id must match completely.
    polygons : tuple of shapely geometries
        In the lattice's CRS. Cells that share area with one are left out.
    file_notes : tuple of str
        Notes from reading the polygons.
    """

    ids: frozenset[str] = frozenset()
    polygons: tuple[Any, ...] = ()
    file_notes: tuple[str, ...] = ()

    @property
    def cell_ids(self) -> frozenset[str]:
        """The ids as `Cell.id` spells them."""
        return frozenset(cell_id(name) for name in self.ids)

    def notes(self, cells: Sequence[Cell], lattice: Lattice) -> list[str]:
        """Return notes: ids that match no cell, the notes from the file, and whether no polygon is on a cell."""
        notes = list(self.file_notes)
        if unknown := sorted(self.cell_ids - {cell.id for cell in cells}):
            first = ", ".join(unknown[:_MOST_NAMED])
            notes.insert(0, f"{len(unknown)} of {len(self.ids)} rejected ids name no cell: {first}")
        if self.polygons and not _on_polygons(cell_boxes(cells, lattice), self.polygons).any():
            what = f"none of its {len(self.polygons)} polygons lies on one; check their CRS and place"
            notes.append(f"{NOTHING_EXCLUDED}: {what}")
        return notes


@dataclass(frozen=True)
class CellFacts:
    """What is known about each cell before `build_catalog` decides whether it is used.

    Attributes
    ----------
    joined : DataFrame
        From `gcn_luigi.prepare.partitions.overlay.join_outlines` or `join_glaciers`.
    years : DataFrame
        From `gcn_luigi.prepare.partitions.years.partition_years`.
    label_counts : ndarray
        Axes (cell, class) = each class of the label, then missing; int64 pixels, cells in the order given to
        `build_catalog`. Pixels that are in none of these, because they are beyond the lattice, count as missing.
    outside_share : ndarray
        Axes (cell,), float64: share of the cell beyond the tiles.
    exclusions : Exclusions
        Cells that are never used.
    is_far : ndarray or None
        Axes (cell,), bool, from `gcn_luigi.prepare.partitions.overlay.far_from_outlines`; None if there is no limit.
    """

    joined: pd.DataFrame
    years: pd.DataFrame
    label_counts: npt.NDArray[np.int64]
    outside_share: npt.NDArray[np.float64]
    exclusions: Exclusions = field(default_factory=Exclusions)
    is_far: npt.NDArray[np.bool_] | None = None


def build_catalog(
    cells: Sequence[Cell],
    lattice: Lattice,
    facts: CellFacts,
    settings: GridSettings,
    classes: ClassTable = DEFAULT_CLASSES,
) -> gpd.GeoDataFrame:
    """Return the catalog before the split: one row per cell, sorted by id.

    If a cell is not used, its reason is the first of these that applies: ``rejected id``, ``exclusion polygon``,
    ``outside the tiles``, ``no outline``, ``no dated outline``, ``no composite for 2004`` or ``year gap 7``,
    ``far from outlines``, ``too little glacier``. The split may add other reasons later.

    Parameters
    ----------
    cells : sequence of Cell
        The grid. Ids are unique.
    lattice : Lattice
        The lattice of the cells' pixels.
    facts : CellFacts
        What is known about each cell.
    settings : GridSettings
        `max_outside_share` and `min_outline_share`.
    classes : ClassTable
        The classes of the label.

    Returns
    -------
    GeoDataFrame
        partition, row, col, height, width (pixels), left, bottom, right, top (metres), split (from an imported
        grid, otherwise empty), block (empty), year, year_gap, outline_year, outline_year_min, outline_year_max
        (Int64), n_outlines, rgi_ids (separated by ";", largest area first), glacier_share (the share that outlines
        cover, where overlaps count once), the share of each class, such as share_ice, share_missing and outside_share
        (0 to 1), used and reason. With the year rule ``all`` also years: those of all composites that are used, as
        text, separated by ";". The geometry is the cell's box.
    """
    ids = [cell.id for cell in cells]
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
    if "years" in years.columns:
        table["years"] = years["years"].fillna("").astype("str").array
    largest_first = facts.joined.sort_values(["cell", "area_m2", "outline"], ascending=[True, False, True])
    glaciers = largest_first.groupby("cell").agg(
        n_outlines=("outline", "size"), rgi_ids=("outline", ";".join), union_m2=("union_m2", "first")
    )
    glaciers = glaciers.reindex(ids)
    table["n_outlines"] = glaciers["n_outlines"].fillna(0).astype("int64").array
    table["rgi_ids"] = glaciers["rgi_ids"].fillna("").astype("str").array
    table["glacier_share"] = np.minimum(glaciers["union_m2"].fillna(0.0).to_numpy(float) / shapely.area(boxes), 1.0)
    shares = facts.label_counts / (table["height"] * table["width"]).to_numpy(float)[:, None]
    shares[:, -1] = np.maximum(1.0 - shares[:, :-1].sum(axis=1), 0.0)
    table[[*classes.shares(), "share_missing"]] = shares
    table["outside_share"] = facts.outside_share
    reason = _reasons(table, years["reason"], boxes, facts, settings)
    table["used"] = reason == ""
    table["reason"] = pd.array(reason, dtype="str")
    catalog = gpd.GeoDataFrame(table, geometry=boxes, crs=lattice.crs)
    return catalog.sort_values("partition", ignore_index=True)


def _reasons(
    table: pd.DataFrame, year_reason: Any, boxes: npt.NDArray[Any], facts: CellFacts, settings: GridSettings
) -> npt.NDArray[Any]:
    no_year = year_reason.fillna("no dated outline").to_numpy(object)
    no_year[(no_year == "no dated outline") & (table["n_outlines"] == 0).to_numpy()] = "no outline"
    refusals: list[tuple[npt.NDArray[np.bool_], Any]] = [
        (table["partition"].isin(facts.exclusions.cell_ids).to_numpy(bool), "rejected id"),
        (_on_polygons(boxes, facts.exclusions.polygons), "exclusion polygon"),
        ((table["outside_share"] > settings.max_outside_share).to_numpy(bool), "outside the tiles"),
        (no_year != "", no_year),
        (np.zeros(len(table), bool) if facts.is_far is None else facts.is_far, "far from outlines"),
        ((table["glacier_share"] < settings.min_outline_share).to_numpy(bool), "too little glacier"),
    ]
    # The first reason that applies.
    reason: npt.NDArray[Any] = np.select([holds for holds, _ in refusals], [text for _, text in refusals], "")
    return reason.astype(object)


def _on_polygons(boxes: npt.NDArray[Any], polygons: tuple[Any, ...]) -> npt.NDArray[np.bool_]:
    """Return which boxes share area with a polygon."""
    hit = np.zeros(len(boxes), dtype=bool)
    shapes = np.array(polygons, dtype=object)
    which_shape, which_box = shapely.STRtree(boxes).query(shapes, predicate="intersects")
    shares_area = ~shapely.touches(shapes[which_shape], boxes[which_box])
    hit[which_box[shares_area]] = True
    return hit


def present_splits(catalog: pd.DataFrame) -> tuple[str, ...]:
    """Return train, dev, and test if the catalog or index has rows of it."""
    return ("train", "dev", "test") if (catalog["split"] == "test").any() else ("train", "dev")


def count_reasons(reasons: Iterable[str]) -> str:
    """Return how many cells are unused for each reason of the catalog, most frequent first; empty if all are used.

    Examples
    --------
    >>> count_reasons(["year gap 7", "", "year gap 9", "rejected id"])
    '2 x year gap, 1 x rejected id'
    """
    return ", ".join(f"{count:,} x {kind.removesuffix(' for')}" for kind, count in _by_frequency(reasons))


def remedy(reasons: Iterable[str], own: Mapping[str, str] | None = None) -> str:
    """Return what to change so that cells can be used. The most frequent reason of the catalog comes first.

    `own` has remedies for this dataset, by kind of reason; they replace the general ones.

    Examples
    --------
    >>> remedy(["year gap 7", "year gap 9", "rejected id"])
    'raise [year] max_gap_years, or add composites nearer to the outlines; check the list of [grid] reject_ids_path'
    """
    remedies = {**_REMEDIES, **(own or {})}
    known = [remedies[kind] for kind, _ in _by_frequency(reasons) if kind in remedies]
    return "; ".join(known) or "relax [grid] or [year], or check that grid, outlines and tiles cover the same area"


def _by_frequency(reasons: Iterable[str]) -> list[tuple[str, int]]:
    kinds = Counter(re.sub(r" \d+$", "", reason) for reason in reasons if reason)
    return sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
