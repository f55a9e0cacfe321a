"""Read dates of outlines in the many formats in which they are written."""

import datetime as dt
import math
import re
import time
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_DATE = re.compile(
    r"^(?P<year>\d{4})"
    r"(?:[-/](?P<m1>\d{1,2})(?:[-/](?P<d1>\d{1,2}))?|\.?(?P<m2>\d{2})(?:[-/.]?(?P<d2>\d{2}))?)?(?:[T ].*)?$"
)
# RGI 6 writes 99 for a month or day that is not known (RGI Consortium 2017, technical report, table 4).
_MONTHS, _DAYS = {0, *range(1, 13), 99}, {0, *range(1, 32), 99}
# -9999999, 0, 9999 and 99999999 mean that there is no date, and so do these words.
_NO_DATE = re.compile(r"^(?:-\d+|0+|9{4,})$")
_WORDS = {"", "-", "--", "?", "n/a", "na", "nan", "nat", "none", "null", "<null>", "nil", "unknown", "undated", "tbd"}
_ANY_DAY = (2000, 1, 1, 0, 0, 0, 5, 1, 0)
_WITH_MONTH, _WITH_DAY = ("%m", "%b", "%B", "%j", "%x", "%c", "%D", "%F"), ("%d", "%j", "%x", "%c", "%D", "%F", "%e")


def read_date(value: object, form: str | None = None) -> str | None:
    """Return a date in ISO form, as far as it is known.

    Values may be RGI 6 ``BgnDate`` (``YYYYMMDD`` as text, int or float; 99 means an unknown month or day and -9999999
    no date), RGI 7 and GLIMS ``src_date`` (ISO text or a datetime), or a plain year. `form` is the format of texts and
    numbers, as for `time.strptime`; datetimes do not need it.

    The result is ``"2009-07-03"``, ``"2009-07"`` or ``"2009"``. It is empty if the value says that there is no date,
    and None if the value is not understood or is outside 1900 to 2100. As text, earlier dates sort before later ones.

    Examples
    --------
    >>> [read_date(date) for date in ("20090703", 20099999, -9999999, "n/a", "01.09.2013")]
    ['2009-07-03', '2009', '', '', None]
    >>> read_date("01.09.2013", "%d.%m.%Y")
    '2013-09-01'
    """
    if isinstance(value, (dt.date, np.datetime64)):
        stamp = pd.Timestamp(value)
        return "" if pd.isna(stamp) else _iso(stamp.year, stamp.month, stamp.day)
    text = _text(value)
    if not text:
        return text
    found = None
    if form is not None:
        is_number = not isinstance(value, str)
        # A number has lost its leading zeros.
        found = _by_form(text.zfill(len(time.strftime(form, _ANY_DAY))) if is_number else str(value).strip(), form)
    # The format %Y%m%d does not cover the 99 that RGI 6 writes for unknown months and days.
    return _by_rule(text) if form is None or (found is None and form == "%Y%m%d") else found


def _text(value: object) -> str | None:
    """Return a date as written; empty if there is none, None if the value cannot be a date."""
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and math.isnan(value)):
        return ""
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value) or value != int(value):
            return None
        value = int(value)
    if isinstance(value, (bool, np.bool_)):
        return None
    text = re.sub(r"\.0*$", "", str(value).strip())
    return "" if text.casefold() in _WORDS or _NO_DATE.match(text) else text


def read_dates(values: Iterable[object], form: str | None = None) -> tuple[list[str], list[str]]:
    """Return dates in ISO form (empty without a date), and the values that `read_date` did not understand."""
    found = [(value, read_date(value, form)) for value in values]
    return [date or "" for _, date in found], [str(value) for value, date in found if date is None]


def not_understood(lost: Sequence[str], n_dates: int) -> str:
    """Return a text that says how many of `n_dates` dates were not understood, with one example from `lost`."""
    return f"{len(lost)} of {n_dates} dates not understood, for example {lost[0]!r}"


def _by_rule(text: str) -> str | None:
    match = _DATE.match(text)
    if match is None:
        return None
    month, day = int(match["m1"] or match["m2"] or 0), int(match["d1"] or match["d2"] or 0)
    return _iso(int(match["year"]), month, day) if month in _MONTHS and day in _DAYS else None


def _by_form(text: str, form: str) -> str | None:
    try:
        found = time.strptime(text, form)
    except ValueError:
        return None
    month = found.tm_mon if any(part in form for part in _WITH_MONTH) else 0
    return _iso(found.tm_year, month, found.tm_mday if any(part in form for part in _WITH_DAY) else 0)


def _iso(year: int, month: int, day: int) -> str | None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    if month in {0, 99}:
        return f"{year}"
    return f"{year}-{month:02d}" if day in {0, 99} else f"{year}-{month:02d}-{day:02d}"
