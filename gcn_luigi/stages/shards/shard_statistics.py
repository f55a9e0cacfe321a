"""What a shard counts beside its chips: pixel histograms, rejected chips, values out of range."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import CLASS_NAMES, BandSchema
from gcn_luigi.prepare.chips.chips import coverage
from gcn_luigi.prepare.chips.selection import Reason
from gcn_luigi.prepare.missing.fill import Corrected, band_flags
from gcn_luigi.prepare.statistics.histograms import PixelHistograms, weighted_classes
from gcn_luigi.prepare.statistics.statistics import Histogram

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

    Attributes
    ----------
    n_kept : int
        Chips kept so far.
    """

    def __init__(self, schema: BandSchema) -> None:
        n_bands = len(schema.image)
        self._band_flags = band_flags(schema)
        self._histograms = PixelHistograms(n_bands)
        self._classes = np.zeros((len(CLASS_NAMES), 2), np.int64)
        self._verdicts: list[NDArray[np.int64]] = []
        self._out_of_range: list[NDArray[np.int64]] = []
        self._steps: list[int] = []
        self.n_kept, self._n_judged = 0, 0

    @property
    def histogram(self) -> Histogram:
        """(band, 65536): valid samples of pixels that a kept chip shows."""
        return self._histograms.once

    @property
    def chip_histogram(self) -> Histogram:
        """(band, 65536): the same, once for every chip."""
        return self._histograms.weighted

    @property
    def class_pixels(self) -> NDArray[np.int64]:
        """(class,): pixels of each class that a kept chip shows."""
        return self._classes[:, 0]

    @property
    def chip_class_pixels(self) -> NDArray[np.int64]:
        """(class,): the same, once for every chip."""
        return self._classes[:, 1]

    @property
    def n_rejected(self) -> int:
        """Chips rejected so far."""
        return self._n_judged - self.n_kept

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
        self._histograms.add(corrected.image, corrected.flags, self._band_flags, seen)
        self._classes += weighted_classes(corrected.label, seen)
        judged = Counter(verdicts.tolist())
        self._verdicts.append(np.array([judged[reason] for reason in REASONS], np.int64))
        self.n_kept += judged[Reason.KEPT]
        self._n_judged += len(verdicts)
        self._out_of_range.append(corrected.out_of_range.astype(np.int64))
        self._steps.append(step)

    def tables(self, names: Sequence[str], years: Sequence[int]) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the side tables of the shard, for the partitions `names` cut from `years`."""
        n_bands = len(self._band_flags)
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
