"""Figures of classes, bands, class shares, years and grid sizes, and the table of class shares."""

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, is_dark
from gcn_luigi.prepare.statistics.float_counts import bin_values
from gcn_luigi.prepare.statistics.statistics import ks_of_samples
from gcn_luigi.report.drawing import (
    FAINT,
    INK,
    Drawing,
    legend_below,
    new_figure,
    share_stairs,
    split_keys,
    stacked_bars,
    stairs,
    title_panel,
    to_svg,
)
from gcn_luigi.report.quality.data import ReportData
from gcn_luigi.report.tables import Table, number

_BINS, _COLUMNS = 60, 3
_DASHED = (0, (4, 2))
# Height of a line of a legend.
_LINE = 22
# Panels of class shares, apart from that of glacier.
_MOST_PANELS, _MOST_NAMED = 4, 3


def class_figure(data: ReportData) -> Drawing:
    """Draw the share of each class, with each pixel once and as the chips sample it."""
    classes, names, rows = data.classes, [], []
    for split in data.splits:
        described = data.of_split(split)
        for text, part in (("each pixel once", described), ("as sampled by chips", described["as_sampled"])):
            pixels = np.array([part["classes"]["pixels"][name] for name in classes.names], float)
            names.append(f"{split}, {text}")
            rows.append(pixels / max(pixels.sum(), 1.0))
    shares = np.array(rows)
    n_columns = 3 if len(classes) <= 6 else 5
    figure = new_figure(1000, 250 + _LINE * (-(-len(classes) // n_columns) - 1))
    axes = figure.subplots()
    stacked_bars(axes, shares, [each.colour for each in classes], height=0.72, line=1)
    for position, each in enumerate(classes):
        for row, values in enumerate(shares):
            if (value := values[position]) >= 0.05:
                text = "#ffffff" if is_dark(each.colour) else INK
                middle = values[:position].sum() + value / 2
                axes.text(middle, row, f"{value:.1%}", ha="center", va="center", color=text)
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("Share of labelled pixels")
    legend_below(figure, [Patch(color=each.colour, label=each.name) for each in classes], n_columns)
    listed = "; ".join(
        f"{row_name}: " + ", ".join(f"{name} {value:.1%}" for name, value in zip(classes.names, row, strict=True))
        for row_name, row in zip(names, shares, strict=True)
    )
    return to_svg(
        figure,
        "classes",
        alt=f"Class shares. {listed}.",
        caption="Class balance of labelled pixels. “Each pixel once” is the ground that the kept chips show. “As "
        "sampled by chips” counts a pixel once for every chip that shows it, as a training epoch does.",
    )


def band_figure(data: ReportData) -> Drawing:
    """Draw the distribution of every band in each split."""
    bands = data.bands
    n_rows = -(-len(bands) // _COLUMNS)
    figure = new_figure(1000, 190 * n_rows + 70)
    panels = figure.subplots(n_rows, _COLUMNS, squeeze=False).ravel()
    for position, (axes, band) in enumerate(zip(panels, bands, strict=False)):
        _band_panel(axes, data, position, band)
        if position % _COLUMNS == 0:
            axes.set_ylabel("Pixels per bin (%)")
    for axes in panels[len(bands) :]:
        axes.set_axis_off()
    dash = Line2D([], [], color=INK, linestyle=_DASHED, linewidth=1, label="1st and 99th percentile")
    marks = [
        Line2D([], [], color=INK, marker=mark, linestyle="", markersize=7, label=name)
        for mark, name in (("v", "median"), ("o", "mean"))
    ]
    legend_below(figure, [*split_keys(data.splits), dash, *marks], 6)
    return to_svg(
        figure,
        "bands",
        alt="Histograms of " + ", ".join(band.name for band in bands) + f" for {' and '.join(data.splits)}.",
        caption="Stored values of every band, over valid pixels. Each pixel is counted once. The unit is in brackets "
        "if one is configured. The text below each panel says how many pixels of the used partitions were outside the "
        "valid range, if one is set; these pixels count as missing. KS is the largest difference between the "
        "cumulative distributions of train and dev, from 0 to 1. The axes cover the 1st to 99th percentiles of all "
        "splits, extended by at most a tenth at each end.",
    )


def _band_panel(axes: Axes, data: ReportData, position: int, band: Band) -> None:
    described = {split: data.of_split(split)["bands"][band.name] for split in data.splits}
    distance = data.distance(position)
    title_panel(
        axes,
        f"{band.name} ({band.unit})" if band.unit else band.name,
        "KS not defined" if distance is None else f"KS {distance:.2f}",
    )
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    present = [summary for summary in described.values() if summary["count"]]
    if not present:
        axes.text(0.5, 0.5, "no valid pixel", ha="center", va="center", transform=axes.transAxes, color=FAINT)
        axes.set_yticks([])
        return
    low, high = min(summary["p1"] for summary in present), max(summary["p99"] for summary in present)
    edges = _edges(low, high, present, is_whole=data.settings.stack.dtype == "int16")
    values = bin_values(data.settings.stack.dtype)
    is_value = ~np.isnan(values)
    for split in data.splits:
        counts, ink = data.histograms[split][position], SPLIT_COLOURS[split]
        if not counts.any():
            continue
        shares = np.histogram(values[is_value], edges, weights=counts[is_value])[0] / counts.sum()
        stairs(axes, shares * 100, edges, split)
        for key in ("p1", "p99"):
            axes.axvline(described[split][key], color=ink, linewidth=1, linestyle=_DASHED)
        for value, mark in ((histogram_median(counts, values), "v"), (described[split]["mean"], "o")):
            axes.plot(
                [value], [0.97], marker=mark, color=ink, markersize=7, markeredgecolor="#ffffff",
                transform=axes.get_xaxis_transform(), zorder=4,
            )  # fmt: skip
    axes.set_xlim(edges[0], edges[-1])
    beyond = sum(data.statistics["out_of_range"][split][band.name] for split in data.splits)
    has_range = band.valid_min is not None or band.valid_max is not None
    remark = f"{beyond:,} pixels out of range" if has_range else "no valid range set"
    axes.set_xlabel(f"Stored value ({remark})", fontsize=11.5)
    axes.set_ylim(0, 1.06 * axes.dataLim.y1)


def _edges(low: float, high: float, present: Sequence[dict[str, Any]], *, is_whole: bool) -> NDArray[np.float64]:
    """Return the edges of the bins of a panel, from a tenth below `low` to a tenth above `high`, the percentiles."""
    margin = -(-(high - low) // 10) if is_whole else (high - low) / 10
    low = max(low - margin, min(summary["min"] for summary in present))
    high = min(high + margin, max(summary["max"] for summary in present))
    if not is_whole:
        return np.linspace(low, high if high > low else low + 1, _BINS + 1)
    # Whole steps, because stored values are whole numbers: other bins would contain unequal numbers of values.
    step = -(-(high - low + 1) // _BINS)
    edges: NDArray[np.float64] = low - 0.5 + step * np.arange(-(-(high - low + 1) // step) + 1)
    return edges


def histogram_median(counts: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Return the lower median of a band's values: `counts` and `values` of the bins are given, (65536,) each."""
    total = np.cumsum(counts)
    return float(values[np.searchsorted(total, -(-int(total[-1]) // 2))])


def grid_figure(data: ReportData) -> Drawing:
    """Draw the distribution of glacier share over the cells of grids of several sizes."""
    sizes = sorted(data.grids, key=int)
    figure = new_figure(1000, 290)
    panels = figure.subplots(1, max(len(sizes), 1), sharey=True, squeeze=False).ravel()
    for axes, size in zip(panels, sizes, strict=False):
        share_stairs(axes, data.grids[size], data.splits)
        title_panel(
            axes, f"{size} px", ", ".join(f"{split} {data.grids[size][split]['n_cells']:,}" for split in data.splits)
        )
        axes.set_xlabel("Glacier share of a cell")
    panels[0].set_ylabel("Cells (%)")
    legend_below(figure, split_keys(data.splits), 3)
    return to_svg(
        figure,
        "grids",
        alt=f"Histograms of glacier share for cells of {', '.join(sizes)} pixels, by split.",
        caption="Glacier share of grid cells of three sizes, in the area of the used partitions. "
        "The number of cells is above each panel; bins are 5% wide.",
    )


def share_figure(data: ReportData) -> Drawing:
    """Draw histograms of class shares over chips, and the cumulative curves, whose largest distance is KS."""
    figure = new_figure(1000, 500)
    shown = _share_kinds(data, [each.name for each in data.shown_classes(_MOST_PANELS)])
    panels = figure.subplots(2, len(shown), sharey="row", squeeze=False)
    results = []
    for (upper, lower), (title, columns) in zip(panels.T, shown, strict=True):
        values = _shares_by_split(data.index, columns, data.splits)
        most = max((float(part.max(initial=0.0)) for part in values), default=0.0)
        high = min(max(0.1, np.ceil(most * 10) / 10), 1.0)
        edges = np.linspace(0, high, 21)
        for split, part in zip(data.splits, values, strict=True):
            if len(part):
                counts = np.histogram(np.clip(part, 0, high), bins=edges)[0] / len(part)
                stairs(upper, counts * 100, edges, split)
        _cumulative_curves(lower, dict(zip(data.splits, values, strict=True)), high)
        distance = ks_of_samples(*values[:2])
        ks = "KS not defined" if distance is None else f"KS {distance:.3f}"
        title_panel(upper, title, ks)
        results.append(f"{title.lower()}: {ks}")
        for axes in (upper, lower):
            axes.set_xlim(0, high)
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        lower.set_xlabel("Share of a chip")
    panels[0, 0].set_ylabel("Chips per bin (%)")
    panels[1, 0].set_ylabel("Cumulative share of chips (%)")
    legend_below(figure, split_keys(data.splits), 3)
    return to_svg(
        figure,
        "shares",
        alt=f"Histograms and cumulative curves of class shares over the chips of each split; {'; '.join(results)}.",
        caption="Class shares of chips, as histograms in 20 bins (above) and as cumulative curves (below). KS is the "
        "largest distance between the curves of train and dev (Kolmogorov-Smirnov, from 0 to 1). It is "
        "computed from the unbinned values and drawn as a black line.",
    )


def share_table(data: ReportData) -> Table:
    """Return mean and median share, and the KS distance, over chips and over used partitions."""
    used = data.catalog[data.catalog["used"].to_numpy(bool)]
    rows = []
    for what, table in (("chips", data.index), ("partitions", used)):
        for title, columns in _share_kinds(data, [name for name in data.classes.names if name != "none"]):
            values = _shares_by_split(table, columns, data.splits)
            cells = [f"{float(of(part)) if len(part) else 0.0:.2%}" for part in values for of in (np.mean, np.median)]
            rows.append((f"{title}, {what}", *cells, number(ks_of_samples(*values[:2]), 3)))
    head = ("share of", *(f"#{split} {of}" for split in data.splits for of in ("mean", "median")), "#KS")
    return Table("Class shares of chips and of used partitions; each chip or partition counts once", head, tuple(rows))


def _share_kinds(data: ReportData, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the heading of each share that is shown, and the columns that it adds up: classes, then glacier."""
    kinds = [(each.heading, [f"share_{each.name}"]) for each in data.classes if each.name in names]
    glacier = [each for each in data.classes if each.glacier]
    if not glacier:
        return kinds
    # "Debris and ice" in place of two longer titles.
    listed = [each.name.replace("_", " ") for each in glacier]
    few = len(listed) <= _MOST_NAMED
    title = "Glacier: " + (
        " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1]))) if few else "all its classes"
    )
    return [*kinds, (title, [f"share_{each.name}" for each in glacier])]


def _shares_by_split(table: gpd.GeoDataFrame, columns: list[str], splits: Sequence[str]) -> list[NDArray[np.float64]]:
    """Return the sum of shares, 0 to 1, in each chip or partition of each split."""
    shares = table[columns].to_numpy(float).sum(axis=1)
    return [shares[(table["split"] == split).to_numpy(bool)] for split in splits]


def _cumulative_curves(axes: Axes, values: Mapping[str, NDArray[np.float64]], high: float) -> None:
    for split, part in values.items():
        if len(part):
            at = np.concatenate([[0.0], np.sort(part), [high]])
            below = np.append(np.arange(len(part) + 1), len(part)) / len(part) * 100
            axes.step(at, below, where="post", color=SPLIT_COLOURS[split], linewidth=1.6)
    axes.set_ylim(0, 103)
    one, other = (np.sort(values[split]) for split in ("train", "dev"))
    if len(one) and len(other):
        at = np.concatenate([one, other])
        first, second = (np.searchsorted(part, at, side="right") / len(part) * 100 for part in (one, other))
        widest = int(np.argmax(np.abs(first - second)))
        axes.plot([at[widest]] * 2, [first[widest], second[widest]], color=INK, linewidth=2.2)


def year_figure(data: ReportData) -> Drawing:
    """Draw the years between outline and image, the years of the images, and the years of the outlines."""
    index, catalog = data.index, data.catalog
    used = catalog[catalog["used"].to_numpy(bool)]
    dated = index[index["year_gap"] >= 0]
    figure = new_figure(1000, 300)
    panels = figure.subplots(1, 3)
    tables: tuple[tuple[str, gpd.GeoDataFrame, str, str], ...] = (
        ("Years between outline and image", dated, "year_gap", "Chips (%)"),
        ("Year of the image", index, "year", "Chips (%)"),
        ("Year of the outlines", used, "outline_year", "Partitions (%)"),
    )
    results = []
    for axes, (title, rows, column, what) in zip(panels, tables, strict=True):
        values = [rows.loc[rows["split"] == split, column].dropna().to_numpy(int) for split in data.splits]
        _year_bars(axes, dict(zip(data.splits, values, strict=True)))
        title_panel(axes, title)
        axes.set_ylabel(what)
        axes.set_xlabel("Years" if column == "year_gap" else "Year")
        means = ", ".join(
            f"{split} {np.mean(part):.1f}" for split, part in zip(data.splits, values, strict=True) if len(part)
        )
        distance = ks_of_samples(*values[:2])
        ks = "none" if distance is None else f"{distance:.2f}"
        results.append(f"{title}: mean {means or 'none'}, KS {ks}")
    legend_below(figure, split_keys(data.splits), 3)
    undated = len(index) - len(dated)
    more = f" The left panel leaves out {undated:,} chips of partitions without a dated outline." if undated else ""
    return to_svg(
        figure,
        "years",
        alt=f"Bars of years for each split. {'; '.join(results)}.",
        caption=f"Years of images and outlines in each split. {'. '.join(results)}.{more}",
    )


def _year_bars(axes: Axes, values: Mapping[str, NDArray[np.int64]]) -> None:
    years = sorted({int(value) for part in values.values() for value in part})
    step = 0.8 / len(values)
    for position, (split, part) in enumerate(values.items()):
        shift = (position - (len(values) - 1) / 2) * step
        heights = [100 * float(np.mean(part == year)) if len(part) else 0.0 for year in years]
        face: Any = (SPLIT_COLOURS[split], 0.28 if split == "train" else 0.0)
        places = np.arange(len(years)) + shift
        axes.bar(places, heights, width=0.95 * step, facecolor=face, edgecolor=SPLIT_COLOURS[split], linewidth=1.5)
    shown = range(0, len(years), max(-(-len(years) // 6), 1))
    axes.set_xticks(list(shown), [str(years[i]) for i in shown])
