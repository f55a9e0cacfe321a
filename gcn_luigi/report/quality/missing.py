"""Missing pixels by layer, and by band and cause, in the tiles and in the chips."""

import numpy as np
from matplotlib.patches import Patch

from gcn_luigi.bands import Band, Role
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.report.drawing import Drawing, legend_below, new_figure, stacked_bars, title_panel, to_svg, write_totals
from gcn_luigi.report.quality.data import ReportData
from gcn_luigi.report.tables import NONE, Cell, Table, number

_BY_LAYER = (
    ("outside the mosaic", "#333333"),
    ("inside, also in other layers", "#8c8c8c"),
    ("inside, this layer only", "#aa3377"),
)
_IN_TILES = (("missing", "nodata or not a number", "#4477aa"), ("out_of_range", "outside the valid range", "#ee6677"))
_IN_CHIPS = (("outside the tiles", "#333333"), ("in a band of its role", "#aa3377"))


def missing_figure(data: ReportData) -> Drawing:
    """Draw the share of missing pixels by layer, split and cause."""
    names = [f"{role.value}, {split}" for role in data.roles for split in data.splits]
    shares = np.array([_layer_shares(data, role, split) for role in data.roles for split in data.splits])
    shares = shares.reshape(-1, len(_BY_LAYER))
    figure = new_figure(1000, 36 * len(names) + 100)
    axes = figure.subplots()
    stacked_bars(axes, shares, [ink for _, ink in _BY_LAYER], height=0.7, line=0.8)
    write_totals(axes, shares, room=1.12)
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("Share of chip pixels that are missing")
    legend_below(figure, [Patch(color=ink, label=name) for name, ink in _BY_LAYER], 3)
    totals = "; ".join(f"{name} {share.sum():.1%}" for name, share in zip(names, shares, strict=True))
    sample = ", ".join(f"{flags.n_chips:,} of {flags.n_all:,} {split} chips" for split, flags in data.flags.items())
    return to_svg(
        figure,
        "missing",
        alt=f"Missing pixels: {totals}.",
        caption=f"Missing pixels by layer and cause, from the flags of {sample}. The chips are evenly spread over the "
        "index.",
    )


def _layer_shares(data: ReportData, role: Role, split: str) -> tuple[float, float, float]:
    """Return the shares of `_BY_LAYER`; their sum is the share that a role lacks."""
    flags, own = data.flags[split], int(Flag[role.name])
    others = sum(int(Flag[other.name]) for other in data.roles if other is not role)
    alone = flags.share(own, without=others | Flag.OUTSIDE)
    return flags.share(own | Flag.OUTSIDE), flags.share(own, without=Flag.OUTSIDE) - alone, alone


def cause_figure(data: ReportData) -> Drawing:
    """Draw the missing pixels of each band by cause: in the tiles, and in the chips, where a role shares its gaps."""
    bands = data.bands
    figure = new_figure(1000, 30 * len(bands) + 130)
    left, right = figure.subplots(1, 2, sharey=True)
    tiles = np.array([_tile_shares(data, band) for band in bands]).reshape(-1, len(_IN_TILES))
    chips = np.array([_chip_shares(data, band) for band in bands]).reshape(-1, len(_IN_CHIPS))
    for axes, shares, inks in (
        (left, tiles, [ink for *_, ink in _IN_TILES]),
        (right, chips, [ink for _, ink in _IN_CHIPS]),
    ):
        stacked_bars(axes, shares, inks, height=0.7, line=0.8)
        write_totals(axes, shares, room=1.2)
    left.set_yticks(np.arange(len(bands)), [band.name for band in bands])
    left.invert_yaxis()
    title_panel(left, "In the tiles, all years")
    title_panel(right, "In the chips")
    left.set_xlabel("Share of the band's pixels")
    right.set_xlabel("Share of chip pixels")
    handles = [Patch(color=ink, label=f"tiles: {name}") for _, name, ink in _IN_TILES]
    handles += [Patch(color=ink, label=f"chips: {name}") for name, ink in _IN_CHIPS]
    legend_below(figure, handles, 2)
    totals = "; ".join(
        f"{band.name} {tile.sum():.1%} of the tiles, {chip.sum():.1%} of the chips"
        for band, tile, chip in zip(bands, tiles, chips, strict=True)
    )
    return to_svg(
        figure,
        "causes",
        alt=f"Missing pixels by band: {totals}.",
        caption="Missing pixels by band and cause. The left panel counts every pixel of every tile and year; bands "
        "that the build makes itself have no tiles. The right panel uses the flags of a sample of chips of both "
        "splits; a pixel that is missing in one band of a role is missing in all bands of that role.",
    )


def cause_table(data: ReportData) -> Table:
    """Return the counts behind `cause_figure`, one row per band."""
    rows: list[tuple[Cell, ...]] = []
    for band in data.bands:
        found = data.tile_quality.get(band.name)
        keys = ("valid", "missing", "out_of_range")
        counts = [NONE if found is None else number(found["totals"][key]) for key in keys]
        outside, own = _chip_shares(data, band)
        rows.append((band.name, band.role.value, *counts, f"{outside:.2%}", f"{own:.2%}"))
    tiles = ("#tiles: valid", "#tiles: nodata", "#tiles: out of range")
    head = ("band", "role", *tiles, "#chips: outside", "#chips: role missing")
    return Table("Pixels by band and cause; for chips, shares of their pixels", head, tuple(rows))


def _tile_shares(data: ReportData, band: Band) -> list[float]:
    found = data.tile_quality.get(band.name)
    if found is None:
        return [0.0] * len(_IN_TILES)
    pixels = max(sum(found["totals"].values()), 1)
    return [found["totals"][key] / pixels for key, *_ in _IN_TILES]


def _chip_shares(data: ReportData, band: Band) -> tuple[float, float]:
    """Return the shares of chip pixels, in both splits, that are outside, and inside but missing in the band's role."""
    total = max(sum(int(flags.pixels.sum()) for flags in data.flags.values()), 1)
    outside = inside = 0.0
    for flags in data.flags.values():
        weight = int(flags.pixels.sum()) / total
        outside += weight * flags.share(Flag.OUTSIDE)
        inside += weight * flags.share(Flag[band.role.name], without=Flag.OUTSIDE)
    return outside, inside
