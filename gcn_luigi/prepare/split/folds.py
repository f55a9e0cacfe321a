"""Folds for cross-validation: which partitions each fold holds out, trains on and leaves out.

The cost of an assignment is the mean over the folds of the sum of these terms; 0 is best::

    2 |share held out - 1 / folds| * folds
    + |mean glacier share held out - of all| / of all; likewise for debris, and other classes that are balanced
    + share of partitions left out because of the buffer
    + share of outline area in both held-out and train partitions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.split.blocks import Groups, glacier_weight, group_blocks, near_pairs, partition_windows
from gcn_luigi.prepare.split.leakage import audit_pair
from gcn_luigi.prepare.split.units import Unit, unit_ids

HELD_OUT, TRAIN, LEFT_OUT = "held out", "train", "left out"

_N_STARTS = 24
_N_SWEEPS = 3
_MAX_MOVES = 1500
# With smaller train parts, smaller blocks are tried.
_LEAST_TRAIN = 0.4
# The held-out share may differ from its equal part by this factor before smaller blocks are tried.
_MAX_ODDS = 2.0


@dataclass(frozen=True)
class FoldPlan:
    """The fold of each partition, and what each fold does with every train and dev partition.

    Attributes
    ----------
    fold : ndarray
        Axes (row of the catalog,), int64: the fold that holds the partition out; -1 for test and for unused ones.
    table : DataFrame
        Columns fold (int64, from 0), partition (str) and role (str: ``held out``, ``train`` or ``left out``), a row for
        each fold and each train or dev partition, sorted.
    notes : list of str
        Compromises.
    """

    fold: npt.NDArray[np.int64]
    table: pd.DataFrame
    notes: list[str]


@dataclass(frozen=True)
class FoldRequest:
    """What is asked for: the number of folds, their buffer, and what goes whole into one fold."""

    count: int
    buffer_px: int
    unit: Unit = "blocks"
    block: int = 4
    seed: int = 8
    by_glacier: bool = True
    classes: ClassTable = DEFAULT_CLASSES


def assign_folds(
    catalog: gpd.GeoDataFrame, joined: pd.DataFrame, request: FoldRequest, regions: "pd.Series[str] | None" = None
) -> FoldPlan:
    """Assign every train and dev partition to a fold.

    Partitions closer to a fold than the buffer are left out for this fold only. If a fold would have too little to
    train on, smaller blocks are tried; the buffer is never made smaller.

    Parameters
    ----------
    catalog : GeoDataFrame
        From `gcn_luigi.prepare.split.split.assign_split`, sorted by partition.
    joined : DataFrame
        Columns cell, outline, area_m2.
    request : FoldRequest
        The number of folds, the buffer and the units.
    regions : Series or None
        The region of each partition, by its id, for the unit ``regions``.

    Raises
    ------
    ConfigError
        There are fewer units than folds, or a fold would have nothing to train on beyond its buffer.
    """
    rows = np.flatnonzero((catalog["used"] & catalog["split"].isin(["train", "dev"])).to_numpy(bool))
    cells = catalog.iloc[rows].reset_index(drop=True)
    seen = joined if request.by_glacier else joined.iloc[:0]
    sizes = [request.block >> i for i in range(request.block.bit_length())] if request.unit == "blocks" else [1]
    best: tuple[float, npt.NDArray[np.int64], int] | None = None
    most = 0
    for block in sizes:
        units = unit_ids(cells, joined, request.unit, block, regions)
        # A group that glaciers tie together holds at most half of a fold.
        groups = group_blocks(cells, seen, units, buffer_px=request.buffer_px, dev_share=1.0 - 1.0 / request.count)
        n_groups = int(groups.number.max(initial=-1)) + 1
        most = max(most, n_groups)
        if n_groups < request.count:
            continue
        search = _FoldSearch(cells, seen, groups, request)
        cost, number = search.best(request.seed)
        if np.isfinite(cost) and (best is None or search.is_good(number)):
            best = cost, number, block
            if search.is_good(number):
                break
    if best is None:
        raise _refusal(request, len(cells), most)
    _, number, block = best
    fold = np.full(len(catalog), -1, dtype=np.int64)
    fold[rows] = number
    notes = []
    if request.unit == "blocks" and block != request.block:
        notes.append(f"the region is too small for {request.count} folds of blocks of {request.block}: {block} is used")
    table = fold_table(cells, number, request)
    train = (table["role"] == TRAIN).groupby(table["fold"]).mean()
    if (few := train[train < _LEAST_TRAIN]).any():
        least = int((table["role"] == TRAIN).groupby(table["fold"]).sum().min())
        notes.append(
            f"{len(few)} of {request.count} folds train on less than {_LEAST_TRAIN:.0%} of the train and dev "
            f"partitions, the smallest on {least} of {len(cells)}: the buffer leaves out the others"
        )
    return FoldPlan(fold, table, notes)


def fold_table(cells: gpd.GeoDataFrame, number: npt.NDArray[np.int64], request: FoldRequest) -> pd.DataFrame:
    """Return the table of `FoldPlan`, for the folds (partition,) of the train and dev partitions."""
    left_out = _near(cells, request.buffer_px) @ _one_hot(number, request.count) > 0
    is_held = np.arange(request.count) == number[:, None]
    roles = np.where(is_held, HELD_OUT, np.where(left_out, LEFT_OUT, TRAIN))
    table = pd.DataFrame(
        {
            "fold": np.repeat(np.arange(request.count, dtype=np.int64), len(cells)),
            "partition": pd.array(np.tile(cells["partition"].to_numpy(object), request.count), dtype="str"),
            "role": pd.array(roles.T.ravel(), dtype="str"),
        }
    )
    return table.sort_values(["fold", "partition"], ignore_index=True)


def audit_folds(
    catalog: gpd.GeoDataFrame, joined: pd.DataFrame, table: pd.DataFrame, classes: ClassTable = DEFAULT_CLASSES
) -> list[dict[str, Any]]:
    """Measure each fold: n_held_out, n_train, n_left_out, what held-out and train partitions share, and mean shares.

    shared_pixels, shared_glaciers, least_distance_px and least_distance_m are as in
    `gcn_luigi.prepare.split.leakage.audit_split`. Means are those of the held-out partitions.
    """
    pixel_size = float(((catalog["right"] - catalog["left"]) / catalog["width"]).median()) if len(catalog) else 0.0
    by_id = catalog.set_index("partition", drop=False)
    found = []
    for fold, rows in table.groupby("fold"):
        parts = {role: by_id.loc[rows["partition"][rows["role"] == role]] for role in (HELD_OUT, TRAIN, LEFT_OUT)}
        shared = audit_pair((TRAIN, HELD_OUT), parts, joined, pixel_size)
        held = parts[HELD_OUT]
        found.append(
            {
                "fold": int(str(fold)),
                **{f"n_{role.replace(' ', '_')}": len(part) for role, part in parts.items()},
                **{key: value for key, value in shared.items() if key != "splits"},
                "glacier_share_mean": float(held["glacier_share"].mean()),
                **{f"{name}_share_mean": float(held[f"share_{name}"].mean()) for name in classes.balanced()},
            }
        )
    return found


class _FoldSearch:
    """The search for a good assignment of groups of units to folds."""

    def __init__(self, cells: gpd.GeoDataFrame, joined: pd.DataFrame, groups: Groups, request: FoldRequest) -> None:
        self._group, self._count = groups.number, request.count
        self._n_groups = int(groups.number.max()) + 1
        near = _near(cells, request.buffer_px).tocoo()
        pairs = np.unique(np.column_stack([near.row, self._group[near.col]]), axis=0)
        self._near = _incidence(pairs[:, 0], pairs[:, 1], (len(cells), self._n_groups))
        rows = joined[joined["cell"].isin(cells["partition"])]
        outline, names = pd.factorize(rows["outline"], sort=True)
        where = pd.Index(cells["partition"]).get_indexer(rows["cell"])
        # An outline in one partition cannot be in two parts.
        wide = np.flatnonzero(np.bincount(outline, minlength=len(names)) > 1)
        area = np.bincount(outline, weights=rows["area_m2"], minlength=len(names))
        self._area = area[wide] / max(area.sum(), 1.0)
        self._glacier = _incidence(outline, where, (len(names), len(cells)))[wide]
        self._weight = glacier_weight(cells)
        columns = ("glacier_share", *(f"share_{name}" for name in request.classes.balanced()))
        self._traits = [trait for name in columns if (trait := cells[name].to_numpy(float)).any()]
        centre = partition_windows(cells)[:, :2] + partition_windows(cells)[:, 2:]
        n_cells = np.bincount(self._group, minlength=self._n_groups)
        self._centres = np.stack([np.bincount(self._group, weights=axis) / n_cells for axis in centre.T])
        self._sizes = np.bincount(self._group, weights=self._weight, minlength=self._n_groups)

    def best(self, seed: int) -> tuple[float, npt.NDArray[np.int64]]:
        """Return cost and fold of each partition, of the cheapest of many starts after moving one group at a time."""
        rng = np.random.default_rng([seed, 0xF01D5])
        best, best_cost = self._start(rng, 0), np.inf
        for position in range(_N_STARTS):
            folds = self._start(rng, position)
            if (cost := self._cost(folds)) < best_cost:
                best, best_cost = folds, cost
        left = _MAX_MOVES
        for _ in range(_N_SWEEPS):
            before = best_cost
            for group in rng.permutation(self._n_groups):
                others = rng.permutation(self._count)
                for fold in others[others != best[group]]:
                    if left == 0:
                        return best_cost, best[self._group]
                    left -= 1
                    folds = best.copy()
                    folds[group] = fold
                    if (cost := self._cost(folds)) < best_cost:
                        best, best_cost = folds, cost
            if best_cost == before:
                break
        return best_cost, best[self._group]

    def is_good(self, number: npt.NDArray[np.int64]) -> bool:
        """Return whether every fold holds out about its part, and leaves enough to train on."""
        held, left_out = self._parts(self._of_groups(number))
        shares = (self._weight @ held) / self._weight.sum()
        train = 1.0 - (held | left_out).mean(axis=0)
        is_even = (shares * self._count <= _MAX_ODDS) & (shares * self._count >= 1.0 / _MAX_ODDS)
        return bool(is_even.all() and (train >= _LEAST_TRAIN).all())

    def _of_groups(self, number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        folds = np.zeros(self._n_groups, dtype=np.int64)
        folds[self._group] = number
        return folds

    def _start(self, rng: np.random.Generator, position: int) -> npt.NDArray[np.int64]:
        """Return the fold of each group: every second start cuts compact strips, the others draw at random."""
        if position % 2 == 0:
            # Strips along a direction lose the fewest partitions to the buffer.
            angle = np.pi * position / _N_STARTS
            along = np.cos(angle) * self._centres[0] + np.sin(angle) * self._centres[1]
            order = np.lexsort((np.arange(self._n_groups), along))
        else:
            order = rng.permutation(self._n_groups)
        # Groups without glacier count a little, so that they are spread as well.
        sizes = self._sizes[order] + 1e-3
        middle = np.cumsum(sizes) - sizes / 2
        folds = np.zeros(self._n_groups, dtype=np.int64)
        folds[order] = np.minimum((middle / sizes.sum() * self._count).astype(np.int64), self._count - 1)
        # Every fold needs a group.
        for fold in range(self._count):
            if not (folds == fold).any():
                counts = np.bincount(folds, minlength=self._count)
                folds[np.flatnonzero(folds == counts.argmax())[0]] = fold
        return folds

    def _parts(self, folds: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which partitions each fold holds out, and which it leaves out: (partition, fold) bool."""
        held = folds[self._group][:, None] == np.arange(self._count)
        near = self._near @ _one_hot(folds, self._count) > 0
        return held, near & ~held

    def _cost(self, folds: npt.NDArray[np.int64]) -> float:
        held, left_out = self._parts(folds)
        train = ~held & ~left_out
        weights = self._weight @ held
        if not weights.all() or not (self._weight @ train).all():
            return np.inf
        cost = 2.0 * np.abs(weights / self._weight.sum() * self._count - 1.0).mean()
        for trait in self._traits:
            of_all = np.average(trait, weights=self._weight)
            if of_all > 0.0:
                cost += np.abs((self._weight * trait) @ held / weights / of_all - 1.0).mean()
        cost += left_out.mean()
        in_both = (self._glacier @ held.astype(np.int32) > 0) & (self._glacier @ train.astype(np.int32) > 0)
        cost += (self._area @ in_both).mean()
        return float(cost)


def _refusal(request: FoldRequest, n_cells: int, n_groups: int) -> ConfigError:
    if n_groups < request.count:
        what = f"{n_cells} train and dev partitions form only {n_groups} units that can be separated"
        kind = {"blocks": "blocks", "glacier": "glaciers", "regions": "regions"}[request.unit]
        more = f"[split] folds of at most {n_groups}" if n_groups > 1 else "no [split] folds"
        fix = f"use {more}, smaller {kind}, or a smaller [split] buffer_partitions"
    else:
        what = (
            f"{n_cells} train and dev partitions are too few for {request.count} folds: "
            f"a buffer of {request.buffer_px} pixels around a fold leaves nothing to train on"
        )
        fix = "use fewer [split] folds, a smaller buffer_partitions, or smaller cells ([grid] size)"
    return ConfigError(what, where="[split] folds", fix=fix)


def _near(cells: gpd.GeoDataFrame, buffer_px: int) -> Any:
    """Return which partitions are within the buffer of which: sparse (partition, partition)."""
    windows = partition_windows(cells)
    return _incidence(*near_pairs(windows, windows, buffer_px), (len(cells), len(cells)))


def _one_hot(number: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int32]:
    chosen: npt.NDArray[np.int32] = (number[:, None] == np.arange(count)).astype(np.int32)
    return chosen


def _incidence(rows: Sequence[int] | npt.NDArray[Any], cols: npt.NDArray[Any], shape: tuple[int, int]) -> Any:
    return scipy.sparse.csr_array((np.ones(len(rows), dtype=np.int32), (rows, cols)), shape=shape)
