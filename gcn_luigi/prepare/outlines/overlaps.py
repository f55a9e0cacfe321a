"""Outlines of different ids and years on the same ground: two inventories in one file, or ids that hold a year."""

import geopandas as gpd
import numpy as np
import shapely

# How the note begins.
SAME_GROUND = "outlines of other ids and years on the same ground"
_HALF = 0.5


def note_overlaps(outlines: gpd.GeoDataFrame) -> list[str]:
    """Return a note on outlines that lie half or more on one of another glacier and another year.

    The label takes all outlines together: of two extents of one glacier it shows the larger.

    Parameters
    ----------
    outlines : GeoDataFrame
        From `gcn_luigi.prepare.outlines.identity.unite_outlines`.

    Returns
    -------
    list of str
        One note, or none; all pairs stand behind its colon.
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
