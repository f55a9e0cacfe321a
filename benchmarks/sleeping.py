"""A task whose work is to sleep, so that the cores of one machine do not limit how many are made at a time."""

import time
from pathlib import Path

import luigi

from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies
from gcn_luigi.tasks.target import PublishedFile


class Sleeping(RegionTask):
    """Sleep, then publish a small file."""

    is_heavy = True

    number: luigi.Parameter[int] = luigi.IntParameter()
    seconds: luigi.Parameter[float] = luigi.FloatParameter()

    def dependencies(self, _path: Path) -> Dependencies:
        """Return that the file depends on nothing."""
        return Dependencies()

    def output(self) -> PublishedFile:
        """Return the file."""
        return self.publishes(self.paths.root / "asleep" / f"{self.number}.txt")[0]

    def make(self) -> None:
        """Sleep and write."""
        time.sleep(self.seconds)
        with self.output().atomic_write() as temporary:
            temporary.write_text("awake\n", encoding="utf-8")
