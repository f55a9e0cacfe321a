"""Say in plain words how composites and outlines lie in time, and which key decides about cells that do not fit."""

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from gcn_luigi.settings import UNDATED, RegionSettings

# The kinds of reason in the catalog that are about years.
_GAP, _NO_COMPOSITE, _NO_DATE = "year gap", "no composite for", "no dated outline"
# A warning is given if more than this share of the cells with an outline is left out for one of these reasons.
_MANY = 0.5
# The first words of the note on outlines in which no column of dates was found.
_NO_COLUMN = "no column of dates"


def year_facts(catalog: pd.DataFrame, settings: RegionSettings, notes: Iterable[str] = ()) -> list[str]:
    """Return one sentence for each reason about years that keeps cells from being used.

    A sentence says how many cells it is about, and which years the outlines and the composites have.

    Parameters
    ----------
    catalog : DataFrame
        Columns reason, outline_year and year_gap, as `build_catalog` makes them.
    settings : RegionSettings
        The years of the composites, and how partitions choose among them.
    notes : iterable of str
        Notes from reading the outlines.
    """
    facts, composites = [], settings.years
    far, lacking, undated = (catalog[_is_of(catalog, kind)] for kind in (_GAP, _NO_COMPOSITE, _NO_DATE))
    if len(far):
        facts.append(
            f"the outlines of {_cells(far)} are from {_span(far['outline_year'])} and {_images(composites)}"
            f"{_order(far['outline_year'], composites)}; the nearest is {_span(far['year_gap'])} years away, and "
            f"[year] max_gap_years allows {settings.year.max_gap_years}"
        )
    if len(lacking):
        wanted = sorted({int(reason.rpartition(" ")[2]) for reason in lacking["reason"]})
        facts.append(
            f'[year] rule = "legacy" needs composites of {_years(wanted)} for {_cells(lacking)}, and '
            f"{_images(composites)}"
        )
    if len(undated) and settings.year.source == "grid":
        facts.append(f"the grid gives no year for {_cells(undated)}")
    elif len(undated):
        why = next((note.partition(";")[0] for note in notes if note.startswith(_NO_COLUMN)), "")
        facts.append(f"the outlines of {_cells(undated)} have no date" + (f": {why}" if why else ""))
    return facts


def year_remedies(catalog: pd.DataFrame, settings: RegionSettings) -> dict[str, str]:
    """Return what to change for each reason about years, by the kind of reason. `catalog` is that of `year_facts`."""
    composites = settings.years
    remedies = {_NO_COMPOSITE: 'use [year] rule = "nearest", or add these composites'}
    far = catalog[_is_of(catalog, _GAP)]
    if len(far):
        least, most = int(far["year_gap"].min()), int(far["year_gap"].max())
        some = f" ({least} admits the first cells)" if least < most else ""
        remedies[_GAP] = (
            f"add composites nearer to {_span(far['outline_year'])}; or, if glaciers hardly changed between outline "
            f"and image, set [year] max_gap_years = {most}{some}"
        )
    choice = f"set [year] no_year = {composites[-1]}, the composite for cells without a date"
    if len(composites) > 1:
        choice += f" (or another of years: {_years(composites)})"
    if settings.year.source == "grid":
        remedies[_NO_DATE] = f'fill the column year of the grid, or set [year] source = "outlines"; or {choice}'
    elif settings.outlines.date_field == UNDATED:
        remedies[_NO_DATE] = f'[outlines] date_field = "{UNDATED}" makes all outlines undated: {choice}'
    else:
        remedies[_NO_DATE] = (
            "name the column of dates in [outlines] date_field, and its format in date_format; or, if there are no "
            f'dates, set date_field = "{UNDATED}" and {choice}'
        )
    return remedies


def year_warnings(catalog: pd.DataFrame, settings: RegionSettings, notes: Iterable[str] = ()) -> Iterator[str]:
    """Yield a warning if most cells with an outline are left out because of their year, and if no image is of its time.

    `catalog` also needs the columns used and n_outlines; the rest is that of `year_facts`.
    """
    with_outline = catalog[catalog["n_outlines"] > 0]
    notes = list(notes)
    for kind, fix in year_remedies(catalog, settings).items():
        cells = with_outline[_is_of(with_outline, kind)]
        if len(cells) > _MANY * len(with_outline):
            (why,) = year_facts(cells, settings, notes)
            yield f"most partitions with an outline are not used, {len(cells):,} of {len(with_outline):,}: {why}: {fix}"
    used = catalog[catalog["used"].astype(bool) & catalog["outline_year"].notna()]
    # A composite of two years is named by the second one.
    if len(used) and used["year_gap"].min() > 1 and (order := _order(used["outline_year"], settings.years)):
        yield (
            f"outlines and images are from different times: the outlines of the used partitions are from "
            f"{_span(used['outline_year'])} and {_images(settings.years)}{order}. Glaciers may have changed in between "
            f"(see [year] max_gap_years)"
        )


def _is_of(catalog: pd.DataFrame, kind: str) -> "pd.Series[bool]":
    return catalog["reason"].astype(str).str.startswith(kind)


def _order(years: "pd.Series[int]", composites: Sequence[int]) -> str:
    every = "all " if len(composites) > 1 else ""
    if min(composites) > years.max():
        return f", {every}newer than the outlines"
    return f", {every}older than the outlines" if max(composites) < years.min() else ""


def _images(composites: Sequence[int]) -> str:
    return (
        f"the only composite is from {composites[0]}"
        if len(composites) == 1
        else f"the composites are from {_years(composites)}"
    )


def _cells(rows: pd.DataFrame) -> str:
    return "1 cell" if len(rows) == 1 else f"{len(rows):,} cells"


def _span(values: "pd.Series[int]") -> str:
    least, most = int(values.min()), int(values.max())
    return str(least) if least == most else f"{least} to {most}"


def _years(years: Sequence[int]) -> str:
    if len(years) > 3:
        return f"{years[0]} to {years[-1]}"
    return " and ".join(part for part in (", ".join(map(str, years[:-1])), str(years[-1])) if part)
