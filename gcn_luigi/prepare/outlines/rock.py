"""Which rock of a GLIMS download lies on which glacier."""

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely


def rock_by_glacier(rock: gpd.GeoDataFrame, glaciers: gpd.GeoDataFrame) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield each glacier that loses ground to rock, with that rock.

    A glacier loses the rock of its own analysis. Of other glaciers it loses what was seen on its own day: a nunatak on
    a divide is drawn once, under one of both ids. What was rock in another year may have been ice in its own.

    Parameters
    ----------
    rock, glaciers : GeoDataFrame
        outline, analysis, day and geometry (valid polygons), in one CRS in metres.

    Yields
    ------
    int, ndarray
        The glacier's place in its table; its rock, axes (rock,), shapely polygons.
    """
    ice, stone = glaciers.geometry.to_numpy(), rock.geometry.to_numpy()
    which, seen = shapely.STRtree(stone).query(ice, predicate="intersects")
    is_same = {
        name: (glaciers[name].to_numpy(object)[which] == rock[name].to_numpy(object)[seen]).astype(bool)
        for name in ("outline", "analysis", "day")
    }
    takes = np.where(is_same["outline"], is_same["analysis"], is_same["day"])
    which, seen = which[takes], seen[takes]
    shares = shapely.area(shapely.intersection(ice[which], stone[seen])) > 0
    for place, found in pd.Series(seen[shares]).groupby(which[shares]):
        yield int(place), stone[found.to_numpy()]
