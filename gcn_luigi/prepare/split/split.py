"""Assign partitions to train, to dev, or to the buffer between them."""

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
from gcn_luigi.settings import SplitSettings

_BY_COLUMN = "split.method = column"
# If a choice loses more than this to the buffer, or is farther from the wanted share, smaller blocks are tried.
_MAX_LOST = 0.5
_MAX_ODDS = 3.0
# The first words of the note that blocks or buffer are smaller than the settings ask for.
REDUCED = "the region is too small for blocks"


def assign_split(
    catalog: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    settings: SplitSettings,
    classes: ClassTable = DEFAULT_CLASSES,
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the catalog with split, block, used and reason filled in, and notes about compromises.

    With every method, no train partition shares a pixel with a dev partition: if cells overlap, the train partition is
    not used (reason ``overlaps dev``).

    * ``blocks``: see `gcn_luigi.prepare.split.blocks`. Train partitions that are closer to dev than
      `buffer_partitions` times the edge length of a partition are not used (reason ``buffer``). If the region is too
      small for this, smaller blocks are tried, then a smaller buffer, and a note says so.
    * ``legacy``: `dev_share` of the used partitions, drawn at random from the list sorted by id, become dev. There are
      no blocks and no buffer.
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

    Returns
    -------
    GeoDataFrame, list of str
        split is ``"train"`` or ``"dev"`` for used partitions, otherwise empty. block is filled by ``blocks`` only.

    Raises
    ------
    InputError
        The method is ``column`` and the column is empty, holds words that name no split, or names more than two
        splits.
    """
    result = catalog.sort_values("partition", ignore_index=True)
    used = np.flatnonzero(result["used"].to_numpy(bool))
    cells = result.iloc[used].reset_index(drop=True)
    if settings.method == "blocks":
        assigned = _by_blocks(cells, joined, settings, classes)
    elif settings.method == "legacy":
        assigned = _at_random(cells, settings)
    else:
        assigned = _by_column(cells, result["split"].tolist())
    for name, values in (("split", assigned.split), ("block", assigned.block), ("reason", assigned.reason)):
        whole = result["reason"].to_numpy(object) if name == "reason" else np.full(len(result), "", dtype=object)
        whole[used] = values
        result[name] = pd.array(whole, dtype="str")
    result["used"] = (result["reason"] == "").to_numpy(bool)
    empty = [name for name in ("train", "dev") if not (result["split"] == name).any()]
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


def _by_blocks(
    cells: gpd.GeoDataFrame, joined: pd.DataFrame, settings: SplitSettings, classes: ClassTable
) -> _Assigned:
    if cells.empty:
        nothing = np.empty(0, dtype=object)
        return _Assigned(nothing, nothing, nothing, [])
    edge = int(max(cells["height"].max(), cells["width"].max()))
    # Without by_glacier, outlines neither tie blocks nor add to the cost.
    seen = joined if settings.by_glacier else joined.iloc[:0]
    fallback, traits = None, ("glacier_share", *(f"share_{name}" for name in classes.balanced()))
    for buffer in range(settings.buffer_partitions, -1, -1):
        for block in (settings.block_partitions >> i for i in range(settings.block_partitions.bit_length())):
            blocks = block_ids(cells, block)
            groups = group_blocks(cells, seen, blocks, buffer_px=buffer * edge, dev_share=settings.dev_share)
            search = BlockSearch(
                cells, seen, groups, buffer_px=buffer * edge, dev_share=settings.dev_share, traits=traits
            )
            choice = search.best(settings.seed)
            found = choice, blocks, _shrunk(settings, block, buffer), buffer
            if _is_good(choice, cells, settings.dev_share):
                return _from_choice(cells, joined, *found)
            if fallback is None and np.isfinite(choice.cost):
                fallback = found
    if fallback is None:
        nothing = np.zeros(len(cells), dtype=bool)
        fallback = Choice(nothing, nothing, np.inf), block_ids(cells, 1), ["too few partitions for two splits"], 0
    return _from_choice(cells, joined, *fallback)


def _shrunk(settings: SplitSettings, block: int, buffer: int) -> list[str]:
    if (block, buffer) == (settings.block_partitions, settings.buffer_partitions):
        return []
    asked = f"{REDUCED} of {settings.block_partitions} and a buffer of {settings.buffer_partitions} partitions"
    return [f"{asked}: blocks of {block} and a buffer of {buffer} are used"]


def _is_good(choice: Choice, cells: gpd.GeoDataFrame, dev_share: float) -> bool:
    if not np.isfinite(choice.cost):
        return False
    weight = glacier_weight(cells)
    dev, kept = weight[choice.is_dev].sum(), weight[~choice.is_lost].sum()
    odds = dev / max(kept - dev, 1.0) / (dev_share / (1.0 - dev_share))
    return bool(1.0 / _MAX_ODDS <= odds <= _MAX_ODDS and choice.is_lost.mean() <= _MAX_LOST)


def _from_choice(
    cells: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    choice: Choice,
    blocks: npt.NDArray[Any],
    notes: list[str],
    buffer: int,
) -> _Assigned:
    split = np.where(choice.is_lost, "", np.where(choice.is_dev, "dev", "train")).astype(object)
    reason = np.where(choice.is_lost, "buffer" if buffer else "overlaps dev", "").astype(object)
    shared = shared_outlines(joined, *(cells.loc[split == name, "partition"] for name in ("train", "dev")))
    if shared:
        notes = [*notes, f"{len(shared)} outlines lie in both splits, they could not be kept in one: {few(shared)}"]
    return _Assigned(split, blocks, reason, notes)


def _at_random(cells: gpd.GeoDataFrame, settings: SplitSettings) -> _Assigned:
    n_dev = int(np.clip(round(settings.dev_share * len(cells)), 1, max(len(cells) - 1, 1))) if len(cells) > 1 else 0
    drawn = np.random.default_rng([settings.seed, 0x1E6AC]).permutation(len(cells))[:n_dev]
    split = np.full(len(cells), "train", dtype=object)
    split[drawn] = "dev"
    return _without_overlap(cells, split, ["split.method = legacy: neighbouring partitions lie in different splits"])


def _by_column(cells: gpd.GeoDataFrame, all_names: list[str]) -> _Assigned:
    refuse_third_split(
        all_names,
        where=_BY_COLUMN,
        fix="leave the column empty for the cells of one of them, so that they are not used; or name both dev",
    )
    stated = [(name, split_of(name)) for name in cells["split"]]
    unknown = sorted({name for name, split in stated if split is None})
    if unknown or (stated and not any(split for _, split in stated)):
        raise InputError(
            f"the grid's split column holds {few(unknown)}" if unknown else "the grid gives no partition a split name",
            where=_BY_COLUMN,
            fix="import a grid whose split column says train or dev (val or test is read as dev)",
        )
    notes = [f"{_BY_COLUMN}: the grid's own split is kept, no buffer is made"]
    if renamed := sorted({name for name, split in stated if split == "dev"} - {"dev"}):
        notes.append(f"{_BY_COLUMN}: the grid's {few(renamed)} is dev here")
    return _without_overlap(cells, np.array([split for _, split in stated], dtype=object), notes)


def _without_overlap(cells: gpd.GeoDataFrame, split: npt.NDArray[Any], notes: list[str]) -> _Assigned:
    reason = np.where(split == "", "no split in the grid", "").astype(object)
    windows, train = partition_windows(cells), np.flatnonzero(split == "train")
    first, _ = near_pairs(windows[train], windows[split == "dev"])
    split[train[first]], reason[train[first]] = "", "overlaps dev"
    return _Assigned(split, np.full(len(cells), "", dtype=object), reason, notes)
