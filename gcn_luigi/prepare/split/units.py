"""What goes whole into one split and one fold: blocks, the partitions of a glacier, or those of a region."""

from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.errors import ConfigError, InputError, few
from gcn_luigi.prepare.split.blocks import block_ids
from gcn_luigi.settings.partitions import region_name

Unit = Literal["blocks", "glacier", "regions"]

# Neighbours that were drawn by hand may overlap by this share of the smaller one.
_SLIVER = 1e-3


def unit_ids(
    cells: gpd.GeoDataFrame, joined: pd.DataFrame, unit: Unit, block: int, regions: "pd.Series[str] | None" = None
) -> npt.NDArray[Any]:
    """Return the unit of each partition, as (partition,) str objects.

    * ``blocks``: see `gcn_luigi.prepare.split.blocks.block_ids`.
    * ``glacier``: the outline with the largest area in the partition; of equal areas, the first by id.
    * ``regions``: the region of the partition.

    A partition without an outline, or in no region, belongs to the block in which its centre is.

    Parameters
    ----------
    cells : GeoDataFrame
        Only the used partitions.
    joined : DataFrame
        Columns cell, outline, area_m2.
    unit : str
        The kind of unit.
    block : int
        Partitions along the edge of a block.
    regions : Series or None
        The region of each partition, "" for none, by the id of the partition. Needed for ``regions`` only.
    """
    ids = block_ids(cells, block)
    if unit == "blocks":
        return ids
    if unit == "regions":
        assert regions is not None  # noqa: S101
        named = regions.reindex(cells["partition"]).fillna("").to_numpy(object)
    else:
        largest = joined.sort_values(["cell", "area_m2", "outline"], ascending=[True, False, True], kind="stable")
        of_cell = largest.drop_duplicates("cell").set_index("cell")["outline"]
        named = of_cell.reindex(cells["partition"]).fillna("").to_numpy(object)
    ids[named != ""] = named[named != ""]
    return ids


def regions_of(catalog: gpd.GeoDataFrame, polygons: gpd.GeoDataFrame, where: str) -> "tuple[pd.Series[str], list[str]]":
    """Return the region of each partition, by its id, and notes.

    A partition on several regions belongs to the one that covers most of it; of equal areas, to the first by name.
    A partition on no region has "".

    Parameters
    ----------
    catalog : GeoDataFrame
        Partitions with their boxes; columns partition and used.
    polygons : GeoDataFrame
        Columns row (int), value (str, the name of the region) and geometry (valid polygons in the CRS of the catalog).
        Several polygons may have one name.
    where : str
        The file, for messages.

    Raises
    ------
    InputError
        A polygon has no name, polygons of two regions overlap by more than a thousandth of the smaller one, or no used
        partition lies in a region.
    """
    names = polygons["value"].map(region_name).to_numpy(object)
    shapes = polygons.geometry.to_numpy()
    if (names == "").any():
        rows = [f"row {row}" for row in polygons["row"][names == ""]]
        raise InputError(
            f"{len(rows)} of {len(names)} polygons have no region name: {few(rows)}",
            where=where,
            fix="fill in the column that [split] region_column names, or remove these polygons",
        )
    _refuse_overlaps(shapes, names, where)
    boxes = catalog.geometry.to_numpy()
    which, cell = shapely.STRtree(boxes).query(shapes, predicate="intersects")
    area = shapely.area(shapely.intersection(shapes[which], boxes[cell]))
    parts = pd.DataFrame({"cell": cell, "region": names[which], "area": area})
    parts = parts[parts["area"] > 0.0].groupby(["cell", "region"])["area"].sum().reset_index()
    best = parts.sort_values(["cell", "area", "region"], ascending=[True, False, True], kind="stable")
    best = best.drop_duplicates("cell")
    found = np.full(len(catalog), "", dtype=object)
    found[best["cell"].to_numpy()] = best["region"].to_numpy(object)
    used = catalog["used"].to_numpy(bool)
    if used.any() and (found[used] == "").all():
        raise InputError(
            f"none of the {int(used.sum())} partitions that can be used lies in a region",
            where=where,
            fix="check that the polygons cover the region, and that their CRS is right",
        )
    notes = []
    # Only partitions that are used matter.
    counts = parts.groupby("cell").size()
    several = [index for index in counts.index[counts > 1] if used[index]]
    if several:
        notes.append(
            f"partitions that lie on several regions: {len(several)}; each belongs to the one that covers most of it"
        )
    if outside := int((used & (found == "")).sum()):
        notes.append(f"partitions that lie in no region: {outside}; each block of them is a unit of its own")
    return pd.Series(found, index=catalog["partition"].to_numpy(object)), notes


def refuse_unknown_regions(asked: tuple[str, ...], polygons: gpd.GeoDataFrame, where: str) -> None:
    """Raise ConfigError if a region in `asked` is not in the column value of `polygons`."""
    known = sorted(set(polygons["value"].map(region_name)) - {""})
    if unknown := [name for name in asked if name not in known]:
        raise ConfigError(
            f"[split] test_regions names {few(unknown)}, which no polygon has",
            where=where,
            fix=f"name some of: {few(known)}",
        )


def refuse_empty_regions(
    asked: tuple[str, ...], regions: "pd.Series[str]", catalog: gpd.GeoDataFrame, where: str
) -> None:
    """Raise ConfigError if no used partition belongs to a region in `asked`, or if all used partitions do.

    `regions` is the region of each partition of `catalog`, by its id.
    """
    of_used = regions.reindex(catalog["partition"][catalog["used"].to_numpy(bool)])
    held = of_used.isin(asked)
    if not asked or of_used.empty:
        return
    if empty := sorted(set(asked) - set(of_used)):
        raise ConfigError(
            f"[split] test_regions: no partition that can be used belongs to {few(empty)}",
            where=where,
            fix="name regions with partitions, or leave these out; a partition belongs to the region that covers most "
            "of it",
        )
    if held.all():
        raise ConfigError(
            f"[split] test_regions take all {len(held)} partitions that can be used: none is left for train and dev",
            where=where,
            fix="name fewer regions",
        )


def _refuse_overlaps(shapes: npt.NDArray[Any], names: npt.NDArray[Any], where: str) -> None:
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    differ = (names[one] < names[other]).astype(bool)
    one, other = one[differ], other[differ]
    common = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    smaller = np.minimum(shapely.area(shapes[one]), shapely.area(shapes[other]))
    wrong = common > _SLIVER * smaller
    if wrong.any():
        pairs = sorted({f"{names[a]} and {names[b]}" for a, b in zip(one[wrong], other[wrong], strict=True)})
        raise InputError(
            f"regions overlap: {few(pairs)}; the largest common area is {common[wrong].max() / 1e6:,.3f} km2",
            where=where,
            fix="draw the regions so that no place is in two of them",
        )
