"""The section on the confidence of the label: how much of each class and split is uncertain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Patch

from gcn_luigi.prepare.appearance import is_dark
from gcn_luigi.report.drawing import INK, Drawing, legend_below, new_figure, stacked_bars, to_svg
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Cell, Table, count_bar, number
from gcn_luigi.settings import LabelSettings

# First percent of each part of a bar, its name, and its colour, from unsure to sure. They differ in grey as well.
_PARTS = (
    (0, "below 50 %", "#5b1a57"),
    (50, "50 to 59 %", "#87345b"),
    (60, "60 to 69 %", "#b5525c"),
    (70, "70 to 79 %", "#e2915a"),
    (80, "80 to 89 %", "#efbf74"),
    (90, "90 to 99 %", "#f7e3a8"),
    (100, "100 %", "#e4eef2"),
)
# The least share of a bar that has room for its number.
_ROOM = 0.045


def confidence_section(statistics: Mapping[str, Any], label: LabelSettings, classes: Sequence[str]) -> str:
    """Return the section as HTML; nothing if the dataset has no confidence.

    `statistics` is ``statistics.json``, `classes` are the names of the classes, by rising value. Call this within
    `drawing_style`.
    """
    found = statistics.get("confidence")
    if not found:
        return ""
    splits = [split for split in ("train", "dev", "test") if split in found]
    rows = [(name, split, found[split][name]) for name in classes for split in splits]
    content = {
        "sources": _sources(label),
        "limit": label.min_confidence,
        "drawing": _figure(rows),
        "table": _table(rows, label.min_confidence),
    }
    # The template escapes its texts.
    return Markup(render("evaluation/confidence.html", content))  # noqa: S704


def _sources(label: LabelSettings) -> str:
    *first, last = label.confidence_in_words
    return f"{', '.join(first)} and {last}" if first else last


def _figure(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Drawing:
    """Draw how the pixels of each class and split are distributed over the confidence."""
    tens = np.array([found["by_tens"] for *_, found in rows], float)
    firsts = [first // 10 for first, *_ in _PARTS]
    shares = np.add.reduceat(tens, firsts, axis=1) / np.maximum(tens.sum(axis=1, keepdims=True), 1.0)
    names = [f"{name}, {split}" for name, split, _ in rows]
    figure = new_figure(1000, 34 * len(rows) + 110)
    axes = figure.subplots()
    stacked_bars(axes, shares, [ink for *_, ink in _PARTS], height=0.72, line=1)
    for row, values in enumerate(shares):
        for position, value in enumerate(values):
            if value >= _ROOM:
                text = "#ffffff" if is_dark(_PARTS[position][2]) else INK
                middle = values[:position].sum() + value / 2
                axes.text(middle, row, f"{value:.0%}", ha="center", va="center", color=text)
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("Share of labelled pixels")
    legend_below(figure, [Patch(color=ink, label=name) for _, name, ink in _PARTS], len(_PARTS))
    listed = "; ".join(
        f"{row_name}: " + ", ".join(f"{name} {value:.0%}" for (_, name, _), value in zip(_PARTS, row, strict=True))
        for row_name, row in zip(names, shares, strict=True)
    )
    return to_svg(
        figure,
        "confidence",
        alt=f"Confidence of the label. {listed}.",
        caption="Labelled pixels of each class and split by confidence. A loss that uses the confidence as a weight "
        "lets dark parts count least.",
    )


def _table(rows: Sequence[tuple[str, str, Mapping[str, Any]]], limit: int | None) -> Table:
    """Return pixels, mean confidence and uncertain pixels, one row per class and split."""
    last = "#uncertain" if limit is None else f"#below {limit} %"
    cells: list[tuple[Cell, ...]] = [
        (
            f"{name}, {split}",
            number(found["pixels"]),
            number(found["mean"], 1),
            NONE if found["uncertain"] is None else count_bar(found["uncertain"], found["pixels"]),
        )
        for name, split, found in rows
    ]
    more = "" if limit is not None else "[label] min_confidence is not set, so no pixel is flagged as uncertain."
    return Table("Confidence by class and split", ("class, split", "#pixels", "#mean, %", last), tuple(cells), more)
