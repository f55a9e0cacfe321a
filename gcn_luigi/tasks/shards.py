"""The shards of chips of each split, and what is collected from them: the index and the statistics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import luigi
import numpy as np

from gcn_luigi.config import pick
from gcn_luigi.io.publish.paths import WITH_TEST
from gcn_luigi.settings import RegionSettings
from gcn_luigi.tasks.base import RegionTask, files_of, hidden_parameter
from gcn_luigi.tasks.dependencies import Dependencies
from gcn_luigi.tasks.partitions import PartitionCatalog, corrected_dependencies
from gcn_luigi.tasks.rasters import YearStack, label_confidence
from gcn_luigi.tasks.target import PublishedFile

# Bytes in addition to partitions and chips: blocks decoded by GDAL, windows read ahead, tables, HDF5; measured.
_FIXED = 56_000_000
# Bytes per pixel, for each class and for three masks, while the pixels of a partition are counted.
_COUNTED, _N_MASKS = 4, 3
# Bytes per band and bin for the counts of floats and one copy of them, beyond those of whole numbers.
_FLOAT_COUNTS = 2 * 6 * 8
_LEAST_SIZE = 32


class ChipShard(RegionTask):
    """Read a part of a split's partitions, correct missing pixels, and cut chips into one shard."""

    is_heavy = True
    # 4: HDF5's own checksum on every compressed chunk, and on headers, indices and columns.
    code_version = 4
    split: luigi.Parameter[str] = luigi.ChoiceParameter(choices=WITH_TEST, description="train, dev or test")
    number: luigi.Parameter[int] = luigi.IntParameter(
        description="number of the shard within its split, counted from 0"
    )
    total: luigi.Parameter[int] = luigi.IntParameter(description="number of shards of the split")
    threads: luigi.Parameter[int] = hidden_parameter(
        luigi.IntParameter, "threads", 1, "number of threads that cut and compress chips"
    )
    # luigi.cfg, [resources], limits how many shards all workers of a scheduler build at once.
    resources = {"io": 1}  # noqa: RUF012  luigi reads a plain attribute

    def dependencies(self, _path: Path) -> Dependencies:
        classes = self.configured.settings.class_table.unusual("name", "value", "glacier")
        corrected = corrected_dependencies(self, "chips", "shards.codec", "shards.layout")
        return replace(corrected, settings={**corrected.settings, **classes, **_confidence(self.configured.settings)})

    def requires(self) -> list[RegionTask]:
        stacks = (self.clone(YearStack, year=year) for year in self.configured.settings.years)
        return [self.clone(PartitionCatalog), *stacks, *label_confidence(self)]

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.shard(self.split, self.number, self.total))[0]

    def page(self) -> str:
        return f"shards/{self.paths.shard(self.split, self.number, self.total).stem}"

    def memory_needed(self) -> int:
        """Return the bytes that partitions, chips and their readers may need."""
        return shard_bytes(self.configured.settings, self.threads)

    def memory_advice(self, limit: int) -> list[str]:
        """Return the number of threads and the partition size that fit `limit` bytes."""
        return shard_memory_advice(self.configured.settings, self.threads, limit)

    def make(self) -> None:
        from gcn_luigi.stages.shards.shard import ShardRequest, build_shard  # noqa: PLC0415

        request = ShardRequest(self.configured, self.paths, self.split, self.number, self.total, self.threads)
        with self.output().atomic_write() as temporary:
            build_shard(request, temporary, self.say)


def _confidence(settings: RegionSettings) -> dict[str, Any]:
    """Return what the confidence in a shard depends on, apart from the raster; nothing if there is none."""
    label = settings.label
    if not label.confidence:
        return {}
    # An attribute names the sources.
    return {**pick(settings, ("label.confidence", "label.min_confidence")), "year_loss": label.year_loss}


def all_shards(task: RegionTask) -> list[ChipShard]:
    """Return the shard tasks of train, then of dev and of test; the settings give their number."""
    return [
        task.clone(ChipShard, split=split, number=number, total=total)
        for split, total in task.configured.settings.n_shards.items()
        for number in range(total)
    ]


class ChipIndex(RegionTask):
    """List every chip of every shard, with its position and its class shares."""

    def dependencies(self, _path: Path) -> Dependencies:
        keys = ("nodata.mode", "grid.size", "chips.size", "chips.step")
        settings = self.configured.settings
        found = {**pick(settings, keys), **settings.class_table.unusual("name"), **settings.unusual_splits}
        if settings.year.rule == "all":
            # Then the index has a column more.
            found |= pick(settings, ("year.rule",))
        reads = files_of(self.requires())
        if settings.split.folds:
            # The fold of each chip.
            reads += self.clone(PartitionCatalog).targets()[:1]
        return Dependencies(found, facets=("crs",), reads=reads)

    def requires(self) -> list[RegionTask]:
        return list(all_shards(self))

    def output(self) -> tuple[PublishedFile, ...]:
        """Return the index as GeoParquet and GeoPackage, and the published workflow's log."""
        return self.publishes(self.paths.index, self.paths.index_map, self.paths.metadata_log)

    def make(self) -> None:
        from gcn_luigi.stages.dataset.summary import write_index  # noqa: PLC0415

        index, map_, log = self.output()
        with index.atomic_write() as table, map_.atomic_write() as layer, log.atomic_write() as text:
            write_index(self.configured.settings, self.paths, table, layer, text)


class BandStatistics(RegionTask):
    """Compute exact statistics of bands and classes over valid pixels."""

    def dependencies(self, _path: Path) -> Dependencies:
        settings = self.configured.settings
        names = [band.name for band in settings.schema_bands.image]
        sure = ("label.confidence", "label.min_confidence")
        facts = {"bands": names, **pick(settings, ("stack.dtype", *sure)), **settings.class_table.unusual("name")}
        facts |= settings.unusual_splits
        return Dependencies(facts, reads=files_of(self.requires()))

    def requires(self) -> list[RegionTask]:
        return list(all_shards(self))

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.statistics)[0]

    def make(self) -> None:
        from gcn_luigi.stages.dataset.summary import write_statistics  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_statistics(self.configured.settings, self.paths, temporary)


def shard_bytes(settings: RegionSettings, threads: int, size: int | None = None) -> int:
    """Return an upper limit of the bytes that building a shard adds to a process with loaded libraries.

    With few chips, each partition may be a single piece of work, and as many partitions as pieces are in memory; the
    limit allows for this case. A build whose partitions have many chips needs half of it or less. `size` is the edge of
    a partition in pixels, by default that of the settings; an imported grid may have larger ones.
    """
    from gcn_luigi.io.raster.stack import AHEAD_BYTES, BLOCK_BYTES  # noqa: PLC0415
    from gcn_luigi.prepare.statistics.statistics import N_BINS  # noqa: PLC0415
    from gcn_luigi.stages.shards.shard import BATCH  # noqa: PLC0415

    pixels = (settings.grid.size if size is None else size) ** 2
    n_image, item = len(settings.schema_bands.image), np.dtype(settings.stack.dtype).itemsize
    sample = item * n_image + 2 + bool(settings.label.confidence)
    counts = _FLOAT_COUNTS * N_BINS * n_image if settings.stack.dtype == "float32" else 0
    partition = pixels * sample
    piece = partition if settings.shards.layout == "windows" else BATCH * settings.chips.size**2 * sample
    raw = item * (n_image + 1) * pixels
    # Without threads, one partition. With threads, those read ahead, the present one, and one for each piece of work.
    partitions, pieces = (2 * threads + 4, 2 * threads + 1) if threads > 1 else (1, 1)
    ahead = max(raw - AHEAD_BYTES, 0)
    counted = _COUNTED * (len(settings.class_table) + _N_MASKS) * pixels
    fixed = _FIXED + BLOCK_BYTES + AHEAD_BYTES
    return fixed + counts + raw + ahead + partitions * partition + (pieces + threads) * piece + counted


def shard_memory_advice(settings: RegionSettings, threads: int, limit: int) -> list[str]:
    """Return what to lower so that a shard fits `limit` bytes; if nothing is enough, the values it depends on."""
    advice = []
    fewer = next((count for count in range(threads - 1, 0, -1) if shard_bytes(settings, count) <= limit), None)
    if threads > 1:
        advice.append(f"lower threads ([gcn] in luigi.cfg, now {threads}) to {fewer or 1}")
    size = settings.grid.size
    halves = [size >> k for k in range(1, 16) if size >> k >= _LEAST_SIZE]
    smaller = next((half for half in halves if shard_bytes(settings, 1, half) <= limit), None)
    if fewer is None and smaller is not None:
        advice.append(f"lower [grid] size (now {size}) to {smaller}")
    return advice
