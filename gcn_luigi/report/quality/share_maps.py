"""Maps of what partitions hold, and of why some are not used."""

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.drawing import INK, Drawing, drawn, legend_below, new_figure
from gcn_luigi.report.pictures import draw_relief
from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.quality.maps import draw_boxes, draw_frame, map_size, show_relief

_EDGES = (0.0, 0.01, 0.05, 0.1, 0.25)
# One hue, from light to dark: the order holds in grey.
_RAMP = ("#f3f1ea", "#d4e3ec", "#9fc6dd", "#5d9dc4", "#2b6ca3", "#12315f")
_PANELS = (("glacier_share", "Glacier (outlines)"), ("share_debris", "Debris (label)"), ("share_ice", "Ice (label)"))
# Bright scheme of Paul Tol; each has a pattern of its own, for print in grey.
_REASONS = (
    ("#ee6677", "///"), ("#ccbb44", "..."), ("#4477aa", "\\\\\\"), ("#228833", "xxx"), ("#aa3377", "---"),
    ("#66ccee", "|||"), ("#bbbbbb", "++"),
)  # fmt: skip
_USED = "#f3f1ea"


def share_map(evidence: Evidence, paths: DatasetPaths) -> Drawing:
    """Draw the share of glacier, debris and ice of every partition; those used have a dark edge."""
    catalog = evidence.catalog
    relief = draw_relief(evidence, paths, classes=False)[::3, ::3]
    width, height = map_size(evidence, 333, 420)
    figure = new_figure(3 * width, height + 70)
    parts: Any = figure.subfigures(1, len(_PANELS))
    used = catalog["used"].to_numpy(bool)
    for part, (column, title) in zip(parts, _PANELS, strict=True):
        axes = part.subplots()
        show_relief(axes, evidence, relief)
        shares = catalog[column].to_numpy(float)
        step = np.searchsorted(_EDGES, shares, side="left")
        for position, ink in enumerate(_RAMP):
            chosen = step == position
            for is_used, edge in ((False, "#ffffff"), (True, INK)):
                draw_boxes(
                    axes, catalog[chosen & (used == is_used)], face=(ink, 0.88), edge=edge, n_all=4 * len(catalog)
                )
        draw_frame(axes, evidence)
        axes.set_title(title, loc="left", fontweight="bold")
    texts = ["none", "up to 1%", "1 to 5%", "5 to 10%", "10 to 25%", "over 25%"]
    handles = [
        Patch(facecolor=ink, edgecolor=INK, linewidth=0.5, label=text) for ink, text in zip(_RAMP, texts, strict=True)
    ]
    legend_below(figure, handles, 6)
    means = ", ".join(f"{title} {catalog[column].mean():.1%}" for column, title in _PANELS)
    return drawn(
        figure,
        "share-map",
        alt=f"Three maps of {len(catalog)} partitions by share of their pixels; means: {means}.",
        caption="Share of each partition that lies in an outline (left), and that the label calls debris (middle) and "
        f"debris-free ice (right). Partitions in use have a dark edge. Means over all partitions: {means}.",
    )


def reason_map(evidence: Evidence, paths: DatasetPaths) -> Drawing:
    """Draw why partitions are not used, with counts; the rarest reasons share a colour."""
    catalog = evidence.catalog
    unused = catalog[~catalog["used"].to_numpy(bool)]
    counts = Counter(reason or "not stated" for reason in unused["reason"])
    ordered = sorted(counts, key=lambda reason: (-counts[reason], reason))
    named = ordered if len(ordered) <= len(_REASONS) else ordered[: len(_REASONS) - 1]
    width, height = map_size(evidence, 1000, 620)
    figure = new_figure(width, height + 70)
    axes = figure.subplots()
    show_relief(axes, evidence, draw_relief(evidence, paths, classes=False)[::2, ::2])
    used = catalog[catalog["used"].to_numpy(bool)]
    draw_boxes(axes, used, face=(_USED, 0.2), edge=INK, n_all=len(catalog))
    handles = [Patch(facecolor=_USED, edgecolor=INK, label=f"used: {len(used):,}")]
    reasons = unused["reason"].replace("", "not stated")
    groups = [(reason, reasons == reason) for reason in named]
    if len(named) < len(ordered):
        groups.append((f"{len(ordered) - len(named)} other reasons", ~reasons.isin(named)))
    for (reason, chosen), (ink, hatch) in zip(groups, _REASONS, strict=False):
        rows = unused[chosen.to_numpy(bool)]
        draw_boxes(axes, rows, face=(ink, 0.55), edge="#444444", n_all=len(catalog), hatch=hatch)
        text = reason if len(reason) <= 28 else f"{reason[:27]}\u2026"
        handles.append(Patch(facecolor=(ink, 0.55), edgecolor="#444444", hatch=hatch, label=f"{text}: {len(rows):,}"))
    draw_frame(axes, evidence)
    legend_below(figure, handles, 4)
    said = ", ".join(f"{reason} {counts[reason]}" for reason in named) or "none"
    return drawn(
        figure,
        "reason-map",
        alt=f"Map of {len(unused)} partitions that are not used, by reason: {said}.",
        caption=f"Why partitions are not used: {len(unused):,} of {len(catalog):,}, by reason, each with a pattern of "
        "its own.",
    )
