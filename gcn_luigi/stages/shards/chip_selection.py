"""Which chips a partition gives: where they are cut, what each holds, and whether it is kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.prepare.chips.chips import Origins, chip_origins, effective_step, is_balanced
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.chips.selection import ChipCounts, Reason, count_chips, judge_chips
from gcn_luigi.settings import ChipSettings


@dataclass(frozen=True)
class Judged:
    """The candidate chips of a partition.

    Attributes
    ----------
    origins : ndarray of int64
        (chip, 2): row and column within the partition.
    counts : ChipCounts
        Pixels of each kind.
    verdicts : ndarray of object
        (chip,) of `Reason`.
    step : int
        Distance between origins, in pixels.
    """

    origins: Origins
    counts: ChipCounts
    verdicts: NDArray[Any]
    step: int

    @property
    def n_kept(self) -> int:
        """Chips that are kept."""
        return int(np.count_nonzero(self.verdicts == Reason.KEPT))


def judge_partition(
    chips: ChipSettings, place: Partition, label: NDArray[np.uint8], flags: NDArray[np.uint8], beyond: int
) -> Judged:
    """Lay chips over a partition and judge each.

    Parameters
    ----------
    chips : ChipSettings
        How chips are cut and which are kept.
    place : Partition
        The partition; its split decides whether chips may lie closer.
    label, flags : ndarray of uint8
        (y, x): classes, 255 without one; bits of `Flag`.
    beyond : int
        Flags of a pixel beyond the partition.

    Returns
    -------
    Judged
        One entry a candidate chip, row-major.
    """
    balanced = chips.densify and is_balanced(label, place.window.height)
    step = effective_step(chips.step, densify=chips.densify, split=place.split, balanced=balanced)
    origins = chip_origins((label.shape[0], label.shape[1]), chips.size, step, chips.edge)
    counts = count_chips(label, flags, origins, chips.size, edge=chips.edge, beyond=beyond)
    return Judged(origins, counts, judge_chips(counts, chips.size, chips), step)
