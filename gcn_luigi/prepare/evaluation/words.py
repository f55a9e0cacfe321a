"""The results of variograms in words, the same on the page and in the terminal."""

from collections.abc import Mapping
from typing import Any

from gcn_luigi.prepare.evaluation.variogram import FEWEST_BINS, FEWEST_PAIRS, Finding


def range_in_words(layer: Mapping[str, Any]) -> str:
    """Return the range of a layer of ``autocorrelation.json``, or why there is none.

    Examples
    --------
    >>> range_in_words({"finding": "range", "range_m": 1230.0})
    '1,230 m'
    >>> range_in_words({"finding": "no plateau", "range_m": None, "longer_than_m": 30100.0})
    'longer than 30,100 m'
    """
    if layer["range_m"] is not None:
        return metres(layer["range_m"])
    if layer["finding"] == Finding.NO_PLATEAU:
        return f"longer than {metres(layer['longer_than_m'])}"
    return {
        Finding.NO_CORRELATION: "none: neighbours differ as much as distant pixels",
        Finding.CONSTANT: "none: all values are equal",
        Finding.TOO_FEW: f"unknown: fewer than {FEWEST_BINS} distances have {FEWEST_PAIRS} pairs",
        Finding.NO_MODEL: "unknown: no model fits",
    }[Finding(layer["finding"])]


def parts_in_words(layer: Mapping[str, Any]) -> str:
    """Return the ranges of parts of the sample, from the least to the greatest; nothing without a range.

    Examples
    --------
    >>> parts_in_words({"range_of_parts_m": [850.0, 1400.0]}), parts_in_words({"range_of_parts_m": [850.0, None]})
    ('850 to 1,400 m', '850 m to unknown')
    """
    if not layer["range_of_parts_m"]:
        return ""
    least, greatest = layer["range_of_parts_m"]
    if least is None:
        return "unknown"
    return f"{metres(least)} to unknown" if greatest is None else f"{least:,.0f} to {metres(greatest)}"


def metres(value: float) -> str:
    """Return a length in whole metres.

    Examples
    --------
    >>> metres(1234.4)
    '1,234 m'
    """
    return f"{value:,.0f} m"
