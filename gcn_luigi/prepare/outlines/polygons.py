"""Glacier outlines made fit for use: valid, flat, one row an outline."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from shapely.errors import ShapelyError

from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.outlines.rings import read_rings

_POLYGON, _COLLECTION = (3, 6), 7
_SOUND, _MIXED = "polygon", "mixed"
# In messages; files name all.
_MOST_LISTED = 100
# Smaller than any pixel in use: what is left of a line that was written as a polygon.
_SLIVER_M2 = 1.0


@dataclass(frozen=True)
class Mending:
    """What may be done to broken polygons.

    Attributes
    ----------
    on_invalid : str
        ``"repair"``: rings are read by what contains what, and rebuilt where they cross or touch; ``"error"``: stop.
    max_share : float
        Largest share of a polygon's area that mending may lose, gain or guess.
    fix : str
        What a user can do about a polygon beyond that.
    """

    on_invalid: Literal["repair", "error"]
    max_share: float
    fix: str


def only_polygons(
    shapes: npt.NDArray[Any], names: Iterable[str], on_unusable: Literal["error", "skip"], where: str, fix: str = ""
) -> tuple[npt.NDArray[Any], list[str]]:
    """Return flat polygons, broken ones as they are; None for rows without a polygon, where these are allowed.

    Parameters
    ----------
    shapes : ndarray
        Axes (row,), shapely geometries or None; not modified.
    names : iterable of str
        What to call each row in messages.
    on_unusable : str
        What to do with rows without a polygon: ``"error"`` stops, ``"skip"`` leaves them out.
    where : str
        The file, for messages.
    fix : str
        What else than correcting these rows a user can do.

    Returns
    -------
    ndarray, list of str
        Axes (row,); and a note on each kind of what was left out.

    Raises
    ------
    InputError
        A row holds lines, points or nothing, and `on_unusable` is ``"error"``.
    """
    flat, labels = shapely.force_2d(shapes), np.array([*names], dtype=object)
    kinds = np.full(len(flat), _SOUND, dtype=object)
    for row in np.flatnonzero(~np.isin(shapely.get_type_id(flat), _POLYGON) | shapely.is_empty(flat)):
        kinds[row] = _kind(flat[row])
    notes = []
    if unusable := sorted(set(kinds) - {_SOUND, _MIXED}):
        counts = [f"{(kinds == kind).sum()} {kind}" for kind in unusable]
        bad = np.isin(kinds, unusable)
        if on_unusable == "error":
            what, where = _few_here_all_there(
                f"{int(bad.sum())} of {len(flat)} rows hold no polygon: {', '.join(counts)}", [*labels[bad]], where
            )
            raise InputError(
                what,
                where=where,
                fix=f"give these rows their polygons (lines that close can be turned into some), or remove them{fix}",
            )
        notes = [f"{(kinds == kind).sum()} rows skipped, {kind}: {_all(labels[kinds == kind])}" for kind in unusable]
        flat[bad] = None
    if (mixed := kinds == _MIXED).any():
        notes.append(f"{int(mixed.sum())} rows with lines or points beside polygons, left out: {_all(labels[mixed])}")
        flat[mixed] = [_polygonal(shape) for shape in flat[mixed]]
    return flat, notes


def mend_polygons(
    shapes: npt.NDArray[Any], names: Iterable[str], rules: Mending, where: str
) -> tuple[npt.NDArray[Any], list[str]]:
    """Return valid polygons; an empty one where no area is left.

    Parameters
    ----------
    shapes : ndarray
        Axes (row,), flat polygons or None, in the CRS in which they are used; not modified.
    names : iterable of str
        What to call each row in messages.
    rules : Mending
        Whether to mend, and how much area that may change.
    where : str
        The file, for messages.

    Returns
    -------
    ndarray, list of str
        Axes (row,); and a note on what was repaired, with the area that was lost and gained.

    Raises
    ------
    InputError
        A polygon is broken and must not be, or mending it would change more of its area than it may.
    """
    mended, labels = shapes.copy(), np.array([*names], dtype=object)
    broken = np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))
    if not len(broken):
        return mended, []
    reasons = shapely.is_valid_reason(shapes[broken])
    if rules.on_invalid == "error":
        told = [f"{name} ({reason})" for name, reason in zip(labels[broken], reasons, strict=True)]
        what, where = _few_here_all_there(f"{len(broken)} broken polygons", told, where)
        raise InputError(what, where=where, fix='mend them, or set outlines.on_invalid = "repair"')
    told, beyond = [], []
    for row, reason in zip(broken, reasons, strict=True):
        mended[row], changed, share = _mend(shapes[row], labels[row], where)
        told.append(f"{labels[row]} ({reason}; {changed})")
        if share > rules.max_share:
            beyond.append(f"{labels[row]} ({reason}; {changed}, {share:.1%})")
    if beyond:
        what, where = _few_here_all_there(
            f"mending would change more than {rules.max_share:.1%} of the area of {len(beyond)} broken polygons",
            beyond,
            where,
        )
        raise InputError(what, where=where, fix=rules.fix)
    return mended, [f"{len(broken)} broken polygons repaired: {_all(told)}"]


def _mend(shape: Any, name: str, where: str) -> tuple[Any, str, float]:
    """Return one polygon mended, what that changed, and which share of its area that is."""
    try:
        reading = read_rings(shape)
        whole = shapely.make_valid(reading.shape, method="structure", keep_collapsed=False)
        parts = shapely.get_parts(whole)
        if shapely.get_type_id(whole) not in _POLYGON:
            whole = shapely.union_all(parts[np.isin(shapely.get_type_id(parts), _POLYGON)])
        lost = gained = 0.0
        # Most often nothing changes but the order of rings, and differences of large glaciers take long.
        if not shapely.equals_exact(shapely.normalize(reading.ground), shapely.normalize(whole), 0.0):
            lost = shapely.area(shapely.difference(reading.ground, whole))
            gained = shapely.area(shapely.difference(whole, reading.ground))
    except ShapelyError as error:
        raise InputError(
            f"a broken polygon cannot be repaired: {name} ({error})", where=where, fix="mend it, or leave it out"
        ) from error
    unclear = f", {reading.unclear:,.0f} m2 unclear" if reading.unclear else ""
    how = "" if reading.shape is shape else ", rings read by what contains what"
    how += ", parts that overlap united" if reading.overlaps else ""
    changed = f"{lost:,.0f} m2 lost, {gained:,.0f} m2 gained{unclear}{how}"
    wrong = lost + gained + reading.unclear
    return whole, changed, wrong / max(shapely.area(reading.ground), wrong, _SLIVER_M2)


def _kind(shape: Any) -> str:
    """Return what a row is that is no plain polygon."""
    if shape is None or shapely.is_empty(shape):
        return "without geometry"
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        return "collections without a polygon" if _polygonal(shape) is None else _MIXED
    return str(shape.geom_type)


def _all(names: Iterable[str]) -> str:
    return ", ".join(names)


def _few_here_all_there(what: str, names: list[str], where: str) -> tuple[str, str]:
    """Return a message that names a few, and a place that names nearly all where these are more."""
    told = few(names)
    listed = few(names, _MOST_LISTED)
    return f"{what}: {told}", where if listed == told else f"{where}: {listed}"


def _polygonal(shape: Any) -> Any:
    """Return the polygons of a geometry, or None."""
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        parts = shapely.get_parts(shapely.get_parts(shape))
        parts = parts[shapely.get_type_id(parts) == _POLYGON[0]]
        shape = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts.tolist())
        kind = shapely.get_type_id(shape)
    return shape if kind in _POLYGON and not shapely.is_empty(shape) else None


def drop_unusable(table: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Leave out rows without a polygon, of which `only_polygons` told, and those without area.

    Parameters
    ----------
    table : GeoDataFrame
        outline and geometry, in a projected CRS in metres.
    where : str
        The file, for messages.

    Returns
    -------
    GeoDataFrame, list of str
        What is left, with area_m2 (float64); and a note on rows without area: less than a square metre, less than
        any pixel shows.

    Raises
    ------
    InputError
        Nothing is left.
    """
    shapes = table.geometry.to_numpy()
    is_missing = shapely.is_missing(shapes)
    area = np.where(is_missing, 0.0, shapely.area(shapes))
    is_sliver = ~is_missing & (area < _SLIVER_M2)
    notes = []
    if is_sliver.any():
        notes = [f"{int(is_sliver.sum())} rows without area skipped: {_all(table.loc[is_sliver, 'outline'])}"]
    keep = ~is_missing & ~is_sliver
    if not keep.any():
        raise InputError("no outline with an area", where=where, fix="give a file of polygons")
    return table.assign(area_m2=area)[keep].reset_index(drop=True), notes
