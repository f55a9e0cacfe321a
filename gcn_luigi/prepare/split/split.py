"""Which partitions train, which are held back, and which lie between."""

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.split.blocks import BlockSearch, Choice, block_ids, glacier_weight, group_blocks
from gcn_luigi.prepare.split.neighbours import least_gap_px, near_pairs, shared_pixels
from gcn_luigi.prepare.split.words import refuse_third_split, split_of
from gcn_luigi.settings import SplitSettings

_BY_COLUMN = "split.method = column"
# A choice that loses more to the buffer, or is farther off the wanted share, calls for smaller blocks.
_MAX_LOST = 0.5
_MAX_ODDS = 3.0
# How a note begins that says that blocks or buffer are smaller than was asked for.
REDUCED = "the region is too small for blocks"


def assign_split(
    catalog: gpd.GeoDataFrame, joined: pd.DataFrame, settings: SplitSettings
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the catalog with split, block, used and reason filled in, and notes about what fell short.

    No train partition shares a pixel with a dev partition, whatever the method: where cells overlap, the train side
    gives way (reason ``overlaps dev``).

    * ``blocks``: see `gcn_luigi.prepare.split.blocks`. Train partitions with fewer than `buffer` partition edges
      between them and dev are not used (reason ``buffer``). A region too small for that gets smaller blocks, then a
      smaller buffer, and a note.
    * ``legacy``: `dev_share` of the used partitions, drawn at random in the order of their ids. No blocks, no buffer.
    * ``column``: what the imported grid says. No buffer. A cell that it gives no split is not used.

    Parameters
    ----------
    catalog : GeoDataFrame
        From `gcn_luigi.prepare.partitions.catalog.build_catalog`; not modified.
    joined : DataFrame
        Columns cell, outline, area_m2.
    settings : SplitSettings
        The method and its numbers.

    Returns
    -------
    GeoDataFrame, list of str
        split is ``"train"`` or ``"dev"`` where used, else empty; block is empty unless the method is ``blocks``.

    Raises
    ------
    InputError
        The method is ``column`` and the column holds nothing, words that name no split, or more than two splits.
    """
    result = catalog.sort_values("partition", ignore_index=True)
    used = np.flatnonzero(result["used"].to_numpy(bool))
    cells = result.iloc[used].reset_index(drop=True)
    if settings.method == "blocks":
        given = _by_blocks(cells, joined, settings)
    elif settings.method == "legacy":
        given = _at_random(cells, settings)
    else:
        given = _by_column(cells, result["split"].tolist())
    for name, values in (("split", given.split), ("block", given.block), ("reason", given.reason)):
        whole = result["reason"].to_numpy(object) if name == "reason" else np.full(len(result), "", dtype=object)
        whole[used] = values
        result[name] = pd.array(whole, dtype="str")
    result["used"] = (result["reason"] == "").to_numpy(bool)
    empty = [name for name in ("train", "dev") if not (result["split"] == name).any()]
    return result, [*given.notes, *(f"no partition is left for {name}" for name in empty)]


def audit_split(catalog: gpd.GeoDataFrame, joined: pd.DataFrame) -> dict[str, Any]:
    """Measure how well train and dev are kept apart.

    Parameters
    ----------
    catalog : GeoDataFrame
        From `assign_split`; only used partitions count.
    joined : DataFrame
        Columns cell, outline.

    Returns
    -------
    dict
        n_train, n_dev, n_unused; dev_share (of the used); shared_pixels; shared_glaciers (sorted ids);
        least_distance_px and least_distance_m (straight, edge to edge; None where a split is empty);
        glacier_share_mean and debris_share_mean for each split (None where empty); unused (count by reason).
    """
    train, dev = (catalog[catalog["used"] & (catalog["split"] == name)] for name in ("train", "dev"))
    gap = least_gap_px(train, dev)
    pixel_size = float(((catalog["right"] - catalog["left"]) / catalog["width"]).median()) if len(catalog) else 0.0
    unused = catalog.loc[~catalog["used"].to_numpy(bool), "reason"].value_counts().sort_index()
    return {
        "n_train": len(train),
        "n_dev": len(dev),
        "n_unused": len(catalog) - len(train) - len(dev),
        "dev_share": len(dev) / max(len(train) + len(dev), 1),
        "shared_pixels": shared_pixels(train, dev),
        "shared_glaciers": _shared_glaciers(joined, train["partition"], dev["partition"]),
        "least_distance_px": gap,
        "least_distance_m": None if gap is None else gap * pixel_size,
        "glacier_share_mean": {"train": _mean(train["glacier_share"]), "dev": _mean(dev["glacier_share"])},
        "debris_share_mean": {"train": _mean(train["share_debris"]), "dev": _mean(dev["share_debris"])},
        "unused": {str(reason): int(count) for reason, count in unused.items()},
    }


@dataclass(frozen=True)
class _Given:
    """What one method gives each used partition; axes (partition,)."""

    split: npt.NDArray[Any]
    block: npt.NDArray[Any]
    reason: npt.NDArray[Any]
    notes: list[str]


def _by_blocks(cells: gpd.GeoDataFrame, joined: pd.DataFrame, settings: SplitSettings) -> _Given:
    if cells.empty:
        nothing = np.empty(0, dtype=object)
        return _Given(nothing, nothing, nothing, [])
    edge = int(max(cells["height"].max(), cells["width"].max()))
    spare = None
    for buffer in range(settings.buffer_partitions, -1, -1):
        for block in _halved(settings.block_partitions):
            blocks = block_ids(cells, block)
            choice = _search(cells, joined, blocks, settings, buffer * edge)
            if _is_good(choice, cells, settings.dev_share):
                return _given(cells, joined, choice, blocks, _shrunk(settings, block, buffer), buffer)
            if spare is None and np.isfinite(choice.cost):
                spare = choice, blocks, _shrunk(settings, block, buffer), buffer
    if spare is None:
        nothing = np.zeros(len(cells), dtype=bool)
        spare = Choice(nothing, nothing, np.inf), block_ids(cells, 1), ["too few partitions for two splits"], 0
    return _given(cells, joined, *spare)


def _halved(block: int) -> list[int]:
    return [block >> i for i in range(block.bit_length())]


def _shrunk(settings: SplitSettings, block: int, buffer: int) -> list[str]:
    asked, taken = (settings.block_partitions, settings.buffer_partitions), (block, buffer)
    if asked == taken:
        return []
    what = f"{REDUCED} of {asked[0]} and a buffer of {asked[1]} partitions"
    return [f"{what}: blocks of {taken[0]} and a buffer of {taken[1]} are used"]


def _search(
    cells: gpd.GeoDataFrame, joined: pd.DataFrame, blocks: npt.NDArray[Any], settings: SplitSettings, buffer_px: int
) -> Choice:
    # Without by_glacier no outline is seen: neither ties nor the cost of sharing one.
    seen = joined if settings.by_glacier else joined.iloc[:0]
    groups = group_blocks(cells, seen, blocks, buffer_px=buffer_px, dev_share=settings.dev_share)
    search = BlockSearch(cells, seen, groups, buffer_px=buffer_px, dev_share=settings.dev_share)
    return search.best(settings.seed)


def _is_good(choice: Choice, cells: gpd.GeoDataFrame, dev_share: float) -> bool:
    if not np.isfinite(choice.cost):
        return False
    weight = glacier_weight(cells)
    dev, kept = weight[choice.is_dev].sum(), weight[~choice.is_lost].sum()
    odds = dev / max(kept - dev, 1.0) / (dev_share / (1.0 - dev_share))
    return bool(1.0 / _MAX_ODDS <= odds <= _MAX_ODDS and choice.is_lost.mean() <= _MAX_LOST)


def _given(
    cells: gpd.GeoDataFrame,
    joined: pd.DataFrame,
    choice: Choice,
    blocks: npt.NDArray[Any],
    notes: list[str],
    buffer: int,
) -> _Given:
    split = np.where(choice.is_lost, "", np.where(choice.is_dev, "dev", "train")).astype(object)
    reason = np.where(choice.is_lost, "buffer" if buffer else "overlaps dev", "").astype(object)
    sides = (cells.loc[split == name, "partition"] for name in ("train", "dev"))
    shared = _shared_glaciers(joined, *sides)
    if shared:
        notes = [*notes, f"{len(shared)} outlines lie in both splits, they could not be kept in one: {few(shared)}"]
    return _Given(split, blocks, reason, notes)


def _at_random(cells: gpd.GeoDataFrame, settings: SplitSettings) -> _Given:
    n_dev = int(np.clip(round(settings.dev_share * len(cells)), 1, max(len(cells) - 1, 1))) if len(cells) > 1 else 0
    drawn = np.random.default_rng([settings.seed, 0x1E6AC]).permutation(len(cells))[:n_dev]
    split = np.full(len(cells), "train", dtype=object)
    split[drawn] = "dev"
    return _without_overlap(cells, split, ["split.method = legacy: neighbouring partitions lie in different splits"])


def _by_column(cells: gpd.GeoDataFrame, all_words: list[str]) -> _Given:
    refuse_third_split(
        all_words,
        where=_BY_COLUMN,
        fix="leave the column empty for the cells of one of them, which are not used then; or name both dev",
    )
    stated = [split_of(word) for word in cells["split"]]
    unknown = sorted({word for word, split in zip(cells["split"], stated, strict=True) if split is None})
    if unknown or (stated and not any(stated)):
        raise InputError(
            f"the grid's split column holds {few(unknown)}" if unknown else "the grid gives no partition a split",
            where=_BY_COLUMN,
            fix="import a grid whose split column says train or dev (val or test is read as dev)",
        )
    split = np.array(stated, dtype=object)
    words = sorted({word for word, meant in zip(cells["split"], stated, strict=True) if meant == "dev"} - {"dev"})
    renamed = [f"{_BY_COLUMN}: the grid's {few(words)} is dev here"] if words else []
    return _without_overlap(cells, split, [f"{_BY_COLUMN}: the grid's own split is kept, no buffer is made", *renamed])


def _without_overlap(cells: gpd.GeoDataFrame, split: npt.NDArray[Any], notes: list[str]) -> _Given:
    reason = np.where(split == "", "no split in the grid", "").astype(object)
    train = np.flatnonzero(split == "train")
    first, _ = near_pairs(cells.iloc[train], cells[split == "dev"], 0)
    split[train[first]], reason[train[first]] = "", "overlaps dev"
    return _Given(split, np.full(len(cells), "", dtype=object), reason, notes)


def _shared_glaciers(joined: pd.DataFrame, train: pd.Series, dev: pd.Series) -> list[str]:
    in_train, in_dev = (set(joined.loc[joined["cell"].isin(side), "outline"]) for side in (train, dev))
    return sorted(in_train & in_dev)


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if len(values) else None
