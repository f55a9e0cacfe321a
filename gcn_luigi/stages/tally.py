"""What a shard counts beside its chips: pixel histograms, rejected chips, values out of range."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import CLASS_NAMES, BandSchema
from gcn_luigi.prepare.chips import coverage
from gcn_luigi.prepare.nodata import Corrected, band_flags
from gcn_luigi.prepare.selection import Reason
from gcn_luigi.prepare.statistics import add_to_histogram, empty_histogram

REASONS = tuple(Reason)
REJECTIONS = tuple(reason for reason in REASONS if reason is not Reason.KEPT)


class Tally:
    """Counts over the partitions of one shard.

    Histograms are of the pixels that at least one kept chip shows: ``histogram`` counts each once,
    ``chip_histogram`` once for every chip that shows it. Both are whole numbers, so the order in
    which shards are merged changes nothing.

    Parameters
    ----------
    schema : BandSchema
        The stack's bands.
    """

    def __init__(self, schema: BandSchema) -> None:
        n_bands = len(schema.image)
        self._band_flags = band_flags(schema)
        self.histogram = empty_histogram(n_bands)
        self.chip_histogram = empty_histogram(n_bands)
        self.class_pixels = np.zeros(len(CLASS_NAMES), np.int64)
        self.chip_class_pixels = np.zeros(len(CLASS_NAMES), np.int64)
        self._verdicts: list[NDArray[np.int64]] = []
        self._out_of_range: list[NDArray[np.int64]] = []
        self._steps: list[int] = []

    @property
    def n_kept(self) -> int:
        """Chips kept so far."""
        return sum(int(verdict[REASONS.index(Reason.KEPT)]) for verdict in self._verdicts)

    @property
    def n_rejected(self) -> int:
        """Chips rejected so far."""
        return sum(int(verdict.sum()) for verdict in self._verdicts) - self.n_kept

    def add(self, corrected: Corrected, kept: NDArray[np.int64], size: int, verdicts: NDArray[Any], step: int) -> None:
        """Count one partition.

        Parameters
        ----------
        corrected : Corrected
            Its pixels.
        kept : ndarray
            (chip, 2) origins of the kept chips.
        size : int
            Chip edge, in pixels.
        verdicts : ndarray of object
            (chip,) of `Reason`, one a candidate chip.
        step : int
            Distance between its chips, in pixels.
        """
        seen = coverage(kept, size, corrected.label.shape)
        once = (seen > 0).astype(seen.dtype)
        for histogram, weight in ((self.histogram, once), (self.chip_histogram, seen)):
            add_to_histogram(histogram, corrected.image, corrected.flags, self._band_flags, weight)
        for value in range(len(CLASS_NAMES)):
            where = seen[corrected.label == value]
            self.class_pixels[value] += int((where > 0).sum())
            self.chip_class_pixels[value] += int(where.sum(dtype=np.int64))
        self._verdicts.append(np.array([(verdicts == reason).sum() for reason in REASONS], np.int64))
        self._out_of_range.append(corrected.out_of_range.astype(np.int64))
        self._steps.append(step)

    def tables(self, names: Sequence[str], years: Sequence[int]) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the side tables of the shard, for the partitions `names` cut from `years`."""
        n_bands = len(self.histogram)
        return {
            "statistics": {
                "histogram": self.histogram,
                "chip_histogram": self.chip_histogram,
                "class_pixels": self.class_pixels,
                "chip_class_pixels": self.chip_class_pixels,
            },
            "partitions": {
                "name": np.array(names, dtype="S64"),
                "year": np.array(years, np.int16),
                "step": np.array(self._steps, np.int32),
                "verdicts": np.array(self._verdicts, np.int64).reshape(-1, len(REASONS)),
                "reasons": np.array([reason.value for reason in REASONS], dtype="S64"),
                "out_of_range": np.array(self._out_of_range, np.int64).reshape(-1, n_bands),
            },
        }
