"""The section on distances to training: how far dev, test and the whole area are from the train chips."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gcn_luigi.prepare.evaluation.comparison import AREA, WORDS
from gcn_luigi.report.drawing import FAINT, INK, Drawing, legend_below, new_figure, title_panel, to_svg
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Cell, Table, measured, number, percent

# Colour, line style and width of each curve.
_LINES: Mapping[str, tuple[str, Any, float]] = MappingProxyType(
    {
        "train": ("#8f87bd", (0, (2, 1.5)), 1.6),
        "train_block": ("#45398a", "-", 1.6),
        "fold": ("#8a6d00", (0, (6, 1.5)), 1.6),
        "dev": ("#e2662f", "-", 2.2),
        "test": ("#00a3a6", (0, (5, 1.5)), 2.2),
        AREA: (INK, "-", 2.4),
    }
)
_LIMIT = (0, (1, 1.5))
_M_PER_KM = 1000.0


def distance_section(content: Mapping[str, Any]) -> Markup:
    """Return the section as HTML. `content` is ``distances.json``. Call this within `drawing_style`."""
    has_curves = bool(content["space"]["curves"] or content["features"]["curves"])
    shown = {
        "drawing": _figure(content) if has_curves else None,
        "in_space": _space_table(content["space"]),
        "in_features": _feature_table(content["features"]),
        "scope": _scope(content["features"]),
        "gaps": content["gaps"],
    }
    # The template escapes its texts.
    return Markup(render("evaluation/distances.html", shown))  # noqa: S704


def _kinds(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the curves in the order in which they are listed, that of `WORDS`."""
    for kind in WORDS:
        if kind in part["curves"]:
            yield kind, part["curves"][kind]


def _figure(content: Mapping[str, Any]) -> Drawing:
    figure = new_figure(1000, 400)
    left, right = figure.subplots(1, 2)
    space, features = content["space"], content["features"]
    _panel(left, space, _M_PER_KM, "In space")
    left.set_xlabel("Distance of centres to the nearest train chip (km)")
    left.set_ylabel("Share of places at most that far")
    _panel(right, features, 1.0, "In feature space")
    right.set_xlabel("Distance to the nearest train chip (standard deviations)")
    present = [kind for kind in WORDS if kind in space["curves"] or kind in features["curves"]]
    keys = []
    for kind in present:
        ink, style, width = _LINES[kind]
        keys.append(Line2D([], [], color=ink, linestyle=style, linewidth=width, label=WORDS[kind]))
    limit = _limit(features)
    if limit is not None:
        right.axvline(limit, color=FAINT, linestyle=_LIMIT, linewidth=1.6)
        keys.append(Line2D([], [], color=FAINT, linestyle=_LIMIT, linewidth=1.6, label="limit of applicability"))
    legend_below(figure, keys, 3)
    medians = "; ".join(f"{WORDS[kind]} {number(curve['quantiles']['50%'])} m" for kind, curve in _kinds(space))
    return to_svg(
        figure,
        "distances",
        alt=f"Distribution curves of distances to training. Medians in space: {medians or 'none'}.",
        caption="Distributions of the distance to the nearest train chip. Left: from centre to centre. The whole area "
        "is every cell of the catalog with an image, used or not. Right: in the space of standardised features, which "
        "are the mean and the standard deviation of each band; the whole area is a window of the size of a chip in the "
        "middle of each cell. “One chip left out” compares each train chip with all others, which may overlap it or "
        "show it in another year, and “one block left out” with those of other blocks.",
    )


def _panel(axes: Axes, part: Mapping[str, Any], unit: float, title: str) -> None:
    title_panel(axes, title)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for kind, curve in _kinds(part):
        ink, style, width = _LINES[kind]
        at = np.array(curve["curve"]) / unit
        axes.plot(at, np.linspace(0, 1, len(at)), color=ink, linestyle=style, linewidth=width)
    if not part["curves"]:
        axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes, color=FAINT)
        return
    farthest = max(curve["curve"][-1] for _, curve in _kinds(part)) / unit
    axes.set_xlim(0, farthest * 1.03 or 1.0)


def _limit(features: Mapping[str, Any]) -> float | None:
    """Return the distance in feature space at which the area of applicability ends."""
    space = features["space"]
    if space is None or space["threshold"] is None:
        return None
    return float(space["threshold"] * space["mean_distance"])


def _space_table(part: Mapping[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind, curve in _kinds(part):
        at, apart = curve["quantiles"], part["wasserstein"].get(kind)
        rows.append(
            (WORDS[kind], number(curve["places"]), *(number(at[q]) for q in ("5%", "50%", "95%")), number(apart))
        )
    head = ("places", "#number", "#5 % within, m", "#50 % within, m", "#95 % within, m", "#W to the area, m")
    return Table("Distance to the nearest train chip, from centre to centre", head, tuple(rows))


def _feature_table(part: Mapping[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind, curve in _kinds(part):
        at, apart = curve["quantiles"], part["wasserstein"].get(kind)
        inside = percent(part["inside"][kind]) if kind in part["inside"] else NONE
        rows.append(
            (
                WORDS[kind],
                number(curve["places"]),
                *(measured(at[q]) for q in ("5%", "50%", "95%")),
                measured(apart),
                inside,
            )
        )
    head = ("places", "#number", "#5 % within", "#50 % within", "#95 % within", "#W to the area", "#applicable")
    caption = "Distance to the nearest train chip in feature space, in standard deviations"
    return Table(caption, head, tuple(rows))


def _scope(part: Mapping[str, Any]) -> str:
    """Return what was read, and what the last column means."""
    read = part["read"]
    said = f"Features were computed for {number(read['chips'])} of {number(read['of'])} chips, and for "
    said += f"{number(read['windows'])} windows of the area. "
    space = part["space"]
    if space is None or space["threshold"] is None:
        return said
    return (
        f"{said}The last column is the share of places in the area of applicability (Meyer and Pebesma 2021): their "
        f"dissimilarity index is at most {measured(space['threshold'])}. The index is the distance divided by the mean "
        f"distance of train chips, {measured(space['mean_distance'])}. The limit comes from {space['threshold_from']}."
    )
