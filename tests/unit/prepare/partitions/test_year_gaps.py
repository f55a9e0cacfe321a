"""What is said about composites and outlines of different years."""

import pandas as pd
import pytest

from gcn_luigi.prepare.partitions.year_gaps import year_facts, year_remedies, year_warnings
from gcn_luigi.settings import RegionSettings


def settings(years=(2004, 2008), **sections):
    return RegionSettings.model_validate(
        {
            "region": "r",
            "data_root": ".",
            "years": years,
            "bands": [{"name": "a", "role": "optical"}],
            "outlines": {"path": "o.gpkg"} | sections.pop("outlines", {}),
            "label": {"raster": "l.tif"},
            **sections,
        }
    )


def catalog(*rows):
    """Return a catalog of rows: reason, year of the outline, gap, number of outlines."""
    table = pd.DataFrame(list(rows), columns=["reason", "outline_year", "year_gap", "n_outlines"])
    return table.astype({"outline_year": "Int64", "year_gap": "Int64"}).assign(used=table["reason"] == "")


FAR = ("year gap 7", 1997, 7, 1)
NEAR = ("", 2003, 1, 1)
UNDATED = ("no dated outline", None, None, 1)
BARE = ("no outline", None, None, 0)


def test_a_catalog_without_reasons_about_years_has_nothing_to_say():
    table = catalog(NEAR, BARE, ("rejected id", 1950, 50, 1))

    assert year_facts(table, settings()) == []
    assert list(year_warnings(table, settings())) == []


def test_outlines_on_both_sides_of_the_composites_are_not_all_newer_or_older():
    table = catalog(FAR, ("year gap 9", 2017, 9, 1))

    (fact,) = year_facts(table, settings())
    assert fact == (
        "the outlines of 2 cells are from 1997 to 2017 and the composites are from 2004 and 2008; the nearest is "
        "7 to 9 years away, and [year] max_gap_years allows 5"
    )
    assert "max_gap_years = 9 (7 admits the first cells)" in year_remedies(table, settings())["year gap"]


def test_many_composites_are_given_as_a_span():
    (fact,) = year_facts(catalog(FAR), settings((2004, 2006, 2008, 2010)))

    assert "the outlines of 1 cell are from 1997 and the composites are from 2004 to 2010, all newer" in fact


def test_the_note_on_columns_says_why_there_are_no_dates():
    note = "no column of dates is known among: id, name; [outlines] date_field names one"

    assert year_facts(catalog(UNDATED), settings(), ["each of the 2 rows is an outline of its own", note]) == [
        "the outlines of 1 cell have no date: no column of dates is known among: id, name"
    ]


@pytest.mark.parametrize(("n_far", "n_near", "is_warned"), [(3, 2, True), (2, 2, False), (1, 0, True), (0, 4, False)])
def test_a_warning_needs_more_than_half_of_the_cells_with_an_outline(n_far, n_near, is_warned):
    table = catalog(*[FAR] * n_far, *[NEAR] * n_near, *[BARE] * 9)

    warnings = [line for line in year_warnings(table, settings()) if "not used" in line]

    assert bool(warnings) is is_warned
    if is_warned:
        assert warnings[0].startswith(f"most partitions with an outline are not used, {n_far} of {n_far + n_near}:")


def test_most_cells_without_a_date_are_a_warning_too():
    (warning,) = year_warnings(catalog(UNDATED, UNDATED, NEAR), settings())

    assert "2 of 3: the outlines of 2 cells have no date: name the column of dates in [outlines] date_field" in warning


@pytest.mark.parametrize(
    ("years", "outline", "gap", "said"),
    [
        ((2004, 2008), 2002, 2, "all newer than the outlines"),
        ((2004, 2008), 2010, 2, "all older than the outlines"),
        ((2008,), 2005, 3, "the only composite is from 2008, newer than the outlines"),
        # A composite of two years is named by the second.
        ((2004, 2008), 2003, 1, None),
        ((2004, 2008), 2006, 2, None),
    ],
)
def test_images_of_another_time_than_all_outlines_are_a_warning(years, outline, gap, said):
    warnings = list(year_warnings(catalog(("", outline, gap, 1)), settings(years)))

    assert (said is None and warnings == []) or said in warnings[0]
