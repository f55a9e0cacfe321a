"""What band descriptions say about years, and what only looks like a year."""

import pytest

from gcn_luigi.prepare.missing.described_years import contradicts, described_years


@pytest.mark.parametrize(
    "text",
    [
        "2012", "yr2012", "YR2012", "y2012", "year 2012", "NBR_2012", "b1_2012", "2012_ftv_nbr", "summer 2012 (median)",
        "2012-07-21_2012-09-20", "20120721", "20120601-20120930", "2012-07-21T12:00:00Z", "S2A_20120721T205403",
        "21.07.2012", "07/21/2012", "2012:07:21 00:00:00", "2012-07", "LTV3_ndsi_07210920_2012", "Landsat, 2012, 30 m",
        "2012/18",
    ],
)  # fmt: skip
def test_a_year_or_a_date_or_a_season_within_one_year_names_it(text):
    assert described_years([text, "ndvi"]) == (2012, None)


@pytest.mark.parametrize(
    "text",
    [
        "", "ndvi", "band 1", "B2", "1999_2001", "1999-2001", "median of 1999 to 2001", "2011-12-01_2012-02-28",
        "2010/11", "2010-11", "0.2012", "2012.5", "2000 nm", "2000nm", "2012 m", "12012", "2012345", "07210920", "1850",
        "20121340", "20122107", "2010/15", "WGS1984", "T2012A", "LT05_L1TP_066017_20120721_20161203_01_T1",
    ],
)  # fmt: skip
def test_what_is_no_single_year_says_nothing(text):
    assert described_years([text, "2004"]) == (None, 2004)


@pytest.mark.parametrize(
    ("names", "years"),
    [
        (["Collection 2020"] * 3, (None, None, None)),
        (["Collection 2020", "", "Collection 2020"], (None, None, None)),
        (["2000 made 2020", "2004 made 2020", "2020 made 2020"], (2000, 2004, None)),
        (["nbr2000", "nbr2004", "nbr2008"], (2000, 2004, 2008)),
        (["WGS1984 a", "WGS1984 b", "WGS1984 c"], (None, None, None)),
        (["nbr2000", "nbr", "nbr2008"], (None, None, None)),
        (["WGS1984"], (None,)),
        (["2000", "2000", "2004"], (2000, 2000, 2004)),
        ([], ()),
    ],
)
def test_a_year_that_all_bands_share_is_that_of_the_file(names, years):
    assert described_years(names) == years


def test_metadata_speaks_where_the_description_is_silent():
    items = [
        {"acquisition_date": "2000-08-01", "STATISTICS_MEAN": "2004"},
        {"YEAR": "2004"},
        {"year": "2000"},
        {"processing": "2021"},
    ]

    assert described_years(["", "nbr", "2008", ""], items) == (2000, 2004, 2008, None)


@pytest.mark.parametrize(
    ("described", "expected"),
    [((2000, 2004), False), ((None, None), False), ((None, 2004), False), ((2004, 2000), True), ((None, 2000), True)],
)
def test_only_another_year_is_a_contradiction(described, expected):
    assert contradicts(described, (2000, 2004)) is expected
