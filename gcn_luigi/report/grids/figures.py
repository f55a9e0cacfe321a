"""Figures of grid sizes: histograms, and maps of the cells."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from rasterio.enums import Resampling

from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, colour
from gcn_luigi.report.drawing import (
    FAINT,
    INK,
    Drawing,
    drawn,
    legend_below,
    new_figure,
)
from gcn_luigi.report.grids.data import GridEvidence, GridSize
from gcn_luigi.report.pictures import read_overview
from gcn_luigi.report.tables import NONE

_BINS = 20
# Unlike the ground, also where there is no glacier at all.
_SHARES = LinearSegmentedColormap.from_list("share", ["#f8dc98", "#b9d9bd", "#58a6bd", "#2a6a9e", "#12305e"])
# Debris and ice alike: the map is of glaciers; beyond the label there is none.
_GLACIER, _GROUND, _BEYOND = (176, 186, 196), (238, 237, 232), (255, 255, 255)


def share_figure(evidence: GridEvidence) -> Drawing:
    """Draw how glacier share is spread over the cells of each size, in train and dev."""
    figure = new_figure(1000, 330)
    panels = figure.subplots(1, len(evidence.sizes), squeeze=False).ravel()
    edges = np.linspace(0, 1, _BINS + 1)
    said = []
    for axes, grid in zip(panels, evidence.sizes, strict=True):
        for split in SPLITS:
            counts = np.asarray(grid.described[split]["histogram"], float).reshape(_BINS, -1).sum(axis=1)
            ink, total = SPLIT_COLOURS[split], max(float(counts.sum()), 1.0)
            if split == "train":
                axes.stairs(counts / total * 100, edges, fill=True, color=(ink, 0.28))
            axes.stairs(counts / total * 100, edges, color=ink, linewidth=1.5)
            if (mean := grid.mean(split)) is not None:
                axes.axvline(mean, color=ink, linewidth=1.2, linestyle=(0, (4, 2)))
        ks = "KS not defined" if grid.ks is None else f"KS {grid.ks:.2f}"
        axes.set_title(f"{grid.size} px", loc="left", fontweight="bold")
        axes.set_title(ks, loc="right", color="#555555")
        axes.set_xlim(0, 1)
        # Each its own: one cell of a large size alone would be 100 %.
        axes.set_ylim(0, 1.06 * axes.dataLim.y1 or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel(f"Glacier share of a cell\n{_counts(grid)}")
        means = ", ".join(f"{split} {_percent(grid.mean(split))}" for split in SPLITS)
        said.append(f"{grid.size} px: {_counts(grid)}, mean {means}, {ks}")
    panels[0].set_ylabel("Cells (%)")
    train, dev = (SPLIT_COLOURS[split] for split in SPLITS)
    legend_below(
        figure,
        [
            Patch(facecolor=(train, 0.28), edgecolor=train, linewidth=1.5, label="train"),
            Line2D([], [], color=dev, linewidth=1.5, label="dev"),
            Line2D([], [], color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="mean"),
        ],
        3,
    )
    return drawn(
        figure,
        "shares",
        alt=f"Histograms of the glacier share of cells, train and dev. {'; '.join(said)}.",
        caption="Glacier share of cells by cell size, in bins of 5%. KS is the largest difference of the two "
        "cumulative distributions, 0 to 1, taken from the shares themselves and not from the bins. Each panel has "
        "its own vertical axis.",
    )


def cell_maps(evidence: GridEvidence, label: Path) -> Drawing:
    """Draw the cells of each size by split, over the glaciers, and by glacier share; a cell is one pixel."""
    lattice = evidence.lattice
    left, bottom, right, top = lattice.bounds
    high = round(min(max(300 * (top - bottom) / (right - left), 130), 460))
    figure = new_figure(1000, 2 * high + 190)
    panels = figure.subplots(2, len(evidence.sizes), sharex=True, sharey=True, squeeze=False)
    ground, extent = _ground(label), (left, right, bottom, top)
    for column, grid in enumerate(evidence.sizes):
        for axes, picture in zip(panels[:, column], (_by_split(grid), _by_share(grid)), strict=True):
            axes.imshow(ground, extent=extent, interpolation="none", zorder=0)
            axes.imshow(picture, extent=_extent(grid, evidence), interpolation="none", zorder=1)
            _frame(axes, extent)
        panels[0, column].set_title(f"{grid.size} px", loc="left", fontweight="bold")
        panels[0, column].set_title(_counts(grid), loc="right", color="#555555")
        panels[1, column].set_xlabel("Easting (km)")
    for axes in panels[:, 0]:
        axes.set_ylabel("Northing (km)")
    mapped: Any = figure.colorbar(
        _scale(), ax=panels[1].tolist(), orientation="horizontal", fraction=0.05, aspect=50, pad=0.03
    )
    mapped.set_label("Glacier share of a cell")
    mapped.ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    mapped.outline.set_visible(False)
    keys = [Patch(facecolor=SPLIT_COLOURS[split], edgecolor=INK, linewidth=0.4, label=split) for split in SPLITS]
    keys += [
        Patch(facecolor=_hex(ink), edgecolor=INK, linewidth=0.4, label=name)
        for ink, name in ((_GLACIER, "glacier, in neither"), (_GROUND, "other ground, in neither"))
    ]
    legend_below(figure, keys, 4)
    sizes = ", ".join(str(grid.size) for grid in evidence.sizes)
    said = "; ".join(f"{grid.size} px: {_counts(grid)}" for grid in evidence.sizes)
    return drawn(
        figure,
        "cells",
        alt=f"Maps of cells of {sizes} pixels by split, above, and by glacier share, below. {said}.",
        caption="Cells that at least half belong to used partitions, by split (above) and by glacier share (below). "
        "Glaciers of the class label show where no cell is used.",
    )


def _by_split(grid: GridSize) -> NDArray[np.uint8]:
    """Return (y, x, 4), a pixel a cell, clear where it is in neither split."""
    picture = _blank(grid)
    rows, cols = _place(grid)
    for split in SPLITS:
        chosen = (grid.cells["split"] == split).to_numpy(bool)
        picture[rows[chosen], cols[chosen]] = (*colour(SPLIT_COLOURS[split]), 190)
    return picture


def _by_share(grid: GridSize) -> NDArray[np.uint8]:
    """Return (y, x, 4), a pixel a cell."""
    picture = _blank(grid)
    rows, cols = _place(grid)
    chosen = (grid.cells["split"] != "").to_numpy(bool)
    shares = grid.cells["share"].to_numpy(float)[chosen]
    picture[rows[chosen], cols[chosen]] = (_SHARES(shares) * 255).round().astype(np.uint8)
    return picture


def _blank(grid: GridSize) -> NDArray[np.uint8]:
    rows, cols = _place(grid)
    return np.zeros((int(rows.max(initial=0)) + 1, int(cols.max(initial=0)) + 1, 4), np.uint8)


def _place(grid: GridSize) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, cols = (grid.cells[name].to_numpy(np.int64) for name in ("row", "col"))
    return (rows - rows.min(initial=rows[0])) // grid.size, (cols - cols.min(initial=cols[0])) // grid.size


def _extent(grid: GridSize, evidence: GridEvidence) -> tuple[float, float, float, float]:
    lattice = evidence.lattice
    rows, cols = (grid.cells[name] for name in ("row", "col"))
    left, top = (
        lattice.left + int(cols.min()) * lattice.pixel_size,
        lattice.top - int(rows.min()) * lattice.pixel_size,
    )
    right = lattice.left + (int(cols.max()) + grid.size) * lattice.pixel_size
    bottom = lattice.top - (int(rows.max()) + grid.size) * lattice.pixel_size
    return left, right, bottom, top


def _ground(label: Path) -> NDArray[np.uint8]:
    """Return (y, x, 3): glaciers, other ground, and paper where there is no label."""
    classes, _ = read_overview(label, Resampling.nearest)
    rgb = np.full((*classes.shape, 3), _BEYOND, np.uint8)
    rgb[classes == 0] = _GROUND
    rgb[(classes == 1) | (classes == 2)] = _GLACIER
    return rgb


def _frame(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    left, right, bottom, top = extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    for axis, most in ((axes.xaxis, 4), (axes.yaxis, 5)):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.10g}"))
        axis.set_major_locator(MaxNLocator(most))
    axes.tick_params(length=3)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)


def _scale() -> Any:
    return ScalarMappable(Normalize(0, 1), _SHARES)


def _hex(ink: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*ink)


def _counts(grid: GridSize) -> str:
    return ", ".join(f"{grid.n_cells(split):,} {split}" for split in SPLITS)


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"
