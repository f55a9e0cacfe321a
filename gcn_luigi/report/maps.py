"""Maps of the partitions over a decimated relief."""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from rasterio.enums import Resampling

from gcn_luigi.bands import CLASS_NAMES, Band, Role
from gcn_luigi.io.header import open_raster
from gcn_luigi.io.layout import SPLITS, Layout
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.terrain import gradient
from gcn_luigi.report.drawing import (
    CLASS_COLOURS,
    FAINT,
    INK,
    SPLIT_COLOURS,
    UNUSED,
    Drawing,
    colour,
    drawn,
    legend_below,
    new_figure,
)
from gcn_luigi.report.evidence import Evidence

# Pixels along the longer side of the relief; larger rasters are decimated to this.
_RELIEF = 1000
_MOST_NAMES, _MOST_SHAPES = 40, 1500
_ELEVATION = ("dem", "elevation", "dsm", "dtm", "height", "altitude")
_SEQUENTIAL = ("#fde9a8", "#f5bd63", "#e38a45", "#c2573f", "#8f2f4a", "#561c48")
_YEARS = ("#fbe723", "#a5db36", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154")


def split_map(evidence: Evidence, layout: Layout) -> Drawing:
    """Draw the partitions by split, those not used hatched, over relief and label."""
    catalog, lattice = evidence.catalog, evidence.inventory.lattice
    relief = _relief(evidence, layout)
    width, height = _size(evidence, 1000, 760)
    figure = new_figure(width, height + 60)
    axes = figure.subplots()
    axes.imshow(relief, extent=_extent(lattice), interpolation="none", zorder=0)
    unused = catalog[~catalog["used"].to_numpy(bool)]
    handles = []
    for split in SPLITS:
        rows = catalog[catalog["used"] & (catalog["split"] == split)]
        _draw(axes, rows, face=(SPLIT_COLOURS[split], 0.22), edge=SPLIT_COLOURS[split], n_all=len(catalog))
        handles.append(_key(SPLIT_COLOURS[split], f"{split}: {len(rows):,} partitions", alpha=0.55))
    _draw(axes, unused, face=(UNUSED, 0.15), edge=UNUSED, n_all=len(catalog), hatch="////")
    handles.append(Patch(facecolor="#ececec", edgecolor=UNUSED, hatch="////", label=f"not used: {len(unused):,}"))
    handles += [_key(CLASS_COLOURS[name], f"{name} (label)") for name in CLASS_NAMES]
    _name(axes, catalog, catalog["partition"].tolist())
    _frame(axes, evidence)
    legend_below(figure, handles, 6)
    counts = ", ".join(f"{(catalog['used'] & (catalog['split'] == split)).sum()} {split}" for split in SPLITS)
    return drawn(
        figure,
        "split-map",
        alt=f"Map of {len(catalog)} partitions: {counts}, {len(unused)} not used.",
        caption=f"Partitions by split over the class label and a relief lit from the north-west; {_crs(evidence)}.",
    )


def year_map(evidence: Evidence, layout: Layout) -> Drawing:
    """Draw the used partitions by year of the composite and by years between outline and composite."""
    catalog = evidence.catalog
    used = catalog[catalog["used"].to_numpy(bool)]
    relief = _relief(evidence, layout, classes=False)
    width, height = _size(evidence, 490, 560)
    figure = new_figure(2 * width, height + 90)
    panels = figure.subplots(1, 2, sharey=True)
    titles = ("Year of the composite", "Years between outline and composite")
    for axes, column, ramp, title in zip(panels, ("year", "year_gap"), (_YEARS, _SEQUENTIAL), titles, strict=True):
        axes.imshow(relief, extent=_extent(evidence.inventory.lattice), interpolation="none", zorder=0)
        values = sorted({int(value) for value in used[column].dropna()})
        handles = []
        for value, ink in zip(values, _spread(ramp, len(values)), strict=True):
            rows = used[(used[column] == value).fillna(value=False).to_numpy(bool)]
            _draw(axes, rows, face=(ink, 0.78), edge="#ffffff", n_all=len(catalog))
            handles.append(_key(ink, f"{value}: {len(rows):,}"))
        _name(axes, used, [str(value) for value in used[column]])
        _frame(axes, evidence, northing=axes is panels[0])
        axes.set_title(title, loc="left")
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, handlelength=1.2)
    return drawn(
        figure,
        "year-map",
        alt=f"Two maps of {len(used)} used partitions: year of the composite, and years between outline and composite.",
        caption="Used partitions by the year of the composite they are cut from (left) and by the years that lie "
        "between that composite and the date of the outlines (right). Keys give the number of partitions.",
    )


def hillshade(elevation: NDArray[Any], pixel_size: float, nodata: float | None) -> NDArray[np.float64]:
    """Return how bright a surface is in light from the north-west, 45 degrees high.

    Parameters
    ----------
    elevation : ndarray
        (y, x), metres; `nodata`, NaN and infinities are missing.
    pixel_size : float
        In metres.
    nodata : float or None
        Sentinel.

    Returns
    -------
    ndarray of float64
        (y, x), 0 to 1, the cosine of the angle to the light (Horn 1981); NaN where missing.
    """
    east, north = gradient(elevation.astype(float), pixel_size, nodata)
    light = (0.5 * east - 0.5 * north + np.sqrt(0.5)) / np.sqrt(1 + east**2 + north**2)
    return np.clip(light, 0.0, 1.0)


def elevation_band(bands: Sequence[Band]) -> Band | None:
    """Return the topographic band that holds heights, by its name; None where there is none."""
    return next((band for band in bands if band.role is Role.TOPO and band.name in _ELEVATION), None)


def _relief(evidence: Evidence, layout: Layout, *, classes: bool = True) -> NDArray[np.uint8]:
    """Return (y, x, 3): the label's colours, or paper, shaded by the elevation where there is one."""
    with open_raster(layout.label) as dataset:
        shape = _decimated(dataset.height, dataset.width)
        label = dataset.read(1, out_shape=shape, resampling=Resampling.nearest)
    rgb = np.full((*shape, 3), 255.0)
    for value, name in enumerate(CLASS_NAMES):
        rgb[label == value] = colour(CLASS_COLOURS[name]) if classes else (240, 240, 238)
    light = _light(evidence, layout, shape)
    return np.asarray((rgb * light[..., None]).round(), np.uint8)


def _light(evidence: Evidence, layout: Layout, shape: tuple[int, int]) -> NDArray[np.float64]:
    band = elevation_band(evidence.bands)
    path = None if band is None else layout.mosaic(band)
    if path is None or not path.is_file() or min(shape) < 2:
        return np.ones(shape)
    with open_raster(path) as dataset:
        heights = dataset.read(1, out_shape=shape, resampling=Resampling.average)
        nodata = dataset.nodata
    lattice = evidence.inventory.lattice
    light = hillshade(heights, lattice.pixel_size * lattice.height / shape[0], nodata)
    # Flat ground is the paper itself, so that the classes keep the colours of the key.
    return np.where(np.isnan(light), 1.0, np.clip(0.42 + 0.58 * light / np.sqrt(0.5), 0.42, 1.0))


def _decimated(height: int, width: int) -> tuple[int, int]:
    factor = max(height, width) / min(max(height, width), _RELIEF)
    return max(round(height / factor), 1), max(round(width / factor), 1)


def _draw(
    axes: Axes, rows: gpd.GeoDataFrame, *, face: tuple[str, float], edge: str, n_all: int, hatch: str | None = None
) -> None:
    """Draw boxes, drawn in a little so that neighbours do not hide each other's edge; very many as pixels."""
    inset = 0.012 if n_all <= _MOST_SHAPES else 0.0
    left, bottom, right, top = (rows[name].to_numpy(float) for name in ("left", "bottom", "right", "top"))
    x, y = inset * (right - left), inset * (top - bottom)
    left, bottom, right, top = left + x, bottom + y, right - x, top - y
    corners = np.stack([left, bottom, right, bottom, right, top, left, top], axis=1).reshape(-1, 4, 2)
    line = 1.6 if n_all <= 200 else 0.5 if n_all <= _MOST_SHAPES else 0.0
    shapes = PolyCollection(
        list(corners), facecolor=face, edgecolor=edge, linewidth=line, hatch=hatch, zorder=2, joinstyle="miter"
    )
    shapes.set_rasterized(n_all > _MOST_SHAPES)
    axes.add_collection(shapes)


def _name(axes: Axes, rows: gpd.GeoDataFrame, texts: Sequence[str]) -> None:
    if len(rows) > _MOST_NAMES:
        return
    for row, text in zip(rows.itertuples(), texts, strict=True):
        axes.text(
            (row.left + row.right) / 2,
            (row.bottom + row.top) / 2,
            text if len(text) <= 12 else f"{text[:11]}\u2026",
            ha="center",
            va="center",
            fontsize=10.5,
            zorder=3,
            bbox={"facecolor": "#ffffff", "alpha": 0.78, "edgecolor": "none", "pad": 1.6},
        )


def _frame(axes: Axes, evidence: Evidence, *, northing: bool = True) -> None:
    left, bottom, right, top = _bounds(evidence)
    margin = 0.01 * max(right - left, top - bottom)
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(bottom - margin, top + margin)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.0f}"))
        axis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("Easting (km)")
    if northing:
        axes.set_ylabel("Northing (km)")
    axes.tick_params(length=3)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)


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


def _size(evidence: Evidence, width: int, most: int) -> tuple[int, int]:
    """Return width and height in CSS pixels of a map, within both limits."""
    left, bottom, right, top = _bounds(evidence)
    ratio = (top - bottom) / (right - left)
    return width, round(min(max(width * ratio, 0.3 * width), most))


def _extent(lattice: Lattice) -> tuple[float, float, float, float]:
    return lattice.left, lattice.right, lattice.bottom, lattice.top


def _key(ink: str, text: str, alpha: float = 1.0) -> Patch:
    return Patch(facecolor=(ink, alpha), edgecolor=ink if alpha < 1 else INK, linewidth=1.2 if alpha < 1 else 0.4, label=text)


def _spread(ramp: Sequence[str], n: int) -> list[str]:
    """Return `n` colours spread over a ramp; neighbours repeat where it is too short."""
    return [ramp[round(i * (len(ramp) - 1) / max(n - 1, 1))] for i in range(n)]


def _crs(evidence: Evidence) -> str:
    lattice = evidence.inventory.lattice
    name = lattice.crs if len(lattice.crs) <= 20 else "the region's own projection"
    return f"{name}, pixels of {lattice.pixel_size:g} m"
