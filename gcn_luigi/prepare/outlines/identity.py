"""Decide which rows of a file form one outline: unite parts, and keep the analyses of a glacier apart by date.

An analysis, in the terms of GLIMS, is a glacier as it was mapped from the images of one date.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy
import shapely

from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.outlines.columns import OutlineRows, better_ids
from gcn_luigi.prepare.outlines.overlaps import counted, subtract_rock
from gcn_luigi.settings import EACH_ROW

# Detached parts of one glacier are closer than this. Glaciers with the same number in two maps seldom are.
_ONE_GLACIER_M = 1000.0
# Analyses of one glacier cover the same ground: at least this share of the smaller is in the larger.
_SAME_GROUND = 0.5
# A row is within another if this share of it is. If the two are nearly the same size, one is a copy.
_TWIN = 0.99
# An id with this many parts that fills more than half of the file is the default value of a column.
_MANY_PARTS = 5
_MAIN_PART = 0.5
# If numbers restart in a second map, the lowest numbers occur again, and at least this many of them.
_FEW_NUMBERS = 3
Analyses = Literal["error", "all", "newest", "nearest"]
_COLUMNS = ["outline", "glacier", "year", "date", "area_m2", "geometry"]
_DTYPES = {"outline": "str", "glacier": "str", "year": "Int64", "date": "str", "area_m2": "float64"}
_REAL_ID = r"(?i)^(?:RGI\d|G\d{6}[EW]\d{5}[NS])"
# Glacier complexes of RGI 7. Their parts are glaciers.
_COMPLEX = r"(?i)^RGI\d{4}-.*-C-"


def unite_outlines(
    table: gpd.GeoDataFrame, rows: OutlineRows, analyses: Analyses, composites: Sequence[int], where: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return one row per outline, sorted by name, and notes that list all names concerned.

    Rows with one id are united if they are parts of one glacier. Parts have one date, or several days of one year
    without overlap, and no part is farther than 1 km from the others. Analyses of one glacier have different dates and
    cover the same ground. All other rows that share an id are refused.

    `analyses` says which analyses of a glacier count. ``"error"``: no glacier may have several. ``"all"``: each is an
    outline of its own. ``"newest"``: the newest. ``"nearest"``: the one nearest in time to any of `composites` (years),
    and the newest on a tie.

    `table` has the columns of `OutlineRows.table`, area_m2 and geometry: valid polygons in a projected CRS in metres.
    The result has outline (str, unique), glacier (the id, the same for all analyses), year, date, area_m2 and geometry.

    Raises
    ------
    InputError
        Rows that are not one glacier share an id, rock has no glacier, or a glacier has several analyses and
        `analyses` is ``"error"``.
    """
    # Rows of equal area are ordered by their bytes, so that the order of the records does not matter.
    order = table.assign(_wkb=shapely.to_wkb(table.geometry.to_numpy(), output_dimension=2, byte_order=1))
    order = order.sort_values(["outline", "area_m2", "day", "_wkb"], ascending=[True, False, True, True])
    order = order.drop(columns="_wkb").reset_index(drop=True)
    glaciers, notes = subtract_rock(order, where)
    repeated = glaciers[glaciers.duplicated("outline", keep=False)]
    singles = glaciers.drop(repeated.index)
    _refuse_numbering(glaciers, repeated, rows, where)
    dated = _analyses_by_name(repeated)
    _refuse_unrelated(glaciers, dated, rows, where)
    several = {name: parts for name, parts in dated.items() if len(parts) > 1}
    if several and analyses == "error":
        name, parts = next(iter(several.items()))
        days = ", ".join(" ".join(filter(None, (part.day or "no date", part.key))) for part in parts)
        is_of_dates = any(len({part.day for part in each}) > 1 for each in several.values())
        what = "outlines of several dates" if is_of_dates else "several analyses of one date"
        n_glaciers = counted(glaciers["outline"].nunique(), "glacier")
        raise InputError(
            f"{what} for {len(several)} of {n_glaciers}, for example {name} ({days})",
            where=where,
            fix='choose which of them to use: [outlines] analyses = "newest", "nearest" (to a composite) or "all"',
        )
    kept = {name: _kept(parts, analyses, composites) for name, parts in dated.items()}
    made = [
        _row(name, part, repeated, is_one_of_several=len(parts) > 1) for name, parts in kept.items() for part in parts
    ]
    result = singles.assign(glacier=singles["outline"])[_COLUMNS].astype(_DTYPES)
    if made:
        united = gpd.GeoDataFrame(made, geometry="geometry", crs=table.crs)[_COLUMNS].astype(_DTYPES)
        result = pd.concat([result, united]) if len(result) else united
    return result.sort_values("outline", ignore_index=True), [*notes, *_notes(kept, several, analyses)]


@dataclass(frozen=True)
class _Analysis:
    """All rows of one glacier and date, the largest first: their positions in the table, shapes and union.

    `key` distinguishes analyses that several people made from one image. Otherwise it is empty.
    """

    day: str
    rows: npt.NDArray[np.int64]
    shapes: npt.NDArray[Any]
    shape: Any
    key: str = ""

    @property
    def year(self) -> int | None:
        return int(self.day[:4]) if self.day else None

    @property
    def rank(self) -> tuple[str, int, str]:
        """The sort key: the date, then the number that GLIMS gives to analyses in order of arrival."""
        number = self.key.lstrip("#")
        return self.day, int(number) if number.isdecimal() else -1, self.key


def _analyses_by_name(repeated: gpd.GeoDataFrame) -> dict[str, list[_Analysis]]:
    """Return the analyses of each glacier; `repeated` is sorted by name."""
    names, days, keys = (repeated[name].to_numpy(object) for name in ("outline", "day", "analysis"))
    shapes = repeated.geometry.to_numpy()
    # Slices of arrays are used because a table for each of thousands of glaciers would take minutes.
    groups = np.split(np.arange(len(names)), np.flatnonzero(names[1:] != names[:-1]) + 1)
    return {str(names[rows[0]]): _analyses(rows, days, keys, shapes) for rows in groups if len(rows)}


def _analyses(
    rows: npt.NDArray[np.int64], days: npt.NDArray[Any], keys: npt.NDArray[Any], shapes: npt.NDArray[Any]
) -> list[_Analysis]:
    """Return the analyses of one glacier, the newest last. Parts mapped on several days of a year form one analysis."""
    own = days[rows]
    years = np.array([day[:4] for day in own], dtype=object)
    found = []
    for year in sorted(set(years)):
        of_year = rows[years == year]
        parts = [
            part
            for day in sorted(set(own[years == year]))
            for part in _analyses_of_day(day, rows[own == day], keys, shapes)
        ]
        if len(parts) > 1 and not any(share >= _SAME_GROUND for share in _common_shares(parts)):
            # The analysis gets the date of its largest part, which comes first.
            parts = [_analysis(days[of_year[0]], of_year, shapes)]
        found += parts
    return found


def _analyses_of_day(
    day: str, rows: npt.NDArray[np.int64], keys: npt.NDArray[Any], shapes: npt.NDArray[Any]
) -> list[_Analysis]:
    """Return the analyses of one day: more than one only if they differ on the same ground."""
    own = keys[rows]
    parts = [_analysis(day, rows[own == key], shapes, str(key)) for key in sorted(set(own))]
    if any(_contradict(one.shape, other.shape) for one, other in _pairs(parts)):
        return sorted(parts, key=lambda part: part.rank)
    return [_analysis(day, rows, shapes)]


def _analysis(day: str, rows: npt.NDArray[np.int64], shapes: npt.NDArray[Any], key: str = "") -> _Analysis:
    own = shapes[rows]
    return _Analysis(str(day), rows, own, own[0] if len(own) == 1 else shapely.union_all(own), key)


def _contradict(one: Any, other: Any) -> bool:
    """Return whether two shapes cover the same ground but differ by more than a square metre, so are not copies."""
    return bool(
        _common_share(one, other) >= _SAME_GROUND and shapely.area(shapely.symmetric_difference(one, other)) > 1.0
    )


def _common_share(one: Any, other: Any) -> float:
    """Return the share of the smaller of two shapes that is inside the larger."""
    return float(shapely.area(shapely.intersection(one, other)) / min(shapely.area(one), shapely.area(other)))


def _pairs(parts: Sequence[_Analysis]) -> Iterator[tuple[_Analysis, _Analysis]]:
    return ((one, other) for i, one in enumerate(parts) for other in parts[:i])


def _common_shares(parts: Sequence[_Analysis]) -> Iterator[float]:
    return (_common_share(one.shape, other.shape) for one, other in _pairs(parts))


def _head(glaciers: gpd.GeoDataFrame, rows: OutlineRows) -> str:
    named = glaciers[glaciers["has_id"]]
    n_ids, n_days = named["outline"].nunique(), named.loc[named["day"] != "", "day"].nunique()
    return (
        f"the column {rows.id_column!r} holds {counted(n_ids, 'id')} for {len(named)} rows of {counted(n_days, 'date')}"
    )


def _refuse_numbering(glaciers: gpd.GeoDataFrame, repeated: gpd.GeoDataFrame, rows: OutlineRows, where: str) -> None:
    """Refuse a column in which one value fills the file or numbers restart: such values do not identify glaciers."""
    # A real id of an inventory may have many parts, one of which is most of the glacier.
    areas = repeated.groupby(["outline", "day"])["area_m2"]
    largest = areas.transform("max") / areas.transform("sum")
    is_real = repeated["outline"].str.contains(_REAL_ID) & (largest >= _MAIN_PART)
    named = repeated[~is_real & ~repeated["outline"].str.contains(_COMPLEX)]
    if named.empty:
        return
    # A copy of a row does not count as a part.
    parts = named.assign(_wkb=named.geometry.to_wkb()).drop_duplicates(["outline", "day", "_wkb"])
    counts = parts.groupby(["outline", "day"]).size()
    most, (name, _) = int(counts.max()), counts.idxmax()
    is_constant = len(glaciers["outline"].unique()) == 1 and most == len(parts) > 2
    if is_constant or (most >= _MANY_PARTS and 2 * most > len(glaciers)):
        why = f"{name!r} is in {most} of them and does not distinguish glaciers"
    elif _restarts(glaciers["outline"], {str(outline) for (outline, _), n in counts.items() if n > 1}):
        why = "the numbers restart, which happens if several files were joined into one"
    else:
        return
    raise InputError(f"{_head(glaciers, rows)}: {why}", where=where, fix=better_ids(rows.spare))


def _restarts(names: "pd.Series[str]", shared: set[str]) -> bool:
    """Return whether the ids are consecutive numbers from 0 or 1, and exactly the lowest of them name several rows."""
    if len(shared) < _FEW_NUMBERS or not names.str.fullmatch(r"\d+").all():
        return False
    numbers = sorted({int(name) for name in names})
    is_count = numbers[0] <= 1 and numbers[-1] - numbers[0] == len(numbers) - 1
    return is_count and {int(name) for name in shared} == set(numbers[: len(shared)])


def _refuse_unrelated(
    glaciers: gpd.GeoDataFrame, dated: dict[str, list[_Analysis]], rows: OutlineRows, where: str
) -> None:
    """Refuse rows that share an id and are neither parts nor analyses of one glacier."""
    far = [name for name, parts in dated.items() if any(_is_scattered(part.shapes) for part in parts)]
    # All pairs are compared: an older outline may contain two later parts, neither of which is the whole glacier.
    apart = [
        name
        for name, parts in dated.items()
        if name not in far and any(share < _SAME_GROUND for share in _common_shares(parts))
    ]
    within = [name for name, parts in dated.items() if any(_is_nested(part.shapes) for part in parts)]
    if within and not far and not apart:
        raise InputError(
            f"{counted(len(within), 'id')} for rows of one date, one within the other ({few(within)}): a nunatak?",
            where=where,
            fix="cut nunataks out, or mark them as intrnl_rock in a column line_type; remove shapes that were drawn "
            f'twice; if all of it is glacier, make each row an outline of its own: id_field = "{EACH_ROW}"',
        )
    if not far and not apart:
        return
    problems = []
    if far:
        problems.append(
            f"{counted(len(far), 'id')} for rows of one date more than {_ONE_GLACIER_M:g} m apart ({few(far)})"
        )
    if apart:
        problems.append(f"{counted(len(apart), 'id')} for rows of different dates on different ground ({few(apart)})")
    raise InputError(
        f"{_head(glaciers, rows)}, which are not parts or analyses of one glacier: {'; '.join(problems)}",
        where=where,
        fix=better_ids(rows.spare),
    )


def _is_scattered(shapes: npt.NDArray[Any]) -> bool:
    if len(shapes) == 1:
        return False
    near = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=_ONE_GLACIER_M)
    pairs = scipy.sparse.coo_array(
        (np.ones(near.shape[1], dtype=np.int8), (near[0], near[1])), shape=(len(shapes), len(shapes))
    )
    return bool(scipy.sparse.csgraph.connected_components(pairs, directed=False)[0] > 1)


def _is_nested(shapes: npt.NDArray[Any]) -> bool:
    """Return whether a row is within another, larger row. Copies do not count."""
    if len(shapes) == 1:
        return False
    area = shapely.area(shapes)
    small, large = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    is_smaller = area[small] < _TWIN * area[large]
    small, large = small[is_smaller], large[is_smaller]
    return bool((shapely.area(shapely.intersection(shapes[small], shapes[large])) >= _TWIN * area[small]).any())


def _kept(parts: list[_Analysis], analyses: Analyses, composites: Sequence[int]) -> list[_Analysis]:
    if len(parts) == 1 or analyses == "all":
        return parts
    if analyses == "newest":
        return [max(parts, key=lambda part: part.rank)]
    return [max(parts, key=lambda part: (-_gap(part.year, composites), part.rank))]


def _gap(year: int | None, composites: Sequence[int]) -> float:
    return np.inf if year is None else min((abs(year - composite) for composite in composites), default=0)


def _row(name: str, part: _Analysis, repeated: gpd.GeoDataFrame, *, is_one_of_several: bool) -> dict[str, Any]:
    largest = part.rows[0]
    return {
        "outline": f"{name}@{part.day or 'undated'}{part.key}" if is_one_of_several else name,
        "glacier": name,
        "year": part.year if part.day else pd.NA,
        "date": repeated["date"].iloc[largest],
        "area_m2": float(shapely.area(part.shape)),
        "geometry": part.shape,
    }


def _notes(kept: dict[str, list[_Analysis]], several: dict[str, list[_Analysis]], analyses: Analyses) -> list[str]:
    notes = []
    united = {name: sum(len(part.rows) for part in parts if len(part.rows) > 1) for name, parts in kept.items()}
    joined = [name for name, count in united.items() if count]
    if joined:
        what = f"{sum(united.values())} rows that share an id united, as parts of one glacier and date"
        notes.append(f"{what}: {', '.join(joined)}")
    if several and analyses == "all":
        what = f"{sum(map(len, several.values()))} analyses of {counted(len(several), 'glacier')} kept"
        notes.append(f"{what}, each an outline of its own: {', '.join(several)}")
    elif several:
        n_rows = sum(len(part.rows) for name, parts in several.items() for part in parts if part is not kept[name][0])
        what = f"{counted(n_rows, 'row')} left out: of several analyses of {counted(len(several), 'glacier')}"
        days = ", ".join(f"{name} ({kept[name][0].day})" for name in several)
        notes.append(f"{what} the {analyses} counts: {days}")
    return notes
