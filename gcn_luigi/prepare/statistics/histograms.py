"""Pixels of a shard counted into histograms and classes, once each and by weight, in one pass."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as counting
from gcn_luigi._core import histogram as kernel
from gcn_luigi.bands import CLASS_NAMES, BandSchema
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.chips.chips import coverage
from gcn_luigi.prepare.chips.selection import ChipSelection, RejectionReason
from gcn_luigi.prepare.missing.fill import Corrected, band_flags
from gcn_luigi.prepare.statistics.statistics import N_BINS, Histogram

REASONS = tuple(RejectionReason)

# What half a word holds.
_MOST = 2**32 - 1


class PixelHistograms:
    """Two histograms of the same samples: each counted once, and as often as its weight says.

    Parameters
    ----------
    n_bands : int
        Bands of the images to come.

    Attributes
    ----------
    once, weighted : ndarray of int64
        (band, 65536), the same two arrays at every call.
    """

    def __init__(self, n_bands: int) -> None:
        self._once, self._weighted = np.zeros((2, n_bands, N_BINS), np.int64)
        # Both counts of a bin in one word, 32 bits each, until they might overflow.
        self._packed = np.zeros((n_bands, N_BINS), np.uint64)
        self._most = 0

    @property
    def once(self) -> Histogram:
        """Samples with a weight, each counted once."""
        self._unpack()
        return self._once

    @property
    def weighted(self) -> Histogram:
        """The same samples, each counted as often as its weight says."""
        self._unpack()
        return self._weighted

    def add(
        self,
        image: npt.NDArray[np.int16],
        flags: npt.NDArray[np.uint8],
        band_flags: npt.NDArray[np.uint8],
        weight: npt.NDArray[np.uint32],
    ) -> None:
        """Count the valid samples of an image.

        Parameters
        ----------
        image : ndarray of int16
            (band, y, x).
        flags : ndarray of uint8
            (y, x): bits of `Flag`.
        band_flags : ndarray of uint8
            (band,): a sample is left out where `flags` has any of its band's bits.
        weight : ndarray of uint32
            (y, x): for example by how many chips a pixel is seen; 0 leaves it out.

        Raises
        ------
        InputError
            The weights of one row may pass 2**32.
        """
        plane = image.shape[1:]
        a_row = int(weight.max(initial=1)) * plane[1]
        if a_row > _MOST:
            raise InputError(
                f"weights up to {weight.max()} in rows of {plane[1]} px may pass 2**32 in one bin",
                where="weight",
                fix="give weights that count chips, or narrower images",
            )
        n_rows = _MOST // max(a_row, 1)
        for first in range(0, plane[0], n_rows):
            rows = slice(first, min(first + n_rows, plane[0]))
            more = a_row * (rows.stop - first)
            if self._most + more > _MOST:
                self._unpack()
            self._most += more
            kernel.add(np.ascontiguousarray(image[:, rows]), flags[rows], band_flags, weight[rows], self._packed)

    def _unpack(self) -> None:
        if self._most:
            self._once += (self._packed & np.uint64(_MOST)).view(np.int64)
            self._weighted += (self._packed >> np.uint64(32)).view(np.int64)
            self._packed[...] = 0
            self._most = 0


def weighted_classes(label: npt.NDArray[np.uint8], weight: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Return how many pixels of each class have a weight, and the sum of their weights, (class, 2).

    `label` is (y, x): 0 none, 1 debris, 2 debris-free ice, anything else is left out; `weight` (y, x), for example by
    how many chips a pixel is seen.
    """
    counts = np.zeros((len(CLASS_NAMES), 2), np.int64)
    counting.weigh(label, weight, counts)
    return counts


class ShardStatistics:
    """Counts over the partitions of one shard: pixel histograms, rejected chips, values out of range.

    Histograms are of the pixels that at least one kept chip shows: ``histogram`` counts each once, ``chip_histogram``
    once for every chip that shows it, and likewise the pixels of classes. All are whole numbers, so the order in which
    shards are merged changes nothing.

    Attributes
    ----------
    n_kept, n_rejected : int
        Chips so far.
    """

    def __init__(self, schema: BandSchema) -> None:
        self._band_flags = band_flags(schema)
        self._histograms = PixelHistograms(len(schema.image))
        self._classes = np.zeros((len(CLASS_NAMES), 2), np.int64)
        self._outcomes: list[list[int]] = []
        self._out_of_range: list[npt.NDArray[Any]] = []
        self._steps: list[int] = []
        self.n_kept, self.n_rejected = 0, 0

    def add(self, corrected: Corrected, selection: ChipSelection, size: int) -> None:
        """Count one partition, whose chips are of `size` pixels along their edge."""
        seen = coverage(selection.origins[selection.kept], size, corrected.label.shape)
        self._histograms.add(corrected.image, corrected.flags, self._band_flags, seen)
        self._classes += weighted_classes(corrected.label, seen)
        outcomes = Counter(selection.reasons.tolist())
        self._outcomes.append([outcomes[reason] for reason in REASONS])
        self.n_kept += outcomes[RejectionReason.KEPT]
        self.n_rejected += len(selection.reasons) - outcomes[RejectionReason.KEPT]
        # A copy: the buffers are used again.
        self._out_of_range.append(corrected.out_of_range.astype(np.int64))
        self._steps.append(selection.step)

    def tables(self, names: Sequence[str], years: Sequence[int]) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Return the side tables of the shard, for the partitions `names` cut from `years`."""
        return {
            "statistics": {
                "histogram": self._histograms.once,
                "chip_histogram": self._histograms.weighted,
                "class_pixels": self._classes[:, 0],
                "chip_class_pixels": self._classes[:, 1],
            },
            "partitions": {
                "name": np.array(names, dtype="S64"),
                "year": np.array(years, np.int16),
                "step": np.array(self._steps, np.int32),
                "verdicts": np.array(self._outcomes, np.int64).reshape(-1, len(REASONS)),
                "reasons": np.array([reason.value for reason in REASONS], dtype="S64"),
                "out_of_range": np.array(self._out_of_range, np.int64).reshape(-1, len(self._band_flags)),
            },
        }
