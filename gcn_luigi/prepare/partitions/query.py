"""Select chips or partitions of an index by id, location, split and year: all of them or a sample."""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from gcn_luigi.errors import ConfigError, few
from gcn_luigi.lattice import Lattice, Window

Unit = Literal["chip_id", "partition"]
# Left, bottom, right, top.
Bounds = tuple[float, float, float, float]

# The edges of a box bend when it is reprojected, so this many points along each edge are reprojected.
_ALONG_EDGE = 64
# A box that should end at a pixel edge may be off by this much, because coordinates are rounded.
_NOISE_PX = 1e-3
_MOST_NAMED = 3


@dataclass(frozen=True)
class Selection:
    """The criteria of a selection. Criteria that are empty or None restrict nothing.

    Attributes
    ----------
    chips, partitions : tuple of str
        Ids.
    bounds : tuple of float or None
        Left, bottom, right, top in the CRS of the index. Chips that share area with the box are selected.
    split : str or None
        ``train`` or ``dev``.
    years : tuple of int
        Years of the composites.
    sample : int or None
        Draw this many at random with `seed`. They keep the order of the index.
    seed : int
        Seed of the random draw, not negative.
    limit : int or None
        Take at most this many, the first ones.
    """

    chips: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    bounds: Bounds | None = None
    split: str | None = None
    years: tuple[int, ...] = ()
    sample: int | None = None
    seed: int = 0
    limit: int | None = None

    @property
    def is_empty(self) -> bool:
        """True if no criterion is set."""
        return self == Selection(seed=self.seed)


def select(index: gpd.GeoDataFrame, selection: Selection, unit: Unit, *, where: str) -> gpd.GeoDataFrame:
    """Return the selected rows of the index, at least one, in the order of the index.

    Parameters
    ----------
    index : GeoDataFrame
        chip_id, partition, split, year, left, bottom, right, top, one row per chip.
    selection : Selection
        The criteria.
    unit : {"chip_id", "partition"}
        What `sample` and `limit` count. With partitions, all rows of a partition that meet the other criteria stay.
    where : str
        The dataset of the index, for error messages.

    Raises
    ------
    ConfigError
        An id is not in the index, or nothing is left.
    """
    chosen = np.ones(len(index), bool)
    for column, wanted in (("chip_id", selection.chips), ("partition", selection.partitions)):
        if wanted:
            values = index[column].to_numpy(str)
            _refuse_unknown(column.removesuffix("_id"), wanted, values, where)
            chosen &= np.isin(values, wanted)
    if selection.split is not None:
        chosen &= (index["split"] == selection.split).to_numpy(bool)
    if selection.years:
        chosen &= index["year"].isin(selection.years).to_numpy(bool)
    if selection.bounds is not None:
        chosen &= sharing_area(index, selection.bounds)
    rows = index[chosen]
    if not len(rows):
        years = ", ".join(map(str, sorted(index["year"].unique())))
        raise ConfigError(
            f"none of the {len(index):,} chips meets all criteria",
            where=where,
            fix=f"use fewer criteria at once; years in the index: {years}",
        )
    units = rows[unit].drop_duplicates().to_numpy(str)
    if selection.sample is not None and selection.sample < len(units):
        # The sample depends only on the ids and the seed, not on the other criteria.
        drawn = np.random.default_rng(selection.seed).choice(len(units), selection.sample, replace=False)
        units = units[np.sort(drawn)]
    return rows[rows[unit].isin(units[: selection.limit])]


def sharing_area(table: pd.DataFrame, bounds: Bounds) -> NDArray[np.bool_]:
    """Return whether the box of each row (left, bottom, right, top) shares area with `bounds`; touching is not enough.

    The result has axes (row,).
    """
    left, bottom, right, top = bounds
    shares = (table["left"] < right) & (table["right"] > left) & (table["bottom"] < top) & (table["top"] > bottom)
    return shares.to_numpy(bool)


def bounds_within(bounds: Bounds, crs: str, target: str, *, where: str) -> Bounds:
    """Return the box in the CRS `target` that contains `bounds`, including its edges. `crs` is the CRS of `bounds`.

    In longitudes, left may be larger than right: such a box crosses the antimeridian. `where` is for error messages.

    Raises
    ------
    ConfigError
        A CRS or the box is invalid, or the box is outside the area of `target`.
    """
    try:
        source = CRS.from_user_input(crs)
        same = source == CRS.from_user_input(target)
        is_crossing = source.is_geographic and bounds[0] > bounds[2]
        if (
            not all(map(math.isfinite, bounds))
            or bounds[1] >= bounds[3]
            or (bounds[0] >= bounds[2] and not is_crossing)
        ):
            raise ConfigError(
                f"{' '.join(f'{bound:g}' for bound in bounds)} is not a valid box",
                where=where,
                fix="give left, bottom, right, top, with left below right and bottom below top",
            )
        transformer = Transformer.from_crs(source, CRS.from_user_input(target), always_xy=True)
        found = bounds if same else transformer.transform_bounds(*bounds, densify_pts=_ALONG_EDGE, errcheck=True)
    except (CRSError, ProjError) as error:
        raise ConfigError(
            f"the box cannot be reprojected from {crs} to the dataset's CRS: {error}",
            where=where,
            fix="write the CRS like EPSG:4326, and give a box within its area of use",
        ) from error
    if not all(map(math.isfinite, found)):
        raise ConfigError(
            f"the box is outside the area of the dataset's CRS: {found}",
            where=where,
            fix="give a box closer to the region",
        )
    left, bottom, right, top = map(float, found)
    return left, bottom, right, top


def window_around(lattice: Lattice, bounds: Bounds) -> Window:
    """Return the smallest window of whole pixels that contains `bounds`. It may reach beyond the lattice."""
    left, bottom, right, top = bounds
    size = lattice.pixel_size
    row, col = (math.floor(edge + _NOISE_PX) for edge in ((lattice.top - top) / size, (left - lattice.left) / size))
    last_row, last_col = (
        math.ceil(edge - _NOISE_PX) for edge in ((lattice.top - bottom) / size, (right - lattice.left) / size)
    )
    return Window(row, col, max(last_row - row, 1), max(last_col - col, 1))


def _refuse_unknown(noun: str, wanted: Sequence[str], known: NDArray[np.str_], where: str) -> None:
    unknown = sorted(set(wanted) - set(known.tolist()))
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], np.unique(known).tolist(), n=1)
    raise ConfigError(
        f"there is no {noun} {few(unknown, _MOST_NAMED)}",
        where=where,
        fix=f"did you mean {near[0]}?"
        if near
        else f"give a value from the column {noun!r} of index.gpkg, such as {known[0]}",
    )
