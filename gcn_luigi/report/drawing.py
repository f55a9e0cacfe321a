"""Ink and paper: colours, the look of all figures, and figures as text that is the same at every run."""

import base64
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

INK, FAINT = "#222222", "#8a8a8a"

_LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gcn_luigi",
    "font.family": "DejaVu Sans",
    "font.size": 13.0,
    "axes.titlesize": 13.0,
    "axes.labelsize": 13.0,
    "xtick.labelsize": 12.0,
    "ytick.labelsize": 12.0,
    "legend.fontsize": 12.5,
    # Names and units come from configuration: a dollar is a dollar.
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
    """A figure of the page.

    Attributes
    ----------
    svg : Markup
        An ``svg`` element, safe to insert.
    alt : str
        What it shows, for those who do not see it.
    caption : str
        What stands below it.
    width : int
        Natural width, in CSS pixels.
    """

    svg: Markup
    alt: str
    caption: str
    width: int


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw by this module's look alone; a user's own matplotlib settings have no say and come back afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        # The browser sets the text and knows more glyphs than the font that measures it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        yield


def new_figure(width: int, height: int) -> Figure:
    """Return an empty figure of `width` x `height` CSS pixels; one point of text is one pixel."""
    layout = ConstrainedLayoutEngine(w_pad=9 / 72, h_pad=5 / 72)
    return Figure(figsize=(width / 72, height / 72), layout=layout)


def drawn(figure: Figure, name: str, *, alt: str, caption: str) -> Drawing:
    """Return `figure` as an ``svg`` element whose ids start with `name`, so that no two figures share one."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NOTHING, dpi=144)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style .*?</style>", "", text, flags=re.DOTALL)
    seen: Counter[str] = Counter()

    def unique(found: re.Match[str]) -> str:
        # An image that stands in two panels has one id; the second may have any other, nothing refers to it.
        seen[found[1]] += 1
        return f'id="{name}-{found[1]}"' if seen[found[1]] == 1 else f'id="{name}-{found[1]}-{seen[found[1]]}"'

    text = re.sub(r'\bid="([^"]*)"', unique, text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    # The page scales the figure; the view box keeps its proportions.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(alt)}" ', 1)
    # matplotlib escapes the text it draws, and `alt` was escaped above.
    return Drawing(Markup(text), alt, caption, round(figure.get_figwidth() * 72))  # noqa: S704


def png_uri(rgb: NDArray[np.uint8]) -> str:
    """Return an image, (y, x, 3) uint8, as a data URI."""
    buffer = io.BytesIO()
    imsave(buffer, rgb, format="png", metadata=_NO_SOFTWARE, pil_kwargs={"optimize": True})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def legend_below(figure: FigureBase, handles: list[Any], n_columns: int) -> None:
    """Put one legend for all panels under them."""
    figure.legend(handles=handles, loc="outside lower center", ncols=n_columns, handlelength=1.6, columnspacing=2.2)
