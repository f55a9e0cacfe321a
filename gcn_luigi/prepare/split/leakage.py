"""Measure what train and dev share: planned partitions, finished chips, or footprints of samples made elsewhere."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError, LatticeError, few
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.outlines.reproject import reproject
from gcn_luigi.prepare.split.blocks import Windows, near_pairs, partition_windows, pixel_boxes
from gcn_luigi.prepare.split.split import shared_outlines

# Shared pixels are counted in squares of this edge length, with two masks of 4 MB.
_BLOCK = 2048
# As for the lattice: errors of single-precision coordinates are smaller, real shifts are larger.
_TOLERANCE_PX = 1e-3
# Neighbours with coordinates in single precision may overlap slightly: by less than this share of the smaller one.
_HAIR = 1e-6
# Small enough that reprojected neighbours with a partly common edge overlap by less than that share.
_TOLERANCE_M = 1e-3
_WEB_MERCATOR = "EPSG:3857"


def audit_split(
    catalog: gpd.GeoDataFrame, joined: pd.DataFrame, classes: ClassTable = DEFAULT_CLASSES
) -> dict[str, Any]:
    """Measure how well train and dev partitions are separated.

    Parameters
    ----------
    catalog : GeoDataFrame
        From `gcn_luigi.prepare.split.split.assign_split`. Only used partitions count.
    joined : DataFrame
        Columns cell, outline.
    classes : ClassTable
        The classes of the label.

    Returns
    -------
    dict
        n_train, n_dev, n_unused; dev_share (of used partitions); shared_pixels; shared_glaciers (sorted ids);
        least_distance_px and least_distance_m (straight, edge to edge; None if a split is empty);
        glacier_share_mean, and debris_share_mean or that of other classes that the split balances, for each split
        (None if it is empty); unused (counts by reason).
    """
    sides = {name: catalog[catalog["used"] & (catalog["split"] == name)] for name in ("train", "dev")}
    windows = [partition_windows(side) for side in sides.values()]
    n_train, n_dev = map(len, windows)
    gap, _ = _nearest(*windows)
    pixel_size = float(((catalog["right"] - catalog["left"]) / catalog["width"]).median()) if len(catalog) else 0.0
    unused = catalog.loc[~catalog["used"].to_numpy(bool), "reason"].value_counts().sort_index()
    balanced = classes.balanced()
    means = {
        column: {name: float(side[column].mean()) if len(side) else None for name, side in sides.items()}
        for column in ("glacier_share", *(f"share_{name}" for name in balanced))
    }
    return {
        "n_train": n_train,
        "n_dev": n_dev,
        "n_unused": len(catalog) - n_train - n_dev,
        "dev_share": n_dev / max(n_train + n_dev, 1),
        "shared_pixels": count_shared(*windows),
        "shared_glaciers": shared_outlines(joined, *(side["partition"] for side in sides.values())),
        "least_distance_px": gap,
        "least_distance_m": None if gap is None else gap * pixel_size,
        "glacier_share_mean": means["glacier_share"],
        **{f"{name}_share_mean": means[f"share_{name}"] for name in balanced},
        "unused": {str(reason): int(count) for reason, count in unused.items()},
    }


@dataclass(frozen=True)
class Leakage:
    """What the chips of train and dev have in common.

    Attributes
    ----------
    shared_pixels : int
        Number of lattice pixels that are in chips of both splits. Each pixel counts once.
    shared_glaciers : tuple of str
        Sorted ids of the outlines in partitions of both splits. Only partitions with chips count.
    least_distance_m : float or None
        Least straight distance between a train chip and a dev chip, edge to edge, in metres; 0 if they touch or
        overlap; None if a split shows no pixel.
    nearest : tuple of str or None
        Ids of the train chip and the dev chip with this distance. If there are several pairs, the first by id.
    n_train, n_dev : int
        Number of chips of each split.
    """

    shared_pixels: int
    shared_glaciers: tuple[str, ...]
    least_distance_m: float | None
    nearest: tuple[str, str] | None
    n_train: int
    n_dev: int


def measure_leakage(chips: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, lattice: Lattice) -> Leakage:
    """Measure what train and dev chips share.

    The window of a chip comes from its bounds. If a chip hangs over its partition or the lattice, only the pixels
    within both count, because the chip shows no others. Missing pixels count like all others, because they are on the
    same ground.

    Parameters
    ----------
    chips : GeoDataFrame
        The index: columns chip_id, split, partition, left, bottom, right and top (metres).
    catalog : GeoDataFrame
        Columns partition, row, col, height, width and rgi_ids (separated by ``;``).
    lattice : Lattice
        The region's pixels.

    Returns
    -------
    Leakage
        Exact to the pixel. Memory grows with the number of chips, not with the area.

    Raises
    ------
    InputError
        The catalog lacks the partition of a chip.
    LatticeError
        The edges of a chip are not on pixel edges of the lattice.
    """
    by_id = chips.sort_values("chip_id", ignore_index=True)
    windows = chip_windows(by_id, catalog, lattice)
    is_shown = (windows[:, 2] > windows[:, 0]) & (windows[:, 3] > windows[:, 1])
    of_split = {split: (by_id["split"] == split).to_numpy(bool) for split in ("train", "dev")}
    train, dev = (windows[is_shown & rows] for rows in of_split.values())
    names = [by_id["chip_id"].to_numpy(object)[is_shown & rows] for rows in of_split.values()]
    glaciers = [
        _ids(catalog.loc[catalog["partition"].isin(by_id["partition"][rows]), "rgi_ids"]) for rows in of_split.values()
    ]
    gap, pair = _nearest(train, dev)
    return Leakage(
        shared_pixels=count_shared(train, dev),
        shared_glaciers=tuple(sorted(set.intersection(*glaciers))),
        least_distance_m=None if gap is None else gap * lattice.pixel_size,
        nearest=None if pair is None else (str(names[0][pair[0]]), str(names[1][pair[1]])),
        n_train=int(of_split["train"].sum()),
        n_dev=int(of_split["dev"].sum()),
    )


def chip_windows(chips: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, lattice: Lattice) -> Windows:
    """Return the window that each chip shows within its partition and the lattice, (chip, 4) int64.

    The arguments and errors are those of `measure_leakage`. If a chip shows no pixel there, its last row or column is
    not beyond its first.
    """
    metres = chips[["top", "left", "bottom", "right"]].to_numpy(float)
    edges = (metres - [lattice.top, lattice.left] * 2) / np.array([-lattice.pixel_size, lattice.pixel_size] * 2)
    windows: Windows = np.round(edges).astype(np.int64)
    off = np.abs(edges - windows).max(axis=1, initial=0.0) > _TOLERANCE_PX
    if off.any():
        raise LatticeError(
            f"the edges of {int(off.sum())} chips are not on pixel edges of the lattice",
            where=f"partitions {few(sorted(set(chips['partition'][off])))}",
            fix="use the lattice of the dataset that the chips belong to",
        )
    unknown = sorted(set(chips["partition"]) - set(catalog["partition"]))
    if unknown:
        raise InputError(
            f"{len(unknown)} partitions of chips are not in the catalog: {few(unknown)}",
            where="catalog",
            fix="take index and catalog from the same dataset",
        )
    cells = partition_windows(catalog.set_index("partition").loc[chips["partition"]])
    first = np.maximum(np.maximum(windows[:, :2], cells[:, :2]), 0)
    last = np.minimum(np.minimum(windows[:, 2:], cells[:, 2:]), lattice.shape)
    return np.concatenate([first, last], axis=1)


def count_shared(windows: Windows, others: Windows) -> int:
    """Return the number of pixels that are in a window of both arrays, each pixel once. No window may be empty.

    Pixels are counted in squares of a fixed size, so memory does not grow with the area.
    """
    first, second = near_pairs(windows, others)
    near, far = windows[np.unique(first)], others[np.unique(second)]
    corners = {
        (y, x)
        for row, col, last_row, last_col in np.unique(near // _BLOCK * _BLOCK, axis=0).tolist()
        for y in range(row, last_row + 1, _BLOCK)
        for x in range(col, last_col + 1, _BLOCK)
    }
    return sum(_count_block(corner, near, far) for corner in corners)


def _count_block(corner: tuple[int, int], *both: Windows) -> int:
    masks = np.zeros((2, _BLOCK, _BLOCK), bool)
    for mask, windows in zip(masks, both, strict=True):
        local = np.clip(windows - [*corner, *corner], 0, _BLOCK)
        for row, col, last_row, last_col in np.unique(local, axis=0).tolist():
            mask[row:last_row, col:last_col] = True
    return int(np.count_nonzero(masks[0] & masks[1]))


def _nearest(train: Windows, dev: Windows) -> tuple[float | None, tuple[int, int] | None]:
    """Return the least distance, in pixels, and the positions of the first pair that has it."""
    if not len(train) or not len(dev):
        return None, None
    # Chips of several years may cover the same place. Each place is queried once.
    _, places = np.unique(train, axis=0, return_index=True)
    asked, found = shapely.STRtree(pixel_boxes(dev)).query_nearest(pixel_boxes(train[places]), all_matches=False)
    # GEOS finds the nearest box, but its distances have rounding errors.
    squares = _square_gaps(train[places[asked]], dev[found])
    least = int(squares.min())
    position = int(places[asked[squares == least]].min())
    return math.sqrt(least), (position, int(np.argmin(_square_gaps(train[position], dev))))


def _square_gaps(windows: Windows, others: Windows) -> npt.NDArray[np.int64]:
    """Return the exact square of the distance of each pair, edge to edge, in pixels."""
    gaps = np.maximum(windows[..., :2] - others[..., 2:], others[..., :2] - windows[..., 2:])
    squares: npt.NDArray[np.int64] = (np.maximum(gaps, 0) ** 2).sum(axis=-1)
    return squares


def _ids(texts: Iterable[object]) -> set[str]:
    """Return all ids in texts that separate them by ``;``."""
    return {one for text in texts for one in str(text).split(";") if one}


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
    return tuple(sorted(_ids(train[column].dropna()) & _ids(dev[column].dropna())))
