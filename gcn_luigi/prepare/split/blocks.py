"""Blocks of partitions that go into one split as a whole, and the search for a good choice of dev blocks.

The cost of a choice is the sum of these terms. All are dimensionless, and 0 is best::

    2 |dev share - wanted| / wanted
    + |mean glacier share of dev - of train| / of all
    + |mean debris share of dev - of train| / of all; likewise for other classes, see `ClassTable.balanced`
    + share of partitions lost to the buffer
    + share of outline area in both splits; outlines too large to tie blocks count a quarter

The dev share refers to the partitions that stay in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy
import shapely

from gcn_luigi.prepare.partitions.grid import world_id

# (window, 4): first row and column, and the row and column after the last.
Windows = npt.NDArray[np.int64]

_N_RANDOM = 64
_N_SWEEPS = 4
_MAX_MOVES = 2000
# A group of blocks tied by glaciers may hold this share of the partitions that are not wanted in dev. With larger
# groups there would be nothing left to choose from.
_GROUP_LIMIT = 0.5
_GIANT_COST = 0.25


@dataclass(frozen=True)
class Groups:
    """Groups of blocks that are tied by glaciers.

    Attributes
    ----------
    number : ndarray
        Axes (partition,), int64 from 0: partitions with the same number go into the same split.
    giants : tuple of str
        Outlines whose own blocks would not fit into one split. They tie no blocks.
    """

    number: npt.NDArray[np.int64]
    giants: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """An assignment of blocks to dev.

    Attributes
    ----------
    is_dev : ndarray
        Axes (partition,), bool: True for dev partitions.
    is_lost : ndarray
        Axes (partition,), bool: True for partitions within the buffer around dev, which neither split uses.
    cost : float
        The cost that the module defines; infinite if a split is empty.
    """

    is_dev: npt.NDArray[np.bool_]
    is_lost: npt.NDArray[np.bool_]
    cost: float


def partition_windows(catalog: pd.DataFrame) -> Windows:
    """Return the windows of the partitions of a catalog, from its columns row, col, height and width."""
    first, size = (catalog[names].to_numpy(np.int64) for names in (["row", "col"], ["height", "width"]))
    return np.concatenate([first, first + size], axis=1)


def pixel_boxes(windows: Windows, margin: float = 0.0) -> npt.NDArray[Any]:
    """Return shapely boxes (window,) in pixels, with x = column and y = row, enlarged by `margin` on every side."""
    row, col, end_row, end_col = windows.T.astype(float)
    boxes: npt.NDArray[Any] = shapely.box(col - margin, row - margin, end_col + margin, end_row + margin)
    return boxes


def near_pairs(
    windows: Windows, others: Windows, buffer_px: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all pairs of windows with fewer than `buffer_px` pixels between them, both along rows and along columns.

    With 0, these are the pairs that share a pixel. The result holds positions in `windows` and in `others`, int64,
    sorted.
    """
    # Windows are whole pixels, so two of them are closer than n pixels exactly if they are at most n - 1/2 apart.
    margin = (buffer_px - 0.5) / 2
    tree = shapely.STRtree(pixel_boxes(others, margin))
    first, second = tree.query(pixel_boxes(windows, margin), predicate="intersects")
    order = np.lexsort((second, first))
    return first[order].astype(np.int64), second[order].astype(np.int64)


def block_ids(catalog: gpd.GeoDataFrame, block: int) -> npt.NDArray[Any]:
    """Return the block that contains the centre of each partition, as (partition,) str objects.

    Blocks are `block` partitions wide. They start at whole multiples of their edge length from (0, 0) of the CRS and do
    not depend on the extent of the region.
    """
    edge = float((catalog["right"] - catalog["left"]).max()) * block
    # Values are rounded so that, for a centre on the edge of a block, the last bits do not decide.
    col = np.floor(((catalog["left"] + catalog["right"]).to_numpy(float) / 2 / edge).round(9)).astype(int)
    row = np.floor(((catalog["bottom"] + catalog["top"]).to_numpy(float) / 2 / edge).round(9)).astype(int)
    names = [world_id(x, y, edge) for x, y in zip(col.tolist(), row.tolist(), strict=True)]
    return np.array(names, dtype=object)


class BlockSearch:
    """The search for the best assignment of the blocks of one region.

    Parameters
    ----------
    catalog : GeoDataFrame
        Only the used partitions, sorted by id.
    joined : DataFrame
        Columns cell, outline, area_m2.
    groups : Groups
        Groups of blocks; each goes into one split.
    buffer_px : int
        Least number of pixels between train and dev. With 0 they only share no pixel.
    dev_share : float
        The wanted share of dev.
    traits : sequence of str
        Columns of `catalog` whose means are to be alike in train and dev.
    """

    def __init__(
        self,
        catalog: gpd.GeoDataFrame,
        joined: pd.DataFrame,
        groups: Groups,
        *,
        buffer_px: int,
        dev_share: float,
        traits: Sequence[str] = ("glacier_share", "share_debris"),
    ) -> None:
        self._group = groups.number
        self._n_groups = int(groups.number.max()) + 1
        self._dev_share = dev_share
        windows = partition_windows(catalog)
        first, second = near_pairs(windows, windows, buffer_px)
        pairs = np.unique(np.column_stack([first, self._group[second]]), axis=0)
        self._near = _incidence(pairs[:, 0], pairs[:, 1], (len(catalog), self._n_groups))
        rows = joined[joined["cell"].isin(catalog["partition"])]
        outline, names = pd.factorize(rows["outline"], sort=True)
        where = pd.Index(catalog["partition"]).get_indexer(rows["cell"])
        self._glacier = _incidence(outline, where, (len(names), len(catalog)))
        area = np.bincount(outline, weights=rows["area_m2"], minlength=len(names))
        self._in_both_cost = area / max(area.sum(), 1.0)
        self._in_both_cost[pd.Index(names).isin(groups.giants)] *= _GIANT_COST
        self._weight = glacier_weight(catalog)
        self._traits = [trait for name in traits if (trait := catalog[name].to_numpy(float)).any()]

    def best(self, seed: int) -> Choice:
        """Return the cheapest of many random choices after improving it by moving one group at a time."""
        rng = np.random.default_rng([seed, 0x5B10C])
        sizes = np.bincount(self._group, weights=self._weight, minlength=self._n_groups)
        best, best_cost = np.zeros(self._n_groups, dtype=bool), np.inf
        for _ in range(_N_RANDOM):
            order = rng.permutation(self._n_groups)
            before = np.cumsum(sizes[order]) - sizes[order] / 2
            groups = np.zeros(self._n_groups, dtype=bool)
            groups[order[before < self._dev_share * sizes.sum()]] = True
            # Dev needs at least one group.
            groups[order[0]] |= not groups.any()
            if (cost := self.evaluate(groups).cost) < best_cost:
                best, best_cost = groups, cost
        for _ in range(_N_SWEEPS):
            cost_before = best_cost
            for group in rng.permutation(self._n_groups)[:_MAX_MOVES]:
                groups = best.copy()
                groups[group] = not groups[group]
                if (cost := self.evaluate(groups).cost) < best_cost:
                    best, best_cost = groups, cost
            if best_cost == cost_before:
                break
        return self.evaluate(best)

    def evaluate(self, groups: npt.NDArray[np.bool_]) -> Choice:
        """Return the assignment and cost if `groups`, (group,) bool, are dev."""
        is_dev = groups[self._group]
        is_lost = ~is_dev & (self._near @ groups.astype(np.int32) > 0)
        is_train = ~is_dev & ~is_lost
        dev, train = self._weight * is_dev, self._weight * is_train
        if not dev.any() or not train.any():
            return Choice(is_dev, is_lost, np.inf)
        cost = 2.0 * abs(dev.sum() / (dev.sum() + train.sum()) - self._dev_share) / self._dev_share
        for trait in self._traits:
            gap = np.average(trait, weights=dev) - np.average(trait, weights=train)
            cost += abs(gap) / np.average(trait)
        cost += float(is_lost.mean())
        in_both = (self._glacier @ is_dev.astype(np.int32) > 0) & (self._glacier @ is_train.astype(np.int32) > 0)
        cost += float(self._in_both_cost[in_both].sum())
        return Choice(is_dev, is_lost, float(cost))


def glacier_weight(catalog: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Return the weight of each partition, (partition,): 1 with glacier, 0 without; 1 for all if none has glacier."""
    weight = (catalog["glacier_share"] > 0.0).to_numpy(float)
    return weight if weight.any() else np.ones(len(catalog))


def group_blocks(
    catalog: gpd.GeoDataFrame, joined: pd.DataFrame, blocks: npt.NDArray[Any], *, buffer_px: int, dev_share: float
) -> Groups:
    """Tie blocks that share a glacier if the buffer would not keep that glacier in one split.

    A glacier ties two blocks if, with one of them in dev and the other in train, partitions with this glacier would
    remain on both sides of the buffer. Glaciers in few blocks come first. A glacier ties nothing if the resulting group
    would hold more than half of the partitions not wanted in dev.

    Parameters
    ----------
    catalog : GeoDataFrame
        Only the used partitions.
    joined : DataFrame
        Columns cell, outline, area_m2.
    blocks : ndarray
        Axes (partition,), the block of each partition.
    buffer_px : int
        Least number of pixels between train and dev.
    dev_share : float
        The wanted share of dev.
    """
    block, names = pd.factorize(blocks, sort=True)
    weight = glacier_weight(catalog)
    parent = np.arange(len(names))
    own_size = np.bincount(block, weights=weight, minlength=len(names))
    size = own_size.copy()
    limit = max(_GROUP_LIMIT * (1.0 - dev_share) * weight.sum(), 1.0)
    near = _near_blocks(partition_windows(catalog), block, buffer_px)
    where = pd.Index(catalog["partition"]).get_indexer(joined["cell"])
    rows = pd.DataFrame({"outline": joined["outline"].to_numpy(object), "where": where})[where >= 0]
    rows["block"] = block[rows["where"].to_numpy()]
    n_blocks = rows.groupby("outline")["block"].nunique()
    wide = n_blocks[n_blocks > 1]
    by_outline = rows[rows["outline"].isin(wide.index)].groupby("outline")
    giants = []
    for outline in sorted(wide.index, key=lambda name: (int(wide[name]), name)):
        tied = _tied(by_outline.get_group(outline), near)
        if own_size[tied].sum() > limit:
            giants.append(str(outline))
            continue
        roots = sorted({_root(parent, b) for b in tied})
        if size[roots].sum() <= limit:
            size[roots[:1]] = size[roots].sum()
            parent[roots] = roots[:1] * len(roots)
    number = np.array([_root(parent, b) for b in range(len(names))])[block]
    return Groups(np.unique(number, return_inverse=True)[1].astype(np.int64), tuple(giants))


def _near_blocks(windows: Windows, block: npt.NDArray[Any], buffer_px: int) -> list[set[int]]:
    """Return, for each partition, the blocks that would put it into the buffer if they were dev."""
    near: list[set[int]] = [set() for _ in windows]
    first, second = near_pairs(windows, windows, buffer_px)
    for i, b in zip(first.tolist(), block[second].tolist(), strict=True):
        near[i].add(b)
    return near


def _tied(rows: pd.DataFrame, near: list[set[int]]) -> list[int]:
    """Return the blocks that one outline would join across the buffer."""
    blocks = set(rows["block"].tolist())
    tied: set[int] = set()
    for i, own in zip(rows["where"].tolist(), rows["block"].tolist(), strict=True):
        if beyond := blocks - near[i] - {own}:
            tied |= beyond | {own}
    return sorted(tied)


def _root(parent: npt.NDArray[Any], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = int(parent[i])
    return i


def _incidence(rows: npt.NDArray[Any], cols: npt.NDArray[Any], shape: tuple[int, int]) -> Any:
    return scipy.sparse.csr_array((np.ones(len(rows), dtype=np.int32), (rows, cols)), shape=shape)
