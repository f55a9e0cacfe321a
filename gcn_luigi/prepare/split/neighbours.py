"""Which partitions overlap or lie near each other, in pixels, without comparing all pairs."""

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

# Windows are whole pixels: two of them are nearer than n pixels exactly when they are at most n - 1/2 apart.
_HALF_PX = 0.5


def pixel_boxes(catalog: gpd.GeoDataFrame, margin: float = 0.0) -> npt.NDArray[Any]:
    """Return the partitions' windows as polygons in pixels, x = column, y = row.

    Parameters
    ----------
    catalog : GeoDataFrame
        Columns row, col, height and width.
    margin : float
        Pixels added on every side; negative to shrink.

    Returns
    -------
    ndarray
        Axes (partition,), shapely polygons.
    """
    row, col, height, width = (catalog[name].to_numpy(float) for name in ("row", "col", "height", "width"))
    boxes: npt.NDArray[Any] = shapely.box(col - margin, row - margin, col + width + margin, row + height + margin)
    return boxes


def near_pairs(
    catalog: gpd.GeoDataFrame, others: gpd.GeoDataFrame, buffer_px: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs with fewer than `buffer_px` pixels between them, along rows and columns alike.

    Parameters
    ----------
    catalog, others : GeoDataFrame
        Columns row, col, height and width.
    buffer_px : int
        0 returns the pairs that share at least one pixel.

    Returns
    -------
    tuple of ndarray
        Positions in `catalog` and in `others`, int64, sorted.
    """
    reach = pixel_boxes(catalog, buffer_px - _HALF_PX)
    first, second = shapely.STRtree(pixel_boxes(others)).query(reach, predicate="intersects")
    order = np.lexsort((second, first))
    return first[order].astype(np.int64), second[order].astype(np.int64)


def least_gap_px(catalog: gpd.GeoDataFrame, others: gpd.GeoDataFrame) -> float | None:
    """Return the least straight distance between a window of each table, in pixels; None where one is empty.

    Parameters
    ----------
    catalog, others : GeoDataFrame
        Columns row, col, height and width.
    """
    if catalog.empty or others.empty:
        return None
    tree = shapely.STRtree(pixel_boxes(others))
    _, distance = tree.query_nearest(pixel_boxes(catalog), return_distance=True, all_matches=False)
    return float(distance.min())


def shared_pixels(catalog: gpd.GeoDataFrame, others: gpd.GeoDataFrame) -> int:
    """Return the number of pixels that lie in a window of each table.

    Parameters
    ----------
    catalog, others : GeoDataFrame
        Columns row, col, height and width.
    """
    first, second = near_pairs(catalog, others, 0)
    common = shapely.intersection(pixel_boxes(catalog)[first], pixel_boxes(others)[second])
    return round(float(shapely.area(shapely.union_all(common))))
