"""What all figures share: their style, axes and legends, and SVG text that is the same in every run."""

import base64
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gcn_luigi.prepare.appearance import SPLIT_COLOURS

INK, FAINT = "#222222", "#8a8a8a"

# Lines of splits that are not solid.
_DASHES: Mapping[str, Any] = MappingProxyType({"test": (0, (5, 1.5))})
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gcn_luigi",
    "font.family": "DejaVu Sans",
    "font.size": 13.0,
    "axes.titlesize": 13.0,
    # The default position of a title, set here so that matplotlib need not measure all tick labels again.
    "axes.titley": 1.0,
    "axes.labelsize": 13.0,
    "xtick.labelsize": 12.0,
    "ytick.labelsize": 12.0,
    "legend.fontsize": 12.5,
    # Names and units come from the configuration, so a dollar sign is plain text.
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "hatch.linewidth": 0.7,
    "figure.dpi": 72,
}
_NO_SOFTWARE: dict[str, Any] = {"Software": None}
_NOTHING: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class Drawing:
    """A figure of the page: an ``svg`` element that is safe to insert, its text for screen readers, its caption."""

    svg: Markup
    alt: str
    caption: str


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw only in this module's style; a user's own matplotlib settings are ignored and restored afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        # The browser draws the text and has more glyphs than the font that measures it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: int, height: int) -> Figure:
    """Return an empty figure of `width` x `height` CSS pixels; one point of text is one pixel."""
    layout = ConstrainedLayoutEngine(w_pad=9 / 72, h_pad=5 / 72)
    figure = Figure(figsize=(width / 72, height / 72), layout=layout)
    # This canvas measures the text for the layout.
    FigureCanvasSVG(figure)
    return figure


def to_svg(figure: Figure, name: str, *, alt: str, caption: str) -> Drawing:
    """Return `figure` as an ``svg`` element whose ids start with `name`, so that no two figures share one."""
    # Lay out once, before savefig, which would otherwise draw the whole figure twice.
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NOTHING, dpi=144)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style .*?</style>", "", text, flags=re.DOTALL)
    seen: Counter[str] = Counter()

    def unique(found: re.Match[str]) -> str:
        # An image in two panels has one id; the second may get any other id, because nothing refers to it.
        seen[found[1]] += 1
        return f'id="{name}-{found[1]}"' if seen[found[1]] == 1 else f'id="{name}-{found[1]}-{seen[found[1]]}"'

    text = re.sub(r'\bid="([^"]*)"', unique, text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    # The page scales the figure; the view box keeps its proportions.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(alt)}" ', 1)
    # matplotlib escapes the text it draws, and `alt` was escaped above.
    return Drawing(Markup(text), alt, caption)  # noqa: S704


def png_uri(rgb: NDArray[np.uint8]) -> str:
    """Return an image, (y, x, 3) uint8, as a data URI."""
    buffer = io.BytesIO()
    imsave(buffer, rgb, format="png", metadata=_NO_SOFTWARE, pil_kwargs={"optimize": True})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def legend_below(figure: FigureBase, handles: list[Any], n_columns: int) -> None:
    """Put one legend for all panels under them."""
    figure.legend(handles=handles, loc="outside lower center", ncols=n_columns, handlelength=1.6, columnspacing=2.2)


def title_panel(axes: Axes, left: str, right: str = "") -> None:
    """Write a bold title over the left edge of a panel, and a remark over the right one."""
    axes.set_title(left, loc="left", fontweight="bold")
    if right:
        axes.set_title(right, loc="right", color="#555555")


def stairs(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], split: str) -> None:
    """Draw a histogram of one split: train filled, the others as a line, that of test dashed."""
    ink = SPLIT_COLOURS[split]
    if split == "train":
        axes.stairs(values, edges, fill=True, color=(ink, 0.28))
    axes.stairs(values, edges, color=ink, linewidth=1.5, linestyle=_DASHES.get(split, "-"))


def share_stairs(axes: Axes, described: dict[str, Any], splits: Sequence[str]) -> None:
    """Draw the distribution of a share, 0 to 1, over the cells of a grid in each split, in bins of 5 %."""
    for split in splits:
        counts = np.asarray(described[split]["histogram"], float).reshape(20, -1).sum(axis=1)
        stairs(axes, counts / max(float(counts.sum()), 1.0) * 100, np.linspace(0, 1, 21), split)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def split_keys(splits: Sequence[str]) -> list[Any]:
    """Return the legend entries of `stairs`."""
    train = SPLIT_COLOURS["train"]
    return [
        Patch(facecolor=(train, 0.28), edgecolor=train, linewidth=1.5, label="train"),
        *(
            Line2D([], [], color=SPLIT_COLOURS[split], linewidth=1.5, linestyle=_DASHES.get(split, "-"), label=split)
            for split in splits[1:]
        ),
    ]


def stacked_bars(axes: Axes, shares: NDArray[np.float64], inks: Sequence[str], *, height: float, line: float) -> None:
    """Draw the shares, (row, part), of each row one after the other, on an axis in per cent."""
    rows, start = np.arange(len(shares)), np.zeros(len(shares))
    for part, ink in zip(shares.T, inks, strict=True):
        axes.barh(rows, part, left=start, height=height, color=ink, edgecolor="#ffffff", linewidth=line)
        start += part
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def write_totals(axes: Axes, shares: NDArray[np.float64], *, room: float) -> None:
    """Write the sum of each row of `stacked_bars` after its bar; the axis is `room` times the longest bar."""
    totals = shares.sum(axis=1)
    for row, total in enumerate(totals):
        axes.annotate(f"{total:.1%}", (total, row), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, max(float(totals.max(initial=0.0)) * room, 0.01))


def map_axes(axes: Axes, bounds: tuple[float, float, float, float], most_ticks: tuple[int, int]) -> None:
    """Show a map from `bounds` (left, bottom, right, top, in metres) with axes in kilometres and a frame."""
    left, bottom, right, top = bounds
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    for axis, most in zip((axes.xaxis, axes.yaxis), most_ticks, strict=True):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.10g}"))
        axis.set_major_locator(MaxNLocator(most))
    axes.tick_params(length=3)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)
