"""Subtract rock from its glacier, and find outlines of different years that cover the same ground."""

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.errors import InputError, few

# The first words of the note.
SAME_GROUND = "outlines of other ids and years on the same ground"
_HALF = 0.5


def counted(count: int, word: str) -> str:
    """Return ``1 row``, ``2 rows``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def subtract_rock(table: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows of glacier after the rock of a GLIMS download is subtracted, and notes with all names.

    Rock with the id and analysis of a glacier is subtracted from it. Rock of other ids is subtracted only if it has the
    same day, because a nunatak on a divide is drawn once, under one of the two ids. Rock of another year is not
    subtracted: in the year of the outline it may have been ice.

    `table` has outline, analysis, day, is_rock, area_m2 and geometry: valid polygons in a CRS in metres. Raise
    InputError if rock is only on glaciers of other ids or dates, or covers a whole outline.
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
            fix="give rock the id of its glacier and the same anlys_id or src_date, or cut it out of the outline",
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
            fix="correct the line_type of the rock or the outline",
        )
    what = f"{counted(len(rock) - len(stray), 'row')} of rock subtracted from {counted(len(carved), 'glacier')}"
    notes = [f"{what}: {', '.join(sorted(carved))}"]
    if len(stray):
        notes.append(f"{counted(len(stray), 'row')} of rock left out, on no glacier: {', '.join(stray_names)}")
    return glaciers.set_geometry(gpd.GeoSeries(ice, crs=table.crs)).assign(area_m2=area), notes


def _n_overlapping(some: npt.NDArray[np.object_], others: npt.NDArray[np.object_]) -> int:
    """Return how many of `some` share more than a square metre with any of `others`."""
    first, second = shapely.STRtree(others).query(some, predicate="intersects")
    common = shapely.area(shapely.intersection(some[first], others[second]))
    return len(np.unique(first[common > 1.0]))


def note_overlaps(outlines: gpd.GeoDataFrame) -> list[str]:
    """Return a note, if needed, about united outlines of which at least half is on one of another glacier and year.

    This happens if a file holds two inventories, or if ids contain a year. The label is the union of all outlines, so
    of two extents of one glacier it shows the larger. The note lists all pairs after its colon.
    """
    shapes, year = outlines.geometry.to_numpy(), outlines["year"].to_numpy(float, na_value=np.nan)
    area, (left, low, right, high) = shapely.area(shapes), shapely.bounds(shapes).T
    one, other = shapely.STRtree(shapes).query(shapes)
    keep = np.isfinite(year[one] + year[other]) & (year[one] != year[other]) & (area[one] <= area[other])
    keep &= (outlines["glacier"].to_numpy(object)[one] != outlines["glacier"].to_numpy(object)[other]).astype(bool)
    one, other = one[keep], other[keep]
    # If the boxes share too little, no overlay is computed: it is slow for neighbours with a common divide.
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
