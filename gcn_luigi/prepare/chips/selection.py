"""Which chips a partition gives: how close they are cut, what they hold, which are kept, and why the others are not."""

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
    """Pixels of each kind, (chip,)."""

    none: Counts
    debris: Counts
    ice: Counts
    # Without a class, so that the four add up to the chip.
    ignore: Counts
    # With that flag.
    optical_missing: Counts
    topo_missing: Counts
    # Outside the mosaic or missing in any image band.
    any_missing: Counts

    @classmethod
    def empty(cls) -> Self:
        """Return the counts of no chips."""
        return cls(*(np.zeros(0, np.int64) for _ in fields(cls)))

    def of(self, chosen: npt.NDArray[np.bool_]) -> "ChipCounts":
        """Return the counts of the chosen chips; `chosen` is (chip,)."""
        return ChipCounts(*(getattr(self, field.name)[chosen] for field in fields(self)))


class RejectionReason(StrEnum):
    """Why a chip is not kept, or that it is. Where several reasons hold, the one listed first is given."""

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
        """(chip,): whether it is kept."""
        return np.asarray(self.reasons == RejectionReason.KEPT, bool)


def select_chips(
    settings: ChipSettings, label: Plane, flags: Plane, *, split: str, extent: int, beyond: int
) -> ChipSelection:
    """Lay chips over a partition and decide which are kept.

    Parameters
    ----------
    settings : ChipSettings
        How chips are cut and which are kept.
    label, flags : ndarray of uint8
        (y, x): classes, 255 without one; bits of `Flag`.
    split : str
        Of the partition: balanced partitions of ``train`` are cut more closely, if the settings ask for it.
    extent : int
        Declared edge of the partition, in pixels.
    beyond : int
        Flags of a pixel beyond the partition.
    """
    step = settings.step
    if settings.densify and split == "train" and is_balanced(label, extent):
        step = max(1, step // 2)
    origins = chip_origins((label.shape[0], label.shape[1]), settings.size, step, settings.edge)
    counts = count_chips(label, flags, origins, settings.size, edge=settings.edge, beyond=beyond)
    return ChipSelection(origins, counts, rejection_reasons(counts, settings.size, settings), step)


def is_balanced(label: Plane, extent: int) -> bool:
    """Return whether 40 to 60 % is glacier and 40 to 60 % is not, limits included, as in the published density rule.

    `label` is (y, x): 0 none, 1 debris, 2 debris-free ice; anything else counts in neither share. Both shares are of
    the square of `extent`, the declared edge of a partition in pixels.
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

    Summed-area tables make the work one pass over the planes and a few additions a chip (Crow, 1984); only chips that
    hang over the edge are really cut. The counts are those of the chips that `cut_chips` makes of `label` (fill 255)
    and `flags` (fill `beyond`; `outside_flags` gives that of a schema).

    Parameters
    ----------
    label, flags : ndarray of uint8
        (y, x): classes 0, 1, 2, anything else is without a class; bits of `Flag`.
    origins, size, edge
        As in `cut_chips`.
    beyond : int
        Flags of a pixel beyond the edge, which has no class.

    Raises
    ------
    InputError, ConfigError
        As in `cut_chips`.
    """
    overhang = overhanging(origins, size, label.shape)
    counts = _count(label, flags, origins, size)
    if overhang.any():
        # Under clamp and drop this refuses.
        labels = cut_chips(label, origins[overhang], size, edge=edge, fill=LABEL_IGNORE)
        planes = cut_chips(flags, origins[overhang], size, edge=edge, fill=beyond)
        corner = np.zeros((1, 2), np.int64)
        counts[overhang] = [_count(*chip, corner, size)[0] for chip in zip(labels, planes, strict=True)]
    none, debris, ice, optical, topo, image = counts.T
    return ChipCounts(none, debris, ice, size**2 - none - debris - ice, optical, topo, image)


def rejection_reasons(counts: ChipCounts, size: int, settings: ChipSettings) -> npt.NDArray[Any]:
    """Return the first `RejectionReason` that holds for every chip, (chip,) of object; ``KEPT`` where none does.

    A share is a count over all pixels of the chip of `size` pixels along its edge, missing ones included. A least share
    is met by a share equal to it, as in the published filter; a class that is absent has the share 0.
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
    """Return (chip, 6): three classes, three masks of flags, in the part of each window that is inside."""
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
