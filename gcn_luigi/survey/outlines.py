"""Choose the outlines and an existing grid among the vector layers, and propose their keys."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gcn_luigi.errors import InputError, few
from gcn_luigi.io.inputs.layers import LayerLook
from gcn_luigi.prepare.outlines.columns import OutlineRows, outline_rows
from gcn_luigi.settings import EACH_ROW, UNDATED, OutlineSettings
from gcn_luigi.survey.draft import Line
from gcn_luigi.survey.sources import Findings
from gcn_luigi.survey.words import looks_like

_IDS = ("rgiid", "rgi_id", "glims_id", "glac_id", "glacier_id", "glimsid")
_DATES = ("bgndate", "src_date", "img_date", "date", "year")
_EDGES = ("left", "top", "right", "bottom")
_MOST_SHOWN = 6
MAX_GAP = 5


@dataclass(frozen=True)
class OutlineGuess:
    """The outlines to use, with their keys, and the years of the rows that have one."""

    layer: LayerLook
    lines: tuple[Line, ...]
    years: tuple[int, ...]
    n_undated: int
    others: tuple[str, ...]


@dataclass(frozen=True)
class GridGuess:
    """An existing grid: its cells' edge in pixels, and whether its columns give the split."""

    lines: tuple[Line, ...]
    size: int
    has_split: bool


def choose_outlines(found: Findings) -> OutlineGuess | None:
    """Return the layer that is most likely the glacier outlines, with its keys; None if no layer can be."""
    scores = {number: _score(found, layer) for number, layer in enumerate(found.layers)}
    usable = sorted((number for number in scores if scores[number] > 0), key=lambda number: (-scores[number], number))
    for number in usable:
        layer = found.layers[number]
        read = _read(layer)
        if read is None:
            continue
        rows, settings = read
        others = [_named(found, found.layers[other]) for other in usable if other != number]
        return _guess(found, layer, rows, settings, tuple(others))
    return None


def _score(found: Findings, layer: LayerLook) -> int:
    path = found.layer_path(layer)
    if not layer.is_polygons or layer.table.empty or all(layer.column(edge) for edge in _EDGES):
        return 0
    known = 3 * bool(layer.column(*_IDS)) + 2 * bool(layer.column(*_DATES))
    named = 3 * (looks_like(path, "outlines") or looks_like(layer.layer, "outlines"))
    named += looks_like(layer.path.stem, "outlines")
    is_of_debris = "debris" in path.lower() or "debris" in layer.layer.lower()
    # Of two copies, the one with more glaciers is that of the region.
    return known + named + (len(layer.table) > 1) - 6 * is_of_debris


def _read(layer: LayerLook) -> tuple[OutlineRows, OutlineSettings] | None:
    """Return the rows, as the build will read them, with the fewest keys that make them readable."""
    plain = OutlineSettings(path=str(layer.path))
    for change in ({}, {"id_field": EACH_ROW}, {"date_field": UNDATED}, {"id_field": EACH_ROW, "date_field": UNDATED}):
        settings = plain.model_copy(update=change)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return outline_rows(layer.table, settings, str(layer.path)), settings
        except InputError:
            continue
    return None


def _guess(
    found: Findings, layer: LayerLook, rows: OutlineRows, settings: OutlineSettings, others: tuple[str, ...]
) -> OutlineGuess:
    lines = [Line("path", found.layer_path(layer), "one of several; see above" if others else "")]
    if layer.layer:
        lines.append(Line("layer", layer.layer, "one of several; see above" if others else ""))
    if settings.id_field is not None:
        lines.append(Line("id_field", settings.id_field, "no column of ids is known, so each row is an outline"))
    if settings.date_field is not None:
        lines.append(Line("date_field", settings.date_field, "no column of dates could be read"))
    dates = rows.table[rows.table["has_id"]].groupby("outline")["day"].nunique()
    if (dates > 1).any():
        why = f"{int((dates > 1).sum()):,} glaciers have outlines with several dates"
        lines.append(Line("analyses", "nearest", why))
    years = rows.table["year"].dropna().astype(int)
    return OutlineGuess(layer, tuple(lines), tuple(sorted(years)), int(rows.table["year"].isna().sum()), others)


def _named(found: Findings, layer: LayerLook) -> str:
    return found.layer_path(layer) + (f", layer {layer.layer}" if layer.layer else "")


def year_lines(guess: OutlineGuess, years: Sequence[int]) -> tuple[list[Line], list[str]]:
    """Return the lines of ``[year]`` for the dates of the outlines, and open questions."""
    if not years:
        return [], []
    if not guess.years:
        text = (
            f"The outlines have no dates. Every partition therefore uses the composite of {years[-1]} ([year] "
            "no_year). Which composite shows the glaciers as they were outlined?"
        )
        return [Line("no_year", years[-1], "the newest composite, because the outlines have no dates")], [text]
    gaps = np.abs(np.array(guess.years)[:, np.newaxis] - np.array(years)).min(axis=1)
    if (gaps <= MAX_GAP).any():
        return [], []
    least = int(gaps.min())
    text = (
        f"No outline is within {MAX_GAP} years of a composite: outlines are of {guess.years[0]} to {guess.years[-1]}, "
        f"composites from {years[0]} to {years[-1]}. Glaciers change over {least} years or more. [year] max_gap_years "
        "says how large a gap is accepted; without outlines of the right time, labels are wrong where ice was lost."
    )
    return [Line("max_gap_years", int(np.median(gaps)), "the median gap between outlines and composites")], [text]


def choose_grid(
    found: Findings, pixel_size: float, bounds: tuple[float, float, float, float], crs: str
) -> GridGuess | None:
    """Return an existing grid of equal square cells on whole pixels, with its keys; None if there is none."""
    possible = []
    for layer in found.layers:
        columns = [layer.column(edge) for edge in _EDGES]
        name = layer.column("label", "new_id")
        if None in columns or name is None or layer.crs != crs or not layer.table[name].is_unique:
            continue
        numbers = [pd.to_numeric(layer.table[column], errors="coerce") for column in columns]
        edges = dict(zip(_EDGES, numbers, strict=True))
        widths = pd.concat([edges["right"] - edges["left"], edges["top"] - edges["bottom"]]) / pixel_size
        size = round(float(widths.median()))
        if size < 1 or not np.allclose(widths, size, atol=1e-3):
            continue
        possible.append((layer.path.suffix.lower() != ".gpkg", found.layer_path(layer), size, edges, layer))
    if not possible:
        return None
    _, path, size, edges, layer = min(possible, key=lambda one: one[:2])
    lines = [Line("path", path, "an existing grid; remove the key to cut cells of your own"), Line("size", size)]
    if layer.layer:
        lines.insert(1, Line("layer", layer.layer))
    outside = _outside_share(edges, bounds)
    if (outside > 0).mean() > 0.25:
        lines.append(Line("max_outside_share", 0.75, f"{(outside > 0).mean():.0%} of the cells reach beyond the tiles"))
    return GridGuess(tuple(lines), size, _has_split(layer))


def _outside_share(edges: dict[str, Any], bounds: tuple[float, float, float, float]) -> Any:
    left, bottom, right, top = bounds
    width = np.minimum(edges["right"], right) - np.maximum(edges["left"], left)
    height = np.minimum(edges["top"], top) - np.maximum(edges["bottom"], bottom)
    area = (edges["right"] - edges["left"]) * (edges["top"] - edges["bottom"])
    return 1 - width.clip(lower=0) * height.clip(lower=0) / area


def _has_split(layer: LayerLook) -> bool:
    column = layer.column("split")
    if column is None:
        return False
    held = {str(value).lower() for value in layer.table[column].dropna()}
    return "train" in held and bool(held & {"dev", "val"})


def listed_columns(layer: LayerLook) -> str:
    """Return the columns of a layer for a list."""
    return few(map(str, layer.table.columns), _MOST_SHOWN)
