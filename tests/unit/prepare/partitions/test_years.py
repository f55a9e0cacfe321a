"""Years of outlines and of partitions."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.outlines.dates import read_date
from gcn_luigi.prepare.partitions.grid import Cell
from gcn_luigi.prepare.partitions.years import partition_years, years_of_cells, years_of_rows
from gcn_luigi.settings import YearSettings

EVEN = range(1986, 2022, 2)


def joined(cells):
    rows = [
        (cell, f"{cell}{i}", year, area)
        for cell, outlines in cells.items()
        for i, (year, area) in enumerate((o if isinstance(o, tuple) else (o, 1.0)) for o in outlines)
    ]
    return pd.DataFrame(rows, columns=["cell", "outline", "year", "area_m2"]).astype({"year": "Int64"})


@pytest.mark.parametrize(
    ("value", "year"),
    [
        ("20090906", 2009), (20090906, 2009), (20090906.0, 2009), ("20090906.0", 2009), (np.int64(20090906), 2009),
        ("20069999", 2006), ("20060999", 2006), (20060999, 2006), (2005, 2005), ("2005", 2005), (2005.0, 2005),
        ("2000-07-15", 2000), ("2000-07-15T00:00:00", 2000), ("2000-07-15 10:00:00", 2000), ("2000/07/15", 2000),
        (dt.date(2001, 2, 3), 2001), (dt.datetime(2001, 2, 3, tzinfo=dt.UTC), 2001), (pd.Timestamp("2001-02-03"), 2001),
        (np.datetime64("2001-02-03"), 2001), ("200708", 2007), (" 2007 ", 2007),
        ("-9999999", None), (-9999999, None), (-9999999.0, None), ("9999", None), (9999, None), ("99999999", None),
        (None, None), (np.nan, None), (pd.NaT, None), (pd.NA, None), (np.datetime64("NaT", "D"), None), ("", None),
        ("unknown", None), ("06.09.2009", None), ("20091306", None), ("20090145", None), ("18991231", None),
        ("2101", None), (True, None), (2005.5, None), (np.inf, None), ("0", None), (0, None),
    ],
)  # fmt: skip
def test_a_date_gives_its_year_or_none(value, year):
    assert (read_date(value) or "")[:4] == ("" if year is None else str(year))


@pytest.mark.parametrize(
    ("years", "expected"), [([2001, 2000], 2000), ([2005, 2005, 2010], 2006), ([2019], 2020), ([1985], 1986)]
)
def test_the_legacy_rule_meets_its_check_vectors(years, expected):
    table = partition_years(joined({"a": years}), EVEN, YearSettings(rule="legacy", max_gap_years=0))

    assert table.loc["a", "year"] == expected
    assert table.loc["a", "reason"] == ""


def test_the_legacy_rule_asks_for_exactly_that_composite():
    table = partition_years(joined({"a": [2003], "b": [2005]}), [2000, 2006], YearSettings(rule="legacy"))

    assert table.loc["a", "reason"] == "no composite for 2004"
    assert table["year"].isna().tolist() == [True, False]
    assert table.loc["b", "year"] == 2006


def test_the_nearest_composite_is_taken_and_the_earlier_on_a_tie():
    cells = {"a": [2003], "b": [2004], "c": [1900], "d": [2020], "e": [2006]}

    table = partition_years(joined(cells), [2000, 2006, 2010], YearSettings(max_gap_years=200))

    assert table["year"].tolist() == [2000, 2006, 2000, 2010, 2006]
    assert table["year_gap"].tolist() == [3, 2, 100, 10, 0]


def test_a_gap_too_wide_is_a_reason_with_its_width():
    table = partition_years(joined({"a": [2017], "b": [2015]}), [2010], YearSettings(max_gap_years=5))

    assert table["reason"].tolist() == ["year gap 7", ""]
    assert table["year_gap"].tolist() == [7, 5]
    assert pd.isna(table.loc["a", "year"])


def test_area_can_outvote_number():
    cells = {"a": [(2005, 1.0), (2005, 1.0), (2010, 5.0)]}

    by_area = partition_years(joined(cells), EVEN, YearSettings(rule="area-weighted"))
    by_number = partition_years(joined(cells), EVEN, YearSettings(rule="nearest"))

    assert by_area.loc["a", "outline_year"] == 2010
    assert by_number.loc["a", "outline_year"] == 2005
    assert (by_area.loc["a", "outline_year_min"], by_area.loc["a", "outline_year_max"]) == (2005, 2010)


def test_an_outline_counts_once_a_cell():
    rows = joined({"a": [2005, 2010]})

    table = partition_years(pd.concat([rows, rows.iloc[[1]], rows.iloc[[1]]]), EVEN, YearSettings())

    assert table.loc["a", "outline_year"] == 2005


def test_cells_without_a_dated_outline_are_left_out_or_given_the_stated_year():
    rows = joined({"a": [None], "b": [2006]})

    skipped = partition_years(rows, EVEN, YearSettings(), ["a", "b", "c"])
    given = partition_years(rows, EVEN, YearSettings(no_year=2000), ["a", "b", "c"])

    assert skipped["reason"].tolist() == ["no dated outline", "", "no dated outline"]
    assert given["year"].tolist() == [2000, 2006, 2000]
    assert given["reason"].tolist() == ["", "", ""]
    assert given["year_gap"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(("composites", "no_year"), [([], "skip"), ([2000], 2001)])
def test_a_year_without_composite_is_no_setting(composites, no_year):
    with pytest.raises(ConfigError, match="no composite"):
        partition_years(joined({"a": [2000]}), composites, YearSettings(no_year=no_year))


def test_years_do_not_depend_on_the_order_of_rows():
    rows = joined({c: [2000 + (i * 7) % 13 for i in range(9)] for c in "abcdef"})

    plain = partition_years(rows, EVEN, YearSettings(rule="area-weighted"))
    mixed = partition_years(rows.sample(frac=1, random_state=3), EVEN, YearSettings(rule="area-weighted"))

    pd.testing.assert_frame_equal(plain, mixed)


def test_the_years_of_an_imported_grid_follow_the_same_rules():
    cells = [Cell("a", Window(0, 0, 1, 1), years=(2003,)), Cell("b", Window(0, 1, 1, 1))]

    near = partition_years(years_of_cells(cells, "nearest"), [2000, 2006], YearSettings())
    legacy = partition_years(years_of_cells(cells, "legacy"), [2000, 2006], YearSettings(rule="legacy"))

    assert near["reason"].tolist() == ["", "no dated outline"]
    assert (near.loc["a", "year"], near.loc["a", "year_gap"]) == (2000, 3)
    assert legacy.loc["a", "reason"] == "no composite for 2004"


def test_all_composites_within_the_gap_are_listed_and_the_nearest_stays_the_year():
    rows = joined({"a": [2007], "b": [2001], "c": [1980], "d": [None]})
    composites = [2012, 2000, 2004, 2008]

    every = partition_years(rows, composites, YearSettings(rule="all", max_gap_years=4))
    nearest = partition_years(rows, composites, YearSettings(rule="nearest", max_gap_years=4))
    stated = partition_years(rows, composites, YearSettings(rule="all", max_gap_years=4, no_year=2012))

    assert every["years"].tolist() == ["2004;2008", "2000;2004", "", ""]
    assert stated["years"].tolist() == ["2004;2008", "2000;2004", "", "2012"]
    pd.testing.assert_frame_equal(every.drop(columns="years"), nearest)
    assert years_of_rows(every.reset_index()) == [(2004, 2008), (2000, 2004), (), ()]
    assert years_of_rows(nearest.reset_index()) == [(2008,), (2000,), (), ()]


def test_no_outlines_at_all_is_a_table_without_rows():
    assert partition_years(joined({}), EVEN, YearSettings()).empty
