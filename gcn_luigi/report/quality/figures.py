"""Figures of classes, bands, missing pixels and grid sizes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gcn_luigi.bands import CLASS_NAMES, Band
from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.prepare.appearance import CLASS_COLOURS, SPLIT_COLOURS
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.report.drawing import FAINT, INK, Drawing, drawn, legend_below, new_figure
from gcn_luigi.report.quality.data import ROLE_FLAGS, Evidence

_BINS, _COLUMNS, _ZERO_BIN = 60, 3, 32768
_CAUSES = (
    ("outside the mosaic", "#333333"),
    ("inside, other layers too", "#8c8c8c"),
    ("inside, this layer only", "#aa3377"),
)


def class_figure(evidence: Evidence) -> Drawing:
    """Draw the share of each class, for ground and for chips."""
    names, shares = [], []
    for split in SPLITS:
        described = evidence.described(split)
        for text, part in (("each pixel once", described), ("as sampled by chips", described["as_sampled"])):
            pixels = np.array([part["classes"]["pixels"][name] for name in CLASS_NAMES], float)
            names.append(f"{split}, {text}")
            shares.append(pixels / max(pixels.sum(), 1.0))
    figure = new_figure(1000, 250)
    axes = figure.subplots()
    rows = np.arange(len(names))
    start = np.zeros(len(names))
    for position, name in enumerate(CLASS_NAMES):
        share = np.array([row[position] for row in shares])
        axes.barh(rows, share, left=start, height=0.72, color=CLASS_COLOURS[name], edgecolor="#ffffff", linewidth=1)
        for row, (left, value) in enumerate(zip(start, share, strict=True)):
            if value >= 0.05:
                text = "#ffffff" if name == "debris" else INK
                axes.text(left + value / 2, row, f"{value:.1%}", ha="center", va="center", color=text)
        start += share
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("Share of labelled pixels")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    legend_below(figure, [Patch(color=CLASS_COLOURS[name], label=name) for name in CLASS_NAMES], 3)
    said = "; ".join(
        f"{row_name}: " + ", ".join(f"{name} {value:.1%}" for name, value in zip(CLASS_NAMES, row, strict=True))
        for row_name, row in zip(names, shares, strict=True)
    )
    return drawn(
        figure,
        "classes",
        alt=f"Class shares. {said}.",
        caption="Class balance of labelled pixels. Each pixel once: the ground that kept chips show. As sampled: a "
        "pixel counts once for every chip that shows it, as a training epoch does.",
    )


def band_figure(evidence: Evidence) -> Drawing:
    """Draw the distribution of every band in train and dev."""
    bands = evidence.bands
    n_rows = -(-len(bands) // _COLUMNS)
    figure = new_figure(1000, 190 * n_rows + 70)
    panels = figure.subplots(n_rows, _COLUMNS, squeeze=False).ravel()
    for position, (axes, band) in enumerate(zip(panels, bands, strict=False)):
        _band_panel(axes, evidence, position, band)
        if position % _COLUMNS == 0:
            axes.set_ylabel("Pixels per bin (%)")
    for axes in panels[len(bands) :]:
        axes.set_axis_off()
    dash = Line2D([], [], color=INK, linestyle=(0, (4, 2)), linewidth=1, label="1st and 99th percentile")
    marks = [
        Line2D([], [], color=INK, marker=mark, linestyle="", markersize=7, label=name)
        for mark, name in (("v", "median"), ("o", "mean"))
    ]
    legend_below(figure, [*split_keys(), dash, *marks], 5)
    return drawn(
        figure,
        "bands",
        alt="Histograms of " + ", ".join(band.name for band in bands) + " for train and dev.",
        caption="Stored values of every band over valid pixels, each once; the unit stands in brackets where one "
        "is configured. Below each panel stands how many samples of the used partitions lay beyond the valid range, "
        "where one is set; they are missing. KS is the largest difference of the two cumulative distributions, 0 to "
        "1. The axes cover the 1st to 99th percentiles of both splits and a tenth more.",
    )


def missing_figure(evidence: Evidence) -> Drawing:
    """Draw the share of missing pixels by layer, split and cause."""
    roles = evidence.roles
    names = [f"{role.value}, {split}" for role in roles for split in SPLITS]
    shares = np.array([_missing(evidence, role, split) for role in roles for split in SPLITS]).reshape(-1, len(_CAUSES))
    figure = new_figure(1000, 36 * len(names) + 100)
    axes = figure.subplots()
    rows = np.arange(len(names))
    start = np.zeros(len(names))
    for position, (_, ink) in enumerate(_CAUSES):
        axes.barh(rows, shares[:, position], left=start, height=0.7, color=ink, edgecolor="#ffffff", linewidth=0.8)
        start += shares[:, position]
    for row, total in enumerate(start):
        axes.annotate(f"{total:.1%}", (total, row), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(float(start.max(initial=0.0)) * 1.12, 0.01))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("Share of chip pixels that are missing")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    legend_below(figure, [Patch(color=ink, label=name) for name, ink in _CAUSES], 3)
    said = "; ".join(f"{name} {total:.1%}" for name, total in zip(names, start, strict=True))
    counted = ", ".join(
        f"{flags.n_chips:,} of {flags.n_all:,} {split} chips" for split, flags in evidence.flags.items()
    )
    return drawn(
        figure,
        "missing",
        alt=f"Missing pixels: {said}.",
        caption=f"Missing pixels by layer and cause, from the flags of {counted}, evenly spread over the index.",
    )


def grid_figure(evidence: Evidence) -> Drawing:
    """Draw how glacier share is spread over the cells of grids of several sizes."""
    sizes = sorted(evidence.grids, key=int)
    figure = new_figure(1000, 290)
    panels = figure.subplots(1, max(len(sizes), 1), sharey=True, squeeze=False).ravel()
    edges = np.linspace(0, 1, 21)
    for axes, size in zip(panels, sizes, strict=False):
        counted = {split: np.asarray(evidence.grids[size][split]["histogram"], float) for split in SPLITS}
        for split in SPLITS:
            shares = counted[split].reshape(20, -1).sum(axis=1) / max(counted[split].sum(), 1.0)
            stairs(axes, shares * 100, edges, split)
        numbers = ", ".join(f"{split} {counted[split].sum():,.0f}" for split in SPLITS)
        axes.set_title(f"{size} px", loc="left", fontweight="bold")
        axes.set_title(numbers, loc="right", color="#555555")
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("Glacier share of a cell")
    panels[0].set_ylabel("Cells (%)")
    legend_below(figure, split_keys(), 2)
    return drawn(
        figure,
        "grids",
        alt=f"Histograms of glacier share for cells of {', '.join(sizes)} pixels, train and dev.",
        caption="Glacier share of grid cells of three sizes, on the ground of the used partitions. "
        "The number of cells stands above each panel; bins are 5% wide.",
    )


def _band_panel(axes: Axes, evidence: Evidence, position: int, band: Band) -> None:
    described = {split: evidence.described(split)["bands"][band.name] for split in SPLITS}
    axes.set_title(f"{band.name} ({band.unit})" if band.unit else band.name, loc="left", fontweight="bold")
    distance = evidence.distance(position)
    axes.set_title("KS not defined" if distance is None else f"KS {distance:.2f}", loc="right", color="#555555")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    present = [summary for summary in described.values() if summary["count"]]
    if not present:
        axes.text(0.5, 0.5, "no valid pixel", ha="center", va="center", transform=axes.transAxes, color=FAINT)
        axes.set_yticks([])
        return
    low, high = min(summary["p1"] for summary in present), max(summary["p99"] for summary in present)
    margin = -(-(high - low) // 10)
    low = max(low - margin, min(summary["min"] for summary in present))
    high = min(high + margin, max(summary["max"] for summary in present))
    # Whole steps: stored values are whole numbers, and any other bin would hold now more, now fewer of them.
    step = -(-(high - low + 1) // _BINS)
    n_bins = -(-(high - low + 1) // step)
    edges = low - 0.5 + step * np.arange(n_bins + 1)
    for split in SPLITS:
        counts = evidence.histograms[split][position]
        if not counts.any():
            continue
        stairs(axes, binned(counts, low, step, n_bins) * 100, edges, split)
        for key in ("p1", "p99"):
            axes.axvline(described[split][key], color=SPLIT_COLOURS[split], linewidth=1, linestyle=(0, (4, 2)))
        for value, mark in ((_median(counts), "v"), (described[split]["mean"], "o")):
            axes.plot(
                [value], [0.97], marker=mark, color=SPLIT_COLOURS[split], markersize=7, markeredgecolor="#ffffff",
                transform=axes.get_xaxis_transform(), zorder=4,
            )  # fmt: skip
    axes.set_xlim(edges[0], edges[-1])
    beyond = sum(evidence.statistics["out_of_range"][split][band.name] for split in SPLITS)
    has_range = band.valid_min is not None or band.valid_max is not None
    beyond_it = f"{beyond:,} samples out of range" if has_range else "no valid range set"
    axes.set_xlabel(f"Stored value ({beyond_it})", fontsize=11.5)
    axes.set_ylim(0, 1.06 * axes.dataLim.y1)


def binned(counts: NDArray[np.int64], low: int, step: int, n_bins: int) -> NDArray[np.float64]:
    """Return the shares, 0 to 1, of a histogram's counts in (n_bins,) bins of `step` values that start at `low`."""
    padded = np.zeros(n_bins * step, np.int64)
    part = counts[low + _ZERO_BIN : low + _ZERO_BIN + n_bins * step]
    padded[: len(part)] = part
    shares: NDArray[np.float64] = padded.reshape(n_bins, step).sum(axis=1) / counts.sum()
    return shares


def _median(counts: NDArray[np.int64]) -> int:
    """Return the lower median of a band's values, whose counts are given."""
    total = np.cumsum(counts)
    return int(np.searchsorted(total, -(-int(total[-1]) // 2))) - _ZERO_BIN


def stairs(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], split: str) -> None:
    """Draw a histogram of one split: train filled, dev as a line."""
    ink = SPLIT_COLOURS[split]
    if split == "train":
        axes.stairs(values, edges, fill=True, color=(ink, 0.28))
    axes.stairs(values, edges, color=ink, linewidth=1.5)


def split_keys() -> list[Any]:
    """Return what the legend shows for train and dev."""
    train, dev = (SPLIT_COLOURS[split] for split in SPLITS)
    return [
        Patch(facecolor=(train, 0.28), edgecolor=train, linewidth=1.5, label="train"),
        Line2D([], [], color=dev, linewidth=1.5, label="dev"),
    ]


def _missing(evidence: Evidence, role: Any, split: str) -> Sequence[float]:
    """Return the shares of `_CAUSES`; together they are all that is missing of a role."""
    flags, own = evidence.flags[split], int(ROLE_FLAGS[role])
    others = sum(int(ROLE_FLAGS[other]) for other in evidence.roles if other is not role)
    outside = flags.share(own | Flag.OUTSIDE)
    alone = flags.share(own, without=others | Flag.OUTSIDE)
    return outside, flags.share(own, without=Flag.OUTSIDE) - alone, alone
