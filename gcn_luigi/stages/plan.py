"""What a dataset will hold, before its chips are written."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.chips.selection import ChipSelection, select_chips
from gcn_luigi.prepare.layers.label_values import CLASSES
from gcn_luigi.prepare.missing.fill import Flag, outside_flags
from gcn_luigi.prepare.missing.tile_coverage import TileCover
from gcn_luigi.settings import RegionSettings, StorageLayout
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.partition_reader import PartitionReader, read_in_turn
from gcn_luigi.stages.shards.shard import used_partitions

# Bytes of a pixel beside its bands: label and flags.
_PLANES = 2
# Stored once, overlapping chips save at least half: worth the reader that cuts them.
_WORTH_IT = 2.0


@dataclass(frozen=True)
class SplitPlan:
    """One split.

    Attributes
    ----------
    partitions : int
        Used ones.
    candidates : int
        Chips cut from them.
    chips : int
        Those that are kept.
    rejected : dict of int
        The others, by reason.
    fruitful : tuple of Partition
        Partitions with a chip that is kept, in the order of the shards.
    classes : dict of float
        Share of none, debris, ice and missing among the label pixels of the used partitions; 0 where there is none.
    """

    partitions: int
    candidates: int
    chips: int
    rejected: dict[str, int]
    fruitful: tuple[Partition, ...]
    classes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a dataset will hold.

    Attributes
    ----------
    splits : dict of SplitPlan
        By name.
    is_exact : bool
        Whether every pixel was looked at. Else only the label was, and chips are at most as many as said.
    chips_bytes, windows_bytes : int
        Pixels in either layout, before compression.
    seconds_read : float
        What one process needed to read all partitions and select their chips.
    """

    splits: dict[str, SplitPlan]
    is_exact: bool
    chips_bytes: int
    windows_bytes: int
    seconds_read: float = 0.0

    @property
    def chips(self) -> int:
        """Chips of all splits."""
        return sum(split.chips for split in self.splits.values())

    @property
    def partitions(self) -> int:
        """Used partitions of all splits."""
        return sum(split.partitions for split in self.splits.values())

    @property
    def advised(self) -> StorageLayout:
        """The layout that fits: partitions once where overlapping chips would repeat every pixel."""
        return "windows" if self.windows_bytes and self.chips_bytes / self.windows_bytes >= _WORTH_IT else "chips"


def label_decides(settings: RegionSettings) -> bool:
    """Return whether the label alone decides which chips are kept, so that counting them needs no other band."""
    chips = settings.chips
    return chips.min_valid_optical_share <= 0 and chips.min_valid_topo_share <= 0 and settings.nodata.mode != "legacy"


def plan_dataset(settings: RegionSettings, paths: DatasetPaths, *, is_exact: bool, say: Say) -> Plan:
    """Count the chips that every partition will give, and weigh their pixels.

    Parameters
    ----------
    settings : RegionSettings
        Bands and chips.
    paths : DatasetPaths
        Where inventory, catalog, label and, for exact counts, stacks are. Nothing is written.
    is_exact : bool
        Read all bands of all partitions, as the build does, unless the label alone decides. False reads the label
        only: missing pixels of other bands may reject some of the chips yet.
    say : callable
        Told a line and the share of work done.

    Returns
    -------
    Plan
        Chips, partitions and raw bytes.

    Raises
    ------
    InputError
        A source cannot be read.
    """
    began = time.perf_counter()
    places = {split: used_partitions(paths, read_inventory(paths).lattice, split) for split in SPLITS}
    reads_all = is_exact and not label_decides(settings)
    select = _by_all_bands if reads_all else _by_label
    selections = select(settings, paths, [place for split in SPLITS for place in places[split]])
    shares = _class_shares(paths)
    total, done, splits = sum(map(len, places.values())), 0, {}
    for split in SPLITS:
        reasons: Counter[str] = Counter()
        fruitful = []
        for place in places[split]:
            selection = next(selections)
            reasons.update(selection.reasons.tolist())
            if selection.kept.any():
                fruitful.append(place)
            done += 1
            say(f"counting chips: {done:,} of {total:,} partitions", done / total)
        kept = reasons.pop("kept", 0)
        splits[split] = SplitPlan(
            partitions=len(places[split]),
            candidates=kept + sum(reasons.values()),
            chips=kept,
            rejected={str(reason): count for reason, count in sorted(reasons.items())},
            fruitful=tuple(fruitful),
            classes=shares[split],
        )
    pixel = 2 * len(settings.schema_bands.image) + _PLANES
    stored = [place.window for split in splits.values() for place in split.fruitful]
    window = max((one.height for one in stored), default=0) * max((one.width for one in stored), default=0)
    return Plan(
        splits,
        is_exact=is_exact,
        chips_bytes=sum(split.chips for split in splits.values()) * settings.chips.size**2 * pixel,
        windows_bytes=len(stored) * window * pixel,
        seconds_read=time.perf_counter() - began if reads_all else 0.0,
    )


def _class_shares(paths: DatasetPaths) -> dict[str, dict[str, float]]:
    """Return the share of each class in the used partitions, by split, every pixel counted alike."""
    catalog = read_geoparquet(paths.catalog)
    shares = {}
    for split in SPLITS:
        cells = catalog[catalog["used"] & (catalog["split"] == split)]
        pixels = (cells["height"] * cells["width"]).to_numpy(float)
        shares[split] = {
            name: float((cells[f"share_{name}"].to_numpy() * pixels).sum() / max(pixels.sum(), 1.0))
            for name in (*CLASSES, "missing")
        }
    return shares


def _by_all_bands(
    settings: RegionSettings, paths: DatasetPaths, places: Sequence[Partition]
) -> Iterator[ChipSelection]:
    beyond = int(outside_flags(settings.schema_bands.image) | Flag.LABEL)
    reader = PartitionReader(settings, paths, read_inventory(paths), places)
    for place, corrected in zip(places, read_in_turn(reader, places), strict=True):
        yield _select(settings, place, corrected.label, corrected.flags, beyond)


def _by_label(settings: RegionSettings, paths: DatasetPaths, places: Sequence[Partition]) -> Iterator[ChipSelection]:
    cover = TileCover(read_inventory(paths).windows)
    with open_raster(paths.label) as dataset:
        for place in places:
            label = read_dataset(dataset, place.window, fill=LABEL_IGNORE)[0].astype(np.uint8)
            outside = cover.without(place.window)
            if outside is not None:
                label[outside] = LABEL_IGNORE
            flags = np.where(label == LABEL_IGNORE, np.uint8(Flag.LABEL), np.uint8(0))
            yield _select(settings, place, label, flags, int(Flag.LABEL))


def _select(
    settings: RegionSettings, place: Partition, label: NDArray[np.uint8], flags: NDArray[np.uint8], beyond: int
) -> ChipSelection:
    return select_chips(settings.chips, label, flags, split=place.split, extent=place.window.height, beyond=beyond)
