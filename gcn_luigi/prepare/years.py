"""Which year's composite a partition is cut from."""

import datetime as dt
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.grid import Cell
from gcn_luigi.settings import YearSettings

_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_DATE = re.compile(r"^(?P<year>\d{4})(?:[-/.]?(?P<month>\d{2})(?:[-/.]?(?P<day>\d{2}))?)?(?:[T ].*)?$")
# RGI 6 writes 99 for a month or day that is not known (RGI Consortium 2017, technical report, table 4).
_MONTHS, _DAYS = {0, *range(1, 13), 99}, {0, *range(1, 32), 99}


def outline_year(value: object) -> int | None:
    """Return the year of an outline's date, or None where it holds none.

    Parameters
    ----------
    value : object
        RGI 6 ``BgnDate`` (``YYYYMMDD`` as text, int or float; 99 stands for an unknown month or day and
        -9999999 for no date), RGI 7 ``src_date`` (ISO text or a datetime), or a plain year.

    Returns
    -------
    int or None
        Between 1900 and 2100.

    Examples
    --------
    >>> [outline_year(date) for date in ("20069999", -9999999, "2009-09-06T00:00:00", 2005.0, "9999", None)]
    [2006, None, 2009, 2005, None, None]
    """
    if isinstance(value, (dt.date, np.datetime64)):
        stamp = pd.Timestamp(value)
        return None if pd.isna(stamp) else _in_range(stamp.year)
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value) or value != int(value):
            return None
        value = int(value)
    if value is None or value is pd.NA or isinstance(value, (bool, np.bool_)):
        return None
    match = _DATE.match(re.sub(r"\.0*$", "", str(value).strip()))
    if match is None or int(match["month"] or 0) not in _MONTHS or int(match["day"] or 0) not in _DAYS:
        return None
    return _in_range(int(match["year"]))


def _in_range(year: int) -> int | None:
    return year if _FIRST_YEAR <= year <= _LAST_YEAR else None


def partition_years(
    joined: pd.DataFrame, composites: Sequence[int], settings: YearSettings, cells: Iterable[str] = ()
) -> pd.DataFrame:
    """Return the composite year of every cell, or the reason why it has none.

    * ``legacy``: the commonest year of the outlines, the smallest on a tie, odd years plus one; that composite
      must exist. `max_gap` plays no part.
    * ``nearest``: the commonest year, the smallest on a tie, then the nearest composite, the earlier on a tie.
    * ``area-weighted``: the year with the largest outline area in the cell, the smallest on a tie, then as above.

    An outline counts once a cell. Outlines without a year do not count.

    Parameters
    ----------
    joined : DataFrame
        Columns cell, outline, year (nullable) and area_m2; one row a cell and outline.
    composites : sequence of int
        Years there are composites of.
    settings : YearSettings
        The rule, the largest gap, and what to do without a dated outline.
    cells : iterable of str
        Ids to list even where no outline is joined.

    Returns
    -------
    DataFrame
        Indexed by cell, sorted: year, year_gap, outline_year, outline_year_min, outline_year_max (Int64, NA where
        there is none; the gap is absolute) and reason (empty where `year` can be used).

    Raises
    ------
    ConfigError
        There are no composites, or `settings.no_year` is not one of them.
    """
    known = np.array(sorted(set(composites)), dtype=np.int64)
    if known.size == 0 or (settings.no_year != "skip" and settings.no_year not in known):
        raise ConfigError(
            f"no composite for year.no_year = {settings.no_year!r}",
            where="[year]",
            fix=f"use skip or one of the composites: {', '.join(map(str, known))}",
        )
    rows = joined.drop_duplicates(["cell", "outline"]).sort_values(["cell", "outline"])
    names = pd.Index(sorted({*rows["cell"], *cells}), name="cell")
    dated = rows[rows["year"].notna()].astype({"year": "int64"})
    table = _outline_years(dated, by_area=settings.rule == "area-weighted").reindex(names).astype("Int64")
    has_year = table["outline_year"].notna().to_numpy(bool)
    asked = table["outline_year"].fillna(known[0]).to_numpy(np.int64)
    year = asked + asked % 2 if settings.rule == "legacy" else _nearest(asked, known)
    gap = np.abs(year - asked)
    reason = np.full(len(names), "", dtype=object)
    if settings.rule == "legacy":
        lost = ~np.isin(year, known)
        reason[lost] = [f"no composite for {y}" for y in year[lost]]
    else:
        lost = gap > settings.max_gap
        reason[lost] = [f"year gap {g}" for g in gap[lost]]
    if settings.no_year == "skip":
        reason[~has_year] = "no dated outline"
    else:
        reason[~has_year], year = "", np.where(has_year, year, settings.no_year)
    usable = reason == ""
    table.insert(0, "year", _nullable(year, usable))
    table.insert(1, "year_gap", _nullable(gap, has_year))
    return table.assign(reason=pd.array(reason, dtype="str"))


def years_of_cells(cells: Iterable[Cell]) -> pd.DataFrame:
    """Return the years an imported grid states, in the form `partition_years` takes.

    Parameters
    ----------
    cells : iterable of Cell
        Cells with or without a year.

    Returns
    -------
    DataFrame
        Columns cell, outline (empty), year (Int64) and area_m2 (1); one row a cell.
    """
    rows = [(cell.id, "", cell.year, 1.0) for cell in cells]
    return pd.DataFrame(rows, columns=["cell", "outline", "year", "area_m2"]).astype({"year": "Int64"})


def _outline_years(dated: pd.DataFrame, *, by_area: bool) -> pd.DataFrame:
    """Return the leading, first and last outline year of each cell."""
    votes = dated.groupby(["cell", "year"])["area_m2"].agg(["sum", "size"]).reset_index()
    votes = votes.sort_values(["cell", "sum" if by_area else "size", "year"], ascending=[True, False, True])
    leading = votes.drop_duplicates("cell").set_index("cell")["year"].rename("outline_year")
    extremes = votes.groupby("cell")["year"].agg(outline_year_min="min", outline_year_max="max")
    return pd.concat([leading, extremes], axis=1)


def _nearest(asked: Any, known: Any) -> Any:
    """Return the nearest of `known` (sorted) to each of `asked`; the earlier on a tie."""
    after = np.clip(np.searchsorted(known, asked), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    is_earlier = np.abs(asked - known[before]) <= np.abs(known[after] - asked)
    return np.where(is_earlier, known[before], known[after])


def _nullable(values: Any, valid: Any) -> Any:
    return pd.arrays.IntegerArray(np.asarray(values, dtype=np.int64), ~np.asarray(valid, dtype=bool))
