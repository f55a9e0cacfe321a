"""Read years from band descriptions and compare them with the years of the configuration."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence

_YEAR = r"(?P<year>(?:19|20)\d\d)"
# A pattern matches the whole date, so that its day and month are not read again as something else.
_DATES = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"(?<![0-9A-Z]){_YEAR}(?P<sign>[-/._: ])(?P<month>\d\d?)(?P=sign)(?P<day>\d\d?)(?=T\d|\D|$)",
        rf"(?<![0-9A-Z])(?P<day>\d\d?)(?P<sign>[-/. ])(?P<month>\d\d?)(?P=sign){_YEAR}(?![0-9A-Z])",
        rf"(?<![0-9A-Z]){_YEAR}(?P<month>\d\d)(?P<day>\d\d)(?=T\d|[^0-9A-Z]|$)",
    )
)
# 2010-11 and 2010/11 may mean a season over two years or a month.
_SEASON = re.compile(rf"(?<![0-9A-Z]){_YEAR}[-/](?P<end>\d\d)(?![0-9A-Z])", re.ASCII | re.IGNORECASE)
# A number before a unit is a wavelength or a length, and a number with decimals is a measurement.
_NO_UNIT = r"(?![0-9A-Z])(?![.,]\d)(?!\s*(?:nm|um|µm|mm|cm|m|km|px|ft)\b)"
_WORD = re.compile(rf"(?<![0-9A-Z])(?<!\d[.,])(?:y|yr|year)?{_YEAR}{_NO_UNIT}", re.ASCII | re.IGNORECASE)
# nbr2012 or L2012: used only if every band is named like this.
_GLUED = re.compile(rf"(?<![0-9A-Z])[A-Z]+{_YEAR}{_NO_UNIT}", re.ASCII | re.IGNORECASE)
# Keys of metadata that say when a band was acquired. The meaning of other dates is unknown.
_TAKEN = re.compile(r"(?:^|[_: .-])(?:year|yr|acquired|acquisition|observed|sensed|epoch)(?:$|[_: .-])", re.IGNORECASE)
_PLAIN_DATE = frozenset({"date", "datetime"})
_MOST_SEASON = 5


def described_years(names: Sequence[str], items: Sequence[Mapping[str, str]] = ()) -> tuple[int | None, ...]:
    """Return the year that the description of each band gives; None if it gives none, or is not clear.

    A year is a word ``19xx`` or ``20xx``, alone or after ``y``, ``yr`` or ``year``, or part of a date. The following do
    not count: several years in one description (``1999_2001``); a year that all bands of a file share, because it may
    be the year of the collection or export; a number with decimals or before a unit of length. If a description gives
    no year, the metadata of the band (`items`) are read, but only items about its acquisition, such as ``year`` or
    ``acquisition_date``.

    Examples
    --------
    >>> described_years(["yr2000", "NBR_2004", "2008-07-21_2008-09-20", "ndvi", "1999_2001"])
    (2000, 2004, 2008, None, None)
    """
    found = _own_years([_years_in(name, _WORD) for name in names])
    if not any(found):
        found = _own_years([_years_in(name, _GLUED) for name in names])
        if not all(found) or len(names) < 2:
            found = [set() for _ in names]
    if items:
        dated = _own_years([_years_of_items(each) for each in items])
        found = [years or further for years, further in zip(found, dated, strict=True)]
    return tuple(next(iter(years)) if len(years) == 1 else None for years in found)


def contradicts(described: Sequence[int | None], years: Sequence[int]) -> bool:
    """Return whether the description of any band gives another year than the year that the band is used for."""
    return any(said not in (None, year) for said, year in zip(described, years, strict=True))


def _own_years(found: list[set[int]]) -> list[set[int]]:
    """Return the years of each band, without the years that are common to all bands that have any."""
    named = [years for years in found if years]
    common = set.intersection(*named) if len(named) > 1 else set()
    return [years - common for years in found]


def _years_in(text: str, word: re.Pattern[str]) -> set[int]:
    years: set[int] = set()
    for pattern in _DATES:
        for match in pattern.finditer(text):
            if _is_date(match):
                years.add(int(match["year"]))
                text = text.replace(match[0], " " * len(match[0]))
    if any(1 <= (int(match["end"]) - int(match["year"])) % 100 <= _MOST_SEASON for match in _SEASON.finditer(text)):
        return set()
    return years | {int(match["year"]) for match in word.finditer(text)}


def _is_date(match: re.Match[str]) -> bool:
    year, first, second = (int(match[name]) for name in ("year", "month", "day"))
    # Both 07/21/2012 and 21/07/2012 are accepted.
    orders = ((first, second), (second, first)) if match.re is _DATES[1] else ((first, second),)
    for month, day in orders:
        try:
            dt.date(year, month, day)
        except ValueError:
            continue
        return True
    return False


def _years_of_items(items: Mapping[str, str]) -> set[int]:
    dates = (value for key, value in items.items() if key.lower() in _PLAIN_DATE or _TAKEN.search(key))
    return {year for date in dates for year in _years_in(date, _WORD)}
