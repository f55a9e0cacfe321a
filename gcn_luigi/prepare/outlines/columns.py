"""Read the columns of a file of outlines: each row's glacier id and date, and whether it is glacier or rock."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.outlines.dates import not_understood, read_dates
from gcn_luigi.settings import EACH_ROW, UNDATED, OutlineSettings

_IDS = ("rgiid", "rgi_id", "glims_id", "glimsid", "glac_id", "glacier_id", "outline", "id")
_DATES = ("bgndate", "src_date", "date", "img_date", "year")
# Files of the RGI also hold the id that GLIMS gives the same glacier.
_COMPANIONS = {"rgiid": {"glimsid", "glims_id"}, "rgi_id": {"glimsid", "glims_id"}}
_WORDS = {
    "", "-", "--", "?", "n/a", "na", "nan", "none", "null", "<null>", "nil", "no id", "noid", "tbd", "unknown",
    "unnamed", "no name", "noname", "no data", "nodata", "undefined",
}  # fmt: skip
# Numbers below 0, and ids of the RGI and of GLIMS whose number is 0. If several rows hold one, it does not count as id.
_NO_ID = re.compile(r"^(?:-\d+|rgi.*[-.]0+|g0+[ew]0+[ns])$")
# Part of the note that says which of several possible columns was used. It does not mean an error in the outlines.
COLUMN_CHOSEN = " would do as well: [outlines] "
_Mask = npt.NDArray[np.bool_]
_GLACIER, _ROCK = "glac_bound", "intrnl_rock"


@dataclass(frozen=True)
class OutlineRows:
    """The rows of a file that are glacier or rock within a glacier, with notes on what was chosen and left out.

    `table` is indexed by the row's position in the file. Its columns are outline (the id; ``row 7`` for a row without
    one), has_id, date (as written), day (ISO, as far as it is known), year (Int64), analysis (a key that links rock to
    its glacier) and is_rock. `id_column` is empty if each row is an outline of its own. `spare` are other columns that
    have a different value in each row.
    """

    table: pd.DataFrame
    id_column: str
    spare: tuple[str, ...]
    notes: tuple[str, ...]


def outline_rows(columns: pd.DataFrame, settings: OutlineSettings, where: str) -> OutlineRows:
    """Return the ids, dates and kinds of all rows that are glacier or rock; `columns` excludes the geometry.

    In a download from GLIMS (with a column ``line_type``), rows ``glac_bound`` are glacier and rows ``intrnl_rock`` are
    rock. All other rows are left out: debris, lakes and snow lines are within an outline or unrelated to it. Raise
    InputError if a column is missing, most ids or dates cannot be used, ids differ only in how they are written, or no
    row is glacier.
    """
    notes: list[str] = []
    columns = columns.reset_index(drop=True)
    is_rock, keep = _line_types(columns, notes, where)
    columns, is_rock = columns[keep], is_rock[keep]
    id_column = _id_column(columns, settings, notes, where)
    names, has_id = _ids(columns, id_column, notes, where)
    written, days = _dates(columns, settings, notes, where)
    analysis = find_column(columns, "anlys_id")
    given = [""] * len(columns) if analysis is None else [id_text(value) for value in columns[analysis]]
    keys = [f"#{key}" if key else day for key, day in zip(given, days, strict=True)]
    table = pd.DataFrame(
        {
            "outline": pd.array(names, dtype="str"),
            "has_id": has_id,
            "date": pd.array(written, dtype="str"),
            "day": pd.array(days, dtype="str"),
            "year": pd.array([int(day[:4]) if day else pd.NA for day in days], dtype="Int64"),
            "analysis": pd.array(keys, dtype="str"),
            "is_rock": is_rock,
        },
        index=columns.index,
    )
    return OutlineRows(table, id_column, _spare(columns, id_column), tuple(notes))


def id_text(value: Any) -> str:
    """Return an id as text; empty if the value is not an id but missing, blank, ``unknown`` or ``n/a``.

    Examples
    --------
    >>> [id_text(value) for value in (12.0, " RGI60-01.10689 ", "n/a", None)]
    ['12', 'RGI60-01.10689', '', '']
    """
    if value is None or pd.isna(value):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return "" if text.casefold() in _WORDS else text


def find_column(table: pd.DataFrame, *names: str) -> str | None:
    """Return the first of the columns `names` that the table has; upper and lower case count as the same."""
    columns = {str(column).lower(): str(column) for column in reversed(table.columns)}
    return next((columns[name.lower()] for name in names if name.lower() in columns), None)


def column_texts(columns: pd.DataFrame, name: str, where: str) -> list[str]:
    """Return the values of a column as texts: whole numbers without a fraction, and nothing as a blank text.

    Raise InputError if there is no such column; upper and lower case count as the same.
    """
    return [
        "" if value is None or pd.isna(value) else id_text(value) or str(value).strip()
        for value in columns[_named(columns, name, where)]
    ]


def _named(columns: pd.DataFrame, wanted: str, where: str) -> str:
    found = find_column(columns, wanted)
    if found is None:
        fix = f"name one of: {', '.join(sorted(map(str, columns.columns)))}"
        raise InputError(f"the file has no field {wanted!r}", where=where, fix=fix)
    return found


def _line_types(columns: pd.DataFrame, notes: list[str], where: str) -> tuple[_Mask, _Mask]:
    """Return a mask of the rows that are rock, and one of the rows that are rock or glacier."""
    name = find_column(columns, "line_type")
    if name is None:
        is_all = np.ones(len(columns), dtype=bool)
        return ~is_all, is_all
    kinds = columns[name].map(lambda value: "" if pd.isna(value) else str(value).strip().lower())
    counts = kinds.value_counts()
    if "" in counts.index or _GLACIER not in counts.index:
        held = ", ".join(f"{count} x {kind or 'nothing'}" for kind, count in sorted(counts.items()))
        raise InputError(
            f"the column {name!r} does not say which rows are glacier: {held}",
            where=where,
            fix=f"write {_GLACIER} for outlines of glaciers and {_ROCK} for rock within glaciers, or remove the column",
        )
    others = counts.drop([_GLACIER, _ROCK], errors="ignore")
    if len(others):
        held = ", ".join(f"{count} x {kind}" for kind, count in sorted(others.items()))
        notes.append(f"rows left out as no outlines of glaciers: {held}")
    return (kinds == _ROCK).to_numpy(bool), kinds.isin([_GLACIER, _ROCK]).to_numpy(bool)


def _chosen(columns: pd.DataFrame, usual: Sequence[str], what: str, key: str, notes: list[str]) -> str | None:
    """Return the first known column, and add a note about other columns that could be used as well."""
    found = {name: column for name in usual if (column := find_column(columns, name)) is not None}
    if not found:
        return None
    first, *rest = found
    others = [found[name] for name in rest if name not in _COMPANIONS.get(first, ())]
    if others:
        notes.append(f"{what} are those of {found[first]}; {few(others)}{COLUMN_CHOSEN}{key} says which")
    return found[first]


def _id_column(columns: pd.DataFrame, settings: OutlineSettings, notes: list[str], where: str) -> str:
    if settings.id_field == EACH_ROW and find_column(columns, EACH_ROW) is None:
        return ""
    if settings.id_field is not None:
        return _named(columns, settings.id_field, where)
    found = _chosen(columns, _IDS, "ids", "id_field", notes)
    if found is None:
        raise InputError(
            f"no field of outline ids is known among: {few(columns.columns, 20)}",
            where=where,
            fix=f'name it in outlines.id_field, or make each row an outline of its own: id_field = "{EACH_ROW}"',
        )
    return found


def _ids(columns: pd.DataFrame, column: str, notes: list[str], where: str) -> tuple[list[str], list[bool]]:
    if not column:
        notes.append(f"each of the {len(columns)} rows is an outline of its own")
        return [f"row {place}" for place in columns.index], [False] * len(columns)
    texts = [id_text(value) for value in columns[column]]
    times = Counter(texts)
    texts = ["" if times[text] > 1 and _NO_ID.match(text.casefold()) else text for text in texts]
    nameless = [place for place, text in zip(columns.index, texts, strict=True) if not text]
    lack = f"{len(nameless)} of {len(texts)} rows hold no id in the column {column!r}"
    if 2 * len(nameless) > len(texts):
        raise InputError(
            f"{lack}, for example row {nameless[0]}: {str(columns[column].loc[nameless[0]])!r}",
            where=where,
            fix=better_ids(_spare(columns, column)),
        )
    if nameless:
        places = ", ".join(f"row {place}" for place in nameless)
        notes.append(f"{lack} and are outlines of their own: {places}")
    names = [text or f"row {place}" for place, text in zip(columns.index, texts, strict=True)]
    different = pd.Series(sorted(set(names)), dtype=object)
    alike = different.groupby(different.map(_spelling)).agg(list)
    clash = [" and ".join(map(repr, group)) for group in alike if len(group) > 1]
    made = {f"row {place}" for place in nameless} & set(texts)
    if clash or made:
        raise InputError(
            f"ids of the column {column!r} differ only in how they are written: {few([*clash, *sorted(made)])}",
            where=where,
            fix="write the id of a glacier always in the same way, and make the ids of different glaciers clearly "
            f'different; or make each row an outline of its own: [outlines] id_field = "{EACH_ROW}"',
        )
    return names, [bool(text) for text in texts]


def _spelling(name: str) -> str:
    """Return an id without case, blanks and the zeros that a conversion between types adds or removes."""
    bare = re.sub(r"\s+", "", name).casefold()
    return re.sub(r"^0+(?=\d)", "", re.sub(r"\.0+$", "", bare)) if re.fullmatch(r"\d+(?:\.0+)?", bare) else bare


def better_ids(spare: Sequence[str]) -> str:
    """Return the fix for a column whose values are not ids; `spare` are columns with a different value in each row."""
    hint = f" ({few(spare)}: a different value in each row)" if spare else ""
    return (
        f"name a better column in [outlines] id_field{hint}, "
        f'or make each row an outline of its own: id_field = "{EACH_ROW}"'
    )


def _spare(columns: pd.DataFrame, taken: str) -> tuple[str, ...]:
    """Return the other columns of whole numbers or texts that have a different value in each row."""
    found = []
    for name in columns.columns:
        values = columns[name]
        is_text = pd.api.types.is_string_dtype(values) or pd.api.types.is_integer_dtype(values)
        is_other = str(name) != taken and str(name).lower() not in _DATES and "date" not in str(name).lower()
        if is_other and is_text and len(values) > 1 and values.notna().all() and values.is_unique:
            found.append(str(name))
    return tuple(found)


def _dates(
    columns: pd.DataFrame, settings: OutlineSettings, notes: list[str], where: str
) -> tuple[list[str], list[str]]:
    """Return the dates as written, and in ISO form."""
    if settings.date_field == UNDATED and find_column(columns, UNDATED) is None:
        return [""] * len(columns), [""] * len(columns)
    if settings.date_field is not None:
        column: str | None = _named(columns, settings.date_field, where)
    else:
        column = _chosen(columns, _DATES, "dates", "date_field", notes)
    if column is None:
        held = few(columns.columns, 20)
        notes.append(f"no column of dates is known among: {held}; [outlines] date_field names one")
        return [""] * len(columns), [""] * len(columns)
    values = columns[column].tolist()
    days, lost = read_dates(values, settings.date_format)
    if lost:
        what = not_understood(lost, len(values))
        if len(lost) > sum(map(bool, days)):
            raise InputError(
                f"{what} (column {column!r})",
                where=where,
                fix="name the column in [outlines] date_field and its format in date_format, "
                f'for example "%d.%m.%Y"; or treat all outlines as undated: date_field = "{UNDATED}"',
            )
        notes.append(f"{what}; column {column!r} holds: {', '.join(sorted(set(lost)))}")
    return ["" if pd.isna(value) else str(value) for value in values], days
