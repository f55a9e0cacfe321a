"""The two plots: ratios beside their targets, and cost against work."""

import re
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
_MET, _NOT_MET, _FAINT, _MARK, _INK = "#0f766e", "#b45309", "#6b7280", "#111827", "#374151"
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.edgecolor": "#9ca3af", "axes.linewidth": 0.6,
    "axes.labelcolor": _INK, "text.color": _INK, "xtick.color": _INK, "ytick.color": _INK, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "grid.color": "#e5e7eb", "grid.linewidth": 0.6, "axes.spines.top": False,
    "axes.spines.right": False, "svg.hashsalt": "gcn_luigi", "svg.fonttype": "none",
}  # fmt: skip


def draw_ratios(suites: list[Suite], titles: dict[str, str], path: Path) -> bool:
    """Draw the ratio of each row that has a target, with its quartiles; return whether there is any."""
    groups = [(re.split("[:(]", titles[suite["suite"]])[0].strip(), _marked(suite)) for suite in suites]
    groups = [(title, rows) for title, rows in groups if rows]
    if not groups:
        return False
    n_lines = sum(len(rows) + 1 for _, rows in groups)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 0.9 + 0.3 * n_lines), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        line = 0
        for title, rows in groups:
            _write(axes, line + 0.25, -0.02, title, size=7.5, weight="bold")
            line += 1
            for row in rows:
                _draw_row(axes, row, line)
                line += 1
        _dress_ratios(axes, line)
        figure.savefig(path, metadata={"Date": None})
    return True


def _marked(suite: Suite) -> list[dict[str, Any]]:
    """Return the measured rows with a least ratio, save those that are drawn as curves."""
    rows = suite["rows"] if suite["suite"] != "curves" else []
    return [row for row in rows if row["ratio"] is not None and row["target"] is not None and not row["at_most"]]


def _write(axes: Axes, line: float, across: float, text: str, **look: Any) -> None:
    """Write beside the axes: `across` is 0 at their left edge and 1 at their right one."""
    side = "right" if across < 0 else "left"
    look["fontsize"], look["fontweight"] = look.pop("size"), look.pop("weight", "normal")
    axes.text(across, line, text, transform=axes.get_yaxis_transform(), ha=side, va="center", **look)


def _draw_row(axes: Axes, row: dict[str, Any], line: int) -> None:
    colour, shape = (_MET, "o") if row["is_met"] else (_NOT_MET, "D")
    axes.plot([1, row["ratio"]], [line, line], color=colour, linewidth=0.8, alpha=0.35, zorder=2)
    axes.plot([row["low"], row["high"]], [line, line], color=colour, linewidth=2.6, solid_capstyle="butt", zorder=3)
    axes.plot(row["ratio"], line, shape, color=colour, markersize=4.6, zorder=4)
    axes.plot(row["target"], line, "|", color=_MARK, markersize=11, markeredgewidth=1.3, zorder=5)
    _write(axes, line - 0.19, -0.02, row["what"], size=7)
    _write(axes, line + 0.21, -0.02, f"against {row['reference']}", size=6, color=_FAINT)
    digits = f"{row['ratio']:,.0f}" if row["ratio"] >= 100 else f"{row['ratio']:.3g}"
    _write(axes, line, 1.01, digits, size=7, color=colour, weight="bold")


def _dress_ratios(axes: Axes, n_lines: int) -> None:
    axes.set_xscale("log")
    axes.axvline(1, color="#9ca3af", linewidth=0.8, zorder=1)
    axes.set_ylim(n_lines - 0.4, -0.4)
    axes.set_yticks([])
    axes.grid(axis="x", which="major")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("times the reference; bar: quartiles", fontsize=7.5)
    axes.tick_params(axis="x", labelsize=7.5)
    handles = [
        axes.plot([], [], "o", color=_MET, markersize=4.6, label="target met")[0],
        axes.plot([], [], "D", color=_NOT_MET, markersize=4.6, label="not met")[0],
        axes.plot([], [], "|", color=_MARK, markersize=11, markeredgewidth=1.3, linestyle="none", label="target")[0],
    ]
    axes.figure.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False, fontsize=7)


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
            axes.set_title(f"({chr(96 + number)}) {up}", loc="left", fontsize=8, fontweight="bold")
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
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(FixedLocator(across))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(x=0.12)
    axes.grid(axis="y")
