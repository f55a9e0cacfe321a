"""A few partitions built for trial: what chips weigh when they are compressed, and how long they take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.plan import Plan
from gcn_luigi.stages.shards.shard import ShardRequest, shard_header, share_of, write_partitions

# Enough for a mean to hold, few enough for seconds.
_MOST_PARTITIONS, _MOST_BYTES = 48, 400_000_000
_LEAST_PARTITIONS = 4


@dataclass(frozen=True)
class Probe:
    """What the trial showed.

    Attributes
    ----------
    shard_bytes : int
        Of all shards.
    shard_seconds : dict of list of float
        By split: for one process, each shard.
    n_chips, n_partitions : int
        What was built for trial.
    """

    shard_bytes: int
    shard_seconds: dict[str, list[float]]
    n_chips: int
    n_partitions: int


@dataclass(frozen=True)
class _Trial:
    """One file: chips and rows in it, bytes of pixels, bytes of all else, seconds."""

    chips: int
    rows: int
    pixels: int
    others: int
    seconds: float


def probe_shards(settings: RegionSettings, paths: DatasetPaths, plan: Plan, scratch: Path, say: Say) -> Probe:
    """Build a spread of the partitions as the shards will be built, and scale what that took.

    Parameters
    ----------
    settings : RegionSettings
        How chips are cut and stored.
    paths : DatasetPaths
        Where catalog, label and stacks are; nothing is written there.
    plan : Plan
        What there will be.
    scratch : Path
        Directory for the trial's file, at most some hundred million bytes.
    say : callable
        Told how far it is.

    Returns
    -------
    Probe
        Bytes and seconds; all 0 where no chip is kept.

    Raises
    ------
    InputError
        A source cannot be read.
    """
    fruitful = {split: plan.splits[split].fruitful for split in SPLITS}
    totals = {"train": settings.shards.n_train, "dev": settings.shards.n_dev}
    if not any(fruitful.values()):
        return Probe(0, {split: [0.0] * totals[split] for split in SPLITS}, 0, 0)
    # Overlap repeats pixels, it makes no chip heavier.
    step = max(settings.chips.step, settings.chips.size // 4)
    thinned = settings.model_copy(update={"chips": settings.chips.model_copy(update={"step": step})})
    is_windows = settings.shards.layout == "windows"
    per_partition = (plan.windows_bytes if is_windows else plan.chips_bytes) / sum(map(len, fruitful.values()))
    room = int(_MOST_BYTES // max(per_partition * (1 if is_windows else (settings.chips.step / step) ** 2), 1))
    places = _spread(fruitful, max(min(_MOST_PARTITIONS, room), _LEAST_PARTITIONS))
    everything = [*fruitful["train"], *fruitful["dev"]]
    tried = settings if is_windows else thinned
    trials = [_try(tried, paths, everything, some, scratch, say) for some in (places[:0], places[:1], places)]
    last = trials[-1]
    rows = len(everything) if is_windows else plan.chips
    shares = {split: _chips(plan, split, total) for split, total in totals.items()}
    pixels = last.pixels / max(last.rows, 1) * rows
    others = sum(_others(trials, chips) for split in SPLITS for chips in shares[split])
    return Probe(round(pixels + others), _seconds(plan, totals, last, len(places)), last.chips, len(places))


def _spread(fruitful: dict[str, tuple[Partition, ...]], count: int) -> list[Partition]:
    """Return partitions of both splits, evenly along the curve that shards follow."""
    total = sum(map(len, fruitful.values()))
    chosen: list[Partition] = []
    for places in fruitful.values():
        wanted = max(round(count * len(places) / total), 1)
        spread = np.linspace(0, len(places) - 1, min(len(places), wanted)).round().astype(np.int64)
        chosen += [places[i] for i in spread]
    return chosen


def _try(
    settings: RegionSettings,
    paths: DatasetPaths,
    everything: Sequence[Partition],
    places: Sequence[Partition],
    scratch: Path,
    say: Say,
) -> _Trial:
    request = ShardRequest(settings, paths, "train", 0, 1)
    inventory = read_inventory(paths)
    header = shard_header(request, inventory.lattice, everything)
    path = scratch / "probe.h5"
    began = time.perf_counter()
    write_partitions(request, header, inventory, places, path, lambda line, share: say(f"trial: {line}", share))
    seconds = time.perf_counter() - began
    with open_shard(path) as shard:
        chips, pixels = len(shard), shard.stored_pixels
        rows = len(places) if settings.shards.layout == "windows" else chips
    others = path.stat().st_size - pixels
    path.unlink()
    return _Trial(chips, rows, pixels, others, seconds)


def _chips(plan: Plan, split: str, total: int) -> list[float]:
    """Return the chips of each shard, if every partition gives as many."""
    planned = plan.splits[split]
    each = planned.chips / max(planned.partitions, 1)
    return [each * count for count in _partitions(planned.partitions, total)]


def _partitions(count: int, total: int) -> list[int]:
    """Return how many of `count` partitions each of `total` shards gets."""
    return [len(range(*share_of(count, number, total).indices(count))) for number in range(total)]


def _others(trials: Sequence[_Trial], chips: float) -> float:
    """Return the bytes of a shard of `chips` beside its pixels: between the trials, or beyond as it grew."""
    at, of = [trial.chips for trial in trials], [trial.others for trial in trials]
    grown = (of[-1] - of[-2]) / (at[-1] - at[-2]) if at[-1] > at[-2] else 0.0
    return float(np.interp(chips, at, of)) + grown * max(chips - at[-1], 0.0)


def _seconds(plan: Plan, totals: dict[str, int], trial: _Trial, n_places: int) -> dict[str, list[float]]:
    """Return what each shard will take: its partitions to be read, its chips to be made."""
    of_reading = plan.seconds_read / max(plan.partitions, 1)
    of_chip = max(trial.seconds - of_reading * n_places, 0.2 * trial.seconds) / max(trial.chips, 1)
    return {
        split: [
            count * of_reading + chips * of_chip
            for count, chips in zip(
                _partitions(plan.splits[split].partitions, total), _chips(plan, split, total), strict=True
            )
        ]
        for split, total in totals.items()
    }
