"""Measure what splits share whose samples were made elsewhere, from their footprints."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.outlines.reproject import reproject
from gcn_luigi.prepare.split.leakage import glacier_ids

# Neighbours with coordinates in single precision may overlap slightly: by less than this share of the smaller one.
_HAIR = 1e-6
# Small enough that reprojected neighbours with a partly common edge overlap by less than that share.
_TOLERANCE_M = 1e-3
_WEB_MERCATOR = "EPSG:3857"


@dataclass(frozen=True)
class FootprintLeakage:
    """What the footprints of train and dev have in common.

    Attributes
    ----------
    shared_area_m2 : float
        Area that footprints of both splits cover. Each place counts once.
    n_overlapping : int
        Number of pairs that share area.
    n_duplicates : int
        Number of footprints of dev that also occur in train, equal to the last digit.
    shared_glaciers : tuple of str
        Sorted ids that are in both.
    least_distance_m : float or None
        Least straight distance between a train and a dev footprint, in metres; None if a split is empty.
    nearest : tuple of int or None
        Rows of the first train and dev footprint with this distance, among the rows with a geometry, from 0.
    n_train, n_dev : int
        Number of footprints of each split.
    edge_m : float or None
        Edge length of a footprint, in metres: the median of the longer sides of their boxes; None without any.
    """

    shared_area_m2: float
    n_overlapping: int
    n_duplicates: int
    shared_glaciers: tuple[str, ...]
    least_distance_m: float | None
    nearest: tuple[int, int] | None
    n_train: int
    n_dev: int
    edge_m: float | None


def measure_footprints(
    train: gpd.GeoDataFrame, dev: gpd.GeoDataFrame, *, crs: str | None = None, glaciers: str | None = None
) -> FootprintLeakage:
    """Measure what two sets of polygons share.

    Parameters
    ----------
    train, dev : GeoDataFrame
        Polygons with a CRS. Rows without geometry are ignored.
    crs : str or None
        Projected CRS to measure in, by default that of `train`. Both are reprojected to it.
    glaciers : str or None
        Column with glacier ids in both tables; ``;`` separates several ids.

    Returns
    -------
    FootprintLeakage
        Lengths in metres and areas in square metres, whatever the unit of the CRS.

    Raises
    ------
    InputError
        Lengths cannot be measured in the CRS, a geometry is not a polygon or is broken, or the column is missing.
    """
    target, metres = _projected(train.crs if crs is None else crs)
    first, second = (
        _polygons(frame, target, _TOLERANCE_M / metres, name) for frame, name in ((train, "train"), (dev, "dev"))
    )
    # Geometries are compared as given, because reprojection could change a digit.
    n_duplicates = int(np.isin(_bytes(dev), _bytes(train)).sum())
    tree = shapely.STRtree(first)
    there, here = tree.query(second, predicate="intersects")
    parts = shapely.intersection(first[here], second[there])
    smaller = np.minimum(shapely.area(first[here]), shapely.area(second[there]))
    overlaps = shapely.area(parts) > _HAIR * smaller
    distance, nearest = None, None
    if len(first) and len(second):
        (asked, found), gaps = tree.query_nearest(second, return_distance=True, all_matches=False)
        best = int(np.argmin(gaps))
        distance, nearest = float(gaps[best]) * metres, (int(found[best]), int(asked[best]))
    left, bottom, right, top = shapely.bounds(np.concatenate([first, second])).reshape(-1, 4).T
    edges = np.maximum(right - left, top - bottom)
    return FootprintLeakage(
        shared_area_m2=float(shapely.area(shapely.union_all(parts[overlaps]))) * metres**2,
        n_overlapping=int(overlaps.sum()),
        n_duplicates=n_duplicates,
        shared_glaciers=() if glaciers is None else _shared_ids(train, dev, glaciers),
        least_distance_m=distance,
        nearest=nearest,
        n_train=len(first),
        n_dev=len(second),
        edge_m=float(np.median(edges)) * metres if len(edges) else None,
    )


def _projected(crs: object) -> tuple[CRS, float]:
    """Return a CRS in which lengths can be measured, and the metres of its unit."""
    try:
        target = CRS.from_user_input(crs)
    except CRSError as error:
        raise InputError(f"this is not a CRS: {error}", where=str(crs), fix="write a CRS like EPSG:3338") from error
    if not target.is_projected or target == CRS.from_user_input(_WEB_MERCATOR):
        raise InputError(
            "lengths cannot be measured in this CRS: its unit is not a length, or its scale grows with latitude",
            where=target.name,
            fix="give --crs a projected CRS of the region, such as EPSG:3338 or its UTM zone",
        )
    return target, float(target.axis_info[0].unit_conversion_factor)


def _polygons(frame: gpd.GeoDataFrame, crs: CRS, tolerance: float, name: str) -> npt.NDArray[np.object_]:
    shapes = reproject(frame.geometry.to_numpy(), frame.crs, crs, tolerance, name)
    kept: npt.NDArray[np.object_] = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    wrong = ~np.isin(shapely.get_type_id(kept), [3, 6])
    broken = ~shapely.is_valid(kept)
    if wrong.any() or broken.any():
        raise InputError(
            f"{int(wrong.sum())} footprints are not polygons, and {int(broken.sum())} are invalid polygons",
            where=name,
            fix="give the area of each sample as a polygon; fix invalid ones with the tool Fix geometries of QGIS",
        )
    return kept


def _bytes(frame: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    shapes = frame.geometry.to_numpy()
    return np.array([*shapely.to_wkb(shapely.normalize(shapes[~shapely.is_missing(shapes)]))], object)


def _shared_ids(train: gpd.GeoDataFrame, dev: gpd.GeoDataFrame, column: str) -> tuple[str, ...]:
    for frame, name in ((train, "train"), (dev, "dev")):
        if column not in frame.columns:
            raise InputError(
                f"there is no column {column!r}", where=name, fix=f"name one of: {', '.join(map(str, frame.columns))}"
            )
    return tuple(sorted(glacier_ids(train[column].dropna()) & glacier_ids(dev[column].dropna())))
