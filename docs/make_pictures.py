"""Draw the pictures of the documentation from a finished demo: ``python docs/make_pictures.py output/demo``.

The same dataset gives the same pictures. The map of a model is drawn only if it is there: docs/howto/predict.md has the
commands that make ``output/demo-predictions``. Screenshots of programs are made elsewhere and are not touched.
"""
# ruff: noqa: INP001  a script, not a package

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import geopandas as gpd
import numpy as np
import rasterio
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

import gcn_luigi
from gcn_luigi.bands import Band, BandSchema, Role
from gcn_luigi.prepare.appearance import CLASS_COLOURS, MISSING_COLOURS, SPLIT_COLOURS, UNUSED
from gcn_luigi.prepare.missing.fill import Flag, strict_nodata
from gcn_luigi.prepare.missing.legacy import legacy_corrected
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.settings import NodataSettings

PICTURES = Path(__file__).resolve().parent / "pictures"
DPI = 110
FALSE_COLOUR = ("tcb", "ndsi", "ndvi")
CLASSES = ListedColormap([*CLASS_COLOURS.values(), "#ffffff"])
CLASS_STEPS = BoundaryNorm([-0.5, 0.5, 1.5, 2.5, 255.5], 4)
CLASS_KEY = [Patch(facecolor=colour, edgecolor="#888888", label=name) for name, colour in CLASS_COLOURS.items()]
MISSING_KEY = Patch(facecolor="#ffffff", edgecolor="#888888", label="missing (255)")
CLASS_NAMES = {"none": "no glacier", "debris": "debris", "ice": "debris-free ice"}
# The name of each colour of the flags, in words that need no glossary.
FLAG_NAMES = {
    "present": "nothing missing",
    "optical": "optical missing",
    "topo": "topography missing",
    "label": "label missing",
    "distance": "distance missing",
    "several": "several missing",
    "outside": "outside the tiles",
}
Pixels = NDArray[np.int16]
# The year of the map, and the square of it that is drawn larger: first row and column, and edge, in pixels.
PREDICTED, PART = 2004, (560, 640, 480)


def false_colour(image: Pixels, flags: NDArray[np.uint8], dataset: Dataset) -> NDArray[np.float64]:
    """Return (y, x, 3), 0 to 1: three bands, each stretched between its 1st and 99th percentile; grey where missing."""
    names = [band.name for band in dataset.bands]
    layers = []
    for name in FALSE_COLOUR:
        low, high = (dataset.statistics["bands"][name][key] for key in ("p1", "p99"))
        layers.append(np.clip((image[names.index(name)] - low) / (high - low), 0, 1))
    picture = np.stack(layers, axis=-1)
    picture[(flags & Flag.OPTICAL) != 0] = 0.75
    return picture


def missing(flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return, for each pixel, the position of its colour in ``MISSING_COLOURS``."""
    names = [*MISSING_COLOURS]
    kinds = np.full(flags.shape, names.index("several"), np.uint8)
    kinds[flags == 0] = names.index("present")
    for bit in (Flag.OPTICAL, Flag.TOPO, Flag.LABEL, Flag.DISTANCE):
        kinds[flags == bit] = names.index(str(bit.name).lower())
    kinds[(flags & Flag.OUTSIDE) != 0] = names.index("outside")
    return kinds


def chips(dataset: Dataset) -> Figure:
    """Draw four chips, each with its label and its flags: the one with most of every class, and those with gaps."""
    index = dataset.chip_table[dataset.chip_table["split"] == "train"].reset_index(drop=True)
    balance = index[["share_none", "share_debris", "share_ice"]].min(axis=1)
    shown = [int(balance.idxmax())]
    for column in ("share_ice", "share_debris", "valid_optical"):
        values = index[column] if column != "valid_optical" else -index[column]
        free = ~index["partition"].isin(index["partition"][shown])
        shown.append(int(values[free].idxmax()))
    reader = dataset.chips("train")
    figure = Figure((8.6, 6.9), layout="constrained")
    axes = figure.subplots(3, len(shown))
    colours = ListedColormap([*MISSING_COLOURS.values()])
    seen: set[int] = set()
    for column, position in zip(axes.T, shown, strict=True):
        chip = reader[position]
        kinds = missing(chip["flags"])
        seen |= {int(kind) for kind in np.unique(kinds)}
        column[0].imshow(false_colour(chip["image"], chip["flags"], dataset))
        column[1].imshow(chip["label"], cmap=CLASSES, norm=CLASS_STEPS, interpolation="nearest")
        column[2].imshow(kinds, cmap=colours, vmin=0, vmax=len(MISSING_COLOURS) - 1, interpolation="nearest")
        row = index.iloc[position]
        column[0].set_title(f"{row['partition']}, {row['year']}", fontsize=10)
    image = f"image in false colour\n({', '.join(FALSE_COLOUR)})"
    for row, name in zip(axes, (image, "label", "flags"), strict=True):
        row[0].set_ylabel(name, fontsize=11)
        _bare(*row)
    key = [
        Patch(facecolor=colour, edgecolor="#888888", label=FLAG_NAMES[name])
        for place, (name, colour) in enumerate(MISSING_COLOURS.items())
        if place in seen
    ]
    classes = [
        Patch(facecolor=colour, edgecolor="#888888", label=CLASS_NAMES[name]) for name, colour in CLASS_COLOURS.items()
    ]
    plain: dict[str, Any] = {"frameon": False, "fontsize": 10}
    figure.legend(handles=classes, loc="outside lower left", ncols=len(classes), title="label", **plain)
    figure.legend(handles=key, loc="outside lower right", ncols=len(key), title="flags", **plain)
    return figure


def chip_map(dataset: Dataset) -> Figure:
    """Draw the label with all partitions on it: train, dev, and unused ones with their reason."""
    with rasterio.open(dataset.paths.label) as source:
        label, bounds = source.read(1), source.bounds
    figure = Figure((8.6, 6.2), layout="constrained")
    axes = figure.subplots()
    extent = (bounds.left, bounds.right, bounds.bottom, bounds.top)
    axes.imshow(label, cmap=CLASSES, norm=CLASS_STEPS, extent=extent, interpolation="nearest")
    catalog = dataset.partition_table
    catalog[~catalog["used"]].boundary.plot(ax=axes, color=UNUSED, linewidth=0.6, linestyle="--")
    handles = [*CLASS_KEY]
    for split in dataset.splits:
        colour, part = SPLIT_COLOURS[split], catalog[catalog["used"] & (catalog["split"] == split)]
        part.buffer(-220).boundary.plot(ax=axes, color=colour, linewidth=2.2)
        handles.append(Patch(facecolor="none", edgecolor=colour, linewidth=2.2, label=f"{split}, {len(part)}"))
    _reasons(axes, catalog[~catalog["used"]])
    handles.append(
        Patch(facecolor="none", edgecolor=UNUSED, linestyle="--", label=f"not used, {(~catalog['used']).sum()}")
    )
    axes.set_xlim(bounds.left - 500, bounds.right + 500)
    axes.set_ylim(bounds.bottom - 500, bounds.top + 500)
    _bare(axes)
    handles.insert(len(CLASS_KEY), MISSING_KEY)
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=10)
    return figure


def _reasons(axes: Axes, unused: gpd.GeoDataFrame) -> None:
    for cell in unused.itertuples():
        centre = cell.geometry.centroid
        axes.text(centre.x, centre.y, cell.reason, ha="center", va="center", fontsize=8, color="#444444")


def label_making(dataset: Dataset) -> Figure:
    """Draw a window of votes, the outlines over it, and the label made of both."""
    sources = dataset.paths.root.parent / "demo-input"
    (votes_file,) = sorted((sources / "stem").glob("*.tif"))
    outlines = gpd.read_file(sources / "rgi" / "outlines.gpkg")
    index = dataset.chip_table
    best = index.loc[index[["share_none", "share_debris", "share_ice"]].min(axis=1).idxmax()]
    x, y = (best["left"] + best["right"]) / 2, (best["bottom"] + best["top"]) / 2
    box = (x - 5000, y - 4000, x + 5000, y + 4000)
    figure = Figure((8.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    votes = left.imshow(
        _cut(votes_file, box), cmap="YlGnBu", vmin=0, vmax=7, extent=_extent(box), interpolation="nearest"
    )
    figure.colorbar(votes, ax=left, shrink=0.8)
    left.set_title("votes for debris-free ice, and outlines", fontsize=10)
    right.imshow(
        _cut(dataset.paths.label, box), cmap=CLASSES, norm=CLASS_STEPS, extent=_extent(box), interpolation="nearest"
    )
    right.set_title("label", fontsize=10)
    for axes in (left, right):
        outlines.to_crs(dataset.partition_table.crs).boundary.plot(ax=axes, color="#c0392b", linewidth=1)
        axes.set_xlim(box[0], box[2])
        axes.set_ylim(box[1], box[3])
        _bare(axes)
    figure.legend(handles=CLASS_KEY, loc="outside lower right", ncols=3, frameon=False, fontsize=10)
    return figure


def _cut(path: Path, box: tuple[float, float, float, float]) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.int16]]:
    with rasterio.open(path) as source:
        cut: np.ma.MaskedArray[tuple[int, ...], np.dtype[np.int16]] = source.read(
            1, window=source.window(*box), masked=True
        )
        return cut


def _extent(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    return box[0], box[2], box[1], box[3]


def prediction(dataset: Dataset) -> Figure:
    """Draw the image of a year, the label, and the map that a model made of the image: the whole region, and a part."""
    with rasterio.open(dataset.paths.stack(PREDICTED)) as stack:
        image = np.stack([stack.read(stack.descriptions.index(name) + 1) for name in FALSE_COLOUR])
    layers = []
    for plane, name in zip(image, FALSE_COLOUR, strict=True):
        low, high = (dataset.statistics["bands"][name][key] for key in ("p1", "p99"))
        layers.append(np.where(plane == stack.nodata, 0.75, np.clip((plane - low) / (high - low), 0, 1)))
    shown = [np.stack(layers, axis=-1)]
    for path in (dataset.paths.label, map_of(dataset)):
        with rasterio.open(path) as source:
            shown.append(source.read(1))
    figure = Figure((8.6, 5.9), layout="constrained")
    axes = figure.subplots(2, 3, height_ratios=(1536, 1792))
    titles = (f"image of {PREDICTED} in false colour", "label", f"map of {PREDICTED}")
    row, col, edge = PART
    for column, pixels, title in zip(axes.T, shown, titles, strict=True):
        for axis, cut in zip(column, (pixels, pixels[row : row + edge, col : col + edge]), strict=True):
            axis.imshow(cut, cmap=CLASSES, norm=CLASS_STEPS, interpolation="nearest")
        column[0].add_patch(Rectangle((col, row), edge, edge, fill=False, edgecolor="#c0392b", linewidth=1.2))
        column[0].set_title(title, fontsize=10)
        _bare(*column)
    handles = [*CLASS_KEY, MISSING_KEY]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def map_of(dataset: Dataset) -> Path:
    """Return the map that `gcn predict` writes for a dataset."""
    root = dataset.paths.root
    return root.with_name(f"{root.name}-predictions") / f"{PREDICTED}_classes.tif"


def nodata_modes(dataset: Dataset) -> Figure:
    """Draw a small stack with one gap of each kind, as it is, and as both modes make it."""
    del dataset
    bands = [Band(name, Role.OPTICAL, valid_min=-1000, valid_max=1000) for name in ("nbr", "ndsi")]
    bands += [Band("curvature", Role.TOPO, nodata=-9999), Band("dem", Role.TOPO, nodata=-9999)]
    schema = BandSchema((*bands, Band("label", Role.LABEL, nodata=255), Band("distance", Role.DISTANCE)))
    y, x = np.mgrid[:60, :60]
    plain = 300 + 4 * x + 2 * y
    stack = np.stack([plain, plain, plain, plain, np.full_like(x, 2), plain]).astype(np.int16)
    gaps = {"nbr": (0, np.hypot(y - 14, x - 14) < 9), "ndsi": (1, (abs(y - 14) < 8) & (abs(x - 45) < 8))}
    gaps |= {"below sea level": (3, (abs(y - 45) < 8) & (abs(x - 14) < 8)), "label": (4, abs(x + y - 92) < 7)}
    for band, where in gaps.values():
        stack[band][where] = {3: -3, 4: 255}.get(band, -32768)
    legacy = legacy_corrected(stack, schema, NodataSettings(mode="legacy"))
    results = {"strict": strict_nodata(stack, schema), "legacy": legacy}
    columns = {"source": stack, **{name: _with_label(one.image, one.label) for name, one in results.items()}}
    figure = Figure((8.6, 5.4), layout="constrained")
    axes = figure.subplots(3, 4)
    for row, (title, layers) in zip(axes, columns.items(), strict=True):
        for axis, (band, name) in zip(row, ((0, "nbr"), (1, "ndsi"), (3, "dem"), (4, "label")), strict=True):
            _gaps(axis, layers[band], band == 4)
            axis.set_title(name if title == "source" else "", fontsize=11)
        row[0].set_ylabel(title, fontsize=11)
        _bare(*row)
    key = [Patch(facecolor="#5b8fa8", label="values"), Patch(facecolor="#c0392b", label="sentinel, or 255")]
    key += [
        Patch(facecolor="#e9c46a", label="below zero"),
        Patch(facecolor="#222222", label="0: filled, or class none"),
    ]
    figure.legend(handles=key, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def _with_label(image: Pixels, label: NDArray[np.uint8]) -> Pixels:
    return np.concatenate([image[:4], label[np.newaxis].astype(np.int16), image[4:]])


def _gaps(axes: Axes, layer: Pixels, is_label: bool) -> None:  # noqa: FBT001  one of six panels
    kind = np.zeros(layer.shape, np.uint8)
    kind[(layer == 255) if is_label else (layer < -999)] = 1
    kind[(layer < 0) & (layer > -999)] = 2
    kind[layer == 0] = 3
    colours = ListedColormap(["#5b8fa8", "#c0392b", "#e9c46a", "#222222"])
    axes.imshow(kind, cmap=colours, vmin=0, vmax=3, interpolation="nearest")


def chip_with_debris(dataset: Dataset) -> Figure:
    """Draw what `Dataset.plot` shows of a chip with debris and missing pixels."""
    table = dataset.chip_table
    seen = table[(table["share_debris"] > 0.1) & (table["valid_optical"] < 1)]
    return cast("Figure", dataset.plot(str(seen["chip_id"].min())))


def partitions(dataset: Dataset) -> Figure:
    """Draw what `Dataset.map` shows."""
    return cast("Figure", dataset.map())


def _bare(*many: Axes) -> None:
    for axes in many:
        axes.set_xticks([])
        axes.set_yticks([])
        if axes.get_xlabel():
            # geopandas names the axes.
            axes.set(xlabel="", ylabel="")


DRAWN: dict[str, Callable[[Dataset], Figure]] = {
    "chips.png": chips,
    "chip-map.png": chip_map,
    "notebook-chip.png": chip_with_debris,
    "notebook-map.png": partitions,
    "label-making.png": label_making,
    "nodata-modes.png": nodata_modes,
    "prediction.png": prediction,
}


def draw(directory: Path, target: Path) -> None:
    """Draw all pictures of the dataset in `directory` into `target`."""
    dataset = gcn_luigi.open_dataset(directory)
    target.mkdir(exist_ok=True)
    for name, make in DRAWN.items():
        if make is prediction and not map_of(dataset).is_file():
            continue
        # No version of matplotlib inside: the same pixels are the same file.
        make(dataset).savefig(target / name, dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), PICTURES)
