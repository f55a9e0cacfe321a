"""Select the chips of a partition: their spacing, their content, which are kept, and why others are rejected."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as kernel
from gcn_luigi.bands import LABEL_DEBRIS, LABEL_ICE, LABEL_IGNORE, LABEL_NONE
from gcn_luigi.prepare.chips.chips import Edge, Origins, chip_origins, cut_chips, overhanging
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.settings import ChipSettings

Counts = npt.NDArray[np.int64]
Plane = npt.NDArray[np.uint8]

_ANY_IMAGE = Flag.OPTICAL | Flag.TOPO | Flag.OUTSIDE | Flag.DISTANCE
_MASKS = (Flag.OPTICAL, Flag.TOPO, _ANY_IMAGE)


@dataclass(frozen=True)
class ChipCounts:
    """Numbers of pixels of each kind, as (chip,) arrays."""

    none: Counts
    debris: Counts
    ice: Counts
    # Without a class. The four counts so far add up to the pixels of the chip.
    ignore: Counts
    # Pixels with the flag of this role.
    optical_missing: Counts
    topo_missing: Counts
    # Outside the mosaic or missing in any image band.
    any_missing: Counts

    @classmethod
    def empty(cls) -> Self:
        """Return counts without chips."""
        return cls(*(np.zeros(0, np.int64) for _ in fields(cls)))

    def of(self, chosen: npt.NDArray[np.bool_]) -> "ChipCounts":
        """Return the counts of the chosen chips; `chosen` is (chip,)."""
        return ChipCounts(*(getattr(self, field.name)[chosen] for field in fields(self)))


class RejectionReason(StrEnum):
    """Why a chip is rejected, or ``KEPT``. If several reasons apply, the first in this list is given."""

    KEPT = "kept"
    LABEL_MISSING = "label-missing"
    OPTICAL_MISSING = "optical-missing"
    TOPO_MISSING = "topo-missing"
    TOO_LITTLE_NONE = "too-little-none"
    TOO_LITTLE_DEBRIS = "too-little-debris"
    TOO_LITTLE_ICE = "too-little-ice"
    TOO_LITTLE_GLACIER = "too-little-glacier"


@dataclass(frozen=True)
class ChipSelection:
    """The candidate chips of a partition."""

    # (chip, 2): row and column within the partition, row-major.
    origins: Origins
    counts: ChipCounts
    # (chip,) of `RejectionReason`.
    reasons: npt.NDArray[Any]
    # Distance between origins, in pixels.
    step: int

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each chip is kept, (chip,)."""
        return np.asarray(self.reasons == RejectionReason.KEPT, bool)


def select_chips(
    settings: ChipSettings, label: Plane, flags: Plane, *, split: str, extent: int, beyond: int
) -> ChipSelection:
    """Place chips in a partition and decide which are kept.

    Parameters
    ----------
    settings : ChipSettings
        Rules for cutting and keeping chips.
    label, flags : ndarray of uint8
        (y, x): classes (255 for pixels without a class), and bits of `Flag`.
    split : str
        Split of the partition. Balanced partitions of ``train`` are cut more densely if the settings ask for it.
    extent : int
        Declared edge length of the partition, in pixels.
    beyond : int
        The flags that pixels beyond the partition get.
    """
    step = settings.step
    if settings.densify and split == "train" and is_balanced(label, extent):
        step = max(1, step // 2)
    origins = chip_origins((label.shape[0], label.shape[1]), settings.size, step, settings.edge)
    counts = count_chips(label, flags, origins, settings.size, edge=settings.edge, beyond=beyond)
    return ChipSelection(origins, counts, rejection_reasons(counts, settings.size, settings), step)


def is_balanced(label: Plane, extent: int) -> bool:
    """Return whether 40 to 60 % is glacier and 40 to 60 % is not, limits included, as in the published density rule.

    `label` is (y, x): 0 none, 1 debris, 2 debris-free ice; other values count in neither share. Both shares refer to
    `extent` squared; `extent` is the declared edge length of a partition in pixels.
    """
    glacier = np.count_nonzero((label == LABEL_DEBRIS) | (label == LABEL_ICE)) / extent**2
    background = np.count_nonzero(label == LABEL_NONE) / extent**2
    return bool(0.4 <= glacier <= 0.6 and 0.4 <= background <= 0.6)


def count_chips(
    label: Plane,
    flags: Plane,
    origins: Origins,
    size: int,
    *,
    edge: Edge,
    beyond: int,
) -> ChipCounts:
    """Count the pixels of each kind in every chip, as if the chips had been cut.

    Summed-area tables (Crow, 1984) reduce the work to one pass over the planes and a few additions per chip. Only
    chips that hang over the edge are really cut. The counts equal those of the chips that `cut_chips` cuts from `label`
    (fill 255) and `flags` (fill `beyond`, which `outside_flags` gives for a schema).

    Parameters
    ----------
    label, flags : ndarray of uint8
        (y, x): classes 0, 1 and 2, where other values mean no class; and bits of `Flag`.
    origins, size, edge
        As in `cut_chips`.
    beyond : int
        The flags that pixels beyond the edge get. These pixels have no class.

    Raises
    ------
    InputError, ConfigError
        As in `cut_chips`.
    """
    overhang = overhanging(origins, size, label.shape)
    counts = _count(label, flags, origins, size)
    if overhang.any():
        # With clamp and drop, this raises an error.
        labels = cut_chips(label, origins[overhang], size, edge=edge, fill=LABEL_IGNORE)
        planes = cut_chips(flags, origins[overhang], size, edge=edge, fill=beyond)
        corner = np.zeros((1, 2), np.int64)
        counts[overhang] = [_count(*chip, corner, size)[0] for chip in zip(labels, planes, strict=True)]
    none, debris, ice, optical, topo, image = counts.T
    return ChipCounts(none, debris, ice, size**2 - none - debris - ice, optical, topo, image)


def rejection_reasons(counts: ChipCounts, size: int, settings: ChipSettings) -> npt.NDArray[Any]:
    """Return the first `RejectionReason` that applies to each chip, (chip,) of object; ``KEPT`` if none applies.

    A share is a count divided by all pixels of the chip, missing ones included; `size` is the edge length of a chip in
    pixels. A share equal to a minimum passes, as in the published filter. A class that is absent has the share 0.
    """
    pixels = size**2
    least = settings.min_share
    refusals = {
        RejectionReason.LABEL_MISSING: (pixels - counts.ignore) / pixels < settings.min_valid_label_share,
        RejectionReason.OPTICAL_MISSING: (pixels - counts.optical_missing) / pixels < settings.min_valid_optical_share,
        RejectionReason.TOPO_MISSING: (pixels - counts.topo_missing) / pixels < settings.min_valid_topo_share,
        RejectionReason.TOO_LITTLE_NONE: counts.none / pixels < least.get("none", 0.0),
        RejectionReason.TOO_LITTLE_DEBRIS: counts.debris / pixels < least.get("debris", 0.0),
        RejectionReason.TOO_LITTLE_ICE: counts.ice / pixels < least.get("ice", 0.0),
        RejectionReason.TOO_LITTLE_GLACIER: (counts.debris + counts.ice) / pixels < settings.min_glacier_share,
    }
    outcome = np.full(counts.none.shape, RejectionReason.KEPT, object)
    for reason, refused in reversed(refusals.items()):
        outcome[refused] = reason
    return outcome


def _count(label: Plane, flags: Plane, origins: Origins, size: int) -> Counts:
    """Return (chip, 6) counts: three classes and three masks of flags, in the part of each chip inside the planes."""
    height, width = label.shape
    counts = np.empty((len(origins), 6), np.int64)
    kernel.count_windows(
        label,
        flags,
        np.array(_MASKS, np.uint8),
        origins,
        size,
        np.empty(height + 1, np.int64),
        np.empty((6, width), np.uint8),
        np.empty((min(height + 1, 2 * len(origins)) + 1, 6, width + 1), np.uint32),
        counts,
    )
    return counts
