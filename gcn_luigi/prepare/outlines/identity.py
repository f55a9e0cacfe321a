"""Which rows of a file are one outline: parts are united, rock is subtracted, analyses are told apart by date."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.outlines.columns import OutlineRows, better_ids
from gcn_luigi.prepare.outlines.rock import rock_by_glacier
from gcn_luigi.settings import EACH_ROW

# Detached parts of one glacier lie nearer to each other; glaciers of one number in two maps seldom do.
_ONE_GLACIER_M = 1000.0
# Analyses of one glacier cover the same ground: the smaller lies at least half within the larger.
_SAME_GROUND = 0.5
# A row lies within another one when so much of it does; of two that are nearly as large one is a copy.
_TWIN = 0.99
# An id of this many parts that fills more than half of the file is a column's default value.
_MANY_PARTS = 5
_MAIN_PART = 0.5
# Numbers that begin anew in a second map repeat the first ones of the count, and at least so many.
_FEW_NUMBERS = 3
_COLUMNS = ["outline", "glacier", "year", "date", "area_m2", "geometry"]
_KINDS = {"outline": "str", "glacier": "str", "year": "Int64", "date": "str", "area_m2": "float64"}
_REAL_ID = r"(?i)^(?:RGI\d|G\d{6}[EW]\d{5}[NS])"
# The complexes of RGI 7, whose parts are glaciers.
_COMPLEX = r"(?i)^RGI\d{4}-.*-C-"


@dataclass(frozen=True)
class Choice:
    """Which of several analyses of one glacier count.

    Attributes
    ----------
    analyses : str
        ``"error"``: none may have several; ``"all"``: each is an outline of its own; ``"newest"``; ``"nearest"``: the
        one with the smallest gap to any composite, the newest on a tie.
    composites : tuple of int
        Years there are composites of; needed by ``"nearest"``.
    """

    analyses: Literal["error", "all", "newest", "nearest"] = "error"
    composites: tuple[int, ...] = ()


def unite_outlines(
    table: gpd.GeoDataFrame, rows: OutlineRows, choice: Choice, where: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return one row an outline, sorted by name.

    Rows of one id are united where they are parts of one glacier: of one date, or of several days of one year that do
    not overlap, and no part farther than 1 km from the others. Analyses of one glacier have different dates and cover
    the same ground. Whatever else shares an id is refused.

    Parameters
    ----------
    table : GeoDataFrame
        Columns of `OutlineRows.table`, area_m2 and geometry: valid polygons in a projected CRS in metres.
    rows : OutlineRows
        What is known of the columns, for messages.
    choice : Choice
        What to do with several analyses of one glacier.
    where : str
        The file, for messages.

    Returns
    -------
    GeoDataFrame, list of str
        outline (str, unique), glacier (the id, one for all its analyses), year, date, area_m2, geometry; and notes with
        all names.

    Raises
    ------
    InputError
        An id is shared by rows that are not one glacier, rock has no glacier, or a glacier has several analyses and
        `choice` is ``"error"``.
    """
    # The bytes decide between equal areas, so that the order of the records plays no part.
    order = table.assign(_wkb=shapely.to_wkb(table.geometry.to_numpy(), output_dimension=2, byte_order=1))
    order = order.sort_values(["outline", "area_m2", "day", "_wkb"], ascending=[True, False, True, True])
    order = order.drop(columns="_wkb").reset_index(drop=True)
    glaciers, notes = _less_rock(order, where)
    repeated = glaciers[glaciers.duplicated("outline", keep=False)]
    singles = glaciers.drop(repeated.index)
    _refuse_numbering(glaciers, repeated, rows, where)
    dated = _by_name(repeated)
    _refuse_strangers(glaciers, dated, rows, where)
    several = {name: parts for name, parts in dated.items() if len(parts) > 1}
    if several and choice.analyses == "error":
        name, parts = next(iter(several.items()))
        days = ", ".join(" ".join(filter(None, (part.day or "no date", part.key))) for part in parts)
        is_of_dates = any(len({part.day for part in analyses}) > 1 for analyses in several.values())
        what = "outlines of several dates" if is_of_dates else "several analyses of one date"
        raise InputError(
            f"{what} for {len(several)} of {_n(glaciers['outline'].nunique(), 'glacier')}, for example {name} ({days})",
            where=where,
            fix='say which of them count: [outlines] analyses = "newest", "nearest" (to a composite) or "all"',
        )
    made = [
        _row(name, part, repeated, is_one_of_several=name in several and choice.analyses == "all")
        for name, parts in dated.items()
        for part in _kept(parts, choice)
    ]
    whole = singles.assign(glacier=singles["outline"])[_COLUMNS]
    if made:
        united = gpd.GeoDataFrame(made, geometry="geometry", crs=table.crs)[_COLUMNS].astype(_KINDS)
        whole = pd.concat([whole.astype(_KINDS), united]) if len(whole) else united
    whole = whole.astype(_KINDS).sort_values("outline", ignore_index=True)
    return whole, [*notes, *_told(dated, several, choice)]


@dataclass(frozen=True)
class _Analysis:
    """All rows of one glacier of one date, the largest first: their places in the table, shapes and union.

    `key` tells apart what several people made of one image; it is empty otherwise.
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
        """Rises with the date; on one day with the number that GLIMS gives analyses as they come in."""
        number = self.key.lstrip("#")
        return self.day, int(number) if number.isdecimal() else -1, self.key


def _by_name(repeated: gpd.GeoDataFrame) -> dict[str, list[_Analysis]]:
    """Return the analyses of each glacier; `repeated` is sorted by name."""
    names, days, keys = (repeated[name].to_numpy(object) for name in ("outline", "day", "analysis"))
    shapes = repeated.geometry.to_numpy()
    # Slices of arrays: a table for each of thousands of glaciers would take minutes.
    groups = np.split(np.arange(len(names)), np.flatnonzero(names[1:] != names[:-1]) + 1)
    return {str(names[rows[0]]): _analyses(rows, days, keys, shapes) for rows in groups if len(rows)}


def _analyses(
    rows: npt.NDArray[np.int64], days: npt.NDArray[Any], keys: npt.NDArray[Any], shapes: npt.NDArray[Any]
) -> list[_Analysis]:
    """Return the analyses of one glacier, the newest last; parts seen on several days of one year are one."""
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
        if len(parts) > 1 and not _any_same_ground(parts):
            # Dated as its largest part, which comes first.
            parts = [_analysis(days[of_year[0]], of_year, shapes)]
        found += parts
    return found


def _analyses_of_day(
    day: str, rows: npt.NDArray[np.int64], keys: npt.NDArray[Any], shapes: npt.NDArray[Any]
) -> list[_Analysis]:
    """Return what was made of the images of one day: several analyses only where they differ on the same ground."""
    own = keys[rows]
    parts = [_analysis(day, rows[own == key], shapes, str(key)) for key in sorted(set(own))]
    if any(_contradict(one.shape, other.shape) for i, one in enumerate(parts) for other in parts[:i]):
        return sorted(parts, key=lambda part: part.rank)
    return [_analysis(day, rows, shapes)]


def _analysis(day: str, rows: npt.NDArray[np.int64], shapes: npt.NDArray[Any], key: str = "") -> _Analysis:
    own = shapes[rows]
    return _Analysis(str(day), rows, own, own[0] if len(own) == 1 else shapely.union_all(own), key)


def _contradict(one: Any, other: Any) -> bool:
    """Return whether two shapes cover the same ground and differ by more than a square metre: no copies."""
    return bool(
        _common_share(one, other) >= _SAME_GROUND and shapely.area(shapely.symmetric_difference(one, other)) > 1.0
    )


def _common_share(one: Any, other: Any) -> float:
    """Return how much of the smaller of two shapes lies in the larger."""
    return float(shapely.area(shapely.intersection(one, other)) / min(shapely.area(one), shapely.area(other)))


def _any_same_ground(parts: Sequence[_Analysis]) -> bool:
    return any(
        _common_share(one.shape, other.shape) >= _SAME_GROUND for i, one in enumerate(parts) for other in parts[:i]
    )


def _less_rock(order: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows of glacier, less the rock of the same glacier and analysis."""
    is_rock = order["is_rock"].to_numpy(bool)
    if not is_rock.any():
        return order, []
    rock, glaciers = order[is_rock], order[~is_rock].reset_index(drop=True)
    by_key = {key: group.geometry.to_numpy() for key, group in rock.groupby(["outline", "analysis"])}
    shapes = glaciers.geometry.to_numpy().copy()
    keys = list(zip(glaciers["outline"], glaciers["analysis"], strict=True))
    lost = [key for key in by_key if key not in set(keys)]
    stray = np.concatenate([by_key[key] for key in lost]) if lost else np.array([], dtype=object)
    on_ice = _overlapping(stray, shapes)
    if on_ice:
        raise InputError(
            f"{on_ice} of {_n(len(rock), 'row')} of rock on a glacier of another id or date: "
            f"{few(sorted({key[0] for key in lost}))}",
            where=where,
            fix="give rock the id of its glacier, and its anlys_id or src_date; or cut it out of the outline",
        )
    carved = set()
    # Rock that reaches over a divide is rock for the neighbour, too, where it was seen on one day.
    for i, found in rock_by_glacier(rock, glaciers):
        shapes[i] = shapely.difference(shapes[i], shapely.union_all(found))
        carved.add(keys[i][0])
    area = shapely.area(shapes)
    if not area.all():
        raise InputError(
            f"{_n(int((area == 0).sum()), 'outline')} covered by rock: {few(glaciers.loc[area == 0, 'outline'])}",
            where=where,
            fix="correct their line_type",
        )
    told = f"{_n(len(rock) - len(stray), 'row')} of rock subtracted from {_n(len(carved), 'glacier')}"
    notes = [f"{told}: {', '.join(sorted(carved))}"]
    if len(stray):
        names = ", ".join(sorted({key[0] for key in lost}))
        notes.append(f"{_n(len(stray), 'row')} of rock left out, on no glacier: {names}")
    glaciers = glaciers.set_geometry(gpd.GeoSeries(shapes, crs=order.crs)).assign(area_m2=area)
    return glaciers, notes


def _overlapping(some: npt.NDArray[Any], others: npt.NDArray[Any]) -> int:
    """Return how many of `some` share more than a square metre with one of `others`."""
    first, second = shapely.STRtree(others).query(some, predicate="intersects")
    common = shapely.area(shapely.intersection(some[first], others[second]))
    return len(np.unique(first[common > 1.0]))


def _head(glaciers: gpd.GeoDataFrame, rows: OutlineRows) -> str:
    named = glaciers[glaciers["has_id"]]
    n_ids, n_days = named["outline"].nunique(), named.loc[named["day"] != "", "day"].nunique()
    return f"the column {rows.id_column!r} holds {_n(n_ids, 'id')} for {len(named)} rows of {_n(n_days, 'date')}"


def _n(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _refuse_numbering(glaciers: gpd.GeoDataFrame, repeated: gpd.GeoDataFrame, rows: OutlineRows, where: str) -> None:
    """Refuse a column in which one value fills the file, or numbers begin anew: neither names a glacier."""
    # An inventory's own id may stand for many parts, of which one is nearly all of a glacier.
    largest = repeated.groupby(["outline", "day"])["area_m2"].transform("max") / repeated.groupby(["outline", "day"])[
        "area_m2"
    ].transform("sum")
    is_real = repeated["outline"].str.contains(_REAL_ID) & (largest >= _MAIN_PART)
    named = repeated[~is_real & ~repeated["outline"].str.contains(_COMPLEX)]
    if named.empty:
        return
    # A copy of a row is no part.
    parts = named.assign(_wkb=named.geometry.to_wkb()).drop_duplicates(["outline", "day", "_wkb"])
    counts = parts.groupby(["outline", "day"]).size()
    most, (name, _) = int(counts.max()), counts.idxmax()
    is_constant = len(glaciers["outline"].unique()) == 1 and most == len(parts) > 2
    if is_constant or (most >= _MANY_PARTS and 2 * most > len(glaciers)):
        why = f"{name!r} stands in {most} of them and tells no glacier from another"
    elif _begins_anew(glaciers["outline"], {str(outline) for (outline, _), n in counts.items() if n > 1}):
        why = "the numbers begin anew, as in files that were joined into one"
    else:
        return
    raise InputError(f"{_head(glaciers, rows)}: {why}", where=where, fix=better_ids(rows.spare))


def _begins_anew(names: "pd.Series[str]", shared: set[str]) -> bool:
    """Return whether ids are the numbers from 0 or 1 on, of which the first few stand for several rows."""
    if len(shared) < _FEW_NUMBERS or not names.str.fullmatch(r"\d+").all():
        return False
    numbers = sorted({int(name) for name in names})
    is_count = numbers[0] <= 1 and numbers[-1] - numbers[0] == len(numbers) - 1
    return is_count and {int(name) for name in shared} == set(numbers[: len(shared)])


def _refuse_strangers(
    glaciers: gpd.GeoDataFrame, dated: dict[str, list[_Analysis]], rows: OutlineRows, where: str
) -> None:
    """Refuse rows that share an id and are neither parts nor analyses of one glacier."""
    far = [name for name, parts in dated.items() if any(_is_scattered(part.shapes) for part in parts)]
    apart = [name for name, parts in dated.items() if name not in far and not _is_one_ground(parts)]
    within = [name for name, parts in dated.items() if any(_is_nested(part.shapes) for part in parts)]
    if within and not far and not apart:
        raise InputError(
            f"{_n(len(within), 'id')} for rows of one date, one within the other ({few(within)}): a nunatak?",
            where=where,
            fix="cut nunataks out, or call them intrnl_rock in a column line_type; remove what is drawn twice; "
            f'where all of it is glacier, let each row be an outline of its own: id_field = "{EACH_ROW}"',
        )
    if not far and not apart:
        return
    told = []
    if far:
        told.append(f"{_n(len(far), 'id')} for rows of one date more than {_ONE_GLACIER_M:g} m apart ({few(far)})")
    if apart:
        told.append(f"{_n(len(apart), 'id')} for rows of different dates on different ground ({few(apart)})")
    raise InputError(
        f"{_head(glaciers, rows)}, which are not parts or analyses of one glacier: {'; '.join(told)}",
        where=where,
        fix=better_ids(rows.spare),
    )


def _is_scattered(shapes: npt.NDArray[Any]) -> bool:
    if len(shapes) == 1:
        return False
    near = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=_ONE_GLACIER_M)
    pairs = coo_array((np.ones(near.shape[1], dtype=np.int8), (near[0], near[1])), shape=(len(shapes), len(shapes)))
    return bool(connected_components(pairs, directed=False)[0] > 1)


def _is_nested(shapes: npt.NDArray[Any]) -> bool:
    """Return whether a row lies within another that is larger, other than a copy."""
    if len(shapes) == 1:
        return False
    area = shapely.area(shapes)
    small, large = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    is_smaller = area[small] < _TWIN * area[large]
    small, large = small[is_smaller], large[is_smaller]
    return bool((shapely.area(shapely.intersection(shapes[small], shapes[large])) >= _TWIN * area[small]).any())


def _is_one_ground(parts: Sequence[_Analysis]) -> bool:
    # All pairs: one older outline may hold two later parts, of which neither is the glacier.
    return all(
        _common_share(one.shape, other.shape) >= _SAME_GROUND for i, one in enumerate(parts) for other in parts[:i]
    )


def _kept(parts: Sequence[_Analysis], choice: Choice) -> Iterator[_Analysis]:
    if len(parts) == 1 or choice.analyses == "all":
        yield from parts
    elif choice.analyses == "newest":
        yield max(parts, key=lambda part: part.rank)
    else:
        yield max((part for part in parts), key=lambda part: (-_gap(part.year, choice.composites), part.rank))


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


def _told(
    dated: dict[str, list[_Analysis]],
    several: dict[str, list[_Analysis]],
    choice: Choice,
) -> list[str]:
    notes = []
    kept = {name: list(_kept(parts, choice)) for name, parts in dated.items()}
    united = {name: sum(len(part.rows) for part in parts if len(part.rows) > 1) for name, parts in kept.items()}
    joined = [name for name in dated if united[name]]
    if joined:
        told = f"{sum(united.values())} rows that share an id united, as parts of one glacier and date"
        notes.append(f"{told}: {', '.join(joined)}")
    if several and choice.analyses == "all":
        told = f"{sum(map(len, several.values()))} analyses of {_n(len(several), 'glacier')} kept"
        notes.append(f"{told}, each an outline of its own: {', '.join(several)}")
    elif several:
        n_rows = sum(len(part.rows) for name, parts in several.items() for part in parts if part is not kept[name][0])
        of = f"of several analyses of {_n(len(several), 'glacier')}"
        told = f"{_n(n_rows, 'row')} left out: {of} the {choice.analyses} counts"
        notes.append(f"{told}: {', '.join(f'{name} ({kept[name][0].day})' for name in several)}")
    return notes
