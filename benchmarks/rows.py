"""A row of the table, and why one may be left out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.timing import Race


class LeftOut(Exception):  # noqa: N818  a reason, no error
    """A row cannot be measured here; the text says why."""


def first_line(reason: Exception) -> str:
    """Return what an exception says, without where it happened and how to mend it."""
    return str(reason).splitlines()[0] if str(reason) else type(reason).__name__


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes
    ----------
    key : str
        Unique, stable name.
    what, reference : str
        What of ours is measured, and against what.
    unit : str
        Of both rates.
    ours, theirs : float or None
        Medians: rates, or plain amounts where `unit` is no rate.
    ratio, low, high : float or None
        Median and quartiles over rounds.
    target : float or None
        Mark for `ratio`; None where the row is reported without one.
    at_most : bool
        The mark is an upper bound.
    same_pixels : str
        What was found equal, and how it was compared; empty where no pixels are made.
    left_out : str
        Why there are no numbers; empty where there are.
    samples : dict
        All samples.
    """

    key: str
    what: str
    reference: str
    unit: str = "chips/s"
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    target: float | None = None
    at_most: bool = False
    same_pixels: str = ""
    left_out: str = ""
    samples: dict[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool | None:
        """Whether the mark is reached; None where there is none, or no number."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def plain(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {**asdict(self), "is_met": self.is_met}


@dataclass(frozen=True)
class Claim:
    """What a row says before it is measured: the first fields of `Row`, and the names of the two contestants."""

    key: str
    what: str
    reference: str
    ours: str
    theirs: str
    target: float | None = None
    unit: str = "chips/s"


def evaluate(claims: Iterable[Claim], run: Race, missing: dict[str, str], same_pixels: str) -> list[Row]:
    """Return the rows of a race.

    Parameters
    ----------
    claims : iterable of Claim
        In the order of the table.
    run : Race
        The samples.
    missing : dict of str
        Contestants that did not run, with the reason.
    same_pixels : str
        As in `Row`.

    Returns
    -------
    list of Row
        One a claim.
    """
    rows = []
    for claim in claims:
        head = {"key": claim.key, "what": claim.what, "reference": claim.reference, "unit": claim.unit}
        reason = missing.get(claim.ours) or missing.get(claim.theirs)
        if reason:
            rows.append(Row(**head, target=claim.target, left_out=reason))
            continue
        ratio = run.ratio(claim.ours, claim.theirs)
        rows.append(
            Row(
                **head,
                ours=run.rate(claim.ours),
                theirs=run.rate(claim.theirs),
                ratio=ratio.median,
                low=ratio.low,
                high=ratio.high,
                target=claim.target,
                same_pixels=same_pixels,
                samples=run.plain(claim.ours, claim.theirs),
            )
        )
    return rows
