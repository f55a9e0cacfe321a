"""Dates of outlines as they are written in the field."""

import datetime as dt

import pytest
from pydantic import ValidationError

from gcn_luigi.prepare.outlines.dates import not_understood, read_date, read_dates
from gcn_luigi.settings import OutlineSettings


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("20090703", "2009-07-03"), (20090703, "2009-07-03"), (20090703.0, "2009-07-03"), ("20099999", "2009"),
        ("20090799", "2009-07"), ("2009-07-03T10:00:00Z", "2009-07-03"), ("2009/7/3", "2009-07-03"), (2009, "2009"),
        (dt.date(2009, 7, 3), "2009-07-03"), ("2009-07", "2009-07"),
        (-9999999, ""), (-9999.0, ""), ("0", ""), ("99999999", ""), (None, ""), (float("nan"), ""), (" N/A ", ""),
        ("Unknown", ""),
        ("01.09.2013", None), ("1377993600000", None), ("2013.5", None), (2013.5, None), ("18891231", None),
        (True, None),
    ],
)  # fmt: skip
def test_a_date_is_read_is_no_date_or_is_not_understood(value, date):
    assert read_date(value) == date


@pytest.mark.parametrize(
    ("value", "form", "date"),
    [
        ("01.09.2013", "%d.%m.%Y", "2013-09-01"), ("9/1/13", "%m/%d/%y", "2013-09-01"),
        ("Sep 2013", "%b %Y", "2013-09"),
        ("2013", "%Y", "2013"), (2013, "%Y", "2013"), ("yr2013", "yr%Y", "2013"), ("244/2013", "%j/%Y", "2013-09-01"),
        # A number has lost its first zero.
        (1092013, "%d%m%Y", "2013-09-01"),
        (-9999999, "%d.%m.%Y", ""), ("", "%Y", ""), ("20099999", "%Y%m%d", "2009"), ("2013-09-01", "%d.%m.%Y", None),
        (dt.datetime(2013, 9, 1, tzinfo=dt.UTC), "%d.%m.%Y", "2013-09-01"),
    ],
)  # fmt: skip
def test_a_form_says_how_dates_are_written(value, form, date):
    assert read_date(value, form) == date


def test_values_that_are_not_understood_are_kept_apart_from_those_without_a_date():
    assert read_dates(["2009", None, "soon", "20099999"]) == (["2009", "", "", "2009"], ["soon"])
    assert not_understood(["later", "soon"], 4) == "2 of 4 dates not understood, for example 'later'"
    assert not_understood(["soon"], 4) == "1 of 4 dates not understood, for example 'soon'"


@pytest.mark.parametrize("form", ["", "d.m.Y", "%d.%m", "%Q", "%"])
def test_a_form_without_a_year_is_refused(form):
    with pytest.raises(ValidationError, match="not a date format"):
        OutlineSettings(path="x", date_format=form)
