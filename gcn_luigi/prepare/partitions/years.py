"""Choose the year of the composite that each partition is cut from."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gcn_luigi.errors import ConfigError, few
from gcn_luigi.prepare.partitions.grid import Cell
from gcn_luigi.settings import YearSettings

_STATED = {"cell": "str", "outline": "str", "year": "Int64", "area_m2": "float64"}


def partition_years(
    joined: pd.DataFrame, composites: Sequence[int], settings: YearSettings, cells: Iterable[str] = ()
) -> pd.DataFrame:
    """Return the composite year of every cell, or the reason why it has none.

    * ``legacy``: the most frequent year of the outlines, or the smallest on a tie. One is added to odd years. A
      composite of the result must exist; `max_gap_years` is ignored.
    * ``nearest``: the most frequent year, or the smallest on a tie; then the nearest composite, or the earlier on a
      tie.
    * ``all``: as ``nearest``; the column `years` also has every composite that is near enough.
    * ``area-weighted``: the year with the largest outline area in the cell, or the smallest on a tie; then as above.

    An outline counts once per cell. Outlines without a year do not count.

    Parameters
    ----------
    joined : DataFrame
        Columns cell, outline, year (nullable) and area_m2; one row per cell and outline.
    composites : sequence of int
        Years with a composite.
    settings : YearSettings
        The rule, the largest gap, and the choice for cells without a dated outline.
    cells : iterable of str
        Ids of cells to list even if they have no outline.

    Returns
    -------
    DataFrame
        Sorted and indexed by cell: year, year_gap, outline_year, outline_year_min, outline_year_max (Int64, NA if
        there is none; the gap is absolute) and reason (empty if `year` can be used). With the rule ``all`` also years:
        all composites at most `max_gap_years` from `outline_year`, or the one for cells without a date, in ascending
        order and separated by ";"; empty if `year` cannot be used.

    Raises
    ------
    ConfigError
        There are no composites, or `settings.no_year` is not one of them.
    """
    known = np.array(sorted(set(composites)), dtype=np.int64)
    if known.size == 0 or (settings.no_year != "skip" and settings.no_year not in known):
        raise ConfigError(
            f"there is no composite for year.no_year = {settings.no_year!r}",
            where="[year]",
            fix=f"use skip or the year of a composite: {', '.join(map(str, known))}",
        )
    rows = joined.drop_duplicates(["cell", "outline"]).sort_values(["cell", "outline"])
    names = pd.Index(sorted({*rows["cell"], *cells}), name="cell")
    dated = rows[rows["year"].notna()].astype({"year": "int64"})
    table = _outline_years(dated, by_area=settings.rule == "area-weighted").reindex(names).astype("Int64")
    has_year = table["outline_year"].notna().to_numpy(bool)
    asked = table["outline_year"].fillna(known[0]).to_numpy(np.int64)
    if settings.rule == "legacy":
        year = asked + asked % 2
    else:
        # Of two equally near composites, argmin takes the earlier.
        year = known[np.abs(asked[:, np.newaxis] - known).argmin(axis=1)]
    gap = np.abs(year - asked)
    reason = np.full(len(names), "", dtype=object)
    if settings.rule == "legacy":
        refused = ~np.isin(year, known)
        reason[refused] = [f"no composite for {y}" for y in year[refused]]
    else:
        refused = gap > settings.max_gap_years
        reason[refused] = [f"year gap {g}" for g in gap[refused]]
    if settings.no_year == "skip":
        reason[~has_year] = "no dated outline"
    else:
        reason[~has_year], year = "", np.where(has_year, year, settings.no_year)
    usable = reason == ""
    table.insert(0, "year", _nullable(year, usable))
    table.insert(1, "year_gap", _nullable(gap, has_year))
    if settings.rule == "all":
        is_near = np.abs(asked[:, np.newaxis] - known) <= settings.max_gap_years
        is_near[~has_year] = known == settings.no_year
        every = [joined_years(known[near]) if usable[row] else "" for row, near in enumerate(is_near)]
        table["years"] = pd.array(every, dtype="str")
    return table.assign(reason=pd.array(reason, dtype="str"))


def joined_years(years: Iterable[int]) -> str:
    """Return years as the column `years` holds them."""
    return ";".join(str(int(year)) for year in years)


def years_of_rows(catalog: pd.DataFrame) -> list[tuple[int, ...]]:
    """Return the composites that each row of the catalog is cut from: one or none, or those of the column `years`."""
    if "years" not in catalog.columns:
        return [() if pd.isna(year) else (int(year),) for year in catalog["year"]]
    return [tuple(int(year) for year in str(years).split(";") if year) for years in catalog["years"]]


def years_of_cells(cells: Iterable[Cell], rule: str) -> pd.DataFrame:
    """Return the years of an imported grid in the form that `partition_years` takes.

    The table has one row for each year of a cell, or one row without a year. Columns: cell, outline (a number), year
    (Int64) and area_m2 (1).

    Raises
    ------
    ConfigError
        A cell has several years and the rule weights them by area, but a grid holds no areas.
    """
    cells = list(cells)
    several = [cell.id for cell in cells if len(set(cell.years)) > 1]
    if several and rule == "area-weighted":
        raise ConfigError(
            f"{len(several)} of {len(cells)} cells have several years but no areas to weight them by: {few(several)}",
            where="[year]",
            fix='use rule = "nearest" or "legacy", which take the most frequent year, or source = "outlines"',
        )
    rows = [(cell.id, str(place), year, 1.0) for cell in cells for place, year in enumerate(cell.years or (None,))]
    return pd.DataFrame(rows, columns=["cell", "outline", "year", "area_m2"]).astype(_STATED)


def _outline_years(dated: pd.DataFrame, *, by_area: bool) -> pd.DataFrame:
    """Return the chosen, the first and the last outline year of each cell."""
    votes = dated.groupby(["cell", "year"])["area_m2"].agg(["sum", "size"]).reset_index()
    votes = votes.sort_values(["cell", "sum" if by_area else "size", "year"], ascending=[True, False, True])
    leading = votes.drop_duplicates("cell").set_index("cell")["year"].rename("outline_year")
    extremes = votes.groupby("cell")["year"].agg(outline_year_min="min", outline_year_max="max")
    return pd.concat([leading, extremes], axis=1)


def _nullable(values: Any, valid: Any) -> Any:
    return pd.arrays.IntegerArray(np.asarray(values, dtype=np.int64), ~np.asarray(valid, dtype=bool))
