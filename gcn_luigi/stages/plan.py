"""Estimate a dataset before its chips are written: count its chips, and build a few partitions as a trial."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.config import Region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import WindowSet
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.chips.selection import ChipSelection, select_chips
from gcn_luigi.prepare.missing.fill import Flag, outside_flags
from gcn_luigi.settings import RegionSettings, StorageLayout
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.partition_reader import read_partitions
from gcn_luigi.stages.shards.shard import ShardRequest, shard_header, share_of, used_partitions, write_partitions

# Bytes per pixel in addition to the bands: label and flags.
_PLANES = 2
# The layout windows is advised if it saves at least half, because then cutting chips on reading is worthwhile.
_WORTH_IT = 2.0
# Limits of a trial: enough partitions for a reliable mean, but only seconds of work.
_MOST_PARTITIONS, _MOST_BYTES = 48, 400_000_000
_LEAST_PARTITIONS = 4


@dataclass(frozen=True)
class SplitPlan:
    """One split: numbers of used partitions, of candidate chips, of kept chips, and of rejected chips by reason.

    `with_chips` are the partitions with at least one kept chip, in the order of the shards. `classes` are the shares of
    none, debris, ice and missing among the label pixels of the used partitions.
    """

    partitions: int
    candidates: int
    chips: int
    rejected: dict[str, int]
    with_chips: tuple[Partition, ...]
    classes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """An estimate of what a dataset will hold.

    If it is not exact, only the label was read, and the number of chips is an upper limit. Bytes are those of the
    pixels in each layout, before compression. `seconds_read` is the time in which one process read all partitions, or 0
    if it did not read them.
    """

    splits: dict[str, SplitPlan]
    is_exact: bool
    chips_bytes: int
    windows_bytes: int
    seconds_read: float = 0.0

    @property
    def chips(self) -> int:
        """Number of kept chips of all splits."""
        return sum(split.chips for split in self.splits.values())

    @property
    def partitions(self) -> int:
        """Number of used partitions of all splits."""
        return sum(split.partitions for split in self.splits.values())

    @property
    def advised(self) -> StorageLayout:
        """The advised layout: whole partitions if overlapping chips would store pixels at least twice on average."""
        return "windows" if self.windows_bytes and self.chips_bytes / self.windows_bytes >= _WORTH_IT else "chips"


@dataclass(frozen=True)
class Trial:
    """The result of a trial: bytes of all shards, seconds per shard by split, and numbers of chips and partitions.

    Bytes and seconds are scaled to the whole dataset.
    """

    shard_bytes: int
    shard_seconds: dict[str, list[float]]
    n_chips: int
    n_partitions: int


@dataclass(frozen=True)
class _TrialFile:
    """One trial file: its numbers of chips and rows, the bytes of pixels and of everything else, and the seconds."""

    chips: int
    rows: int
    pixels: int
    others: int
    seconds: float


def label_decides(settings: RegionSettings) -> bool:
    """Return whether only the label decides which chips are kept, so that counting them needs no other band."""
    chips = settings.chips
    return chips.min_valid_optical_share <= 0 and chips.min_valid_topo_share <= 0 and settings.nodata.mode != "legacy"


def plan_dataset(region: Region, paths: DatasetPaths, *, is_exact: bool, say: Say) -> Plan:
    """Count the chips that every partition will give, and the bytes of their pixels, without writing anything.

    An exact plan reads all bands of all partitions, as the build does (inventory, catalog, label and stacks must
    exist), unless only the label decides. Otherwise only the label is read, and missing pixels of other bands may
    reject some of the chips later. Raise InputError if a source cannot be read.
    """
    began, settings = time.perf_counter(), region.settings
    places = {split: used_partitions(paths.catalog, read_inventory(paths).lattice, split) for split in settings.splits}
    reads_all = is_exact and not label_decides(settings)
    select = _by_all_bands if reads_all else _by_label
    selections = select(region, paths, [place for split in settings.splits for place in places[split]])
    shares = _class_shares(paths, settings)
    total, done, splits = sum(map(len, places.values())), 0, {}
    for split in settings.splits:
        reasons: Counter[str] = Counter()
        with_chips = []
        for place in places[split]:
            selection = next(selections)
            reasons.update(selection.reasons.tolist())
            if selection.kept.any():
                with_chips.append(place)
            done += 1
            say(f"counting chips: {done:,} of {total:,} partitions", done / total)
        kept = reasons.pop("kept", 0)
        splits[split] = SplitPlan(
            partitions=len(places[split]),
            candidates=kept + sum(reasons.values()),
            chips=kept,
            rejected={str(reason): count for reason, count in sorted(reasons.items())},
            with_chips=tuple(with_chips),
            classes=shares[split],
        )
    pixel = np.dtype(settings.stack.dtype).itemsize * len(settings.schema_bands.image) + _PLANES
    pixel += bool(settings.label.confidence)
    stored = [place.window for split in splits.values() for place in split.with_chips]
    window = max((one.height for one in stored), default=0) * max((one.width for one in stored), default=0)
    return Plan(
        splits,
        is_exact=is_exact,
        chips_bytes=sum(split.chips for split in splits.values()) * settings.chips.size**2 * pixel,
        windows_bytes=len(stored) * window * pixel,
        seconds_read=time.perf_counter() - began if reads_all else 0.0,
    )


def _class_shares(paths: DatasetPaths, settings: RegionSettings) -> dict[str, dict[str, float]]:
    """Return the share of each class among all pixels of the used partitions, by split."""
    catalog = read_geoparquet(paths.catalog)
    shares = {}
    for split in settings.splits:
        cells = catalog[catalog["used"] & (catalog["split"] == split)]
        pixels = (cells["height"] * cells["width"]).to_numpy(float)
        shares[split] = {
            name: float((cells[f"share_{name}"].to_numpy() * pixels).sum() / max(pixels.sum(), 1.0))
            for name in (*settings.class_table.names, "missing")
        }
    return shares


def _by_all_bands(region: Region, paths: DatasetPaths, places: Sequence[Partition]) -> Iterator[ChipSelection]:
    settings = region.settings
    beyond = int(outside_flags(settings.schema_bands.image) | Flag.LABEL)
    partitions = read_partitions(region, paths, read_inventory(paths), places)
    for place, corrected in zip(places, partitions, strict=True):
        yield _select(settings, place, corrected.label, corrected.flags, beyond)


def _by_label(region: Region, paths: DatasetPaths, places: Sequence[Partition]) -> Iterator[ChipSelection]:
    cover = WindowSet(read_inventory(paths).windows)
    with open_raster(paths.label) as dataset:
        for place in places:
            label = read_dataset(dataset, place.window, fill=LABEL_IGNORE)[0].astype(np.uint8)
            outside = cover.uncovered(place.window)
            if outside is not None:
                label[outside] = LABEL_IGNORE
            flags = np.where(label == LABEL_IGNORE, np.uint8(Flag.LABEL), np.uint8(0))
            yield _select(region.settings, place, label, flags, int(Flag.LABEL))


def _select(
    settings: RegionSettings, place: Partition, label: NDArray[np.uint8], flags: NDArray[np.uint8], beyond: int
) -> ChipSelection:
    return select_chips(
        settings.chips,
        label,
        flags,
        split=place.split,
        extent=place.window.height,
        beyond=beyond,
        classes=settings.class_table,
    )


def build_trial(region: Region, paths: DatasetPaths, plan: Plan, scratch: Path, say: Say) -> Trial:
    """Build some evenly spread partitions in the same way as shards, and scale bytes and seconds to the dataset.

    The files of the trial, at most some hundred million bytes, are written to the directory `scratch` and removed.
    Bytes and seconds are 0 if no chip is kept. Raise InputError if a source cannot be read.
    """
    settings = region.settings
    places = {split: plan.splits[split].with_chips for split in settings.splits}
    totals = settings.n_shards
    everything = [place for split in settings.splits for place in places[split]]
    if not everything:
        return Trial(0, {split: [0.0] * totals[split] for split in settings.splits}, 0, 0)
    # More overlap repeats pixels but does not make a chip larger.
    step = max(settings.chips.step, settings.chips.size // 4)
    thinned = settings.model_copy(update={"chips": settings.chips.model_copy(update={"step": step})})
    is_windows = settings.shards.layout == "windows"
    per_partition = (plan.windows_bytes if is_windows else plan.chips_bytes) / len(everything)
    room = int(_MOST_BYTES // max(per_partition * (1 if is_windows else (settings.chips.step / step) ** 2), 1))
    chosen = spread_over(places, max(min(_MOST_PARTITIONS, room), _LEAST_PARTITIONS))
    request = ShardRequest(region if is_windows else replace(region, settings=thinned), paths, "train", 0, 1)
    files = [_try(request, everything, some, scratch, say) for some in (chosen[:0], chosen[:1], chosen)]
    last = files[-1]
    # Partitions and chips of each shard, if every partition gives as many chips.
    shares = {
        split: [
            (count, plan.splits[split].chips / max(plan.splits[split].partitions, 1) * count)
            for count in _partitions(plan.splits[split].partitions, total)
        ]
        for split, total in totals.items()
    }
    pixels = last.pixels / max(last.rows, 1) * (len(everything) if is_windows else plan.chips)
    others = sum(_other_bytes(files, chips) for split in settings.splits for _, chips in shares[split])
    # The time is that of reading each partition plus that of making each chip.
    to_read = plan.seconds_read / max(plan.partitions, 1)
    to_make = max(last.seconds - to_read * len(chosen), 0.2 * last.seconds) / max(last.chips, 1)
    seconds = {
        split: [count * to_read + chips * to_make for count, chips in shares[split]] for split in settings.splits
    }
    return Trial(round(pixels + others), seconds, last.chips, len(chosen))


def spread_over(places: Mapping[str, Sequence[Partition]], count: int) -> list[Partition]:
    """Return about `count` partitions of all splits, evenly spaced along the Hilbert curve that shards follow."""
    total = sum(map(len, places.values()))
    chosen: list[Partition] = []
    for some in places.values():
        wanted = min(len(some), max(round(count * len(some) / total), 1))
        chosen += [some[i] for i in np.linspace(0, len(some) - 1, wanted).round().astype(np.int64)]
    return chosen


def _try(
    request: ShardRequest, everything: Sequence[Partition], places: Sequence[Partition], scratch: Path, say: Say
) -> _TrialFile:
    inventory = read_inventory(request.paths)
    header = shard_header(request.settings, everything, inventory.lattice, request.split, request.number, request.total)
    path = scratch / "trial.h5"
    began = time.perf_counter()
    write_partitions(request, header, inventory, places, path, lambda line, share: say(f"trial: {line}", share))
    seconds = time.perf_counter() - began
    with open_shard(path) as shard:
        chips, pixels = len(shard), shard.stored_pixels
        rows = len(places) if request.region.settings.shards.layout == "windows" else chips
    others = path.stat().st_size - pixels
    path.unlink()
    return _TrialFile(chips, rows, pixels, others, seconds)


def _partitions(count: int, total: int) -> list[int]:
    """Return how many of `count` partitions each of `total` shards gets."""
    return [len(range(*share_of(count, number, total).indices(count))) for number in range(total)]


def _other_bytes(files: Sequence[_TrialFile], chips: float) -> float:
    """Return the bytes of a shard of `chips` chips without pixels, inter- or extrapolated from the trial files."""
    at, of = [one.chips for one in files], [one.others for one in files]
    grown = (of[-1] - of[-2]) / (at[-1] - at[-2]) if at[-1] > at[-2] else 0.0
    return float(np.interp(chips, at, of)) + grown * max(chips - at[-1], 0.0)
