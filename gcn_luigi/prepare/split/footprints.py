"""What two sets of footprints share, wherever they come from: a split that somebody else made."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.outlines.reproject import reproject

# Neighbours whose coordinates went through single precision overlap by hairs: less than this share of the smaller.
_HAIR = 1e-6
# So little that edges which neighbours share in part stay within that hair.
_TOLERANCE_M = 1e-3
_WEB_MERCATOR = "EPSG:3857"


@dataclass(frozen=True)
class FootprintLeaks:
    """What the footprints of train and dev have in common.

    Attributes
    ----------
    shared_area_m2 : float
        Area that a footprint of each split covers, each place once.
    n_overlapping : int
        Pairs that share area.
    n_duplicates : int
        Footprints of dev that stand in train as well, to the last digit.
    shared_glaciers : tuple of str
        Sorted ids that stand in both.
    least_distance_m : float or None
        Least straight distance of two of them, in metres; None where a split is empty.
    nearest : tuple of int or None
        Row in train and row in dev that are so near, from 0; the first such pair.
    n_train, n_dev : int
        Footprints of each split.
    edge_m : float or None
        Edge of a footprint, in metres: the median of the longer sides of their boxes; None where there is none.
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
) -> FootprintLeaks:
    """Measure what two sets of polygons share.

    Parameters
    ----------
    train, dev : GeoDataFrame
        Polygons with a CRS; rows without geometry count for nothing.
    crs : str or None
        Projected CRS to measure in; that of `train` when None. `dev` is brought there.
    glaciers : str or None
        Column of both with ids, ``;`` between several.

    Returns
    -------
    FootprintLeaks
        Lengths and areas in metres, whatever the unit of the CRS.

    Raises
    ------
    InputError
        The CRS is none in which lengths are measured; a geometry is no polygon, or broken; the column is missing.
    """
    target, metres = _measurable(train.crs if crs is None else crs)
    tolerance = _TOLERANCE_M / metres
    first, second = (_polygons(frame, target, tolerance, name) for frame, name in ((train, "train"), (dev, "dev")))
    # Equal geometries are compared as given, before reprojection could move a digit.
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
    return FootprintLeaks(
        shared_area_m2=float(shapely.area(shapely.union_all(parts[overlaps]))) * metres**2,
        n_overlapping=int(overlaps.sum()),
        n_duplicates=n_duplicates,
        shared_glaciers=() if glaciers is None else _shared(train, dev, glaciers),
        least_distance_m=distance,
        nearest=nearest,
        n_train=len(first),
        n_dev=len(second),
        edge_m=_edge(np.concatenate([first, second]), metres),
    )


def _edge(shapes: npt.NDArray[np.object_], metres: float) -> float | None:
    if not len(shapes):
        return None
    left, bottom, right, top = shapely.bounds(shapes).T
    return float(np.median(np.maximum(right - left, top - bottom))) * metres


def _measurable(crs: object) -> tuple[CRS, float]:
    """Return a CRS and the metres of its unit."""
    try:
        target = CRS.from_user_input(crs)
    except CRSError as error:
        raise InputError(f"no CRS: {error}", where=str(crs), fix="write it as EPSG:3338 or so") from error
    if not target.is_projected or target == CRS.from_user_input(_WEB_MERCATOR):
        raise InputError(
            "lengths cannot be measured in this CRS: its unit is no length, or is stretched with latitude",
            where=target.name,
            fix="say --crs with a projected one of the region, such as EPSG:3338 or its UTM zone",
        )
    return target, float(target.axis_info[0].unit_conversion_factor)


def _polygons(frame: gpd.GeoDataFrame, crs: CRS, tolerance: float, name: str) -> npt.NDArray[np.object_]:
    shapes = reproject(frame.geometry.to_numpy(), frame.crs, crs, tolerance, name)
    kept: npt.NDArray[np.object_] = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    wrong = ~np.isin(shapely.get_type_id(kept), [3, 6])
    broken = ~shapely.is_valid(kept)
    if wrong.any() or broken.any():
        raise InputError(
            f"{int(wrong.sum())} footprints are no polygons, {int(broken.sum())} cross themselves",
            where=name,
            fix="give the areas that samples cover; mend broken ones with QGIS's Fix geometries",
        )
    return kept


def _bytes(frame: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    shapes = frame.geometry.to_numpy()
    return np.array([*shapely.to_wkb(shapely.normalize(shapes[~shapely.is_missing(shapes)]))], object)


def _shared(train: gpd.GeoDataFrame, dev: gpd.GeoDataFrame, column: str) -> tuple[str, ...]:
    ids = []
    for frame, name in ((train, "train"), (dev, "dev")):
        if column not in frame.columns:
            raise InputError(
                f"no column {column!r}", where=name, fix=f"name one of: {', '.join(map(str, frame.columns))}"
            )
        ids.append({one for text in frame[column].dropna().astype(str) for one in text.split(";") if one})
    return tuple(sorted(ids[0] & ids[1]))
