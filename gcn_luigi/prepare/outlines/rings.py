"""Rings of broken polygons, read by what contains what.

A valid polygon has one reading. Of a broken one, the order and the winding of its rings say little: several programs
write shapefiles in which a nunatak winds like a glacier, or the glacier like a hole. What lies within an odd number
of other rings is a hole; everything else is ground.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

# A ring lies within another when no more than this share of it reaches beyond, and beside it when no more is shared.
_HAIR = 0.01
# A ring that lies so far within another, but not wholly, may be a part that overlaps or a hole across the edge.
_MOSTLY = 0.75
_POLYGON = 3

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Reading:
    """What a broken polygon says.

    Attributes
    ----------
    shape : Polygon or MultiPolygon
        The same rings, each hole in the polygon that contains it. The shape as given where that changes nothing.
    ground : Polygon or MultiPolygon
        Valid: what the rings enclose, area by area. Parts that overlap count once.
    unclear : float
        Area of rings of which neither containment nor the file says with certainty whether they are holes, in the
        square of the CRS's unit.
    overlaps : bool
        Parts share ground, or one stands there twice.
    """

    shape: Any
    ground: Any
    unclear: float
    overlaps: bool


def read_rings(shape: Any) -> Reading:
    """Read a broken polygon by containment.

    Parameters
    ----------
    shape : Polygon, MultiPolygon or GeometryCollection of them
        Flat. May break any rule.

    Returns
    -------
    Reading
        `ground` is empty where no ring has an area.
    """
    polygons = shapely.get_parts(shapely.get_parts(shape))
    polygons = polygons[shapely.get_type_id(polygons) == _POLYGON]
    rings, owner = shapely.get_rings(polygons, return_index=True)
    is_hole = np.ones(len(rings), bool)
    is_hole[np.unique(owner, return_index=True)[1]] = False
    fills = np.array([_fill(ring) for ring in rings], dtype=object)
    has_area = shapely.area(fills) > 0 if len(fills) else np.zeros(0, bool)
    rings, owner, is_hole, fills = rings[has_area], owner[has_area], is_hole[has_area], fills[has_area]
    if not len(rings):
        return Reading(shape, shapely.Polygon(), 0.0, overlaps=False)
    area = shapely.area(fills)
    inside, crossing, mostly = _relations(fills, area, is_hole)
    depth = inside.sum(axis=1)
    reads_as_hole = depth % 2 == 1
    # Two glaciers that overlap are one ground, and so are two holes; a hole across an edge could be either.
    doubt = crossing & ((reads_as_hole[:, None] != reads_as_hole) | (is_hole[:, None] != is_hole) | mostly)
    doubtful = doubt.any(axis=1)
    reads_as_hole = np.where(doubtful, is_hole, reads_as_hole)
    holder = _holders(inside, crossing, area, reads_as_hole, owner)
    reads_as_hole &= holder >= 0
    # The smaller ring of each pair in doubt, once.
    first, second = np.nonzero(np.triu(doubt))
    smaller = np.unique(np.where(area[second] <= area[first], second, first))
    shells = np.flatnonzero(~reads_as_hole)
    is_as_given = bool(
        has_area.all() and (reads_as_hole == is_hole).all() and (owner[holder] == owner)[reads_as_hole].all()
    )
    if not is_as_given:
        shape = shapely.MultiPolygon(
            [shapely.Polygon(rings[ring], rings[(holder == ring) & reads_as_hole]) for ring in shells]
        )
    overlaps = bool((crossing & ~doubt)[shells].any())
    return Reading(shape, _ground(fills, depth, reads_as_hole), float(area[smaller].sum()), overlaps)


def _fill(ring: Any) -> Any:
    """Return the area within a ring by the even-odd rule; rings that cross or touch themselves included."""
    polygon = shapely.Polygon(ring)
    if shapely.is_valid(polygon):
        return polygon
    lines = shapely.union_all([shapely.LineString(shapely.get_coordinates(ring))])
    faces = shapely.get_parts(shapely.polygonize([lines]))
    spots = shapely.get_coordinates(shapely.point_on_surface(faces))
    return shapely.union_all(faces[shapely.contains_xy(polygon, spots)]) if len(faces) else shapely.Polygon()


def _relations(fills: Array, area: Array, is_hole: Array) -> tuple[Array, Array, Array]:
    """Return which ring (first axis) lies inside which, which pairs overlap without that, and which of these mostly."""
    n = len(fills)
    inside, crossing, mostly = (np.zeros((n, n), bool) for _ in range(3))
    shapely.prepare(fills)
    here, there = shapely.STRtree(fills).query(fills, predicate="intersects")
    # The larger one of a pair holds; of equal ones the earlier, which the file calls a polygon before its holes.
    rank = np.empty(n, int)
    rank[np.lexsort((np.arange(n), is_hole, -area))] = np.arange(n)
    keep = rank[there] < rank[here]
    here, there = here[keep], there[keep]
    is_held = shapely.contains_properly(fills[there], fills[here])
    inside[here[is_held], there[is_held]] = True
    here, there = here[~is_held], there[~is_held]
    shared = shapely.area(shapely.intersection(fills[here], fills[there]))
    is_held = shared >= (1 - _HAIR) * area[here]
    # One ring twice is one ring; were it both glacier and hole, nobody could say which.
    is_twin = is_held & (shared >= (1 - _HAIR) * area[there])
    inside[here, there] = is_held & ~is_twin
    overlaps = (shared > _HAIR * area[here]) & ~(is_held & ~is_twin)
    crossing[here, there] = overlaps
    mostly[here, there] = overlaps & ~is_twin & (shared > _MOSTLY * area[here])
    return inside, crossing | crossing.T, mostly | mostly.T


def _holders(inside: Array, crossing: Array, area: Array, reads_as_hole: Array, owner: Array) -> Array:
    """Return the ring that each hole lies in: the smallest around it, else the one of its polygon; -1 for none."""
    holder = np.full(len(area), -1)
    for hole in np.flatnonzero(reads_as_hole):
        around = np.flatnonzero(inside[hole] & ~reads_as_hole)
        if not len(around):
            own = (owner == owner[hole]) & ~reads_as_hole & crossing[hole]
            around = np.flatnonzero(own if own.any() else crossing[hole] & ~reads_as_hole)
        if len(around):
            holder[hole] = around[np.argmin(area[around])]
    return holder


def _ground(fills: Array, depth: Array, reads_as_hole: Array) -> Any:
    ground = shapely.Polygon()
    for level in np.unique(depth):
        for holes in (False, True):
            found = fills[(depth == level) & (reads_as_hole == holes)]
            if len(found):
                part = shapely.union_all(found)
                ground = shapely.difference(ground, part) if holes else shapely.union(ground, part)
    return ground
