"""Coordinates that cannot be what the CRS of their file says."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from pyproj.exceptions import CRSError, ProjError

from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice

# Longitudes are written from -180 to 180 or from 0 to 360.
_MOST_LON, _MOST_LAT = 360.0, 90.0
_DEGREES = "EPSG:4326"
_SWAP = "the first number of each corner seems to be the latitude, or northing"

Array = npt.NDArray[Any]


def check_degrees(shapes: Array, crs: pyproj.CRS, where: str) -> None:
    """Refuse coordinates that cannot be degrees where the CRS counts in degrees.

    Parameters
    ----------
    shapes : ndarray
        Axes (row,), shapely geometries or None.
    crs : pyproj.CRS
        What their file says.
    where : str
        The file, for messages.

    Raises
    ------
    InputError
        A longitude lies beyond 360, or a latitude beyond 90 degrees.
    """
    if not crs.is_geographic or crs.axis_info[0].unit_name != "degree":
        return
    points, rows = shapely.get_coordinates(shapes, return_index=True)
    beyond = (np.abs(points[:, 0]) > _MOST_LON) | (np.abs(points[:, 1]) > _MOST_LAT)
    if not beyond.any():
        return
    x, y = points[beyond][0]
    count = len(np.unique(rows[beyond]))
    told = f"coordinates such as ({x:.8g}, {y:.8g}), in {count} rows, cannot be degrees of longitude and latitude"
    swapped = bool((np.abs(points[:, 0]) <= _MOST_LAT).all() and (np.abs(points[:, 1]) <= _MOST_LON).all())
    if swapped:
        raise InputError(
            f"{told}: {_SWAP}", where=where, fix="write the file with longitude first: swap the two numbers"
        )
    name = f"{crs.to_string()} ({crs.name})" if crs.to_epsg() else crs.name
    raise InputError(
        f"{told}, but the file's CRS is said to be {name}",
        where=where,
        fix="write the file with the CRS that its coordinates are in; GeoJSON without a crs member counts as "
        f"{_DEGREES}, so reproject to it, or write a GeoPackage",
    )


def check_on_region(shapes: Array, moved: Array, crs: pyproj.CRS, lattice: Lattice, where: str) -> None:
    """Refuse shapes that lie off the region, but on it were their coordinates read in another way.

    Shapes that lie elsewhere in any reading are left to the caller: a file may well hold nothing for a region.

    Parameters
    ----------
    shapes : ndarray
        Axes (row,), as in the file.
    moved : ndarray
        Axes (row,), the same in the lattice's CRS.
    crs : pyproj.CRS
        What their file says.
    lattice : Lattice
        Where the region lies.
    where : str
        The file, for messages.

    Raises
    ------
    InputError
        Latitude or northing stands before longitude or easting, or degrees are called metres.
    """
    if _touches(moved, lattice):
        return
    points, rows = shapely.get_coordinates(shapes, return_index=True)
    if not len(points):
        return
    x, y = points[0]
    swapped = points[:, ::-1]
    north_first = crs.is_geographic or crs.axis_info[0].direction in {"north", "south"}
    if north_first and _would_touch(swapped, rows, crs, lattice):
        raise InputError(
            f"nothing lies on the region, but everything would if coordinates such as ({x:.8g}, {y:.8g}) were swapped: "
            f"{_SWAP}",
            where=where,
            fix="write the file with longitude, or easting, first: swap the two numbers",
        )
    is_small = (np.abs(points[:, 0]) <= _MOST_LON).all() and (np.abs(points[:, 1]) <= _MOST_LON).all()
    if crs.is_projected and is_small:
        degrees = pyproj.CRS.from_user_input(_DEGREES)
        if any(_would_touch(read, rows, degrees, lattice) for read in (points, swapped)):
            raise InputError(
                f"coordinates such as ({x:.8g}, {y:.8g}) look like degrees, but the file says its CRS is {crs.name}",
                where=where,
                fix=f"write the file with the CRS that its coordinates are in, most likely {_DEGREES}",
            )


def _touches(shapes: Array, lattice: Lattice) -> bool:
    left, bottom, right, top = shapely.bounds(shapes).reshape(-1, 4).T
    # NaN, where there is no shape, compares False.
    on = (left <= lattice.right) & (right >= lattice.left) & (bottom <= lattice.top) & (top >= lattice.bottom)
    return bool(on.any())


def _would_touch(points: Array, rows: Array, crs: pyproj.CRS, lattice: Lattice) -> bool:
    try:
        transformer = pyproj.Transformer.from_crs(crs, lattice.crs, always_xy=True)
        x, y = transformer.transform(points[:, 0], points[:, 1])
    except (CRSError, ProjError):
        return False
    first = np.flatnonzero(np.diff(rows, prepend=rows[0] - 1))
    with np.errstate(invalid="ignore"):
        on = (np.minimum.reduceat(x, first) <= lattice.right) & (np.maximum.reduceat(x, first) >= lattice.left)
        on &= (np.minimum.reduceat(y, first) <= lattice.top) & (np.maximum.reduceat(y, first) >= lattice.bottom)
    return bool(on.any())
