"""Maps of the partitions over a shaded relief: split, years, class shares, and why some are not used."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray
from rasterio.enums import Resampling

from gcn_luigi.bands import elevation_band
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, UNUSED, colour
from gcn_luigi.prepare.layers.terrain import hillshade
from gcn_luigi.report.drawing import INK, Drawing, legend_below, map_axes, new_figure, title_panel, to_svg
from gcn_luigi.report.pictures import read_overview
from gcn_luigi.report.quality.data import ReportData

_MOST_NAMES, _MOST_OUTLINED, _MOST_SHAPES = 60, 600, 5000
_GAPS = ("#fde9a8", "#f5bd63", "#e38a45", "#c2573f", "#8f2f4a", "#561c48")
_YEARS = ("#fbe723", "#a5db36", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154")
# Upper limit, text and colour of the shares: one hue from light to dark, which keeps its order in grey.
_SHARE_STEPS = (
    (0.0, "none", "#f3f1ea"),
    (0.01, "up to 1%", "#d4e3ec"),
    (0.05, "1 to 5%", "#9fc6dd"),
    (0.1, "5 to 10%", "#5d9dc4"),
    (0.25, "10 to 25%", "#2b6ca3"),
    (1.0, "over 25%", "#12315f"),
)
_OUTLINES = ("glacier_share", "Glacier (outlines)")
# Maps of class shares, apart from that of outlines, and maps in a row.
_MOST_MAPS, _IN_A_ROW = 5, 3
# Entries in a line of the legend of classes, and its height.
_IN_A_LINE, _LINE = 6, 22
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six")
# Bright scheme of Paul Tol; each colour has its own pattern, for print in grey.
_REASONS = (
    ("#ee6677", "///"), ("#ccbb44", "..."), ("#4477aa", "\\\\\\"), ("#228833", "xxx"), ("#aa3377", "---"),
    ("#66ccee", "|||"), ("#bbbbbb", "++"),
)  # fmt: skip
_USED = "#f3f1ea"


@dataclass(frozen=True)
class Relief:
    """The ground under the maps: the class label, (y, x) uint8, and the brightness of each pixel, 0 to 1."""

    label: NDArray[np.uint8]
    light: NDArray[np.float64]
    table: ClassTable = DEFAULT_CLASSES

    def picture(self, *, classes: bool, step: int = 1) -> NDArray[np.uint8]:
        """Return (y, x, 3) of every `step`-th pixel: shaded classes or shaded grey; white where there is no label."""
        label, light = self.label[::step, ::step], self.light[::step, ::step]
        rgb = np.full((*label.shape, 3), 255.0)
        for each in self.table:
            rgb[label == each.value] = colour(each.colour) if classes else (240, 240, 238)
        return np.asarray((rgb * light[..., None]).round(), np.uint8)


def read_relief(data: ReportData, paths: DatasetPaths) -> Relief:
    """Read label and elevation, decimated; without an elevation band the ground has the same brightness everywhere."""
    label, _ = read_overview(paths.label, Resampling.nearest)
    band = elevation_band((*data.bands, *data.settings.topo_bands))
    if band is None or min(label.shape) < 2:
        return Relief(label, np.ones(label.shape), data.classes)
    # Elevations that are not stacked are not converted either.
    path, scale = (paths.mosaic(band), band.scale) if band.stacked else (paths.source_mosaic(band), 1.0)
    heights, nodata = read_overview(path, Resampling.average)
    lattice = data.inventory.lattice
    # The pixel size is scaled like the heights, so that slopes stay true.
    light = hillshade(heights, scale * lattice.pixel_size * lattice.height / label.shape[0], nodata)
    # Flat ground has full brightness, so that the classes keep the colours of the legend.
    light = np.where(np.isnan(light), 1.0, np.clip(0.55 + 0.45 * light / np.sqrt(0.5), 0.55, 1.0))
    return Relief(label, light, data.classes)


def split_map(data: ReportData, relief: Relief) -> Drawing:
    """Draw the partitions by split over relief and label; partitions that are not used are hatched."""
    catalog, n_all = data.catalog, len(data.catalog)
    width, height = _map_size(data, 1000, 760)
    # The splits, partitions that are not used, and the classes.
    n_lines = -(-(len(data.splits) + 1 + len(data.classes)) // _IN_A_LINE)
    figure = new_figure(width, height + 60 + _LINE * (n_lines - 1))
    axes = figure.subplots()
    _start_map(axes, data, relief.picture(classes=True))
    used = catalog["used"].to_numpy(bool)
    unused = catalog[~used]
    _draw_boxes(axes, unused, face=("#ffffff", 0.45), edge=UNUSED, n_all=n_all, hatch="///")
    _write_names(axes, unused, unused["partition"].tolist(), n_all=n_all)
    handles = []
    tint = 0.1 if n_all <= _MOST_NAMES else 0.25 if n_all <= _MOST_OUTLINED else 0.5
    for split in data.splits:
        rows = catalog[used & (catalog["split"] == split).to_numpy(bool)]
        ink = SPLIT_COLOURS[split]
        _draw_boxes(axes, rows, face=(ink, tint), edge=ink, n_all=n_all)
        _write_names(axes, rows, rows["partition"].tolist(), n_all=n_all, ink=ink)
        handles.append(_key(ink, f"{split}: {len(rows):,} partitions", alpha=tint))
    handles.append(Patch(facecolor="#ffffff", edgecolor=UNUSED, hatch="///", label=f"not used: {len(unused):,}"))
    handles += [_key(each.colour, f"{each.name} (label)") for each in data.classes]
    legend_below(figure, handles, _IN_A_LINE)
    lattice, audit = data.inventory.lattice, data.audit
    crs = lattice.crs if len(lattice.crs) <= 20 else "the region's own projection"
    planned = ", ".join(f"{audit[f'n_{split}']} {split}" for split in data.splits)
    counts = f"{planned}, {len(unused)} not used"
    return to_svg(
        figure,
        "split-map",
        alt=f"Map of {n_all} partitions: {counts}.",
        caption="Partitions by split over the class label and a relief lit from the north-west; "
        f"{crs}, pixels of {lattice.pixel_size:g} m. "
        "White areas are outside the tiles or have no label. The arrow points to grid north.",
    )


def year_map(data: ReportData, relief: Relief) -> Drawing:
    """Draw the used partitions by the year of the composite and by the years between outline and composite."""
    catalog, settings = data.catalog, data.settings
    used = catalog[catalog["used"].to_numpy(bool)]
    picture = relief.picture(classes=False, step=2)
    gaps = range(max([settings.year.max_gap_years, *used["year_gap"].dropna().astype(int)]) + 1)
    width, height = _map_size(data, 500, 560)
    figure = new_figure(2 * width, height + 80)
    panels = (
        ("year", _along(_YEARS, settings.years), "Year of the composite"),
        ("year_gap", _along(_GAPS, gaps), "Years between outline and composite"),
    )
    halves: Any = figure.subfigures(1, 2)
    for part, (column, inks, title) in zip(halves, panels, strict=True):
        axes = part.subplots()
        _start_map(axes, data, picture)
        handles = []
        for value in sorted({int(value) for value in used[column].dropna()}):
            rows = used[(used[column] == value).fillna(value=False).to_numpy(bool)]
            ink = inks.get(value, UNUSED)
            _draw_boxes(axes, rows, face=(ink, 0.8), edge="#ffffff", n_all=len(catalog))
            handles.append(_key(ink, f"{value} ({len(rows):,})"))
        _write_names(axes, used, [str(value) for value in used[column]], n_all=len(catalog))
        title_panel(axes, title)
        legend_below(part, handles, 5)
    composite = "composite that they are cut from"
    if settings.year.rule == "all":
        composite = "composite nearest to their outlines, one of those that they are cut from"
    return to_svg(
        figure,
        "year-map",
        alt=f"Two maps of {len(used)} used partitions: year of the composite, and years between outline and composite.",
        caption=f"Used partitions by the year of the {composite} (left) and by the years "
        "between this composite and the date of the outlines (right; darker means longer, and at most "
        f"{settings.year.max_gap_years} are allowed). The numbers of partitions are in brackets.",
    )


def share_map(data: ReportData, relief: Relief) -> Drawing:
    """Draw the share of glacier and of classes of every partition; used partitions have a dark edge."""
    catalog = data.catalog
    picture = relief.picture(classes=False, step=3)
    width, height = _map_size(data, 333, 420)
    classes = data.shown_classes(_MOST_MAPS)
    labels = [(f"share_{each.name}", f"{each.name.replace('_', ' ').capitalize()} (label)") for each in classes]
    shown = [_OUTLINES, *labels]
    n_rows = -(-len(shown) // _IN_A_ROW)
    figure = new_figure(3 * width, n_rows * height + 70)
    parts: Any = figure.subfigures(n_rows, _IN_A_ROW, squeeze=False).ravel()
    used = catalog["used"].to_numpy(bool)
    limits = [limit for limit, *_ in _SHARE_STEPS[:-1]]
    for part, (column, title) in zip(parts, shown, strict=False):
        axes = part.subplots()
        _start_map(axes, data, picture)
        steps = np.searchsorted(limits, catalog[column].to_numpy(float), side="left")
        for position, (*_, ink) in enumerate(_SHARE_STEPS):
            for is_used, edge in ((False, "#ffffff"), (True, INK)):
                rows = catalog[(steps == position) & (used == is_used)]
                _draw_boxes(axes, rows, face=(ink, 0.88), edge=edge, n_all=4 * len(catalog))
        title_panel(axes, title)
    handles = [Patch(facecolor=ink, edgecolor=INK, linewidth=0.5, label=text) for _, text, ink in _SHARE_STEPS]
    legend_below(figure, handles, 6)
    means = ", ".join(f"{title} {catalog[column].mean():.1%}" for column, title in shown)
    return to_svg(
        figure,
        "share-map",
        alt=f"{_NUMBERS[len(shown)]} maps of {len(catalog)} partitions by share of their pixels; means: {means}.",
        caption="Share of each partition that is inside an outline, and that is labelled as each class. Used "
        f"partitions have a dark edge. Means over all partitions: {means}.",
    )


def reason_map(data: ReportData, relief: Relief) -> Drawing:
    """Draw why partitions are not used, with counts; the least frequent reasons share a colour."""
    catalog, n_all = data.catalog, len(data.catalog)
    is_used = catalog["used"].to_numpy(bool)
    used, unused = catalog[is_used], catalog[~is_used]
    reasons = unused["reason"].replace("", "not stated")
    counts = Counter(reasons)
    ordered = sorted(counts, key=lambda reason: (-counts[reason], reason))
    named = ordered if len(ordered) <= len(_REASONS) else ordered[: len(_REASONS) - 1]
    groups = [(reason, reasons == reason) for reason in named]
    if len(named) < len(ordered):
        groups.append((f"{len(ordered) - len(named)} other reasons", ~reasons.isin(named)))
    width, height = _map_size(data, 1000, 620)
    figure = new_figure(width, height + 70)
    axes = figure.subplots()
    _start_map(axes, data, relief.picture(classes=False, step=2))
    _draw_boxes(axes, used, face=(_USED, 0.2), edge=INK, n_all=n_all)
    handles = [Patch(facecolor=_USED, edgecolor=INK, label=f"used: {len(used):,}")]
    for (reason, chosen), (ink, hatch) in zip(groups, _REASONS, strict=False):
        rows = unused[chosen.to_numpy(bool)]
        _draw_boxes(axes, rows, face=(ink, 0.55), edge="#444444", n_all=n_all, hatch=hatch)
        label = f"{_cut(reason, 28)}: {len(rows):,}"
        handles.append(Patch(facecolor=(ink, 0.55), edgecolor="#444444", hatch=hatch, label=label))
    legend_below(figure, handles, 4)
    listed = ", ".join(f"{reason} {counts[reason]}" for reason in named) or "none"
    return to_svg(
        figure,
        "reason-map",
        alt=f"Map of {len(unused)} partitions that are not used, by reason: {listed}.",
        caption=f"Why {len(unused):,} of {n_all:,} partitions are not used; each reason has its own pattern.",
    )


def _draw_boxes(
    axes: Axes, rows: gpd.GeoDataFrame, *, face: tuple[str, float], edge: str, n_all: int, hatch: str | None = None
) -> None:
    """Draw boxes as one path, slightly inset so that neighbours do not hide each other's edges; very many as pixels."""
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


def _write_names(axes: Axes, rows: gpd.GeoDataFrame, texts: Sequence[str], *, n_all: int, ink: str = "#ffffff") -> None:
    """Write a tag into each box, if there are few boxes."""
    if n_all > _MOST_NAMES:
        return
    for row, text in zip(rows.itertuples(), texts, strict=True):
        axes.text(
            (row.left + row.right) / 2,
            (row.bottom + row.top) / 2,
            _cut(text, 12),
            ha="center",
            va="center",
            fontsize=11.5,
            color="#ffffff" if ink == SPLIT_COLOURS["train"] else INK,
            zorder=3,
            bbox={"facecolor": ink, "alpha": 0.85, "edgecolor": "none", "pad": 2.2},
        )


def _start_map(axes: Axes, data: ReportData, picture: NDArray[np.uint8]) -> None:
    """Show the relief, with axes in kilometres, a scale bar and an arrow to grid north."""
    left, bottom, right, top = data.inventory.lattice.bounds
    axes.imshow(picture, extent=(left, right, bottom, top), interpolation="none", zorder=0)
    left, bottom, right, top = _bounds(data)
    margin = 0.01 * max(right - left, top - bottom)
    map_axes(axes, (left - margin, bottom - margin, right + margin, top + margin), (6, 6))
    axes.set_xlabel("Easting (km)")
    axes.set_ylabel("Northing (km)")
    # A bar of a round length, about a fifth of the width.
    width = right - left
    power = 10.0 ** np.floor(np.log10(width / 5))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 5)
    low, high = axes.get_xlim(), axes.get_ylim()
    x, y = low[0] + 0.04 * (low[1] - low[0]), high[0] + 0.05 * (high[1] - high[0])
    axes.plot([x, x + length], [y, y], color="#ffffff", linewidth=6, zorder=5, solid_capstyle="projecting")
    axes.plot([x, x + length], [y, y], color=INK, linewidth=3, zorder=6, solid_capstyle="butt")
    style: dict[str, Any] = {
        "fontsize": 11,
        "color": INK,
        "bbox": {"facecolor": "#ffffff", "alpha": 0.85, "edgecolor": "none", "pad": 2.0},
        "zorder": 6,
    }
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.annotate(text, (x, y), xytext=(0, 6), textcoords="offset points", **style)
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.6}
    axes.annotate(
        "N", (0.965, 0.965), xytext=(0.965, 0.87), xycoords="axes fraction", ha="center", va="center",
        arrowprops=arrow, **style,
    )  # fmt: skip


def _bounds(data: ReportData) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of the lattice and all partitions, in metres."""
    catalog, (left, bottom, right, top) = data.catalog, data.inventory.lattice.bounds
    if not len(catalog):
        return left, bottom, right, top
    return (
        min(left, catalog["left"].min()),
        min(bottom, catalog["bottom"].min()),
        max(right, catalog["right"].max()),
        max(top, catalog["top"].max()),
    )


def _map_size(data: ReportData, width: int, most: int) -> tuple[int, int]:
    """Return the width and height of a map in CSS pixels, within both limits."""
    left, bottom, right, top = _bounds(data)
    ratio = (top - bottom) / (right - left)
    return width, round(min(max(width * ratio, 0.3 * width), most))


def _key(ink: str, text: str, alpha: float = 1.0) -> Patch:
    if alpha < 1:
        return Patch(facecolor=(ink, alpha), edgecolor=ink, linewidth=1.2, label=text)
    return Patch(facecolor=(ink, alpha), edgecolor=INK, linewidth=0.4, label=text)


def _along(ramp: Sequence[str], values: Sequence[int]) -> dict[int, str]:
    """Return a colour for each value, in order along a ramp; neighbours share a colour if the ramp is too short."""
    last = max(len(values) - 1, 1)
    return {value: ramp[round(i * (len(ramp) - 1) / last)] for i, value in enumerate(values)}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"
