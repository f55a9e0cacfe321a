"""Maps of the partitions over a decimated relief."""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from gcn_luigi.bands import CLASS_NAMES
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.prepare.appearance import CLASS_COLOURS, SPLIT_COLOURS, UNUSED
from gcn_luigi.report.drawing import FAINT, INK, Drawing, drawn, legend_below, new_figure
from gcn_luigi.report.pictures import draw_relief
from gcn_luigi.report.quality.data import Evidence

_MOST_NAMES, _MOST_OUTLINED, _MOST_SHAPES = 60, 600, 5000
_GAPS = ("#fde9a8", "#f5bd63", "#e38a45", "#c2573f", "#8f2f4a", "#561c48")
_YEARS = ("#fbe723", "#a5db36", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154")


def split_map(evidence: Evidence, paths: DatasetPaths) -> Drawing:
    """Draw the partitions by split, those not used hatched, over relief and label."""
    catalog = evidence.catalog
    width, height = map_size(evidence, 1000, 760)
    figure = new_figure(width, height + 60)
    axes = figure.subplots()
    show_relief(axes, evidence, draw_relief(evidence, paths))
    unused = catalog[~catalog["used"].to_numpy(bool)]
    draw_boxes(axes, unused, face=("#ffffff", 0.45), edge=UNUSED, n_all=len(catalog), hatch="///")
    _name(axes, unused, unused["partition"].tolist(), n_all=len(catalog))
    handles = []
    tint = 0.1 if len(catalog) <= _MOST_NAMES else 0.25 if len(catalog) <= _MOST_OUTLINED else 0.5
    for split in SPLITS:
        rows = catalog[catalog["used"].to_numpy(bool) & (catalog["split"] == split).to_numpy(bool)]
        ink = SPLIT_COLOURS[split]
        draw_boxes(axes, rows, face=(ink, tint), edge=ink, n_all=len(catalog))
        _name(axes, rows, rows["partition"].tolist(), n_all=len(catalog), ink=ink)
        handles.append(_key(ink, f"{split}: {len(rows):,} partitions", alpha=tint))
    handles.append(Patch(facecolor="#ffffff", edgecolor=UNUSED, hatch="///", label=f"not used: {len(unused):,}"))
    handles += [_key(CLASS_COLOURS[name], f"{name} (label)") for name in CLASS_NAMES]
    draw_frame(axes, evidence)
    legend_below(figure, handles, 6)
    audit = evidence.audit
    counts = f"{audit['n_train']} train, {audit['n_dev']} dev, {len(unused)} not used"
    return drawn(
        figure,
        "split-map",
        alt=f"Map of {len(catalog)} partitions: {counts}.",
        caption=f"Partitions by split over the class label and a relief lit from the north-west; {_crs(evidence)}. "
        "White lies beyond the tiles or has no label. The arrow points to the north of the grid.",
    )


def year_map(evidence: Evidence, paths: DatasetPaths) -> Drawing:
    """Draw the used partitions by year of the composite and by years between outline and composite."""
    catalog, settings = evidence.catalog, evidence.settings
    used = catalog[catalog["used"].to_numpy(bool)]
    relief = draw_relief(evidence, paths, classes=False)[::2, ::2]
    gaps = range(max([settings.year.max_gap, *used["year_gap"].dropna().astype(int)]) + 1)
    width, height = map_size(evidence, 500, 560)
    figure = new_figure(2 * width, height + 80)
    panels = [
        ("year", _spread(_YEARS, settings.years), "Year of the composite"),
        ("year_gap", _spread(_GAPS, gaps), "Years between outline and composite"),
    ]
    halves: Any = figure.subfigures(1, 2)
    for part, (column, inks, title) in zip(halves, panels, strict=True):
        axes = part.subplots()
        show_relief(axes, evidence, relief)
        handles = []
        for value in sorted({int(value) for value in used[column].dropna()}):
            rows = used[(used[column] == value).fillna(value=False).to_numpy(bool)]
            draw_boxes(axes, rows, face=(inks.get(value, UNUSED), 0.8), edge="#ffffff", n_all=len(catalog))
            handles.append(_key(inks.get(value, UNUSED), f"{value} ({len(rows):,})"))
        _name(axes, used, [str(value) for value in used[column]], n_all=len(catalog))
        draw_frame(axes, evidence)
        axes.set_title(title, loc="left", fontweight="bold")
        legend_below(part, handles, 5)
    return drawn(
        figure,
        "year-map",
        alt=f"Two maps of {len(used)} used partitions: year of the composite, and years between outline and composite.",
        caption="Used partitions by the year of the composite they are cut from (left) and by the years that lie "
        "between that composite and the date of the outlines (right; darker is longer, "
        f"{settings.year.max_gap} is the most allowed). Brackets hold the number of partitions.",
    )


def show_relief(axes: Axes, evidence: Evidence, relief: NDArray[np.uint8]) -> None:
    """Draw the ground under a map."""
    lattice = evidence.inventory.lattice
    extent = (lattice.left, lattice.right, lattice.bottom, lattice.top)
    axes.imshow(relief, extent=extent, interpolation="none", zorder=0)


def draw_boxes(
    axes: Axes, rows: gpd.GeoDataFrame, *, face: tuple[str, float], edge: str, n_all: int, hatch: str | None = None
) -> None:
    """Draw boxes as one path, a little inset so that neighbours do not hide each other's edge; very many as pixels."""
    if not len(rows):
        return
    line = 2.4 if n_all <= _MOST_NAMES else 1.6 if n_all <= _MOST_OUTLINED else 0.0
    inset = 0.014 if line else 0.0
    left, bottom, right, top = (rows[name].to_numpy(float) for name in ("left", "bottom", "right", "top"))
    x, y = inset * (right - left), inset * (top - bottom)
    left, bottom, right, top = left + x, bottom + y, right - x, top - y
    corners = np.stack([left, bottom, right, bottom, right, top, left, top, left, bottom], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(rows))
    shapes = PathPatch(Path(corners, codes), facecolor=face, edgecolor=edge, linewidth=line, hatch=hatch, zorder=2)
    shapes.set_rasterized(n_all > _MOST_SHAPES)
    axes.add_patch(shapes)


def _name(axes: Axes, rows: gpd.GeoDataFrame, texts: Sequence[str], *, n_all: int, ink: str = "#ffffff") -> None:
    """Write a tag into each box, where there are few."""
    if n_all > _MOST_NAMES:
        return
    for row, text in zip(rows.itertuples(), texts, strict=True):
        axes.text(
            (row.left + row.right) / 2,
            (row.bottom + row.top) / 2,
            text if len(text) <= 12 else f"{text[:11]}\u2026",
            ha="center",
            va="center",
            fontsize=11.5,
            color="#ffffff" if ink == SPLIT_COLOURS["train"] else INK,
            zorder=3,
            bbox={"facecolor": ink, "alpha": 0.85, "edgecolor": "none", "pad": 2.2},
        )


def draw_frame(axes: Axes, evidence: Evidence) -> None:
    """Give a map its axes in kilometres, a scale bar and an arrow to the north of the grid."""
    left, bottom, right, top = _bounds(evidence)
    margin = 0.01 * max(right - left, top - bottom)
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(bottom - margin, top + margin)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.10g}"))
        axis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("Easting (km)")
    axes.set_ylabel("Northing (km)")
    axes.tick_params(length=3)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)
    _scale_bar(axes, right - left)


def _scale_bar(axes: Axes, width: float) -> None:
    """Draw a bar of a round length, about a fifth of `width` metres, and an arrow that points up."""
    power = 10.0 ** np.floor(np.log10(width / 5))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 5)
    low, high = axes.get_xlim(), axes.get_ylim()
    x, y = low[0] + 0.04 * (low[1] - low[0]), high[0] + 0.05 * (high[1] - high[0])
    halo = {"facecolor": "#ffffff", "alpha": 0.85, "edgecolor": "none", "pad": 2.0}
    axes.plot([x, x + length], [y, y], color="#ffffff", linewidth=6, zorder=5, solid_capstyle="projecting")
    axes.plot([x, x + length], [y, y], color=INK, linewidth=3, zorder=6, solid_capstyle="butt")
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.annotate(text, (x, y), xytext=(0, 6), textcoords="offset points", fontsize=11, color=INK, bbox=halo, zorder=6)
    axes.annotate(
        "N",
        xy=(0.965, 0.965),
        xytext=(0.965, 0.87),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=11,
        color=INK,
        bbox=halo,
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6},
        zorder=6,
    )


def _bounds(evidence: Evidence) -> tuple[float, float, float, float]:
    catalog, (left, bottom, right, top) = evidence.catalog, evidence.inventory.lattice.bounds
    if not len(catalog):
        return left, bottom, right, top
    return (
        min(left, catalog["left"].min()),
        min(bottom, catalog["bottom"].min()),
        max(right, catalog["right"].max()),
        max(top, catalog["top"].max()),
    )


def map_size(evidence: Evidence, width: int, most: int) -> tuple[int, int]:
    """Return width and height in CSS pixels of a map, within both limits."""
    left, bottom, right, top = _bounds(evidence)
    ratio = (top - bottom) / (right - left)
    return width, round(min(max(width * ratio, 0.3 * width), most))


def _key(ink: str, text: str, alpha: float = 1.0) -> Patch:
    return Patch(
        facecolor=(ink, alpha), edgecolor=ink if alpha < 1 else INK, linewidth=1.2 if alpha < 1 else 0.4, label=text
    )


def _spread(ramp: Sequence[str], values: Sequence[int]) -> dict[int, str]:
    """Return a colour for each value, in order along a ramp; neighbours repeat where it is too short."""
    last = max(len(values) - 1, 1)
    return {value: ramp[round(i * (len(ramp) - 1) / last)] for i, value in enumerate(values)}


def _crs(evidence: Evidence) -> str:
    lattice = evidence.inventory.lattice
    name = lattice.crs if len(lattice.crs) <= 20 else "the region's own projection"
    return f"{name}, pixels of {lattice.pixel_size:g} m"
