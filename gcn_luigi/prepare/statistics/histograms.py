"""Count the pixels of a shard by value and by class, both once per pixel and by weight, in one pass."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as counting
from gcn_luigi._core import histogram as kernel
from gcn_luigi.bands import BandSchema
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.chips.chips import coverage
from gcn_luigi.prepare.chips.selection import ChipSelection, RejectionReason, reasons_of
from gcn_luigi.prepare.missing.fill import Corrected, band_flags
from gcn_luigi.prepare.statistics.float_counts import FloatCounts
from gcn_luigi.prepare.statistics.statistics import N_BINS, Histogram

# Percent: the highest confidence of a label.
_SURE = 100
# The largest number that fits half a word.
_MOST = 2**32 - 1


class PixelHistograms:
    """Two histograms of the same samples: one counts each sample once, the other counts it with its weight.

    Parameters
    ----------
    n_bands : int
        Number of bands of the images.

    Attributes
    ----------
    once, weighted : ndarray of int64
        (band, 65536). Every access returns the same two arrays.
    """

    def __init__(self, n_bands: int) -> None:
        self._once, self._weighted = np.zeros((2, n_bands, N_BINS), np.int64)
        # One word holds both counts of a bin, 32 bits each, until they might overflow.
        self._packed = np.zeros((n_bands, N_BINS), np.uint64)
        self._most = 0

    @property
    def once(self) -> Histogram:
        """The histogram of samples with a weight above 0, each counted once."""
        self._unpack()
        return self._once

    @property
    def weighted(self) -> Histogram:
        """The histogram of the same samples, each counted with its weight."""
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
            (band,): a sample is left out if `flags` has any of its band's bits there.
        weight : ndarray of uint32
            (y, x): for example how many chips show a pixel. A pixel of weight 0 is left out.

        Raises
        ------
        InputError
            The sum of weights in one row may exceed 2**32.
        """
        plane = image.shape[1:]
        a_row = int(weight.max(initial=1)) * plane[1]
        if a_row > _MOST:
            raise InputError(
                f"weights up to {weight.max()} in rows of {plane[1]} px may add up to more than 2**32 in one bin",
                where="weight",
                fix="give smaller weights, such as numbers of chips, or narrower images",
            )
        n_rows = _MOST // max(a_row, 1)
        for first in range(0, plane[0], n_rows):
            rows = slice(first, min(first + n_rows, plane[0]))
            more = a_row * (rows.stop - first)
            if self._most + more > _MOST:
                self._unpack()
            self._most += more
            kernel.add(np.ascontiguousarray(image[:, rows]), flags[rows], band_flags, weight[rows], self._packed)

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of a shard's table ``statistics``."""
        return {"histogram": self.once, "chip_histogram": self.weighted}

    def _unpack(self) -> None:
        if self._most:
            self._once += (self._packed & np.uint64(_MOST)).view(np.int64)
            self._weighted += (self._packed >> np.uint64(32)).view(np.int64)
            self._packed[...] = 0
            self._most = 0


def weighted_classes(
    label: npt.NDArray[np.uint8], weight: npt.NDArray[np.uint32], classes: ClassTable = DEFAULT_CLASSES
) -> npt.NDArray[np.int64]:
    """Return how many pixels of each class have a weight above 0, and the sum of their weights, (class, 2).

    `label` is (y, x), with values of `classes`; other values are left out. `weight` is (y, x), for example how many
    chips show a pixel.
    """
    counts = np.zeros((len(classes), 2), np.int64)
    counting.weigh(label, classes.value_array, weight, counts)
    return counts


def confidence_counts(
    label: npt.NDArray[np.uint8],
    confidence: npt.NDArray[np.uint8],
    weight: npt.NDArray[np.uint32],
    classes: ClassTable = DEFAULT_CLASSES,
) -> npt.NDArray[np.int64]:
    """Return how many pixels of each class have each confidence, (class, 101); the second axis is in percent.

    `label` and `confidence` are (y, x); values above 100 percent are missing and are left out, and so are pixels whose
    `weight`, (y, x), is 0. Each pixel counts once.
    """
    chosen = (weight > 0) & (confidence <= _SURE)
    # Places of the classes, by value.
    places = np.searchsorted(classes.value_array, label[chosen])
    known = classes.known[label[chosen]]
    bins = places[known] * (_SURE + 1) + confidence[chosen][known]
    return np.bincount(bins, minlength=len(classes) * (_SURE + 1)).reshape(len(classes), _SURE + 1).astype(np.int64)


class ShardStatistics:
    """Counts over the partitions of one shard: pixel histograms, rejected chips, and values out of range.

    Histograms include the pixels that at least one kept chip shows. ``histogram`` counts each pixel once;
    ``chip_histogram`` counts it once for every chip that shows it. The class counts work in the same way. All counts
    are whole numbers, so the order in which shards are merged does not matter.

    Attributes
    ----------
    n_kept, n_rejected : int
        Number of chips so far.
    """

    def __init__(self, schema: BandSchema, *, has_confidence: bool = False) -> None:
        self._band_flags = band_flags(schema)
        is_float = schema.dtype == "float32"
        self._histograms = (FloatCounts if is_float else PixelHistograms)(len(schema.image))
        self._table, self._reasons = schema.classes, reasons_of(schema.classes)
        self._classes = np.zeros((len(self._table), 2), np.int64)
        self._confidence = np.zeros((len(self._table), _SURE + 1), np.int64) if has_confidence else None
        self._outcomes: list[list[int]] = []
        self._out_of_range: list[npt.NDArray[Any]] = []
        self._steps: list[int] = []
        self.n_kept, self.n_rejected = 0, 0

    def add(
        self,
        corrected: Corrected,
        selection: ChipSelection,
        size: int,
        *,
        confidence: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Count one partition. Its chips have an edge length of `size` pixels. `confidence` is (y, x), in percent."""
        seen = coverage(selection.origins[selection.kept], size, corrected.label.shape)
        self._histograms.add(corrected.image, corrected.flags, self._band_flags, seen)
        self._classes += weighted_classes(corrected.label, seen, self._table)
        if self._confidence is not None and confidence is not None:
            self._confidence += confidence_counts(corrected.label, confidence, seen, self._table)
        outcomes = Counter(selection.reasons.tolist())
        self._outcomes.append([outcomes[reason] for reason in self._reasons])
        self.n_kept += outcomes[RejectionReason.KEPT]
        self.n_rejected += len(selection.reasons) - outcomes[RejectionReason.KEPT]
        # The buffers are reused, so a copy is kept.
        self._out_of_range.append(corrected.out_of_range.astype(np.int64))
        self._steps.append(selection.step)

    def tables(self, names: Sequence[str], years: Sequence[int]) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Return the side tables of the shard; `names` and `years` are those of its partitions."""
        return {
            "statistics": {
                **self._histograms.tables(),
                "class_pixels": self._classes[:, 0],
                "chip_class_pixels": self._classes[:, 1],
                **({} if self._confidence is None else {"confidence_pixels": self._confidence}),
            },
            "partitions": {
                "name": np.array(names, dtype="S64"),
                "year": np.array(years, np.int16),
                "step": np.array(self._steps, np.int32),
                "verdicts": np.array(self._outcomes, np.int64).reshape(-1, len(self._reasons)),
                "reasons": np.array(self._reasons, dtype="S64"),
                "out_of_range": np.array(self._out_of_range, np.int64).reshape(-1, len(self._band_flags)),
            },
        }
