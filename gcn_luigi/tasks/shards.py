"""Chips: the shards of each split."""

from pathlib import Path

import luigi
from luigi.parameter import ParameterVisibility

from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.stages.shards.memory_estimate import lighter_shard, shard_bytes
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies
from gcn_luigi.tasks.partitions import PartitionCatalog, corrected_dependencies
from gcn_luigi.tasks.rasters import YearStack
from gcn_luigi.tasks.target import PublishedFile


class ChipShard(RegionTask):
    """Read, mask and cut a share of a split's partitions into one shard."""

    # 4: a checksum of HDF5's own behind every compressed chunk, and of headers, indices and columns.
    code_version = 4
    split: luigi.Parameter[str] = luigi.ChoiceParameter(choices=SPLITS, description="train or dev")
    number: luigi.Parameter[int] = luigi.IntParameter(description="which shard of the split, from 0")
    total: luigi.Parameter[int] = luigi.IntParameter(description="shards of the split")
    threads: luigi.Parameter[int] = luigi.IntParameter(
        default=1,
        config_path={"section": "gcn", "name": "threads"},
        significant=False,
        visibility=ParameterVisibility.HIDDEN,
        description="threads that cut and compress",
    )
    # How many shards are built at once, over all workers of a scheduler: luigi.cfg, [resources].
    resources = {"io": 1}  # noqa: RUF012  luigi reads a plain attribute

    def dependencies(self, path: Path) -> Dependencies:
        """Return catalog, stacks, and how chips are corrected, cut and stored."""
        del path
        return corrected_dependencies(self, "chips", "shards.codec", "shards.layout")

    def requires(self) -> list[RegionTask]:
        """Require the catalog and all stacks."""
        stacks = (self.clone(YearStack, year=year) for year in self.configured.settings.years)
        return [self.clone(PartitionCatalog), *stacks]

    def output(self) -> PublishedFile:
        """Return the shard."""
        return self.publishes(self.paths.shard(self.split, self.number, self.total))[0]

    def page(self) -> str:
        """Return the page of the shard."""
        return f"shards/{self.paths.shard(self.split, self.number, self.total).stem}"

    def memory_needed(self) -> int:
        """Return what partitions, chips and their readers may need."""
        return shard_bytes(self.configured.settings, self.threads)

    def lighter(self, limit: int) -> list[str]:
        """Name the threads and the edge of a partition that fit."""
        return lighter_shard(self.configured.settings, self.threads, limit)

    def make(self) -> None:
        """Build and publish."""
        request = ShardRequest(self.configured.settings, self.paths, self.split, self.number, self.total, self.threads)
        with self.output().atomic_write() as draft:
            build_shard(request, draft, self.say)


def all_shards(task: RegionTask, *splits: str) -> list[ChipShard]:
    """Return the shard tasks of `splits`, as many as the settings say."""
    counts = task.configured.settings.shards
    totals = {"train": counts.n_train, "dev": counts.n_dev}
    return [
        task.clone(ChipShard, split=split, number=number, total=totals[split])
        for split in splits
        for number in range(totals[split])
    ]
