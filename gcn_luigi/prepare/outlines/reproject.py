"""Reproject shapes without moving their edges, and detect coordinates that do not match the CRS of their file.

An edge is straight in the CRS of its file. The edge of a box in degrees, for example, follows a parallel, which is a
curve on a map. If only its corners were reprojected, an edge of five degrees would be off by kilometres. Such edges are
densified. Nearly all other edges stay as they are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from pyproj.exceptions import CRSError, ProjError

from gcn_luigi.errors import InputError, few
from gcn_luigi.lattice import Lattice

# The default tolerance, in metres.
TOLERANCE_M = 1.0
# Where an edge is compared with the straight one. Half of the tolerance is kept in reserve for the points between.
_CHECKED_AT = (0.25, 0.5, 0.75)
_AIM = 0.5
# A radius of curvature, in metres. Edges bend more sharply than this only near a pole, so short edges need no check.
_SHARPEST_M = 1000.0
_MOST_PIECES, _MOST_ROUNDS, _MOST_POINTS = 64, 8, 5_000_000
# Where two transformations meet, they may differ by metres. At the seam of a CRS the two sides are farther apart.
_TORN_M = 1000.0
_LEAP = 0.75
_HALF_TURN = 180.0
_EARTH_M = 6_378_137.0
# The circumference of the Earth is 4e7 m. Files may use any unit, even micrometres.
_FARTHEST, _FARTHEST_IN_FILES = 1e9, 1e15
# Longitudes range from -180 to 180 or from 0 to 360.
_MOST_LON, _MOST_LAT = 360.0, 90.0
_DEGREES = "EPSG:4326"
_SWAP = "the first number of each corner seems to be the latitude, or northing"

Array = npt.NDArray[Any]


def reproject(shapes: Array, source: object, target: object, tolerance: float, where: str) -> Array:
    """Return flat shapes in another CRS. No edge of a polygon deviates by more than `tolerance` (units of `target`).

    `shapes` (row,) are shapely geometries or None. The CRSs may have any form that pyproj accepts. If they are equal,
    the coordinates do not change. Raise InputError if there is no transformation between the CRSs, if a row is outside
    the area that `target` can show, if an edge is torn apart (for example at the antimeridian), or if an edge goes more
    than half around the Earth, because it may be meant to go the other way.
    """
    flat = shapely.force_2d(shapes)
    try:
        start, end = pyproj.CRS.from_user_input(source), pyproj.CRS.from_user_input(target)
        if start.is_exact_same(end):
            return np.asarray(flat)
        transformer = pyproj.Transformer.from_crs(start, end, always_xy=True)
        return _Reprojection(transformer, tolerance, where).apply(flat, start)
    except (CRSError, ProjError, RuntimeError) as error:
        raise InputError(f"cannot reproject to {target}: {error}", where=where, fix="check both CRSs") from error


class _Reprojection:
    """A transformation between two CRSs, for the shapes of one file."""

    def __init__(self, transformer: pyproj.Transformer, tolerance: float, where: str) -> None:
        self._transformer, self._tolerance, self._where = transformer, tolerance, where

    def apply(self, shapes: Array, source: pyproj.CRS) -> Array:
        moved = shapes.copy()
        present = ~shapely.is_missing(shapes)
        # Transform a copy of the array, because its elements are replaced.
        moved[present] = shapely.transform(shapes[present], self._transform)
        self._refuse_lost(moved)
        rows, corners, is_edge = _corners(shapes)
        _, there, _ = _corners(moved)
        if source.is_geographic:
            self._refuse_long_edges(rows, np.abs(np.diff(corners[:, 0])), is_edge)
        # Lengths are compared in both CRSs, because an edge around the Earth ends where it began.
        length = np.maximum(_lengths(corners) * _metres(source), _lengths(there))
        long = np.flatnonzero(is_edge & (length > np.sqrt(8 * _SHARPEST_M * self._tolerance)))
        off = self._deviation(_edges(corners, long), _edges(there, long)) > self._tolerance * _AIM
        for row in np.unique(rows[long[off]]):
            moved[row] = self._densified(shapes[row], int(row))
        return moved

    def _transform(self, points: Array) -> Array:
        return np.column_stack(self._transformer.transform(points[:, 0], points[:, 1]))

    def _deviation(self, edges: Array, there: Array) -> Array:
        """Return how far each edge deviates from the straight one, (edge,); inf if it leaves the CRS or is torn."""
        start, along = there[:, 0], there[:, 1] - there[:, 0]
        square = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
        worst, step, last = np.zeros(len(edges)), np.zeros(len(edges)), np.zeros_like(along)
        for share in (*_CHECKED_AT, 1.0):
            true = self._transform(edges[:, 0] + share * (edges[:, 1] - edges[:, 0])) - start
            with np.errstate(invalid="ignore"):
                nearest = np.clip((true * along).sum(axis=1) / square, 0, 1)
                off = np.hypot(*(true - nearest[:, None] * along).T)
                step = np.maximum(step, np.hypot(*(true - last).T))
            worst = np.maximum(worst, np.where(np.isfinite(off), off, np.inf))
            last = true
        # An edge is torn if one quarter of it covers nearly its whole length on the map.
        length = np.sqrt(square)
        worst[(length > _TORN_M) & (step > _LEAP * length)] = np.inf
        return worst

    def _densified(self, shape: Any, row: int) -> Any:
        """Return one reprojected shape with denser corners. Lines and points next to its polygons are not densified."""
        kind = shapely.get_type_id(shape)
        if kind == shapely.GeometryType.POLYGON:
            return shapely.Polygon(self._ring(shape.exterior, row), [self._ring(hole, row) for hole in shape.interiors])
        if kind in {shapely.GeometryType.MULTIPOLYGON, shapely.GeometryType.GEOMETRYCOLLECTION}:
            parts = [self._densified(part, row) for part in shapely.get_parts(shape)]
            is_multi = kind == shapely.GeometryType.MULTIPOLYGON
            return shapely.MultiPolygon(parts) if is_multi else shapely.GeometryCollection(parts)
        return shapely.transform(shape, self._transform)

    def _ring(self, ring: Any, row: int) -> Array:
        points = shapely.get_coordinates(ring)
        aim = self._tolerance * _AIM
        for _ in range(_MOST_ROUNDS):
            there = self._transform(points)
            edges = _edges(points, np.arange(len(points) - 1))
            off = self._deviation(edges, _edges(there, np.arange(len(points) - 1)))
            is_bent = off > aim
            if not is_bent.any():
                return there
            # The error of a smooth curve falls with the square of the number of pieces.
            wanted = np.ceil(1.1 * np.sqrt(np.minimum(off / aim, float(_MOST_PIECES**2))))
            pieces = np.where(is_bent, np.clip(wanted, 2, _MOST_PIECES), 1).astype(np.int64)
            if not np.isfinite(there).all() or pieces.sum() > _MOST_POINTS:
                break
            points = _subdivided(points, pieces)
        if (_lengths(there)[is_bent] < _TORN_M).all():
            return there
        x, y = edges[int(np.argmax(off)), 0]
        raise InputError(
            f"row {row}: an edge is torn apart near ({x:.8g}, {y:.8g}), where the map has a seam or ends",
            where=self._where,
            fix="cut the polygon there, or leave out parts that are far from the region",
        )

    def _refuse_lost(self, moved: Array) -> None:
        if (lost := _rows_beyond(moved, _FARTHEST)).size:
            raise InputError(
                f"{lost.size} rows are outside the area that the CRS of the region can show: "
                f"{few(f'row {row}' for row in lost)}",
                where=self._where,
                fix="check the file's CRS, or leave these rows out",
            )

    def _refuse_long_edges(self, rows: Array, turn: Array, is_edge: Array) -> None:
        # An edge of 360 degrees goes around the Earth. Between 180 and 360 the shorter way may be meant.
        is_long = is_edge & (turn > _HALF_TURN + 1e-9) & (turn < 2 * _HALF_TURN - 1e-9)
        if (found := np.unique(rows[:-1][is_long])).size:
            raise InputError(
                f"{found.size} rows have an edge longer than 180 degrees: {few(f'row {row}' for row in found)}",
                where=self._where,
                fix="if the edge should cross the antimeridian, cut the polygon there, or write longitudes beyond "
                "180 (181 for -179); if the edge should go the long way, add a corner halfway",
            )


def _corners(shapes: Array) -> tuple[Array, Array, Array]:
    """Return the row and coordinates of each corner of the polygons, and whether an edge leads from it to the next."""
    parts, rows = shapely.get_parts(shapes, return_index=True)
    parts, again = shapely.get_parts(parts, return_index=True)
    is_polygon = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings, owner = shapely.get_rings(parts[is_polygon], return_index=True)
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    return rows[again][is_polygon][owner][ring], corners, ring[1:] == ring[:-1]


def _edges(corners: Array, first: Array) -> Array:
    """Return the edges from these corners to the next, axes (edge, end, xy)."""
    return np.stack([corners[first], corners[first + 1]], axis=1)


def _lengths(corners: Array) -> Array:
    lengths: Array = np.hypot(*np.diff(corners, axis=0).T)
    return lengths


def _metres(crs: pyproj.CRS) -> float:
    """Return the metres in a CRS's unit; for degrees, at the equator."""
    unit = float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0
    return unit * _EARTH_M if crs.is_geographic else unit


def _subdivided(points: Array, pieces: npt.NDArray[np.int64]) -> Array:
    """Return a line whose edges are divided into pieces of equal length. Its corners stay."""
    first = np.cumsum(pieces) - pieces
    edge = np.repeat(np.arange(len(pieces)), pieces)
    share = (np.arange(pieces.sum()) - first[edge]) / pieces[edge]
    cut = points[edge] + share[:, None] * (points[edge + 1] - points[edge])
    return np.concatenate([cut, points[-1:]])


def _rows_beyond(shapes: Array, limit: float) -> Array:
    """Return the rows with a coordinate that is NaN or not below a limit."""
    points, rows = shapely.get_coordinates(shapes, return_index=True)
    # NaN compares False.
    return np.unique(rows[~(np.abs(points) < limit).all(axis=1)])


def check_finite(shapes: Array, where: str) -> None:
    """Raise InputError if shapes (row,) have coordinates that are NaN, infinite or far off the Earth."""
    if (lost := _rows_beyond(shapes, _FARTHEST_IN_FILES)).size:
        raise InputError(
            f"{lost.size} records have coordinates that are not on Earth: {few(f'row {row}' for row in lost)}",
            where=where,
            fix="the file may be damaged: copy it again, or correct these records",
        )


def check_degrees(shapes: Array, crs: pyproj.CRS, where: str) -> None:
    """Raise InputError if the CRS of the file is in degrees but the coordinates of shapes (row,) cannot be degrees.

    This holds for a longitude beyond 360 or a latitude beyond 90.
    """
    if not crs.is_geographic or crs.axis_info[0].unit_name != "degree":
        return
    points, rows = shapely.get_coordinates(shapes, return_index=True)
    beyond = (np.abs(points[:, 0]) > _MOST_LON) | (np.abs(points[:, 1]) > _MOST_LAT)
    if not beyond.any():
        return
    x, y = points[beyond][0]
    count = len(np.unique(rows[beyond]))
    what = f"coordinates such as ({x:.8g}, {y:.8g}), in {count} rows, cannot be degrees of longitude and latitude"
    swapped = bool((np.abs(points[:, 0]) <= _MOST_LAT).all() and (np.abs(points[:, 1]) <= _MOST_LON).all())
    if swapped:
        fix = "write the file with longitude first: swap the two numbers"
        raise InputError(f"{what}: {_SWAP}", where=where, fix=fix)
    name = f"{crs.to_string()} ({crs.name})" if crs.to_epsg() else crs.name
    raise InputError(
        f"{what}, but the CRS of the file is {name}",
        where=where,
        fix="write the file with the CRS of its coordinates; the coordinates of GeoJSON without a crs member must be "
        f"in {_DEGREES}, so reproject to it, or write a GeoPackage",
    )


def check_on_region(shapes: Array, moved: Array, crs: pyproj.CRS, lattice: Lattice, where: str) -> None:
    """Refuse shapes outside the region that would be inside if their coordinates were read in another way.

    `shapes` (row,) are the shapes of the file, in the CRS `crs` that it states; `moved` are the same shapes in the
    lattice's CRS. Raise InputError if latitude or northing seems to come before longitude or easting, or if the
    coordinates seem to be degrees although the CRS is projected. Shapes that are outside in every reading are accepted,
    because a file need not have any for a region.
    """
    if _touches(moved, lattice):
        return
    points = shapely.get_coordinates(shapes)
    if not len(points):
        return
    x, y = points[0]
    present = shapes[~shapely.is_missing(shapes)]
    swapped = shapely.transform(present, lambda corners: corners[:, ::-1])
    north_first = crs.is_geographic or crs.axis_info[0].direction in {"north", "south"}
    if north_first and _would_touch(swapped, crs, lattice):
        raise InputError(
            f"no shape is in the region, but some would be if coordinates such as ({x:.8g}, {y:.8g}) were swapped: "
            f"{_SWAP}",
            where=where,
            fix="write the file with longitude, or easting, first: swap the two numbers",
        )
    is_small = (np.abs(points[:, 0]) <= _MOST_LON).all() and (np.abs(points[:, 1]) <= _MOST_LON).all()
    if crs.is_projected and is_small:
        degrees = pyproj.CRS.from_user_input(_DEGREES)
        if any(_would_touch(read, degrees, lattice) for read in (present, swapped)):
            raise InputError(
                f"coordinates such as ({x:.8g}, {y:.8g}) look like degrees, but the CRS of the file is {crs.name}",
                where=where,
                fix=f"write the file with the CRS of its coordinates, most likely {_DEGREES}",
            )


def _touches(shapes: Array, lattice: Lattice) -> bool:
    left, bottom, right, top = shapely.bounds(shapes).reshape(-1, 4).T
    # Without a shape the bounds are NaN, which compare False.
    on = (left <= lattice.right) & (right >= lattice.left) & (bottom <= lattice.top) & (top >= lattice.bottom)
    return bool(on.any())


def _would_touch(shapes: Array, crs: pyproj.CRS, lattice: Lattice) -> bool:
    try:
        transformer = pyproj.Transformer.from_crs(crs, lattice.crs, always_xy=True)
        moved = shapely.transform(shapes, lambda points: np.column_stack(transformer.transform(*points.T)))
    except (CRSError, ProjError):
        return False
    return _touches(moved, lattice)
