"""Make polygons fit for use: flat, valid and with an area.

The meaning of a valid polygon is clear. In a broken polygon, the order and the winding of the rings mean little:
several programs write shapefiles in which a nunatak winds like a glacier, or a glacier like a hole. So a broken polygon
is rebuilt by containment: a ring within an odd number of other rings is a hole, and everything else is ground.
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
# The largest number of names in a message. Notes list all names.
_MOST_LISTED = 100
# Smaller than any pixel in use. Polygons below this are remains of lines that were written as polygons.
_SLIVER_M2 = 1.0
# A ring is within another if at most this share of it is outside, and next to it if at most this share is inside.
_HAIR = 0.01
# A ring of which more than this share, but not all, is within another may be an overlapping part or a hole.
_MOSTLY = 0.75


@dataclass(frozen=True)
class RepairRules:
    """Rules for the repair of broken polygons.

    `on_invalid`: ``"repair"`` rebuilds rings by containment, and rebuilds them where they cross or touch; ``"error"``
    raises an error. `max_share` is the largest share of a polygon's area that a repair may lose, gain or guess. `fix`
    tells the user what to do if a repair would change more.
    """

    on_invalid: Literal["repair", "error"]
    max_share: float
    fix: str


@dataclass(frozen=True)
class Rebuilt:
    """The result of rebuilding a broken polygon from its rings.

    Attributes
    ----------
    shape : Polygon or MultiPolygon
        The same rings, with each hole in the polygon that contains it. If nothing changes, the shape as given.
    ground : Polygon or MultiPolygon
        The area that the rings enclose, as a valid shape; parts that overlap count once. Empty if no ring has an area.
    unclear : float
        Area of rings for which neither containment nor the file shows whether they are holes.
    overlaps : bool
        True if parts share ground or a part occurs twice.
    """

    shape: Any
    ground: Any
    unclear: float
    overlaps: bool


def only_polygons(
    shapes: Array, names: Iterable[str], on_unusable: Literal["error", "skip"], where: str, fix: str = ""
) -> tuple[Array, list[str]]:
    """Return flat polygons, without repairing broken ones, and a note about each kind of geometry that was left out.

    `shapes` (row,) are shapely geometries or None; `names` holds the name of each row. If `on_unusable` is ``"skip"``,
    rows of lines, points or no geometry become None. Otherwise they raise InputError; `fix` is added to its fix.
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
            fix = f"give these rows polygons (closed lines can be converted to polygons), or remove them{fix}"
            raise _error(what, [*labels[bad]], where, fix)
        notes = [
            f"{(kinds == kind).sum()} rows skipped, {kind}: {', '.join(labels[kinds == kind])}" for kind in unusable
        ]
        flat[bad] = None
    if (mixed := kinds == _MIXED).any():
        notes.append(
            f"rows whose lines and points beside polygons are left out: {int(mixed.sum())} ({', '.join(labels[mixed])})"
        )
        flat[mixed] = [_polygonal(shape) for shape in flat[mixed]]
    return flat, notes


def repair_polygons(shapes: Array, names: Iterable[str], rules: RepairRules, where: str) -> tuple[Array, list[str]]:
    """Return valid polygons (empty if no area is left), and a note about each repair and how much it changed.

    `shapes` (row,) are flat polygons or None, in the CRS in which they are used. Raise InputError if a polygon is
    broken and the rules do not allow repair, or if the repair would change more of its area than allowed.
    """
    repaired, labels = shapes.copy(), np.array([*names], dtype=object)
    broken = np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))
    if not len(broken):
        return repaired, []
    reasons = shapely.is_valid_reason(shapes[broken])
    if rules.on_invalid == "error":
        listed = [f"{name} ({reason})" for name, reason in zip(labels[broken], reasons, strict=True)]
        fix = 'fix them, or set outlines.on_invalid = "repair"'
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
    """Return one repaired polygon, a text about what changed, and the share of its area that changed."""
    try:
        rebuilt = rebuild_rings(shape)
        valid = shapely.make_valid(rebuilt.shape, method="structure", keep_collapsed=False)
        if shapely.get_type_id(valid) not in _POLYGONAL:
            parts = shapely.get_parts(valid)
            valid = shapely.union_all(parts[np.isin(shapely.get_type_id(parts), _POLYGONAL)])
        lost = gained = 0.0
        # Usually only the order of rings changes, and the difference of large glaciers is slow to compute.
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
    """Return an error that names a few rows in its message and, if there are more, up to 100 in its place."""
    shown, listed = few(names), few(names, _MOST_LISTED)
    return InputError(f"{what}: {shown}", where=where if listed == shown else f"{where}: {listed}", fix=fix)


def _kind(shape: Any) -> str:
    """Return the kind of a geometry that is not a plain polygon."""
    if shape is None or shapely.is_empty(shape):
        return "without geometry"
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        return "collections without a polygon" if _polygonal(shape) is None else _MIXED
    return str(shape.geom_type)


def _polygonal(shape: Any) -> Any:
    """Return the polygons of a geometry, or None if it has none."""
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        parts = shapely.get_parts(shapely.get_parts(shape))
        parts = parts[shapely.get_type_id(parts) == _POLYGON]
        shape = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts.tolist())
        kind = shapely.get_type_id(shape)
    return shape if kind in _POLYGONAL and not shapely.is_empty(shape) else None


def drop_unusable(table: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Leave out rows without a polygon and rows of less than a square metre.

    `table` has outline and geometry, in a projected CRS in metres. The result also has area_m2 (float64). The notes
    list the rows of less than a square metre; `only_polygons` has already noted rows without a polygon. Raise
    InputError if no row is left.
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
        raise InputError("no outline has an area", where=where, fix="give a file of polygons")
    return table.assign(area_m2=area)[keep].reset_index(drop=True), notes


def rebuild_rings(shape: Any) -> Rebuilt:
    """Rebuild a flat polygon, multipolygon or collection of polygons by containment, however broken it is."""
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
    # Two glaciers that overlap are simply united, and so are two holes. A hole across an edge is ambiguous.
    doubt = crossing & ((becomes_hole[:, None] != becomes_hole) | (is_hole[:, None] != is_hole) | mostly)
    doubtful = doubt.any(axis=1)
    becomes_hole = np.where(doubtful, is_hole, becomes_hole)
    shell_of = _shells(inside, crossing, area, becomes_hole, owner)
    becomes_hole &= shell_of >= 0
    # The smaller ring of each doubtful pair, counted once.
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
    """Return the area that a ring encloses by the even-odd rule, even if the ring crosses or touches itself."""
    polygon = shapely.Polygon(ring)
    if shapely.is_valid(polygon):
        return polygon
    lines = shapely.union_all([shapely.LineString(shapely.get_coordinates(ring))])
    faces = shapely.get_parts(shapely.polygonize([lines]))
    spots = shapely.get_coordinates(shapely.point_on_surface(faces))
    return shapely.union_all(faces[shapely.contains_xy(polygon, spots)]) if len(faces) else shapely.Polygon()


def _relations(filled: Array, area: Array, is_hole: Array) -> tuple[Array, Array, Array]:
    """Return three masks (ring, ring): the first is inside the second; they overlap otherwise; they mostly overlap."""
    n = len(filled)
    inside, crossing, mostly = (np.zeros((n, n), bool) for _ in range(3))
    shapely.prepare(filled)
    here, there = shapely.STRtree(filled).query(filled, predicate="intersects")
    # The larger ring of a pair contains the other. Of equal rings it is the earlier one, polygons before holes.
    rank = np.empty(n, int)
    rank[np.lexsort((np.arange(n), is_hole, -area))] = np.arange(n)
    keep = rank[there] < rank[here]
    here, there = here[keep], there[keep]
    is_held = shapely.contains_properly(filled[there], filled[here])
    inside[here[is_held], there[is_held]] = True
    here, there = here[~is_held], there[~is_held]
    shared = shapely.area(shapely.intersection(filled[here], filled[there]))
    is_held = shared >= (1 - _HAIR) * area[here]
    # A ring that occurs twice is one ring. If it is both glacier and hole, its meaning is unknown.
    is_twin = is_held & (shared >= (1 - _HAIR) * area[there])
    inside[here, there] = is_held & ~is_twin
    overlaps = (shared > _HAIR * area[here]) & ~(is_held & ~is_twin)
    crossing[here, there] = overlaps
    mostly[here, there] = overlaps & ~is_twin & (shared > _MOSTLY * area[here])
    return inside, crossing | crossing.T, mostly | mostly.T


def _shells(inside: Array, crossing: Array, area: Array, becomes_hole: Array, owner: Array) -> Array:
    """Return the ring that contains each hole: the smallest around it, or that of its own polygon; -1 without any."""
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
