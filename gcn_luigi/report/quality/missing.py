"""Why pixels are missing: what each band of the tiles lacks, and what of that reaches the chips."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.report.drawing import Drawing, drawn, legend_below, new_figure
from gcn_luigi.report.quality.data import ROLE_FLAGS, Evidence
from gcn_luigi.report.tables import NONE, Cell, Table, number

_IN_TILES = (("missing", "nodata or not a number", "#4477aa"), ("out_of_range", "beyond the valid range", "#ee6677"))
_IN_CHIPS = (("outside the tiles", "#333333"), ("in a band of its role", "#aa3377"))


def cause_figure(evidence: Evidence) -> Drawing:
    """Draw what each band lacks: in the tiles by cause, and in the chips, where bands of a role share their gaps."""
    bands = evidence.bands
    figure = new_figure(1000, 30 * len(bands) + 130)
    left, right = figure.subplots(1, 2, sharey=True)
    tiles = np.array([_tile_shares(evidence, band) for band in bands]).reshape(-1, len(_IN_TILES))
    chips = np.array([_chip_shares(evidence, band) for band in bands]).reshape(-1, len(_IN_CHIPS))
    _bars(left, tiles, [ink for *_, ink in _IN_TILES])
    _bars(right, chips, [ink for _, ink in _IN_CHIPS])
    left.set_yticks(np.arange(len(bands)), [band.name for band in bands])
    left.invert_yaxis()
    left.set_title("In the tiles, all years", loc="left", fontweight="bold")
    right.set_title("In the chips", loc="left", fontweight="bold")
    left.set_xlabel("Share of the band's pixels")
    right.set_xlabel("Share of chip pixels")
    handles = [Patch(color=ink, label=f"tiles: {name}") for _, name, ink in _IN_TILES]
    handles += [Patch(color=ink, label=f"chips: {name}") for name, ink in _IN_CHIPS]
    legend_below(figure, handles, 2)
    said = "; ".join(
        f"{band.name} {tile.sum():.1%} of the tiles, {chip.sum():.1%} of the chips"
        for band, tile, chip in zip(bands, tiles, chips, strict=True)
    )
    return drawn(
        figure,
        "causes",
        alt=f"Missing pixels by band: {said}.",
        caption="Missing pixels by band and cause. Left: every pixel of every tile and year, as it was read through; "
        "bands that are made here have no tiles. Right: from the flags of a sample of chips of both splits; a pixel "
        "that one band of a role lacks is missing in all bands of that role.",
    )


def cause_table(evidence: Evidence) -> Table:
    """Return the counts behind the figure, one row a band."""
    rows: list[tuple[Cell, ...]] = []
    for band in evidence.bands:
        found = evidence.tile_quality.get(band.name)
        keys = ("valid", "missing", "out_of_range")
        counts = [NONE if found is None else number(found["totals"][key]) for key in keys]
        outside, own = _chip_shares(evidence, band)
        rows.append((band.name, band.role.value, *counts, f"{outside:.2%}", f"{own:.2%}"))
    tiles = ("#tiles: valid", "#tiles: nodata", "#tiles: out of range")
    head = ("band", "role", *tiles, "#chips: outside", "#chips: role missing")
    return Table("Pixels by band and cause; chips as shares of their pixels", head, tuple(rows))


def _bars(axes: Axes, shares: NDArray[np.float64], inks: list[str]) -> None:
    rows, start = np.arange(len(shares)), np.zeros(len(shares))
    for position, ink in enumerate(inks):
        axes.barh(rows, shares[:, position], left=start, height=0.7, color=ink, edgecolor="#ffffff", linewidth=0.8)
        start += shares[:, position]
    for row, total in enumerate(start):
        axes.annotate(f"{total:.1%}", (total, row), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, max(float(start.max(initial=0.0)) * 1.2, 0.01))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _tile_shares(evidence: Evidence, band: Band) -> list[float]:
    found: dict[str, Any] | None = evidence.tile_quality.get(band.name)
    if found is None:
        return [0.0] * len(_IN_TILES)
    pixels = max(sum(found["totals"].values()), 1)
    return [found["totals"][key] / pixels for key, *_ in _IN_TILES]


def _chip_shares(evidence: Evidence, band: Band) -> tuple[float, float]:
    """Return the shares of chip pixels, over both splits, that lie outside, and inside but miss a band of the role."""
    flag = ROLE_FLAGS[band.role]
    total = max(sum(int(flags.pixels.sum()) for flags in evidence.flags.values()), 1)
    outside = inside = 0.0
    for flags in evidence.flags.values():
        weight = int(flags.pixels.sum()) / total
        outside += weight * flags.share(Flag.OUTSIDE)
        inside += weight * flags.share(flag, without=Flag.OUTSIDE)
    return outside, inside
