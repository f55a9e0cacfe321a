"""Assign partitions to train, dev and test, or to the buffer between them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.split.blocks import (
    BlockSearch,
    Choice,
    block_ids,
    glacier_weight,
    group_blocks,
    near_pairs,
    partition_windows,
)
from gcn_luigi.prepare.split.names import refuse_third_split, split_of
from gcn_luigi.prepare.split.units import unit_ids
from gcn_luigi.settings import SplitSettings

_BY_COLUMN = "split.method = column"
# If a choice loses more than this to the buffer, or is farther from the wanted share, smaller blocks are tried.
_MAX_LOST = 0.5
_MAX_ODDS = 3.0
# The first words of the note that blocks or buffer are smaller than the settings ask for.
REDUCED = "the region is too small for blocks"
# The same where glaciers or regions go whole into a split.
TOO_NEAR = "the buffer is smaller than asked for"


def assign_split(
    catalog: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    settings: SplitSettings,
    classes: ClassTable = DEFAULT_CLASSES,
    splits: Sequence[str] = ("train", "dev"),
    regions: "pd.Series[str] | None" = None,
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the catalog with split, block, used and reason filled in, and notes about compromises.

    With every method, no pixel is in two splits: if cells overlap, train gives way to dev and to test, and dev gives
    way to test (reasons ``overlaps dev`` and ``overlaps test``).

    * ``blocks``: see `gcn_luigi.prepare.split.blocks`. Test is chosen first, then dev among the partitions that test
      and its buffer leave. Train partitions that are closer to dev, and train and dev partitions that are closer to
      test, than `buffer_partitions` times the edge length of a partition are not used (reason ``buffer``). If the
      region is too small for this, smaller blocks are tried, then a smaller buffer, and a note says so.
    * ``legacy``: `dev_share` and `test_share` of the used partitions, drawn at random from the list sorted by id,
      become dev and test. There are no blocks and no buffer.
    * ``column``: the imported grid decides. There is no buffer. Cells without a split are not used.

    Parameters
    ----------
    catalog : GeoDataFrame
        From `gcn_luigi.prepare.partitions.catalog.build_catalog`; not modified.
    joined : DataFrame
        Columns cell, outline, area_m2.
    settings : SplitSettings
        The method and its numbers.
    classes : ClassTable
        The classes of the label.
    splits : sequence of str
        The splits of the dataset: train and dev, or also test.
    regions : Series or None
        The region of each partition, "" for none, by the id of the partition; for settings with regions.

    Returns
    -------
    GeoDataFrame, list of str
        split is one of `splits` for used partitions, otherwise empty. block is filled by ``blocks`` only.

    Raises
    ------
    InputError
        The method is ``column`` and the column is empty, holds words that name no split, or names a test split that
        `splits` does not have.
    """
    result = catalog.sort_values("partition", ignore_index=True)
    used = np.flatnonzero(result["used"].to_numpy(bool))
    cells = result.iloc[used].reset_index(drop=True)
    if settings.method == "blocks":
        assigned = _by_blocks(cells, joined, settings, classes, splits, regions)
    elif settings.method == "legacy":
        assigned = _at_random(cells, settings)
    else:
        assigned = _by_column(cells, result["split"].tolist(), has_test="test" in splits)
    for name, values in (("split", assigned.split), ("block", assigned.block), ("reason", assigned.reason)):
        whole = result["reason"].to_numpy(object) if name == "reason" else np.full(len(result), "", dtype=object)
        whole[used] = values
        result[name] = pd.array(whole, dtype="str")
    result["used"] = (result["reason"] == "").to_numpy(bool)
    empty = [name for name in splits if not (result["split"] == name).any()]
    return result, [*assigned.notes, *(f"no partition is left for {name}" for name in empty)]


def shared_outlines(joined: pd.DataFrame, train: pd.Series, dev: pd.Series) -> list[str]:
    """Return the outlines that are in partitions of both splits, sorted. `train` and `dev` are partition ids."""
    in_train, in_dev = (set(joined.loc[joined["cell"].isin(side), "outline"]) for side in (train, dev))
    return sorted(in_train & in_dev)


@dataclass(frozen=True)
class _Assigned:
    """The result of one method for the used partitions; axes (partition,), str objects."""

    split: npt.NDArray[Any]
    block: npt.NDArray[Any]
    reason: npt.NDArray[Any]
    notes: list[str]


@dataclass(frozen=True)
class _Held:
    """Partitions of test, of dev, and those lost to the buffer around either; axes (partition,), bool."""

    is_test: npt.NDArray[np.bool_]
    is_dev: npt.NDArray[np.bool_]
    is_lost: npt.NDArray[np.bool_]
    # The block of each partition, and the buffer in partitions.
    blocks: npt.NDArray[Any]
    buffer: int
    is_possible: bool = True
    is_good: bool = True


def _by_blocks(
    cells: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    settings: SplitSettings,
    classes: ClassTable,
    splits: Sequence[str],
    regions: "pd.Series[str] | None",
) -> _Assigned:
    if cells.empty:
        nothing = np.empty(0, dtype=object)
        return _Assigned(nothing, nothing, nothing, [])
    # Without by_glacier, outlines neither tie blocks nor add to the cost.
    seen = joined if settings.by_glacier else joined.iloc[:0]
    traits = ("glacier_share", *(f"share_{name}" for name in classes.balanced()))
    search = _Search(cells, joined, seen, settings, traits, regions)
    sizes = [settings.block_partitions >> i for i in range(settings.block_partitions.bit_length())]
    if settings.unit != "blocks":
        # Other units have no smaller size.
        sizes = sizes[:1]
    fallback = None
    for buffer in range(settings.buffer_partitions, -1, -1):
        for block in sizes:
            held = search.hold_back(block, buffer)
            found = held, _shrunk(settings, block, buffer)
            if held.is_good:
                return _from_choice(cells, joined, splits, *found)
            if fallback is None and held.is_possible:
                fallback = found
    if fallback is None:
        nothing = np.zeros(len(cells), dtype=bool)
        units = len(np.unique(unit_ids(cells, joined, settings.unit, sizes[0], regions)))
        fallback = _Held(nothing, nothing, nothing, block_ids(cells, 1), 0), [_too_few(settings, units, len(splits))]
    return _from_choice(cells, joined, splits, *fallback)


@dataclass(frozen=True)
class _Search:
    """The search for the blocks of test and of dev, in this order."""

    cells: gpd.GeoDataFrame
    joined: pd.DataFrame
    # The rows of `joined` that tie units.
    seen: pd.DataFrame
    settings: SplitSettings
    traits: Sequence[str]
    regions: "pd.Series[str] | None"

    def hold_back(self, block: int, buffer: int) -> _Held:
        """Choose test among all units, then dev among the partitions that test and its buffer leave."""
        settings = self.settings
        dev_share, test_share = settings.dev_share, settings.test_share
        blocks = unit_ids(self.cells, self.joined, settings.unit, block, self.regions)
        buffer_px = buffer * int(max(self.cells["height"].max(), self.cells["width"].max()))
        is_test, is_lost = np.zeros((2, len(self.cells)), dtype=bool)
        test = None
        if test_share > 0.0:
            test = self._choose(np.ones(len(self.cells), dtype=bool), blocks, buffer_px, test_share)
            is_test, is_lost = test.is_dev, test.is_lost
        elif settings.test_regions:
            is_test = np.isin(blocks.astype(str), settings.test_regions)
            windows = partition_windows(self.cells)
            others = np.flatnonzero(~is_test)
            is_lost[others[near_pairs(windows[others], windows[is_test], buffer_px)[0]]] = True
        left = ~is_test & ~is_lost
        is_dev = np.zeros(len(self.cells), dtype=bool)
        is_held = not settings.test_regions or is_test.any()
        if not left.any() or not is_held or (test is not None and not np.isfinite(test.cost)):
            return _Held(is_test, is_dev, is_lost, blocks, buffer, is_possible=False, is_good=False)
        # The share among those that are left, so that dev has its share of all.
        share = dev_share / (1.0 - test_share)
        dev = self._choose(left, blocks, buffer_px, share)
        is_good = _is_good(dev, self.cells[left], share)
        if test is not None:
            is_good = is_good and _is_good(test, self.cells, test_share)
        is_lost = is_lost.copy()
        is_dev[left], is_lost[left] = dev.is_dev, dev.is_lost
        is_possible = bool(np.isfinite(dev.cost))
        return _Held(is_test, is_dev, is_lost, blocks, buffer, is_possible=is_possible, is_good=is_good)

    def _choose(self, among: npt.NDArray[np.bool_], blocks: npt.NDArray[Any], buffer_px: int, share: float) -> Choice:
        cells = self.cells[among].reset_index(drop=True)
        groups = group_blocks(cells, self.seen, blocks[among], buffer_px=buffer_px, dev_share=share)
        search = BlockSearch(cells, self.seen, groups, buffer_px=buffer_px, dev_share=share, traits=self.traits)
        return search.best(self.settings.seed)


def _shrunk(settings: SplitSettings, block: int, buffer: int) -> list[str]:
    if (block, buffer) == (settings.block_partitions, settings.buffer_partitions):
        return []
    if settings.unit != "blocks":
        kind = {"glacier": "glaciers", "regions": "regions"}[settings.unit]
        asked = f"{TOO_NEAR}: {kind} lie too close for a buffer of {settings.buffer_partitions} partitions"
        return [f"{asked}: a buffer of {buffer} is used"]
    asked = f"{REDUCED} of {settings.block_partitions} and a buffer of {settings.buffer_partitions} partitions"
    return [f"{asked}: blocks of {block} and a buffer of {buffer} are used"]


def _too_few(settings: SplitSettings, n_units: int, n_splits: int) -> str:
    number = "three" if n_splits > 2 else "two"
    if settings.unit == "blocks":
        return f"too few partitions for {number} splits"
    kind = {"glacier": "glaciers", "regions": "regions"}[settings.unit]
    units = "1 unit" if n_units == 1 else f"{n_units} units"
    return f"{units} ({kind} go whole into one split) {'is' if n_units == 1 else 'are'} too few for {number} splits"


def _is_good(choice: Choice, cells: gpd.GeoDataFrame, wanted: float) -> bool:
    if not np.isfinite(choice.cost):
        return False
    weight = glacier_weight(cells)
    held, kept = weight[choice.is_dev].sum(), weight[~choice.is_lost].sum()
    odds = held / max(kept - held, 1.0) / (wanted / (1.0 - wanted))
    return bool(1.0 / _MAX_ODDS <= odds <= _MAX_ODDS and choice.is_lost.mean() <= _MAX_LOST)


def _from_choice(
    cells: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    splits: Sequence[str],
    held: _Held,
    notes: list[str],
) -> _Assigned:
    split = np.select([held.is_lost, held.is_test, held.is_dev], ["", "test", "dev"], "train").astype(object)
    reason = np.where(held.is_lost, "buffer", "").astype(object)
    if not held.buffer:
        windows = partition_windows(cells)
        first, _ = near_pairs(windows[held.is_lost], windows[held.is_test])
        reason[held.is_lost] = "overlaps dev"
        reason[np.flatnonzero(held.is_lost)[first]] = "overlaps test"
    shared = {
        name
        for one, other in itertools.combinations(splits, 2)
        for name in shared_outlines(joined, *(cells.loc[split == side, "partition"] for side in (one, other)))
    }
    if shared:
        where = "both splits" if len(splits) == 2 else "several splits"
        one = len(shared) == 1
        told = (
            f"{len(shared)} {'outline lies' if one else 'outlines lie'} in {where}, because "
            f"{'it' if one else 'they'} could not be kept in one: {few(sorted(shared))}"
        )
        notes = [*notes, told]
    return _Assigned(split, held.blocks, reason, notes)


def _at_random(cells: gpd.GeoDataFrame, settings: SplitSettings) -> _Assigned:
    n_dev = _drawn(settings.dev_share, len(cells))
    order = np.random.default_rng([settings.seed, 0x1E6AC]).permutation(len(cells))
    split = np.full(len(cells), "train", dtype=object)
    split[order[:n_dev]] = "dev"
    if settings.test_share > 0.0:
        # At least one stays for train.
        n_test = min(_drawn(settings.test_share, len(cells)), max(len(cells) - n_dev - 1, 0))
        split[order[n_dev : n_dev + n_test]] = "test"
    return _without_overlap(cells, split, ["split.method = legacy: neighbouring partitions lie in different splits"])


def _drawn(share: float, count: int) -> int:
    return int(np.clip(round(share * count), 1, max(count - 1, 1))) if count > 1 else 0


def _by_column(cells: gpd.GeoDataFrame, all_names: list[str], *, has_test: bool) -> _Assigned:
    if not has_test:
        refuse_third_split(
            all_names,
            where=_BY_COLUMN,
            fix="set [shards] n_test to take the test split as it is; or leave the column empty for the cells of one "
            "of them, so that they are not used; or name both dev",
        )
    stated = [(name, split_of(name, has_test=has_test)) for name in cells["split"]]
    unknown = sorted({name for name, split in stated if split is None})
    if unknown or (stated and not any(split for _, split in stated)):
        raise InputError(
            f"the grid's split column holds {few(unknown)}" if unknown else "the grid gives no partition a split name",
            where=_BY_COLUMN,
            fix="import a grid whose split column says train or dev (val or test is read as dev; with [shards] n_test, "
            "test is the test split)",
        )
    if has_test and all(split_of(name, has_test=True) != "test" for name in all_names):
        raise InputError(
            "a test split was asked for, but the grid's split column names no cell test",
            where=_BY_COLUMN,
            fix="name the cells of the test split test in the grid, or remove [shards] n_test and [split] test_share",
        )
    notes = [f"{_BY_COLUMN}: the grid's own split is kept, no buffer is made"]
    notes += [
        f"{_BY_COLUMN}: the grid's {few(renamed)} is {kind} here"
        for kind in ("dev", "test")
        if (renamed := sorted({name for name, split in stated if split == kind} - {kind}))
    ]
    return _without_overlap(cells, np.array([split for _, split in stated], dtype=object), notes)


def _without_overlap(cells: gpd.GeoDataFrame, split: npt.NDArray[Any], notes: list[str]) -> _Assigned:
    reason = np.where(split == "", "no split in the grid", "").astype(object)
    windows = partition_windows(cells)
    # Dev gives way to test first, so that train gives way only to the dev that stays.
    for side, other in (("dev", "test"), ("train", "test"), ("train", "dev")):
        giving = np.flatnonzero(split == side)
        first, _ = near_pairs(windows[giving], windows[split == other])
        split[giving[first]], reason[giving[first]] = "", f"overlaps {other}"
    return _Assigned(split, np.full(len(cells), "", dtype=object), reason, notes)
