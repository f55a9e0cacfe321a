"""Read the confidence of the label for partitions, and let the years between outline and image take their part."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.layers.confidence import Percent, confidence_of_years, least
from gcn_luigi.prepare.missing.fill import NO_CONFIDENCE, Corrected, Flag
from gcn_luigi.settings import LabelSettings


@dataclass(frozen=True)
class PartitionConfidence:
    """The confidence of partitions, from an open raster; None for `dataset` if none is asked for."""

    settings: LabelSettings
    dataset: Any

    def added_to(
        self, partitions: Iterable[Corrected], places: Iterable[Partition]
    ) -> Iterator[tuple[Corrected, dict[str, Percent]]]:
        """Yield each of `partitions`, which are at `places`, with its plane ``confidence`` if one is asked for."""
        for place, corrected in zip(places, partitions, strict=True):
            yield corrected, self._of(place, corrected)

    def _of(self, place: Partition, corrected: Corrected) -> dict[str, Percent]:
        """Return the plane ``confidence`` (y, x) of a partition, uint8; nothing if none is asked for.

        Pixels below `min_confidence` get the flag `Flag.UNCERTAIN` in `corrected`. Where the label is missing, or was
        filled, the confidence is 255 and the flag is not set.
        """
        if self.dataset is None:
            return {}
        made = read_dataset(self.dataset, place.window, fill=NO_CONFIDENCE)[0]
        known = (corrected.label != LABEL_IGNORE) & (corrected.flags & Flag.LABEL == 0) & (made != NO_CONFIDENCE)
        confidence = least(made, confidence_of_years(place.year_gap, self.settings.year_loss), known=known)
        if self.settings.min_confidence is not None:
            # 255 is above every limit.
            corrected.flags[confidence < self.settings.min_confidence] |= int(Flag.UNCERTAIN)
        return {"confidence": confidence}


@contextmanager
def open_confidence(settings: LabelSettings, paths: DatasetPaths) -> Iterator[PartitionConfidence]:
    """Yield what reads the confidence of partitions. Raise InputError if its raster cannot be opened."""
    with open_raster(paths.confidence) if settings.confidence else nullcontext() as dataset:
        yield PartitionConfidence(settings, dataset)
