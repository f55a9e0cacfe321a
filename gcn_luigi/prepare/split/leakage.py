"""Measure what splits share: planned partitions, or finished chips."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError, LatticeError, few
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.split.blocks import Windows, near_pairs, partition_windows, pixel_boxes
from gcn_luigi.prepare.split.split import shared_outlines

# Shared pixels are counted in squares of this edge length, with two masks of 4 MB.
_BLOCK = 2048
# As for the lattice: errors of single-precision coordinates are smaller, real shifts are larger.
_TOLERANCE_PX = 1e-3


def audit_split(
    catalog: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    classes: ClassTable = DEFAULT_CLASSES,
    splits: Sequence[str] = ("train", "dev"),
) -> dict[str, Any]:
    """Measure how well the partitions of the splits are separated.

    Parameters
    ----------
    catalog : GeoDataFrame
        From `gcn_luigi.prepare.split.split.assign_split`. Only used partitions count.
    joined : DataFrame
        Columns cell, outline.
    classes : ClassTable
        The classes of the label.
    splits : sequence of str
        The splits of the dataset.

    Returns
    -------
    dict
        n_train, n_dev, n_unused; dev_share (of used partitions); shared_pixels; shared_glaciers (sorted ids);
        least_distance_px and least_distance_m (straight, edge to edge; None if a split is empty);
        glacier_share_mean, and debris_share_mean or that of other classes that the split balances, for each split
        (None if it is empty); unused (counts by reason).

        With a test split, also n_test, test_share, and pairs: a list with shared_pixels, shared_glaciers,
        least_distance_px and least_distance_m of each two splits, which ``splits`` names. The values above are then
        those of all pairs: the sum of the pixels, all glaciers that any two splits share, and the least distance.
    """
    sides = {name: catalog[catalog["used"] & (catalog["split"] == name)] for name in splits}
    counts = {name: len(side) for name, side in sides.items()}
    n_used = sum(counts.values())
    pixel_size = float(((catalog["right"] - catalog["left"]) / catalog["width"]).median()) if len(catalog) else 0.0
    unused = catalog.loc[~catalog["used"].to_numpy(bool), "reason"].value_counts().sort_index()
    balanced = classes.balanced()
    means = {
        column: {name: float(side[column].mean()) if len(side) else None for name, side in sides.items()}
        for column in ("glacier_share", *(f"share_{name}" for name in balanced))
    }
    pairs = [audit_pair(pair, sides, joined, pixel_size) for pair in itertools.combinations(splits, 2)]
    gaps = [(pair["least_distance_px"], pair["least_distance_m"]) for pair in pairs]
    gap = min((one for one in gaps if one[0] is not None), default=(None, None))
    return {
        **{f"n_{name}": count for name, count in counts.items()},
        "n_unused": len(catalog) - n_used,
        **{f"{name}_share": counts[name] / max(n_used, 1) for name in splits[1:]},
        "shared_pixels": sum(pair["shared_pixels"] for pair in pairs),
        "shared_glaciers": sorted({name for pair in pairs for name in pair["shared_glaciers"]}),
        "least_distance_px": gap[0],
        "least_distance_m": gap[1],
        **({"pairs": pairs} if len(pairs) > 1 else {}),
        "glacier_share_mean": means["glacier_share"],
        **{f"{name}_share_mean": means[f"share_{name}"] for name in balanced},
        "unused": {str(reason): int(count) for reason, count in unused.items()},
    }


def audit_pair(
    pair: tuple[str, str], sides: Mapping[str, gpd.GeoDataFrame], joined: pd.DataFrame, pixel_size: float
) -> dict[str, Any]:
    """Measure what the partitions of two of `sides` share; the keys are those of pairs in `audit_split`."""
    one, other = (sides[name] for name in pair)
    windows = partition_windows(one), partition_windows(other)
    gap, _ = _nearest(*windows)
    return {
        "splits": list(pair),
        "shared_pixels": count_shared(*windows),
        "shared_glaciers": shared_outlines(joined, one["partition"], other["partition"]),
        "least_distance_px": gap,
        "least_distance_m": None if gap is None else gap * pixel_size,
    }


@dataclass(frozen=True)
class PairLeakage:
    """What the chips of two splits have in common.

    Attributes
    ----------
    splits : tuple of str
        The two splits.
    shared_pixels : int
        Number of lattice pixels that are in chips of both splits. Each pixel counts once.
    shared_glaciers : tuple of str
        Sorted ids of the outlines in partitions of both splits. Only partitions with chips count.
    least_distance_m : float or None
        Least straight distance between chips of the two splits, edge to edge, in metres; 0 if they touch or overlap;
        None if a split shows no pixel.
    nearest : tuple of str or None
        Ids of the two chips with this distance, in the order of `splits`. If there are several pairs, the first by id.
    """

    splits: tuple[str, str]
    shared_pixels: int
    shared_glaciers: tuple[str, ...]
    least_distance_m: float | None
    nearest: tuple[str, str] | None


@dataclass(frozen=True)
class Leakage:
    """What the chips of any two splits have in common.

    Attributes
    ----------
    pairs : tuple of PairLeakage
        Every two splits: train and dev first.
    counts : dict
        Number of chips of each split.
    """

    pairs: tuple[PairLeakage, ...]
    counts: Mapping[str, int]

    @property
    def shared_pixels(self) -> int:
        """Number of shared pixels, added up over all pairs of splits."""
        return sum(pair.shared_pixels for pair in self.pairs)

    @property
    def shared_glaciers(self) -> tuple[str, ...]:
        """Sorted ids of the outlines that any two splits share."""
        return tuple(sorted({name for pair in self.pairs for name in pair.shared_glaciers}))

    @property
    def closest(self) -> PairLeakage:
        """The pair of splits with the least distance; the first pair if no distance was measured."""
        measured = [pair for pair in self.pairs if pair.least_distance_m is not None]
        return min(measured, key=lambda pair: pair.least_distance_m or 0.0, default=self.pairs[0])

    @property
    def least_distance_m(self) -> float | None:
        """Least distance between chips of two splits, in metres; None if it was not measured."""
        return self.closest.least_distance_m

    @property
    def nearest(self) -> tuple[str, str] | None:
        """Ids of the two chips with this distance."""
        return self.closest.nearest


def measure_leakage(
    chips: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, lattice: Lattice, splits: Sequence[str] = ("train", "dev")
) -> Leakage:
    """Measure what the chips of every two splits share.

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
    splits : sequence of str
        The splits of the dataset.

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
    of_split = {split: (by_id["split"] == split).to_numpy(bool) for split in splits}
    shown = {split: windows[is_shown & rows] for split, rows in of_split.items()}
    names = {split: by_id["chip_id"].to_numpy(object)[is_shown & rows] for split, rows in of_split.items()}
    glaciers = {
        split: glacier_ids(catalog.loc[catalog["partition"].isin(by_id["partition"][rows]), "rgi_ids"])
        for split, rows in of_split.items()
    }
    pairs = []
    for one, other in itertools.combinations(splits, 2):
        gap, pair = _nearest(shown[one], shown[other])
        pairs.append(
            PairLeakage(
                splits=(one, other),
                shared_pixels=count_shared(shown[one], shown[other]),
                shared_glaciers=tuple(sorted(glaciers[one] & glaciers[other])),
                least_distance_m=None if gap is None else gap * lattice.pixel_size,
                nearest=None if pair is None else (str(names[one][pair[0]]), str(names[other][pair[1]])),
            )
        )
    return Leakage(tuple(pairs), {split: int(rows.sum()) for split, rows in of_split.items()})


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


def glacier_ids(texts: Iterable[object]) -> set[str]:
    """Return all ids in texts that separate them by ``;``."""
    return {one for text in texts for one in str(text).split(";") if one}
