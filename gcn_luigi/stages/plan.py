"""What a dataset will hold and weigh, before its chips are cut."""

from dataclasses import dataclass

import numpy as np

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.io.header import open_raster
from gcn_luigi.io.layout import SPLITS, Layout
from gcn_luigi.io.raster import read_dataset
from gcn_luigi.prepare.chips import chip_origins, effective_step, is_balanced
from gcn_luigi.prepare.columns import ChipPlace
from gcn_luigi.prepare.cover import TileCover
from gcn_luigi.prepare.nodata import Flag
from gcn_luigi.prepare.selection import Reason, count_chips, judge_chips
from gcn_luigi.settings import RegionSettings, StorageLayout
from gcn_luigi.stages.mosaics import read_inventory
from gcn_luigi.stages.shards import used_partitions

# Bytes of a pixel beside its bands: label and flags.
_PLANES = 2
# How far pixels of Landsat composites and terrain shrink: shuffle and deflate on real scenes gave 1.5 to 2.
TYPICAL_RATIO = 1.7
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
        Those that the label does not reject; missing optical or topographic pixels may reject some of them yet.
    """

    partitions: int
    candidates: int
    chips: int


@dataclass(frozen=True)
class Plan:
    """What a dataset will hold.

    Attributes
    ----------
    splits : dict of SplitPlan
        By name.
    chips_bytes, windows_bytes : int
        Pixels in either layout, before compression.
    """

    splits: dict[str, SplitPlan]
    chips_bytes: int
    windows_bytes: int

    @property
    def advised(self) -> StorageLayout:
        """The layout that fits: partitions once where overlapping chips would repeat every pixel."""
        return "windows" if self.windows_bytes and self.chips_bytes / self.windows_bytes >= _WORTH_IT else "chips"


def plan_dataset(settings: RegionSettings, layout: Layout) -> Plan:
    """Count chips from catalog and label, and weigh them.

    Parameters
    ----------
    settings : RegionSettings
        Bands, chips and shards.
    layout : Layout
        Where inventory, catalog and label are; nothing else is read, and nothing written.

    Returns
    -------
    Plan
        Chips are at most as many as said.

    Raises
    ------
    InputError
        The label cannot be read.
    """
    inventory = read_inventory(layout)
    cover = TileCover(inventory.windows)
    splits, chip_count, windows = {}, 0, []
    for split in SPLITS:
        places = used_partitions(layout, inventory.lattice, split)
        counts = [_count(settings, layout, place, cover) for place in places]
        splits[split] = SplitPlan(len(places), sum(count[0] for count in counts), sum(count[1] for count in counts))
        chip_count += splits[split].chips
        windows += [place.window for place, count in zip(places, counts, strict=True) if count[1]]
    pixel = 2 * len(settings.schema_bands.image) + _PLANES
    height = max((window.height for window in windows), default=0)
    width = max((window.width for window in windows), default=0)
    return Plan(splits, chip_count * settings.chips.size**2 * pixel, len(windows) * height * width * pixel)


def _count(settings: RegionSettings, layout: Layout, place: ChipPlace, cover: TileCover) -> tuple[int, int]:
    """Return the candidate chips of a partition, and those that its label keeps."""
    chips, window = settings.chips, place.window
    with open_raster(layout.label) as dataset:
        label = read_dataset(dataset, window, fill=LABEL_IGNORE)[0].astype(np.uint8)
    outside = cover.without(window)
    flags = np.where(label == LABEL_IGNORE, np.uint8(Flag.LABEL), np.uint8(0))
    if outside is not None:
        label[outside] = LABEL_IGNORE
        flags[outside] = Flag.LABEL
    balanced = chips.densify and is_balanced(label, window.height)
    step = effective_step(chips.step, densify=chips.densify, split=place.split, balanced=balanced)
    origins = chip_origins(label.shape, chips.size, step, chips.edge)
    counts = count_chips(label, flags, origins, chips.size, edge=chips.edge, beyond=int(Flag.LABEL))
    kept = judge_chips(counts, chips.size, chips) == Reason.KEPT
    return len(origins), int(np.asarray(kept, bool).sum())
