"""Figures of chips: the image in false colour, the label in the colours of the classes, and what is missing."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.appearance import MISSING_COLOURS
from gcn_luigi.prepare.missing.fill import MISSING, Flag
from gcn_luigi.prepare.pictures import label_picture, missing_picture
from gcn_luigi.read.normalise import scales_of
from gcn_luigi.read.show.looks import Picture, look_of, row_of

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset
    from gcn_luigi.read.reader import Chip

INK = "#222222"
_STYLE: dict[Any, Any] = {"font.family": "DejaVu Sans", "font.size": 9.0, "text.color": INK, "text.parse_math": False}
# Width of a panel and height of a figure without its legend, in inches.
_PANEL, _HEIGHT, _LINE = 3.1, 3.6, 0.2
# What each layer of missing pixels is called in the legend.
_LAYERS = {
    "optical": "optical bands missing",
    "topo": "topography missing",
    "label": "label missing",
    "distance": "distance missing",
    "several": "several missing",
    "outside": "outside the tiles",
}


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, without pyplot, which would keep it open and show it twice."""

    def _repr_png_(self) -> bytes:
        """Return the picture."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Draw in one style; a user's own matplotlib settings are ignored and restored afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> NotebookFigure:
    """Return an empty figure of `width` x `height` inches."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plot_chip(dataset: "Dataset", chip: "str | Chip") -> NotebookFigure:
    """Draw a chip; see `Dataset.plot`."""
    if isinstance(chip, str):
        row = row_of(dataset, chip)
        table = dataset.chip_table
        chip = dataset.reader(table[table["chip_id"] == row["chip_id"]])[0]
    lost = [name for name in ("image", "label", "flags", "chip_id") if name not in chip]
    image: Any = chip.get("image")
    if lost or np.ndim(image) != 3 or len(image) != len(dataset.bands):
        raise InputError(
            f"the chip has no {lost[0]}" if lost else f"the image has the shape {np.shape(image)}",
            where="Dataset.plot",
            fix=f"give an id, or a chip of a reader, with {len(dataset.bands)} bands",
        )
    shown, bits = look_of(dataset), chip["flags"] & np.uint8(MISSING)
    label = label_picture(chip["label"], dataset.classes)
    pictures = [(shown.picture(image, bits), shown.title), (label, "label")]
    keys = _keys(dataset, is_hidden=bool((chip["label"] == LABEL_IGNORE).any() or (bits & shown.hiding).any()))
    if bits.any():
        pictures.append((missing_picture(bits), "missing pixels"))
        keys += _missing_keys(bits)
    return _figure(dataset, pictures, keys, heading=chip["chip_id"])


def panels(
    dataset: "Dataset",
    image: NDArray[Any],
    maps: Mapping[str, NDArray[Any]],
    *,
    normalised: bool,
    titles: bool,
    heading: str,
) -> NotebookFigure:
    """Draw an image (band, y, x) in false colour, and maps (y, x) of classes, numbered from 0, 255 missing.

    In a normalised image, pixels that are exactly 0 in all bands that are shown are drawn as missing.
    """
    shown = look_of(dataset)
    hidden = np.zeros(image.shape[-2:], np.uint8)
    if normalised:
        hidden[(image[[position for position, *_ in shown.stretch]] == 0).all(axis=0)] = shown.hiding
        mean, std = scales_of(dataset.statistics, [band.name for band in dataset.bands])
        image = image * std + mean
    stored = np.full(256, LABEL_IGNORE, np.uint8)
    stored[: len(dataset.classes)] = dataset.classes.values
    labels = {name: stored[np.clip(plane, 0, LABEL_IGNORE).astype(np.uint8)] for name, plane in maps.items()}
    pictures = [(shown.picture(image, hidden), shown.title)]
    pictures += [(label_picture(label, dataset.classes), name) for name, label in labels.items()]
    keys = _keys(dataset, is_hidden=bool(hidden.any()) or any((each == LABEL_IGNORE).any() for each in labels.values()))
    return _figure(dataset, pictures, keys, heading=heading, titles=titles)


def _figure(
    dataset: "Dataset", pictures: list[tuple[Picture, str]], keys: list[Patch], *, heading: str, titles: bool = True
) -> NotebookFigure:
    """Return a figure of pictures next to each other, each with its title, over one legend."""
    with style():
        figure = new_figure(_PANEL * len(pictures), _HEIGHT + _LINE * -(-len(keys) // 4))
        axes: Any = figure.subplots(1, len(pictures), squeeze=False)[0]
        for one, (picture, title) in zip(axes, pictures, strict=True):
            one.imshow(picture, interpolation="nearest")
            one.set_xticks([])
            one.set_yticks([])
            if titles:
                one.set_title(title, loc="left", fontsize=9)
        width = pictures[0][0].shape[1]
        scale_bar(axes[0], width * dataset.lattice.pixel_size, width)
        if heading:
            figure.suptitle(heading, x=0.01, ha="left", fontsize=9, fontweight="bold")
        figure.legend(handles=keys, loc="outside lower left", ncols=4, frameon=False, fontsize=8.5)
        figure.canvas.draw()
    return figure


def _keys(dataset: "Dataset", *, is_hidden: bool) -> list[Patch]:
    """Return the legend of the classes, and of missing pixels if a picture has any."""
    keys = [Patch(facecolor=each.colour, edgecolor=INK, linewidth=0.4, label=each.title) for each in dataset.classes]
    missing = Patch(facecolor="#9f9f9f", edgecolor="#bebebe", hatch="....", label="missing")
    return [*keys, missing] if is_hidden else keys


def _missing_keys(bits: NDArray[np.uint8]) -> list[Patch]:
    """Return the legend of the missing pixels: only of layers that are in the picture."""
    values = {int(value) for value in np.unique(bits)} - {0}
    kinds = {"outside" if value & Flag.OUTSIDE else _kind(value) for value in values}
    return [
        Patch(facecolor=MISSING_COLOURS[kind], edgecolor=INK, linewidth=0.4, label=_LAYERS[kind])
        for kind in _LAYERS
        if kind in kinds
    ]


def _kind(value: int) -> str:
    return str(Flag(value).name).lower() if value.bit_count() == 1 else "several"


def scale_bar(axes: Axes, width_m: float, width: float) -> None:
    """Draw a bar of a round length, about a quarter of the width of the axes, which is `width` in their own units."""
    power = 10.0 ** np.floor(np.log10(width_m / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= width_m / 4)
    low, high = axes.get_xlim(), axes.get_ylim()
    x, y = low[0] + 0.05 * (low[1] - low[0]), high[0] + 0.06 * (high[1] - high[0])
    end = x + length / width_m * width
    for colour, line in (("#ffffff", 5.0), (INK, 2.5)):
        axes.plot([x, end], [y, y], color=colour, linewidth=line, solid_capstyle="butt", zorder=6)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    box = {"facecolor": "#ffffff", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
    axes.annotate(text, (x, y), xytext=(0, 5), textcoords="offset points", fontsize=8, bbox=box, zorder=6)
