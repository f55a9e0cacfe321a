"""A map of the partitions by split, over a relief of the elevation."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from gcn_luigi.bands import elevation_band
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, UNUSED
from gcn_luigi.prepare.layers.terrain import hillshade
from gcn_luigi.read.show.figures import NotebookFigure, new_figure, scale_bar, style

if TYPE_CHECKING:
    import pandas as pd

    from gcn_luigi.read.dataset import Dataset

# Pixels along the longer side of the relief; width of the map, and its least and largest height, in inches.
_LONGEST, _WIDTH, _LOWEST, _HIGHEST = 900, 7.5, 2.5, 8.0
# More partitions get thinner edges.
_MOST_OUTLINED = 600


def map_of(dataset: "Dataset", partitions: "pd.DataFrame") -> NotebookFigure:
    """Draw `partitions`, the rows of the catalog, by split; see `Dataset.map`."""
    relief, note = _relief(dataset)
    left, bottom, right, top = bounds = _bounds(dataset, partitions)
    height = float(np.clip(_WIDTH * (top - bottom) / (right - left), _LOWEST, _HIGHEST))
    with style():
        figure = new_figure(_WIDTH, height + 0.9)
        axes = figure.subplots()
        if relief is not None:
            west, south, east, north = dataset.lattice.bounds
            extent = (west, east, south, north)
            axes.imshow(relief, extent=extent, cmap="gray", vmin=0, vmax=1, interpolation="bilinear", zorder=0)
        _frame(axes, bounds)
        keys = _draw_partitions(axes, dataset, partitions)
        scale_bar(axes, axes.get_xlim()[1] - axes.get_xlim()[0], axes.get_xlim()[1] - axes.get_xlim()[0])
        crs = dataset.lattice.crs if len(dataset.lattice.crs) <= 20 else "the region's own projection"
        region = dataset.description.get("region", "?")
        axes.set_title(f"{region}: {len(partitions):,} partitions, {crs}", loc="left", fontsize=9, fontweight="bold")
        if note:
            axes.annotate(note, (0, -0.13), xycoords="axes fraction", fontsize=7.5, color="#555555", va="top")
        figure.legend(handles=keys, loc="outside lower left", ncols=4, frameon=False, fontsize=8.5)
        figure.canvas.draw()
    return figure


def _draw_partitions(axes: Axes, dataset: "Dataset", partitions: "pd.DataFrame") -> list[Patch]:
    """Draw the partitions of each split, and those that are not used; return the legend."""
    used, split = partitions["used"].to_numpy(bool), partitions["split"].to_numpy(str)
    line = 1.4 if len(partitions) <= _MOST_OUTLINED else 0.3
    unused = partitions[~used]
    _draw_boxes(axes, unused, face=("#ffffff", 0.35), edge=UNUSED, linewidth=0.5 * line, hatch="////")
    keys = []
    for name in dataset.splits:
        ink = SPLIT_COLOURS[name]
        rows = partitions[used & (split == name)]
        _draw_boxes(axes, rows, face=(ink, 0.35), edge=ink, linewidth=line)
        keys.append(Patch(facecolor=(ink, 0.35), edgecolor=ink, linewidth=1.4, label=f"{name}: {len(rows):,}"))
    if len(unused):
        label = f"not used: {len(unused):,}"
        keys.append(Patch(facecolor="#ffffff", edgecolor=UNUSED, hatch="////", linewidth=0.7, label=label))
    return keys


def _draw_boxes(axes: Axes, rows: "pd.DataFrame", *, face: tuple[str, float], edge: str, **more: Any) -> None:
    """Draw boxes as one path, slightly inset so that neighbours do not hide each other's edges."""
    if not len(rows):
        return
    left, bottom, right, top = (rows[name].to_numpy(float) for name in ("left", "bottom", "right", "top"))
    x, y = 0.02 * (right - left), 0.02 * (top - bottom)
    left, bottom, right, top = left + x, bottom + y, right - x, top - y
    corners = np.stack([left, bottom, right, bottom, right, top, left, top, left, bottom], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(rows))
    axes.add_patch(PathPatch(Path(corners, codes), facecolor=face, edgecolor=edge, zorder=2, **more))


def _frame(axes: Axes, bounds: tuple[float, float, float, float]) -> None:
    """Set the limits, with a margin, and write kilometres at the axes."""
    left, bottom, right, top = bounds
    margin = 0.015 * max(right - left, top - bottom)
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(bottom - margin, top + margin)
    axes.set_aspect("equal")
    for axis, name in ((axes.xaxis, "Easting (km)"), (axes.yaxis, "Northing (km)")):
        axis.set_major_locator(MaxNLocator(6))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.10g}"))
        axis.set_label_text(name)


def _bounds(dataset: "Dataset", partitions: "pd.DataFrame") -> tuple[float, float, float, float]:
    left, bottom, right, top = dataset.lattice.bounds
    if not len(partitions):
        return left, bottom, right, top
    low = (min(left, float(partitions["left"].min())), min(bottom, float(partitions["bottom"].min())))
    return *low, max(right, float(partitions["right"].max())), max(top, float(partitions["top"].max()))


def _relief(dataset: "Dataset") -> tuple[NDArray[np.float64] | None, str]:
    """Return the brightness of the ground, (y, x), 0 to 1; or None, and the reason why it is not shown."""
    band = elevation_band(dataset.bands)
    if band is None:
        return None, "Without a relief, because the chips have no band of elevation."
    try:
        import rasterio  # noqa: PLC0415  the reader does without it
    except ImportError:
        return None, "Without a relief, which needs rasterio: pip install rasterio."
    try:
        stacks = sorted(dataset.paths.stack(int(year)) for year in _years(dataset))
        path = next(path for path in stacks if path.is_file())
        with rasterio.open(path) as stack:
            number = list(stack.descriptions).index(band.name) + 1
            factor = max(max(stack.shape) / _LONGEST, 1.0)
            shape = tuple(max(round(length / factor), 2) for length in stack.shape)
            heights = stack.read(number, out_shape=shape, resampling=rasterio.enums.Resampling.average)
            nodata = stack.nodatavals[number - 1]
    except GcnLuigiError:
        return None, "Without a relief, because the dataset is in a store."
    except (StopIteration, OSError, ValueError, rasterio.errors.RasterioError):
        return None, "Without a relief, because the stacks, or the tiles that they show, are gone."
    lattice = dataset.lattice
    light = hillshade(heights, band.scale * lattice.pixel_size * lattice.height / shape[0], nodata)
    # Pale, so that the partitions are seen; white where the elevation is missing.
    return np.where(np.isnan(light), 1.0, 0.45 + 0.55 * light), ""


def _years(dataset: "Dataset") -> list[int]:
    return sorted({int(year) for year in dataset.chip_table["year"]})
