"""Where chips are on the Earth: footprints and bounding boxes in degrees, as GeoJSON has them."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

# GeoJSON (RFC 7946) knows no other CRS, and asks for longitude first.
_DEGREES = "EPSG:4326"
# 1e-6 degrees are 11 cm: less than any pixel, and more than versions of PROJ differ by.
_DECIMALS = 6
# An edge that is straight on the map is curved in degrees; over 20 km it deviates by about 15 m at 60 degrees.
_LONGEST_EDGE_M = 20_000.0
_HALF_TURN, _WHOLE_TURN = 180.0, 360.0


def footprint(boxes: NDArray[np.float64]) -> Any:
    """Return the area that boxes cover, without corners on straight edges, as a shapely geometry; None without boxes.

    `boxes` (chip, 4) are left, bottom, right and top in the CRS of the lattice. Boxes that occur several times, such as
    those of several years, count once.
    """
    if not len(boxes):
        return None
    return shapely.union_all(shapely.box(*_stacked(boxes).T)).simplify(0.0)


def _stacked(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes in which those of equal left and right sides that overlap or touch are one: far fewer."""
    names = ["left", "bottom", "right", "top"]
    rows = pd.DataFrame(boxes, columns=names).drop_duplicates().sort_values(["left", "right", "bottom"])
    columns = rows.groupby(["left", "right"], sort=False)
    reached = columns["top"].cummax()
    is_apart = rows["bottom"] > reached.groupby([rows["left"], rows["right"]], sort=False).shift()
    run = (is_apart | ~rows.duplicated(["left", "right"])).cumsum()
    merged = rows.groupby(run).agg({"left": "first", "bottom": "first", "right": "first", "top": "max"})
    return merged[names].to_numpy()


def in_degrees(shape: Any, crs: str) -> Any:
    """Return a shape of the map, in the CRS `crs`, in WGS 84 with rounded coordinates, longitude first.

    Edges are densified, so that they follow those on the map. A shape across the antimeridian is cut there, and
    exterior rings are counter-clockwise, as RFC 7946 asks. A shape that contains a pole is not supported: its edges
    would go around it.
    """
    dense = shapely.segmentize(shape, _LONGEST_EDGE_M)
    transformer = _to_degrees(crs)

    def moved(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(corners[:, 0], corners[:, 1]))

    turned = shapely.transform(dense, moved)
    if np.ptp(shapely.get_coordinates(turned)[:, 0]) > _HALF_TURN:
        turned = _cut(turned)
    rounded = shapely.transform(turned, lambda corners: np.round(corners, _DECIMALS))
    # RFC 7946: exterior rings are counter-clockwise. Some programs take the others for the rest of the Earth.
    return shapely.orient_polygons(rounded)


@functools.lru_cache(maxsize=16)
def _to_degrees(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, _DEGREES, always_xy=True)


def bounding_box(shapes: Sequence[Any]) -> list[float]:
    """Return west, south, east and north of shapes from `in_degrees`.

    West is greater than east if the shapes lie on both sides of the antimeridian, as in RFC 7946.
    """
    parts = shapely.get_parts(np.array(shapes, dtype=object))
    bounds = shapely.bounds(parts)
    south, north = float(bounds[:, 1].min()), float(bounds[:, 3].max())
    is_east = bounds[:, 0] >= 0
    west, east = float(bounds[:, 0].min()), float(bounds[:, 2].max())
    if is_east.any() and not is_east.all() and east - west > _HALF_TURN:
        west, east = float(bounds[is_east, 0].min()), float(bounds[~is_east, 2].max())
    return [west, south, east, north]


def _cut(shape: Any) -> Any:
    """Cut a shape across the antimeridian, whose longitudes leap from 180 to -180, into its two sides."""

    def unwrapped(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        lon = np.where(corners[:, 0] < 0, corners[:, 0] + _WHOLE_TURN, corners[:, 0])
        return np.column_stack([lon, corners[:, 1]])

    whole = shapely.transform(shape, unwrapped)
    west = shapely.intersection(whole, shapely.box(0, -90, _HALF_TURN, 90))
    east = shapely.intersection(whole, shapely.box(_HALF_TURN, -90, _WHOLE_TURN, 90))
    back = shapely.transform(east, lambda corners: corners - [_WHOLE_TURN, 0])
    sides = [part for side in (west, back) for part in shapely.get_parts(side) if part.area > 0]
    return shapely.MultiPolygon([polygon for part in sides for polygon in shapely.get_parts(part)])
