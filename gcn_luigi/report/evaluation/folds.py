"""The section on folds: maps of what each fold holds out and leaves out, and what its two parts share."""

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from gcn_luigi.prepare.appearance import SPLIT_COLOURS, UNUSED
from gcn_luigi.report.drawing import INK, Drawing, legend_below, map_axes, new_figure, title_panel, to_svg
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Cell, Table, number, percent

# Panels in a row, and folds with a map of their own.
_COLUMNS, _MOST_MAPS = 3, 5
# More boxes are drawn as pixels.
_MOST_SHAPES = 2000
# Light scheme of Paul Tol (2021, colour schemes, SRON technical note); folds repeat the colours.
_FOLDS = ("#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#99ddff", "#44bb99", "#bbcc33", "#aaaa00", "#dddddd")
_ROLES = {"train": SPLIT_COLOURS["train"], "held out": SPLIT_COLOURS["dev"], "left out": "#bdbdbd"}
_ELSEWHERE = "#f1efe9"


def fold_section(
    catalog: gpd.GeoDataFrame, index: pd.DataFrame, table: pd.DataFrame | None, audit: Sequence[Mapping[str, Any]]
) -> str:
    """Return the section as HTML; empty without folds. Call this within `drawing_style`.

    Parameters
    ----------
    catalog : GeoDataFrame
        One row per partition, with the column fold.
    index : DataFrame
        One row per chip; column partition.
    table : DataFrame or None
        ``folds.parquet``; None if the dataset has no folds.
    audit : sequence of mapping
        The list folds of ``split.json``.
    """
    if table is None:
        return ""
    content = {"drawing": _figure(catalog, table, len(audit)), "table": _table(index, table, audit)}
    # The template escapes its texts.
    return Markup(render("evaluation/folds.html", content))  # noqa: S704


def _figure(catalog: gpd.GeoDataFrame, table: pd.DataFrame, count: int) -> Drawing:
    used = catalog[catalog["used"].to_numpy(bool)]
    shown = min(count, _MOST_MAPS)
    left, bottom, right, top = (float(used[name].agg(of)) for name, of in _EDGES)
    width, n_rows = 1000 // _COLUMNS, -(-(shown + 1) // _COLUMNS)
    height = round(min(max(width * (top - bottom) / (right - left), 120), 400))
    figure = new_figure(1000, n_rows * (height + 30) + 80)
    panels = figure.subplots(n_rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    margin = 0.02 * max(right - left, top - bottom)
    for axes in panels[: shown + 1]:
        _draw(axes, used, _ELSEWHERE)
        map_axes(axes, (left - margin, bottom - margin, right + margin, top + margin), (4, 5))
    for fold in range(count):
        rows = used[(used["fold"] == fold).fillna(value=False).to_numpy(bool)]
        _draw(panels[0], rows, _FOLDS[fold % len(_FOLDS)])
        if count <= len(_FOLDS) and len(used) <= 200:
            _number(panels[0], rows, fold)
    title_panel(panels[0], "Fold of each partition", "test is in none" if (used["split"] == "test").any() else "")
    for fold, axes in enumerate(panels[1 : shown + 1]):
        roles = table[table["fold"] == fold].set_index("partition")["role"].reindex(used["partition"])
        for role, ink in _ROLES.items():
            _draw(axes, used[(roles == role).to_numpy(bool)], ink)
        title_panel(axes, f"Fold {fold}", f"{int((roles == 'held out').sum())} held out")
    for axes in panels[shown + 1 :]:
        axes.set_axis_off()
    for position, axes in enumerate(panels[: shown + 1]):
        if position % _COLUMNS == 0:
            axes.set_ylabel("Northing (km)")
        if position + _COLUMNS > shown:
            axes.set_xlabel("Easting (km)")
            axes.tick_params(labelbottom=True)
    keys = [Patch(facecolor=ink, edgecolor=INK, linewidth=0.4, label=role) for role, ink in _ROLES.items()]
    in_none = Patch(facecolor=_ELSEWHERE, edgecolor=UNUSED, linewidth=0.6, label="in no fold")
    legend_below(figure, [*keys, in_none], 4)
    counts = ", ".join(f"{int((used['fold'] == fold).sum())} in fold {fold}" for fold in range(count))
    more = "" if shown == count else f" The first {shown} of {count} folds have a map of their own."
    return to_svg(
        figure,
        "folds",
        alt=f"Maps of {count} folds: {counts}.",
        caption="The fold of each used partition, and what the folds do with it: hold it out, train on it, or leave it "
        f"out because it is within the buffer.{more}",
    )


_EDGES = (("left", "min"), ("bottom", "min"), ("right", "max"), ("top", "max"))


def _draw(axes: Axes, rows: gpd.GeoDataFrame, ink: str) -> None:
    """Draw boxes as one path; very many as pixels."""
    if not len(rows):
        return
    left, bottom, right, top = (rows[name].to_numpy(float) for name, _ in _EDGES)
    corners = np.stack([left, bottom, right, bottom, right, top, left, top, left, bottom], axis=1)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(rows))
    line = 0.8 if len(rows) <= _MOST_SHAPES else 0.0
    shape = PathPatch(Path(corners.reshape(-1, 2), codes), facecolor=ink, edgecolor="#ffffff", linewidth=line)
    shape.set_rasterized(len(rows) > _MOST_SHAPES)
    axes.add_patch(shape)


def _number(axes: Axes, rows: gpd.GeoDataFrame, fold: int) -> None:
    for row in rows.itertuples():
        x, y = (row.left + row.right) / 2, (row.bottom + row.top) / 2
        axes.text(x, y, str(fold), ha="center", va="center", fontsize=10, color=INK)


def _table(index: pd.DataFrame, table: pd.DataFrame, audit: Sequence[Mapping[str, Any]]) -> Table:
    chips = index.groupby("partition").size()
    kinds = [key.removesuffix("_share_mean") for key in audit[0] if key.endswith("_share_mean")]
    kinds = ["glacier", *(kind for kind in kinds if kind != "glacier")]
    rows: list[tuple[Cell, ...]] = []
    for found in audit:
        of_fold = table[table["fold"] == found["fold"]]
        n_chips = chips.reindex(of_fold["partition"]).fillna(0).groupby(of_fold["role"].to_numpy()).sum()
        distance = found["least_distance_m"]
        rows.append(
            (
                str(found["fold"]),
                *(number(found[f"n_{role.replace(' ', '_')}"]) for role in _ROLES),
                *(number(int(n_chips.get(role, 0))) for role in ("train", "held out")),
                *(percent(found[f"{kind}_share_mean"]) for kind in kinds),
                NONE if distance is None else f"{number(distance)} m",
                number(found["shared_pixels"]),
                number(len(found["shared_glaciers"])),
            )
        )
    head = (
        "fold",
        *(f"#{role}" for role in _ROLES),
        "#train chips",
        "#held-out chips",
        *(f"#{kind.replace('_', ' ')}" for kind in kinds),
        "#least distance",
        "#shared pixels",
        "#shared glaciers",
    )
    caption = "Partitions and chips of each fold, mean shares of the partitions it holds out, and what its parts share"
    return Table(caption, head, tuple(rows))
