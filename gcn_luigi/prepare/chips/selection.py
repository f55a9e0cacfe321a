"""Select the chips of a partition: their spacing, their content, which are kept, and why others are rejected."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as kernel
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.prepare.chips.chips import Edge, Origins, chip_origins, cut_chips, overhanging
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.settings import ChipSettings

Counts = npt.NDArray[np.int64]
Plane = npt.NDArray[np.uint8]

_ANY_IMAGE = Flag.OPTICAL | Flag.TOPO | Flag.OUTSIDE | Flag.DISTANCE
_MASKS = (Flag.OPTICAL, Flag.TOPO, _ANY_IMAGE)


@dataclass(frozen=True)
class ChipCounts:
    """Numbers of pixels of each kind, as (chip,) arrays; those of the classes as (chip, class)."""

    classes: Counts
    # Without a class. The counts so far add up to the pixels of the chip.
    ignore: Counts
    # Pixels with the flag of this role.
    optical_missing: Counts
    topo_missing: Counts
    # Outside the mosaic or missing in any image band.
    any_missing: Counts

    @classmethod
    def empty(cls, n_classes: int = len(DEFAULT_CLASSES)) -> Self:
        """Return counts without chips."""
        return cls(np.zeros((0, n_classes), np.int64), *(np.zeros(0, np.int64) for _ in fields(cls)[1:]))

    def of(self, chosen: npt.NDArray[np.bool_]) -> "ChipCounts":
        """Return the counts of the chosen chips; `chosen` is (chip,)."""
        return ChipCounts(*(getattr(self, field.name)[chosen] for field in fields(self)))


class RejectionReason(StrEnum):
    """Why a chip is rejected, or ``KEPT``. If several reasons apply, the first in this list is given.

    Reasons about a class are listed for the default classes; `reasons_of` lists those for any.
    """

    KEPT = "kept"
    LABEL_MISSING = "label-missing"
    OPTICAL_MISSING = "optical-missing"
    TOPO_MISSING = "topo-missing"
    TOO_LITTLE_NONE = "too-little-none"
    TOO_LITTLE_DEBRIS = "too-little-debris"
    TOO_LITTLE_ICE = "too-little-ice"
    TOO_LITTLE_GLACIER = "too-little-glacier"


def reasons_of(classes: ClassTable) -> tuple[str, ...]:
    """Return `RejectionReason` for these classes: a reason for each class in place of none, debris and ice."""
    first = list(RejectionReason)[: list(RejectionReason).index(RejectionReason.TOO_LITTLE_NONE)]
    reasons = (*first, *map(too_little, classes.names), RejectionReason.TOO_LITTLE_GLACIER)
    return tuple(dict.fromkeys(str(reason) for reason in reasons))


def too_little(name: str) -> str:
    """Return the reason that a chip has too few pixels of a class."""
    return f"too-little-{name}"


@dataclass(frozen=True)
class ChipSelection:
    """The candidate chips of a partition."""

    # (chip, 2): row and column within the partition, row-major.
    origins: Origins
    counts: ChipCounts
    # (chip,) of `reasons_of`.
    reasons: npt.NDArray[Any]
    # Distance between origins, in pixels.
    step: int

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each chip is kept, (chip,)."""
        return np.asarray(self.reasons == RejectionReason.KEPT, bool)


def select_chips(  # noqa: PLR0913  two planes, what they mean, and where they are
    settings: ChipSettings,
    label: Plane,
    flags: Plane,
    *,
    split: str,
    extent: int,
    beyond: int,
    classes: ClassTable = DEFAULT_CLASSES,
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
    classes : ClassTable
        The classes of the label.
    """
    step = settings.step
    if settings.densify and split == "train" and is_balanced(label, extent, classes):
        step = max(1, step // 2)
    origins = chip_origins((label.shape[0], label.shape[1]), settings.size, step, settings.edge)
    counts = count_chips(label, flags, origins, settings.size, edge=settings.edge, beyond=beyond, classes=classes)
    return ChipSelection(origins, counts, rejection_reasons(counts, settings.size, settings, classes), step)


def is_balanced(label: Plane, extent: int, classes: ClassTable = DEFAULT_CLASSES) -> bool:
    """Return whether 40 to 60 % is glacier and 40 to 60 % is not, limits included, as in the published density rule.

    `label` is (y, x), with values of `classes`; other values count in neither share. Both shares refer to `extent`
    squared; `extent` is the declared edge length of a partition in pixels.
    """
    glacier = np.count_nonzero(classes.is_glacier[label]) / extent**2
    background = np.count_nonzero((classes.known & ~classes.is_glacier)[label]) / extent**2
    return bool(0.4 <= glacier <= 0.6 and 0.4 <= background <= 0.6)


def count_chips(  # noqa: PLR0913  two planes, what they mean, and how chips are cut
    label: Plane,
    flags: Plane,
    origins: Origins,
    size: int,
    *,
    edge: Edge,
    beyond: int,
    classes: ClassTable = DEFAULT_CLASSES,
) -> ChipCounts:
    """Count the pixels of each kind in every chip, as if the chips had been cut.

    Summed-area tables (Crow, 1984) reduce the work to one pass over the planes and a few additions per chip. Only
    chips that hang over the edge are really cut. The counts equal those of the chips that `cut_chips` cuts from `label`
    (fill 255) and `flags` (fill `beyond`, which `outside_flags` gives for a schema).

    Parameters
    ----------
    label, flags : ndarray of uint8
        (y, x): values of `classes`, where other values mean no class; and bits of `Flag`.
    origins, size, edge
        As in `cut_chips`.
    beyond : int
        The flags that pixels beyond the edge get. These pixels have no class.
    classes : ClassTable
        The classes of the label.

    Raises
    ------
    InputError, ConfigError
        As in `cut_chips`.
    """
    overhang = overhanging(origins, size, label.shape)
    counts = _count(label, flags, origins, size, classes)
    if overhang.any():
        # With clamp and drop, this raises an error.
        labels = cut_chips(label, origins[overhang], size, edge=edge, fill=LABEL_IGNORE)
        planes = cut_chips(flags, origins[overhang], size, edge=edge, fill=beyond)
        corner = np.zeros((1, 2), np.int64)
        counts[overhang] = [_count(*chip, corner, size, classes)[0] for chip in zip(labels, planes, strict=True)]
    of_classes, (optical, topo, image) = counts[:, : len(classes)], counts[:, len(classes) :].T
    return ChipCounts(of_classes, size**2 - of_classes.sum(axis=1), optical, topo, image)


def rejection_reasons(
    counts: ChipCounts, size: int, settings: ChipSettings, classes: ClassTable = DEFAULT_CLASSES
) -> npt.NDArray[Any]:
    """Return the first reason of `reasons_of` that applies to each chip, (chip,) of object; ``KEPT`` if none applies.

    A share is a count divided by all pixels of the chip, missing ones included; `size` is the edge length of a chip in
    pixels. A share equal to a minimum passes, as in the published filter. A class that is absent has the share 0.
    """
    pixels = size**2
    least = settings.min_share
    valid = {
        RejectionReason.LABEL_MISSING: (counts.ignore, settings.min_valid_label_share),
        RejectionReason.OPTICAL_MISSING: (counts.optical_missing, settings.min_valid_optical_share),
        RejectionReason.TOPO_MISSING: (counts.topo_missing, settings.min_valid_topo_share),
    }
    refusals: list[tuple[str, npt.NDArray[np.bool_]]] = [
        (reason, (pixels - missing) / pixels < limit) for reason, (missing, limit) in valid.items()
    ]
    for position, name in enumerate(classes.names):
        refusals.append((too_little(name), counts.classes[:, position] / pixels < least.get(name, 0.0)))
    glacier = counts.classes[:, [each.glacier for each in classes]].sum(axis=1)
    refusals.append((RejectionReason.TOO_LITTLE_GLACIER, glacier / pixels < settings.min_glacier_share))
    outcome = np.full(counts.ignore.shape, str(RejectionReason.KEPT), object)
    for reason, refused in reversed(refusals):
        outcome[refused] = str(reason)
    return outcome


def _count(label: Plane, flags: Plane, origins: Origins, size: int, classes: ClassTable) -> Counts:
    """Return (chip, kind) counts: classes and three masks of flags, in the part of each chip inside the planes."""
    height, width = label.shape
    n_kinds = len(classes) + len(_MASKS)
    counts = np.empty((len(origins), n_kinds), np.int64)
    kernel.count_windows(
        label,
        flags,
        classes.value_array,
        np.array(_MASKS, np.uint8),
        origins,
        size,
        np.empty(height + 1, np.int64),
        np.empty((n_kinds, width), np.uint8),
        np.empty((min(height + 1, 2 * len(origins)) + 1, n_kinds, width + 1), np.uint32),
        counts,
    )
    return counts
