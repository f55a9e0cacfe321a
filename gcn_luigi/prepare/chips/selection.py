"""What chips hold, which are kept, and why the others are not."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as kernel
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.chips.chips import Edge, Origins, check_origins, cut_chips, overhanging
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.settings import ChipSettings

Counts = npt.NDArray[np.int64]
Plane = npt.NDArray[np.uint8]

_ALL_MISSING = Flag.OPTICAL | Flag.TOPO | Flag.LABEL | Flag.OUTSIDE
_ANY_IMAGE = Flag.OPTICAL | Flag.TOPO | Flag.OUTSIDE | Flag.DISTANCE
_MASKS = (Flag.OPTICAL, Flag.TOPO, _ANY_IMAGE)


@dataclass(frozen=True)
class ChipCounts:
    """Pixels of each kind, one number a chip.

    Attributes
    ----------
    none, debris, ice : ndarray of int64
        (chip,): pixels of each class.
    ignore : ndarray of int64
        (chip,): pixels without a class, so that the four add up to the chip.
    optical_missing, topo_missing : ndarray of int64
        (chip,): pixels with that flag.
    any_missing : ndarray of int64
        (chip,): pixels outside the mosaic or missing in any image band.
    """

    none: Counts
    debris: Counts
    ice: Counts
    ignore: Counts
    optical_missing: Counts
    topo_missing: Counts
    any_missing: Counts


class Reason(StrEnum):
    """Outcome of a chip. Where several hold, the one listed first is given."""

    KEPT = "kept"
    LABEL_MISSING = "label-missing"
    OPTICAL_MISSING = "optical-missing"
    TOPO_MISSING = "topo-missing"
    TOO_LITTLE_NONE = "too-little-none"
    TOO_LITTLE_DEBRIS = "too-little-debris"
    TOO_LITTLE_ICE = "too-little-ice"
    TOO_LITTLE_GLACIER = "too-little-glacier"


def count_chips(
    label: Plane,
    flags: Plane,
    origins: Origins,
    size: int,
    *,
    edge: Edge,
    beyond: int = _ALL_MISSING,
) -> ChipCounts:
    """Count the pixels of each kind in every chip, as if the chips had been cut.

    Summed-area tables make the work one pass over the planes and a few additions a chip (Crow,
    1984); only chips that hang over the edge are really cut.

    Parameters
    ----------
    label : ndarray of uint8
        (y, x): classes 0, 1, 2; anything else is without a class.
    flags : ndarray of uint8
        (y, x): bits of `Flag`.
    origins : ndarray of int64
        (chip, 2): row and column, not negative.
    size : int
        Edge of a chip, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        As in `cut_chips`. Beyond the edge a pixel has no class.
    beyond : int
        Flags of a pixel beyond the edge; `outside_flags` gives those of a schema.

    Returns
    -------
    ChipCounts
        Equal to counts on the chips that `cut_chips` makes of `label` (fill 255) and `flags`
        (fill `beyond`).

    Raises
    ------
    InputError
        `label` and `flags` are not uint8 planes of one shape, an origin is negative, or a chip
        hangs over the edge under ``clamp`` or ``drop``.
    ConfigError
        `size` is not positive.
    """
    if label.ndim != 2 or label.shape != flags.shape or not label.dtype == flags.dtype == np.uint8:
        raise InputError(
            f"label {label.shape} {label.dtype} and flags {flags.shape} {flags.dtype} do not belong together",
            where="label and flags",
            fix="give two uint8 planes (y, x) of one shape",
        )
    origins = check_origins(origins, size)
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


def judge_chips(counts: ChipCounts, size: int, settings: ChipSettings) -> npt.NDArray[Any]:
    """Return the outcome of every chip.

    A share is a count over all pixels of the chip, missing ones included. A least share is met by
    a share equal to it, as in the published filter; a class that is absent has the share 0.

    Parameters
    ----------
    counts : ChipCounts
        From `count_chips`.
    size : int
        Edge of a chip, in pixels.
    settings : ChipSettings
        The thresholds.

    Returns
    -------
    ndarray of object
        (chip,) of `Reason`, the first that holds in its order: `Reason.KEPT` where none does.

    Raises
    ------
    ConfigError
        `size` is not positive.
    """
    if size < 1:
        raise ConfigError(f"a chip of {size} px", where="chips.size", fix="use at least 1 pixel")
    pixels = size**2
    least = settings.min_share
    refusals = {
        Reason.LABEL_MISSING: (pixels - counts.ignore) / pixels < settings.min_valid_label_share,
        Reason.OPTICAL_MISSING: (pixels - counts.optical_missing) / pixels < settings.min_valid_optical_share,
        Reason.TOPO_MISSING: (pixels - counts.topo_missing) / pixels < settings.min_valid_topo_share,
        Reason.TOO_LITTLE_NONE: counts.none / pixels < least.get("none", 0.0),
        Reason.TOO_LITTLE_DEBRIS: counts.debris / pixels < least.get("debris", 0.0),
        Reason.TOO_LITTLE_ICE: counts.ice / pixels < least.get("ice", 0.0),
        Reason.TOO_LITTLE_GLACIER: (counts.debris + counts.ice) / pixels < settings.min_glacier_share,
    }
    outcome = np.full(counts.none.shape, Reason.KEPT, object)
    for reason, refused in reversed(refusals.items()):
        outcome[refused] = reason
    return outcome


def _count(
    label: Plane,
    flags: Plane,
    origins: Origins,
    size: int,
) -> Counts:
    """Return (chip, 6): three classes, three masks of flags, in the part of each window that is inside."""
    height, width = label.shape
    counts = np.empty((len(origins), 6), np.int64)
    kernel.count_windows(
        np.ascontiguousarray(label),
        np.ascontiguousarray(flags),
        np.array(_MASKS, np.uint8),
        origins,
        size,
        np.empty(height + 1, np.int64),
        np.empty((6, width), np.uint8),
        np.empty((min(height + 1, 2 * len(origins)) + 1, 6, width + 1), np.uint32),
        counts,
    )
    return counts
