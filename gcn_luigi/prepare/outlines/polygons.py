"""Polygons made fit for use: flat, valid and with an area.

A valid polygon has one reading. Of a broken one, the order and the winding of its rings say little: several programs
write shapefiles in which a nunatak winds like a glacier, or the glacier like a hole. So a broken polygon is rebuilt by
containment: a ring within an odd number of other rings is a hole; everything else is ground.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from shapely.errors import ShapelyError

from gcn_luigi.errors import InputError, few

Array = npt.NDArray[Any]

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7
_POLYGONAL = (_POLYGON, _MULTIPOLYGON)
_SOUND, _MIXED = "polygon", "mixed"
# In messages; notes name all.
_MOST_LISTED = 100
# Smaller than any pixel in use: what is left of a line that was written as a polygon.
_SLIVER_M2 = 1.0
# A ring is within another where no more than this share of it reaches beyond, and next to it where no more is shared.
_HAIR = 0.01
# A ring that lies this far within another, but not wholly, may be a part that overlaps or a hole across the edge.
_MOSTLY = 0.75


@dataclass(frozen=True)
class RepairRules:
    """What may be done to broken polygons.

    ``"repair"`` rebuilds rings by containment, and where they cross or touch; ``"error"`` stops. `max_share` is the
    largest share of a polygon's area that a repair may lose, gain or guess; `fix` what a user can do beyond that.
    """

    on_invalid: Literal["repair", "error"]
    max_share: float
    fix: str


@dataclass(frozen=True)
class Rebuilt:
    """What the rings of a broken polygon mean.

    Attributes
    ----------
    shape : Polygon or MultiPolygon
        The same rings, each hole in the polygon that contains it. The shape as given where that changes nothing.
    ground : Polygon or MultiPolygon
        What the rings enclose, valid; parts that overlap count once. Empty where no ring has an area.
    unclear : float
        Area of rings that may be holes or not, by containment and by the file.
    overlaps : bool
        Parts share ground, or one is there twice.
    """

    shape: Any
    ground: Any
    unclear: float
    overlaps: bool


def only_polygons(
    shapes: Array, names: Iterable[str], on_unusable: Literal["error", "skip"], where: str, fix: str = ""
) -> tuple[Array, list[str]]:
    """Return flat polygons, broken ones as they are, and a note on each kind of what was left out.

    `shapes` (row,) are shapely geometries or None; `names` say what to call each row. Rows of lines, points or nothing
    are None in the result where `on_unusable` is ``"skip"``, else an InputError, to whose fix `fix` is added.
    """
    flat, labels = shapely.force_2d(shapes), np.array([*names], dtype=object)
    kinds = np.full(len(flat), _SOUND, dtype=object)
    for row in np.flatnonzero(~np.isin(shapely.get_type_id(flat), _POLYGONAL) | shapely.is_empty(flat)):
        kinds[row] = _kind(flat[row])
    notes = []
    if unusable := sorted(set(kinds) - {_SOUND, _MIXED}):
        counts = [f"{(kinds == kind).sum()} {kind}" for kind in unusable]
        bad = np.isin(kinds, unusable)
        if on_unusable == "error":
            what = f"{int(bad.sum())} of {len(flat)} rows hold no polygon: {', '.join(counts)}"
            fix = f"give these rows their polygons (lines that close can be turned into some), or remove them{fix}"
            raise _error(what, [*labels[bad]], where, fix)
        notes = [
            f"{(kinds == kind).sum()} rows skipped, {kind}: {', '.join(labels[kinds == kind])}" for kind in unusable
        ]
        flat[bad] = None
    if (mixed := kinds == _MIXED).any():
        notes.append(
            f"{int(mixed.sum())} rows with lines or points beside polygons, left out: {', '.join(labels[mixed])}"
        )
        flat[mixed] = [_polygonal(shape) for shape in flat[mixed]]
    return flat, notes


def repair_polygons(shapes: Array, names: Iterable[str], rules: RepairRules, where: str) -> tuple[Array, list[str]]:
    """Return valid polygons, empty where no area is left, and a note on what was repaired and how much that changed.

    `shapes` (row,) are flat polygons or None, in the CRS in which they are used. InputError: a polygon is broken and
    must not be, or repairing it would change more of its area than allowed.
    """
    repaired, labels = shapes.copy(), np.array([*names], dtype=object)
    broken = np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))
    if not len(broken):
        return repaired, []
    reasons = shapely.is_valid_reason(shapes[broken])
    if rules.on_invalid == "error":
        listed = [f"{name} ({reason})" for name, reason in zip(labels[broken], reasons, strict=True)]
        fix = 'repair them, or set outlines.on_invalid = "repair"'
        raise _error(f"{len(broken)} broken polygons", listed, where, fix)
    done, beyond = [], []
    for row, reason in zip(broken, reasons, strict=True):
        repaired[row], changed, share = _repair(shapes[row], labels[row], where)
        done.append(f"{labels[row]} ({reason}; {changed})")
        if share > rules.max_share:
            beyond.append(f"{labels[row]} ({reason}; {changed}, {share:.1%})")
    if beyond:
        what = f"repairs would change more than {rules.max_share:.1%} of the area of {len(beyond)} broken polygons"
        raise _error(what, beyond, where, rules.fix)
    return repaired, [f"{len(broken)} broken polygons repaired: {', '.join(done)}"]


def _repair(shape: Any, name: str, where: str) -> tuple[Any, str, float]:
    """Return one polygon repaired, what that changed, and which share of its area that is."""
    try:
        rebuilt = rebuild_rings(shape)
        valid = shapely.make_valid(rebuilt.shape, method="structure", keep_collapsed=False)
        if shapely.get_type_id(valid) not in _POLYGONAL:
            parts = shapely.get_parts(valid)
            valid = shapely.union_all(parts[np.isin(shapely.get_type_id(parts), _POLYGONAL)])
        lost = gained = 0.0
        # Most often nothing changes but the order of rings, and differences of large glaciers take long.
        if not shapely.equals_exact(shapely.normalize(rebuilt.ground), shapely.normalize(valid), 0.0):
            lost = shapely.area(shapely.difference(rebuilt.ground, valid))
            gained = shapely.area(shapely.difference(valid, rebuilt.ground))
    except ShapelyError as error:
        raise InputError(
            f"a broken polygon cannot be repaired: {name} ({error})", where=where, fix="correct it, or leave it out"
        ) from error
    unclear = f", {rebuilt.unclear:,.0f} m2 unclear" if rebuilt.unclear else ""
    how = "" if rebuilt.shape is shape else ", rings read by what contains what"
    how += ", parts that overlap united" if rebuilt.overlaps else ""
    changed = f"{lost:,.0f} m2 lost, {gained:,.0f} m2 gained{unclear}{how}"
    wrong = lost + gained + rebuilt.unclear
    return valid, changed, wrong / max(shapely.area(rebuilt.ground), wrong, _SLIVER_M2)


def _error(what: str, names: list[str], where: str, fix: str) -> InputError:
    """Return an error whose message names a few rows, and whose place names nearly all where these are more."""
    shown, listed = few(names), few(names, _MOST_LISTED)
    return InputError(f"{what}: {shown}", where=where if listed == shown else f"{where}: {listed}", fix=fix)


def _kind(shape: Any) -> str:
    """Return what a row is that is no plain polygon."""
    if shape is None or shapely.is_empty(shape):
        return "without geometry"
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        return "collections without a polygon" if _polygonal(shape) is None else _MIXED
    return str(shape.geom_type)


def _polygonal(shape: Any) -> Any:
    """Return the polygons of a geometry, or None."""
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        parts = shapely.get_parts(shapely.get_parts(shape))
        parts = parts[shapely.get_type_id(parts) == _POLYGON]
        shape = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts.tolist())
        kind = shapely.get_type_id(shape)
    return shape if kind in _POLYGONAL and not shapely.is_empty(shape) else None


def drop_unusable(table: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Leave out rows without a polygon, which `only_polygons` noted, and those of less than a square metre.

    `table` has outline and geometry, in a projected CRS in metres; the result has area_m2 (float64), too. A note names
    the rows without area. InputError: nothing is left.
    """
    shapes = table.geometry.to_numpy()
    is_missing = shapely.is_missing(shapes)
    area = np.where(is_missing, 0.0, shapely.area(shapes))
    is_sliver = ~is_missing & (area < _SLIVER_M2)
    notes = []
    if is_sliver.any():
        notes = [f"{int(is_sliver.sum())} rows without area skipped: {', '.join(table.loc[is_sliver, 'outline'])}"]
    keep = ~is_missing & ~is_sliver
    if not keep.any():
        raise InputError("no outline with an area", where=where, fix="give a file of polygons")
    return table.assign(area_m2=area)[keep].reset_index(drop=True), notes


def rebuild_rings(shape: Any) -> Rebuilt:
    """Rebuild a flat polygon, multipolygon or collection of them, which may break any rule, by containment."""
    polygons = shapely.get_parts(shapely.get_parts(shape))
    polygons = polygons[shapely.get_type_id(polygons) == _POLYGON]
    rings, owner = shapely.get_rings(polygons, return_index=True)
    is_hole = np.ones(len(rings), bool)
    is_hole[np.unique(owner, return_index=True)[1]] = False
    filled = np.array([_fill(ring) for ring in rings], dtype=object)
    has_area = shapely.area(filled) > 0 if len(filled) else np.zeros(0, bool)
    rings, owner, is_hole, filled = rings[has_area], owner[has_area], is_hole[has_area], filled[has_area]
    if not len(rings):
        return Rebuilt(shape, shapely.Polygon(), 0.0, overlaps=False)
    area = shapely.area(filled)
    inside, crossing, mostly = _relations(filled, area, is_hole)
    depth = inside.sum(axis=1)
    becomes_hole = depth % 2 == 1
    # Two glaciers that overlap are one ground, and so are two holes; a hole across an edge could be either.
    doubt = crossing & ((becomes_hole[:, None] != becomes_hole) | (is_hole[:, None] != is_hole) | mostly)
    doubtful = doubt.any(axis=1)
    becomes_hole = np.where(doubtful, is_hole, becomes_hole)
    shell_of = _shells(inside, crossing, area, becomes_hole, owner)
    becomes_hole &= shell_of >= 0
    # The smaller ring of each pair in doubt, once.
    first, second = np.nonzero(np.triu(doubt))
    smaller = np.unique(np.where(area[second] <= area[first], second, first))
    shells = np.flatnonzero(~becomes_hole)
    is_as_given = bool(
        has_area.all() and (becomes_hole == is_hole).all() and (owner[shell_of] == owner)[becomes_hole].all()
    )
    if not is_as_given:
        shape = shapely.MultiPolygon(
            [shapely.Polygon(rings[ring], rings[(shell_of == ring) & becomes_hole]) for ring in shells]
        )
    overlaps = bool((crossing & ~doubt)[shells].any())
    return Rebuilt(shape, _ground(filled, depth, becomes_hole), float(area[smaller].sum()), overlaps)


def _fill(ring: Any) -> Any:
    """Return what a ring encloses by the even-odd rule; rings that cross or touch themselves included."""
    polygon = shapely.Polygon(ring)
    if shapely.is_valid(polygon):
        return polygon
    lines = shapely.union_all([shapely.LineString(shapely.get_coordinates(ring))])
    faces = shapely.get_parts(shapely.polygonize([lines]))
    spots = shapely.get_coordinates(shapely.point_on_surface(faces))
    return shapely.union_all(faces[shapely.contains_xy(polygon, spots)]) if len(faces) else shapely.Polygon()


def _relations(filled: Array, area: Array, is_hole: Array) -> tuple[Array, Array, Array]:
    """Return which ring (first axis) lies inside which, which pairs overlap without that, and which of these mostly."""
    n = len(filled)
    inside, crossing, mostly = (np.zeros((n, n), bool) for _ in range(3))
    shapely.prepare(filled)
    here, there = shapely.STRtree(filled).query(filled, predicate="intersects")
    # The larger one of a pair holds; of equal ones the earlier, which the file calls a polygon before its holes.
    rank = np.empty(n, int)
    rank[np.lexsort((np.arange(n), is_hole, -area))] = np.arange(n)
    keep = rank[there] < rank[here]
    here, there = here[keep], there[keep]
    is_held = shapely.contains_properly(filled[there], filled[here])
    inside[here[is_held], there[is_held]] = True
    here, there = here[~is_held], there[~is_held]
    shared = shapely.area(shapely.intersection(filled[here], filled[there]))
    is_held = shared >= (1 - _HAIR) * area[here]
    # One ring twice is one ring; were it both glacier and hole, nobody could say which.
    is_twin = is_held & (shared >= (1 - _HAIR) * area[there])
    inside[here, there] = is_held & ~is_twin
    overlaps = (shared > _HAIR * area[here]) & ~(is_held & ~is_twin)
    crossing[here, there] = overlaps
    mostly[here, there] = overlaps & ~is_twin & (shared > _MOSTLY * area[here])
    return inside, crossing | crossing.T, mostly | mostly.T


def _shells(inside: Array, crossing: Array, area: Array, becomes_hole: Array, owner: Array) -> Array:
    """Return the ring that each hole lies in: the smallest around it, else the one of its polygon; -1 for none."""
    shell_of = np.full(len(area), -1)
    for hole in np.flatnonzero(becomes_hole):
        around = np.flatnonzero(inside[hole] & ~becomes_hole)
        if not len(around):
            own = (owner == owner[hole]) & ~becomes_hole & crossing[hole]
            around = np.flatnonzero(own if own.any() else crossing[hole] & ~becomes_hole)
        if len(around):
            shell_of[hole] = around[np.argmin(area[around])]
    return shell_of


def _ground(filled: Array, depth: Array, becomes_hole: Array) -> Any:
    ground = shapely.Polygon()
    for level in np.unique(depth):
        for holes in (False, True):
            found = filled[(depth == level) & (becomes_hole == holes)]
            if len(found):
                part = shapely.union_all(found)
                ground = shapely.difference(ground, part) if holes else shapely.union(ground, part)
    return ground
