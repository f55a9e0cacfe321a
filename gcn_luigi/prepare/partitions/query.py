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

# Edges of a box bend when it is reprojected: points along each that are looked at.
_ALONG_EDGE = 64
# A box that was meant to end at a pixel's edge, and does so but for the noise of coordinates.
_NOISE_PX = 1e-3
_MOST_NAMED = 3


@dataclass(frozen=True)
class Selection:
    """What is asked for; what is left empty or None restricts nothing.

    Attributes
    ----------
    chips, partitions : tuple of str
        Ids.
    bounds : tuple of float or None
        Left, bottom, right, top in the CRS of the index: what shares area with the box.
    split : str or None
        ``train`` or ``dev``.
    years : tuple of int
        Of the composite.
    sample : int or None
        That many, drawn by `seed`, in the order of the index.
    seed : int
        Not negative.
    limit : int or None
        No more than that many, the first ones.
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
        """True if nothing is restricted."""
        return self == Selection(seed=self.seed)


def select(index: gpd.GeoDataFrame, selection: Selection, unit: Unit, *, where: str) -> gpd.GeoDataFrame:
    """Return the selected rows of the index, at least one, in its order.

    Parameters
    ----------
    index : GeoDataFrame
        chip_id, partition, split, year, left, bottom, right, top, one row per chip.
    selection : Selection
        What is asked for.
    unit : {"chip_id", "partition"}
        What `sample` and `limit` count. Of a partition all rows stay that nothing else excludes.
    where : str
        Whose index this is, for messages.

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
            f"none of its {len(index):,} chips is meant", where=where, fix=f"ask for less at once; its years: {years}"
        )
    units = rows[unit].drop_duplicates().to_numpy(str)
    if selection.sample is not None and selection.sample < len(units):
        # The same for the same ids, whatever else they are chosen with.
        drawn = np.random.default_rng(selection.seed).choice(len(units), selection.sample, replace=False)
        units = units[np.sort(drawn)]
    return rows[rows[unit].isin(units[: selection.limit])]


def sharing_area(table: pd.DataFrame, bounds: Bounds) -> NDArray[np.bool_]:
    """Return (row,): whether the box of a row (left, bottom, right, top) shares area with `bounds`; edges do not."""
    left, bottom, right, top = bounds
    shares = (table["left"] < right) & (table["right"] > left) & (table["bottom"] < top) & (table["top"] > bottom)
    return shares.to_numpy(bool)


def bounds_within(bounds: Bounds, crs: str, target: str, *, where: str) -> Bounds:
    """Return the box in the CRS `target` that contains `bounds` of `crs`, edges included; `where` is for messages.

    Of longitudes, the left may be the larger one: the box crosses the antimeridian.

    Raises
    ------
    ConfigError
        A CRS or the box is invalid, or the box has no place in `target`.
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
                f"{' '.join(f'{bound:g}' for bound in bounds)} is no box",
                where=where,
                fix="give left, bottom, right, top: the smaller number of each pair first",
            )
        transformer = Transformer.from_crs(source, CRS.from_user_input(target), always_xy=True)
        found = bounds if same else transformer.transform_bounds(*bounds, densify_pts=_ALONG_EDGE, errcheck=True)
    except (CRSError, ProjError) as error:
        raise ConfigError(
            f"the box cannot be brought from {crs} to the dataset's CRS: {error}",
            where=where,
            fix="give the CRS as EPSG:4326 or so, and a box within its area of use",
        ) from error
    if not all(map(math.isfinite, found)):
        raise ConfigError(
            f"the box has no place in the dataset's CRS: {found}", where=where, fix="give one nearer to the region"
        )
    left, bottom, right, top = map(float, found)
    return left, bottom, right, top


def window_around(lattice: Lattice, bounds: Bounds) -> Window:
    """Return the smallest window of whole pixels that contains `bounds`; it may reach beyond the lattice."""
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
        f"no {noun} {few(unknown, _MOST_NAMED)}",
        where=where,
        fix=f"did you mean {near[0]}?"
        if near
        else f"name one of the column {noun!r} in index.gpkg, such as {known[0]}",
    )
