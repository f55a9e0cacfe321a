"""The two plots: all ratios beside their targets, and cost against work."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

Suite = dict[str, Any]

# Told apart without colour by their shapes, and by colour-blind readers too.
_MET, _NOT_MET, _PLAIN, _MARK, _INK = "#0f766e", "#b45309", "#64748b", "#111827", "#374151"
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.edgecolor": "#9ca3af", "axes.linewidth": 0.6,
    "axes.labelcolor": _INK, "text.color": _INK, "xtick.color": _INK, "ytick.color": _INK, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "grid.color": "#e5e7eb", "grid.linewidth": 0.6, "svg.hashsalt": "gcn_luigi",
    "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip


def draw_ratios(suites: list[Suite], titles: dict[str, str], path: Path) -> bool:
    """Draw each row's ratio with its quartiles and its target; return whether there is any row."""
    groups = [
        (titles[suite["suite"]], [row for row in suite["rows"] if row["ratio"] is not None])
        for suite in suites
        if suite["suite"] != "curves"
    ]
    groups = [(title, rows) for title, rows in groups if rows]
    if not groups:
        return False
    n_lines = sum(len(rows) + 1 for _, rows in groups)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.2, 0.9 + 0.185 * n_lines), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        labels: list[tuple[float, str, bool]] = []
        line = 0
        for title, rows in groups:
            labels.append((line, title, True))
            line += 1
            for row in rows:
                _draw_row(axes, row, line)
                labels.append((line, f"{row['what']}  vs  {row['reference']}", False))
                line += 1
        _dress_ratios(axes, labels, line)
        figure.savefig(path, metadata={"Date": None})
    return True


def _draw_row(axes: Axes, row: dict[str, Any], line: int) -> None:
    colour, shape = {True: (_MET, "o"), False: (_NOT_MET, "D"), None: (_PLAIN, "o")}[row["is_met"]]
    axes.plot([1, row["ratio"]], [line, line], color=colour, linewidth=0.8, alpha=0.35, zorder=2)
    axes.plot([row["low"], row["high"]], [line, line], color=colour, linewidth=2.4, solid_capstyle="butt", zorder=3)
    axes.plot(row["ratio"], line, shape, color=colour, markersize=4.2, zorder=4)
    if row["target"] is not None:
        axes.plot(row["target"], line, "|", color=_MARK, markersize=9, markeredgewidth=1.3, zorder=5)


def _dress_ratios(axes: Axes, labels: list[tuple[float, str, bool]], n_lines: int) -> None:
    axes.set_xscale("log")
    axes.axvline(1, color="#9ca3af", linewidth=0.8, zorder=1)
    axes.set_ylim(n_lines - 0.4, -0.8)
    axes.set_yticks([line for line, _, _ in labels], [text for _, text, _ in labels])
    for tick, (_, _, is_title) in zip(axes.yaxis.get_major_ticks(), labels, strict=True):
        tick.tick1line.set_visible(False)
        tick.label1.set_fontsize(7)
        if is_title:
            tick.label1.set_fontweight("bold")
    axes.grid(axis="x", which="major")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("times faster (or smaller) than the reference; bar: quartiles over rounds")
    handles = [
        axes.plot([], [], "o", color=_MET, markersize=4.2, label="target met")[0],
        axes.plot([], [], "D", color=_NOT_MET, markersize=4.2, label="target not met")[0],
        axes.plot([], [], "o", color=_PLAIN, markersize=4.2, label="reported without a target")[0],
        axes.plot([], [], "|", color=_MARK, markersize=9, markeredgewidth=1.3, linestyle="none", label="target")[0],
    ]
    axes.figure.legend(handles=handles, loc="outside upper right", ncols=4, frameon=False, fontsize=7)


def draw_curves(suite: Suite, path: Path) -> bool:
    """Draw time and memory against partitions, bands, shards and workers; return whether they were measured."""
    curves = {row["key"]: row["samples"]["curve"] for row in suite["rows"] if "curve" in row["samples"]}
    panels = (
        ("curve-partitions", "partitions in a shard", "ms a partition", 1000.0),
        ("curve-memory", "partitions in a shard", "peak memory, MB", 1.0),
        ("curve-bands", "bands of the stack", "ms a band, all partitions", 1000.0),
        ("curve-shards", "shards, same partitions", "s in all", 1.0),
        ("curve-workers", "Luigi workers, same shards", "s in all", 1.0),
    )
    drawn = [panel for panel in panels if panel[0] in curves]
    if not drawn:
        return False
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.3 * len(drawn), 2.2), layout="constrained")
        FigureCanvasAgg(figure)
        for number, (key, across, up, scale) in enumerate(drawn, 1):
            axes = figure.add_subplot(1, len(drawn), number)
            _draw_curve(axes, curves[key], scale)
            axes.set_xlabel(across, fontsize=7.5)
            axes.set_title(f"{chr(96 + number)}  {up}", loc="left", fontsize=8, fontweight="bold")
        figure.savefig(path, metadata={"Date": None})
    return True


def _draw_curve(axes: Axes, curve: dict[str, Any], scale: float) -> None:
    across = curve["x"]
    heights = [
        [scale * value / work for value in turn] for turn, work in zip(curve["samples"], curve["work"], strict=True)
    ]
    middle = [statistics.median(turn) for turn in heights]
    axes.fill_between(
        across, [min(turn) for turn in heights], [max(turn) for turn in heights], color=_MET, alpha=0.15, lw=0
    )
    axes.plot(across, middle, "o-", color=_MET, markersize=3.8, linewidth=1.2)
    axes.set_ylim(0, 1.25 * max(max(turn) for turn in heights))
    if across[-1] > 4 * across[0]:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(across))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(x=0.12)
    axes.grid(axis="y")
