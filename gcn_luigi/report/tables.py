"""Tables and numbers of the pages, as text ready to print."""

import math
from dataclasses import dataclass

NONE = "\u2013"


@dataclass(frozen=True)
class Bar:
    """A number with its share, 0 to 1, drawn behind it."""

    text: str
    share: float


Cell = str | Bar


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; a leading ``#`` in `head` marks a column of numbers.

    `more` says what was left out; it is empty if nothing was.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: str = ""


def number(value: float | None, digits: int = 0) -> str:
    """Return a number in readable form, or a dash if there is none.

    Examples
    --------
    >>> number(1234.5, 1), number(None), number(-0.04, 1)
    ('1,234.5', '\u2013', '0.0')
    """
    if value is None:
        return NONE
    text = f"{value:,.{digits}f}"
    # A true minus sign, but none before zero.
    return text.replace("-", "\u2212") if any(digit in text for digit in "123456789") else text.lstrip("-")


def measured(value: float | None) -> str:
    """Return a number with four significant digits, or all digits before the point, or a dash if there is none.

    Examples
    --------
    >>> measured(0.0123456), measured(12345.6), measured(0.0)
    ('0.01235', '12,346', '0')
    """
    size = abs(value or 0.0)
    return number(value, max(3 - math.floor(math.log10(size)), 0) if size else 0)


def percent(value: float | None) -> str:
    """Return a share, 0 to 1, as a percentage with one digit, or a dash if there is none."""
    return NONE if value is None else f"{value:.1%}"


def count_bar(count: int, total: int) -> Bar:
    """Return a count with its share of `total`, as text and as a bar."""
    share = count / max(total, 1)
    return Bar(f"{number(count)} ({share:.0%})", share)


def counted(count: int, thing: str) -> str:
    """Return a count with the name of what is counted, in the plural unless the count is one."""
    return f"{number(count)} {thing}" if count == 1 else f"{number(count)} {thing}s"
