"""The section on strata: where the labelled pixels of each split are, and how the classes differ there."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Cell, Table, number

# Stratum, caption, and heading of the first column. Region and split are in the table of classes.
_TABLES = (
    ("elevation", "Labelled pixels by elevation", "elevation"),
    ("aspect", "Labelled pixels by aspect", "faces"),
    ("year", "Labelled pixels by year of the composite", "year"),
    ("year gap", "Labelled pixels by years between outline and composite", "years"),
    ("fold", "Labelled pixels by fold", "fold"),
)
# A true minus sign before a number.
_SIGN = re.compile(r"-(?=\d)")
# Further classes are in the file.
_MOST_CLASSES = 5


def read_strata(path: Path) -> pd.DataFrame:
    """Return the content of ``strata.csv``; the values of strata are texts."""
    return pd.read_csv(path, dtype={"stratum": "str", "value": "str", "split": "str"}, keep_default_na=True)


def strata_section(table: pd.DataFrame, classes: Sequence[str]) -> str:
    """Return the section as HTML.

    Parameters
    ----------
    table : DataFrame
        The content of ``strata.csv``.
    classes : sequence of str
        The names of the classes to show, at most five of which are.
    """
    splits = [split for split in ("train", "dev", "test") if (table["split"] == split).any()]
    shown = [name for name in classes if name != "none"][:_MOST_CLASSES]
    tables = [
        _table(rows, splits, shown, caption, head)
        for stratum, caption, head in _TABLES
        if len(rows := table[table["stratum"] == stratum])
    ]
    content: dict[str, Any] = {"strata": tables, "has_elevations": (table["stratum"] == "elevation").any()}
    # The template escapes its texts.
    return Markup(render("evaluation/strata.html", content))  # noqa: S704


def _table(rows: pd.DataFrame, splits: Sequence[str], shown: Sequence[str], caption: str, first: str) -> Table:
    head = [first]
    for split in splits:
        head += [f"#{split}: chips", "#pixels", *(f"#{name}" for name in shown)]
    lines: list[tuple[Cell, ...]] = []
    for value in rows["value"].drop_duplicates():
        line: list[Cell] = [_SIGN.sub("\u2212", str(value)).replace(" ", "\u00a0")]
        for split in splits:
            found = rows[(rows["value"] == value) & (rows["split"] == split)]
            if found.empty:
                line += [NONE] * (2 + len(shown))
                continue
            row = found.iloc[0]
            # Plain numbers: two splits with bars would be wider than the page.
            line += [number(int(row["n_chips"])), _percent(row["share_of_split"])]
            line += [_percent(row[f"share_{name}"]) for name in shown]
        lines.append(tuple(line))
    return Table(caption, tuple(head), tuple(lines))


def _percent(share: Any) -> str:
    return NONE if pd.isna(share) else f"{float(share):.1%}"
