"""The section on strata: where the labelled pixels of each split are, and how the classes differ there."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.patches import Patch

from gcn_luigi.prepare.evaluation.strata import MISSING
from gcn_luigi.report.drawing import Drawing, legend_below, new_figure, stacked_bars, title_panel, to_svg
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


def strata_section(table: pd.DataFrame, classes: Sequence[str], colours: Mapping[str, str]) -> str:
    """Return the section as HTML. Call this within `drawing_style`.

    Parameters
    ----------
    table : DataFrame
        The content of ``strata.csv``.
    classes : sequence of str
        The names of the classes that tables show, at most five of which are.
    colours : mapping of str
        The colour of each class of the label, by name.
    """
    splits = [split for split in ("train", "dev", "test") if (table["split"] == split).any()]
    shown = [name for name in classes if name != "none"][:_MOST_CLASSES]
    tables = [
        _table(rows, splits, shown, caption, head)
        for stratum, caption, head in _TABLES
        if len(rows := table[table["stratum"] == stratum])
    ]
    heights = table[(table["stratum"] == "elevation") & (table["value"] != MISSING)]
    content: dict[str, Any] = {
        "strata": tables,
        "drawing": _hypsometry(heights, splits, colours) if len(heights) else None,
    }
    # The template escapes its texts.
    return Markup(render("evaluation/strata.html", content))  # noqa: S704


def _hypsometry(rows: pd.DataFrame, splits: Sequence[str], colours: Mapping[str, str]) -> Drawing:
    """Draw the share of each elevation band in the labelled pixels of each split, by class."""
    values = rows["value"].drop_duplicates().tolist()
    figure = new_figure(1000, 90 + 17 * len(values))
    panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False).ravel()
    pixels = [f"n_{name}" for name in colours]
    for axes, split in zip(panels, splits, strict=True):
        of_split = rows[rows["split"] == split].set_index("value").reindex(values)
        total = of_split["n_pixels"].sum()
        shares = of_split[pixels].fillna(0).to_numpy(float) / max(float(total), 1.0)
        stacked_bars(axes, shares, list(colours.values()), height=0.86, line=0.4)
        title_panel(axes, split, f"{total:,.0f} pixels")
        axes.set_xlabel("Labelled pixels of the split")
    panels[0].set_yticks(range(len(values)), [_SIGN.sub("\u2212", value) for value in values])
    keys = [Patch(facecolor=ink, label=name) for name, ink in colours.items()]
    legend_below(figure, keys, min(len(keys), 6))
    return to_svg(
        figure,
        "hypsometry",
        alt=f"Share of each elevation band of 200 m in the labelled pixels of {', '.join(splits)}, by class.",
        caption="Share of each elevation band in the labelled pixels of each split, by class. If the "
        "bars of a height differ much between train and another split, the score says little about that height.",
    )


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
