"""Rock and outlines on the same ground: rock is subtracted from its glacier, outlines of other years are reported."""

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.errors import InputError, few

# How the note begins.
SAME_GROUND = "outlines of other ids and years on the same ground"
_HALF = 0.5


def counted(count: int, word: str) -> str:
    """Return ``1 row``, ``2 rows``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def subtract_rock(table: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows of glacier without the rock of a GLIMS download, and notes with all names.

    A glacier loses the rock of its own id and analysis. Of other ids it loses what was seen on its own day: a nunatak
    on a divide is drawn once, under one of both ids. What was rock in another year may have been ice in its own.

    `table` has outline, analysis, day, is_rock, area_m2 and geometry: valid polygons in a CRS in metres. InputError:
    rock lies on glaciers of other ids or dates alone, or covers an outline.
    """
    is_rock = table["is_rock"].to_numpy(bool)
    if not is_rock.any():
        return table, []
    rock, glaciers = table[is_rock], table[~is_rock].reset_index(drop=True)
    ice, stone = glaciers.geometry.to_numpy().copy(), rock.geometry.to_numpy()
    keys = list(zip(glaciers["outline"], glaciers["analysis"], strict=True))
    known = set(keys)
    is_stray = np.array([key not in known for key in zip(rock["outline"], rock["analysis"], strict=True)])
    stray, stray_names = stone[is_stray], sorted(set(rock.loc[is_stray, "outline"]))
    if on_ice := _n_overlapping(stray, ice):
        raise InputError(
            f"{on_ice} of {counted(len(rock), 'row')} of rock on a glacier of another id or date: {few(stray_names)}",
            where=where,
            fix="give rock the id of its glacier, and its anlys_id or src_date; or cut it out of the outline",
        )
    which, seen = shapely.STRtree(stone).query(ice, predicate="intersects")
    is_same = {
        name: (glaciers[name].to_numpy(object)[which] == rock[name].to_numpy(object)[seen]).astype(bool)
        for name in ("outline", "analysis", "day")
    }
    takes = np.where(is_same["outline"], is_same["analysis"], is_same["day"])
    which, seen = which[takes], seen[takes]
    shares = shapely.area(shapely.intersection(ice[which], stone[seen])) > 0
    carved = set()
    for place, found in pd.Series(seen[shares]).groupby(which[shares]):
        ice[place] = shapely.difference(ice[place], shapely.union_all(stone[found.to_numpy()]))
        carved.add(keys[place][0])
    area = shapely.area(ice)
    if not area.all():
        covered = glaciers.loc[area == 0, "outline"]
        raise InputError(
            f"{counted(len(covered), 'outline')} covered by rock: {few(covered)}",
            where=where,
            fix="correct their line_type",
        )
    what = f"{counted(len(rock) - len(stray), 'row')} of rock subtracted from {counted(len(carved), 'glacier')}"
    notes = [f"{what}: {', '.join(sorted(carved))}"]
    if len(stray):
        notes.append(f"{counted(len(stray), 'row')} of rock left out, on no glacier: {', '.join(stray_names)}")
    return glaciers.set_geometry(gpd.GeoSeries(ice, crs=table.crs)).assign(area_m2=area), notes


def _n_overlapping(some: npt.NDArray[np.object_], others: npt.NDArray[np.object_]) -> int:
    """Return how many of `some` share more than a square metre with one of `others`."""
    first, second = shapely.STRtree(others).query(some, predicate="intersects")
    common = shapely.area(shapely.intersection(some[first], others[second]))
    return len(np.unique(first[common > 1.0]))


def note_overlaps(outlines: gpd.GeoDataFrame) -> list[str]:
    """Return a note, if any, on united outlines that lie half or more on one of another glacier and another year.

    Two inventories in one file, or ids that hold a year, look like this. The label takes all outlines together: of two
    extents of one glacier it shows the larger. All pairs follow the note's colon.
    """
    shapes, year = outlines.geometry.to_numpy(), outlines["year"].to_numpy(float, na_value=np.nan)
    area, (left, low, right, high) = shapely.area(shapes), shapely.bounds(shapes).T
    one, other = shapely.STRtree(shapes).query(shapes)
    keep = np.isfinite(year[one] + year[other]) & (year[one] != year[other]) & (area[one] <= area[other])
    keep &= (outlines["glacier"].to_numpy(object)[one] != outlines["glacier"].to_numpy(object)[other]).astype(bool)
    one, other = one[keep], other[keep]
    # Boxes that share too little need no overlay, which takes long for neighbours with a common divide.
    width = np.minimum(right[one], right[other]) - np.maximum(left[one], left[other])
    height = np.minimum(high[one], high[other]) - np.maximum(low[one], low[other])
    may = width * height >= _HALF * area[one]
    one, other = one[may], other[may]
    found = shapely.area(shapely.intersection(shapes[one], shapes[other])) >= _HALF * area[one]
    if not found.any():
        return []
    names = outlines["outline"].to_numpy(object)
    pairs = ", ".join(f"{names[i]} on {names[j]}" for i, j in zip(one[found], other[found], strict=True))
    what = f"{SAME_GROUND}, {len(np.unique(one[found]))} of {len(outlines)}; the label takes all of them together"
    fix = "keep one inventory, or give a glacier's outlines one id and choose with [outlines] analyses"
    return [f"{what}, so {fix}: {pairs}"]
