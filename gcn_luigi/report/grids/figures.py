"""Figures of grid sizes: histograms, and maps of the cells."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from rasterio.enums import Resampling

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import ClassTable
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, colour
from gcn_luigi.report.drawing import (
    INK,
    Drawing,
    legend_below,
    map_axes,
    new_figure,
    share_stairs,
    split_keys,
    title_panel,
    to_svg,
)
from gcn_luigi.report.grids.data import GridPageData, GridSize
from gcn_luigi.report.pictures import read_overview
from gcn_luigi.report.tables import percent

_DASHED = (0, (4, 2))
# Every colour differs from the ground, including the one for no glacier.
_SHARES = LinearSegmentedColormap.from_list("share", ["#f8dc98", "#b9d9bd", "#58a6bd", "#2a6a9e", "#12305e"])
# One colour for debris and ice, because the map shows glaciers; white where there is no label.
_GLACIER, _GROUND, _BEYOND = "#b0bac4", "#eeede8", "#ffffff"


def share_figure(data: GridPageData) -> Drawing:
    """Draw the distribution of the glacier share over the cells of each size, in train and dev."""
    figure = new_figure(1000, 330)
    panels = figure.subplots(1, len(data.sizes), squeeze=False).ravel()
    results = []
    for axes, grid in zip(panels, data.sizes, strict=True):
        share_stairs(axes, grid.described, data.splits)
        for split in data.splits:
            if (mean := grid.mean(split)) is not None:
                axes.axvline(mean, color=SPLIT_COLOURS[split], linewidth=1.2, linestyle=_DASHED)
        ks = "KS not defined" if grid.ks is None else f"KS {grid.ks:.2f}"
        title_panel(axes, f"{grid.size} px", ks)
        # Each panel has its own axis, because a single large cell would be 100 %.
        axes.set_ylim(0, 1.06 * axes.dataLim.y1 or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel(f"Glacier share of a cell\n{_counts(grid, data.splits)}")
        means = ", ".join(f"{split} {percent(grid.mean(split))}" for split in data.splits)
        results.append(f"{grid.size} px: {_counts(grid, data.splits)}, mean {means}, {ks}")
    panels[0].set_ylabel("Cells (%)")
    mean_key = Line2D([], [], color=INK, linewidth=1.2, linestyle=_DASHED, label="mean")
    legend_below(figure, [*split_keys(data.splits), mean_key], 4)
    return to_svg(
        figure,
        "shares",
        alt=f"Histograms of the glacier share of cells, train and dev. {'; '.join(results)}.",
        caption="Glacier share of cells by cell size, in bins of 5%. KS is the largest difference between the two "
        "cumulative distributions, from 0 to 1; it is computed from the shares, not from the bins. Each panel has its "
        "own vertical axis.",
    )


def cell_maps(data: GridPageData, label: Path) -> Drawing:
    """Draw the cells of each size over the glaciers, by split and by glacier share; each cell is one pixel."""
    left, bottom, right, top = bounds = data.lattice.bounds
    high = round(min(max(300 * (top - bottom) / (right - left), 130), 460))
    figure = new_figure(1000, 2 * high + 190)
    panels = figure.subplots(2, len(data.sizes), sharex=True, sharey=True, squeeze=False)
    ground = _ground(label, data.settings.class_table)
    for (upper, lower), grid in zip(panels.T, data.sizes, strict=True):
        for axes, picture in zip((upper, lower), _cell_pictures(grid), strict=True):
            axes.imshow(ground, extent=(left, right, bottom, top), interpolation="none", zorder=0)
            axes.imshow(picture, extent=_extent(grid, data), interpolation="none", zorder=1)
            map_axes(axes, bounds, (4, 5))
        title_panel(upper, f"{grid.size} px", _counts(grid, data.splits))
        lower.set_xlabel("Easting (km)")
    for axes in panels[:, 0]:
        axes.set_ylabel("Northing (km)")
    scale: Any = figure.colorbar(
        ScalarMappable(Normalize(0, 1), _SHARES),
        ax=panels[1].tolist(),
        orientation="horizontal",
        fraction=0.05,
        aspect=50,
        pad=0.03,
    )
    scale.set_label("Glacier share of a cell")
    scale.ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    scale.outline.set_visible(False)
    none = "neither" if len(data.splits) == 2 else "none"
    inks = {
        **{split: SPLIT_COLOURS[split] for split in data.splits},
        f"glacier, in {none}": _GLACIER,
        f"other ground, in {none}": _GROUND,
    }
    keys = [Patch(facecolor=ink, edgecolor=INK, linewidth=0.4, label=name) for name, ink in inks.items()]
    legend_below(figure, keys, 5)
    sizes = ", ".join(str(grid.size) for grid in data.sizes)
    counts = "; ".join(f"{grid.size} px: {_counts(grid, data.splits)}" for grid in data.sizes)
    return to_svg(
        figure,
        "cells",
        alt=f"Maps of cells of {sizes} pixels by split, above, and by glacier share, below. {counts}.",
        caption="Cells of which at least half belongs to used partitions, by split (above) and by glacier share "
        "(below). Elsewhere the glaciers of the class label are visible.",
    )


def _cell_pictures(grid: GridSize) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the cells by split and by glacier share: (y, x, 4), one pixel per cell, transparent in neither split."""
    rows, cols = (grid.cells[name].to_numpy(np.int64) for name in ("row", "col"))
    rows, cols = (rows - rows.min(initial=rows[0])) // grid.size, (cols - cols.min(initial=cols[0])) // grid.size
    by_split = np.zeros((int(rows.max(initial=0)) + 1, int(cols.max(initial=0)) + 1, 4), np.uint8)
    by_share = by_split.copy()
    for split in SPLIT_COLOURS:
        chosen = (grid.cells["split"] == split).to_numpy(bool)
        by_split[rows[chosen], cols[chosen]] = (*colour(SPLIT_COLOURS[split]), 190)
    chosen = (grid.cells["split"] != "").to_numpy(bool)
    shares = grid.cells["share"].to_numpy(float)[chosen]
    by_share[rows[chosen], cols[chosen]] = (_SHARES(shares) * 255).round().astype(np.uint8)
    return by_split, by_share


def _extent(grid: GridSize, data: GridPageData) -> tuple[float, float, float, float]:
    lattice, rows, cols = data.lattice, grid.cells["row"], grid.cells["col"]
    left = lattice.left + int(cols.min()) * lattice.pixel_size
    right = lattice.left + (int(cols.max()) + grid.size) * lattice.pixel_size
    top = lattice.top - int(rows.min()) * lattice.pixel_size
    bottom = lattice.top - (int(rows.max()) + grid.size) * lattice.pixel_size
    return left, right, bottom, top


def _ground(label: Path, classes: ClassTable) -> NDArray[np.uint8]:
    """Return (y, x, 3): glaciers, other ground, and white where there is no label."""
    values, _ = read_overview(label, Resampling.nearest)
    rgb = np.full((*values.shape, 3), colour(_BEYOND), np.uint8)
    values = np.clip(values, 0, LABEL_IGNORE).astype(np.uint8)
    rgb[classes.known[values]] = colour(_GROUND)
    rgb[classes.is_glacier[values]] = colour(_GLACIER)
    return rgb


def _counts(grid: GridSize, splits: Sequence[str]) -> str:
    return ", ".join(f"{grid.n_cells(split):,} {split}" for split in splits)
