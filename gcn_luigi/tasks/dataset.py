"""What closes a dataset: index, statistics, report, card and seal."""

import luigi

from gcn_luigi.io.layout import SPLITS
from gcn_luigi.report.page import write_report
from gcn_luigi.stages import card, seal, summary
from gcn_luigi.stages.tile_quality import checked_bands
from gcn_luigi.targets import PublishedFile
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import sealed_files
from gcn_luigi.tasks.guard import GuardedTask
from gcn_luigi.tasks.inventory import TileQuality
from gcn_luigi.tasks.partitions import GridComparison, PartitionCatalog
from gcn_luigi.tasks.shards import all_shards


def tile_qualities(task: RegionTask) -> list[TileQuality]:
    """Return the tasks that read the tiles through, one a band."""
    return [task.clone(TileQuality, band=band.name) for band in checked_bands(task.configured.settings)]


class ChipIndex(RegionTask):
    """List every chip of every shard, with its place and its shares."""

    def requires(self) -> list[RegionTask]:
        """Require all shards."""
        return [self.clone(PartitionCatalog), *all_shards(self, *SPLITS)]

    def output(self) -> tuple[PublishedFile, PublishedFile, PublishedFile]:
        """Return the index as GeoParquet and GeoPackage, and the published workflow's log."""
        index, map_, log = self.publishes(self.layout.index, self.layout.index_map, self.layout.metadata_log)
        return index, map_, log

    def make(self) -> None:
        """Collect and publish."""
        index, map_, log = self.output()
        with index.staged() as table, map_.staged() as layer, log.staged() as text:
            summary.write_index(self.configured.settings, self.layout, table, layer, text)


class BandStatistics(RegionTask):
    """Sum up bands and classes over valid pixels, exactly."""

    def requires(self) -> list[RegionTask]:
        """Require all shards."""
        return list(all_shards(self, *SPLITS))

    def output(self) -> PublishedFile:
        """Return ``statistics.json``."""
        return self.publishes(self.layout.statistics)[0]

    def make(self) -> None:
        """Merge the shards' counts and publish."""
        with self.output().staged() as draft:
            summary.write_statistics(self.configured.settings, self.layout, draft)


class QualityReport(RegionTask):
    """Draw the quality page."""

    def requires(self) -> list[RegionTask]:
        """Require all that is shown."""
        return [
            self.clone(ChipIndex),
            self.clone(BandStatistics),
            self.clone(PartitionCatalog),
            self.clone(GridComparison),
            *tile_qualities(self),
        ]

    def output(self) -> PublishedFile:
        """Return ``report.html``."""
        return self.publishes(self.layout.report)[0]

    def make(self) -> None:
        """Draw and publish."""
        with self.output().staged() as draft:
            write_report(self.configured.settings, self.layout, draft)


class DatasetCard(RegionTask):
    """Write what the dataset is and what to cite."""

    settings_keys = ("region", "label", "outlines", "tiles", "split", "chips")

    def requires(self) -> list[RegionTask]:
        """Require the figures it states."""
        return [self.clone(ChipIndex), self.clone(BandStatistics), *tile_qualities(self)]

    def output(self) -> tuple[PublishedFile, PublishedFile]:
        """Return ``README.md`` and ``CITATION.md``."""
        readme, citation = self.publishes(self.layout.readme, self.layout.citation)
        return readme, citation

    def make(self) -> None:
        """Write and publish."""
        readme, citation = self.output()
        with readme.staged() as page, citation.staged() as sources:
            card.write_card(self.configured.settings, self.layout, page, sources)


class Dataset(RegionTask):
    """Seal the dataset: ``dataset.json`` lists every file with size and digest."""

    # The seal holds the whole configuration.
    settings_keys = (
        "region", "years", "bands", "outlines", "label", "lattice", "tiles", "convert", "distance", "grid", "year",
        "split", "nodata", "chips", "shards",
    )  # fmt: skip

    def requires(self) -> list[RegionTask]:
        """Require everything."""
        return [self.clone(QualityReport), self.clone(DatasetCard), self.clone(ChipIndex), self.clone(BandStatistics)]

    def output(self) -> PublishedFile:
        """Return ``dataset.json``."""
        return self.publishes(self.layout.dataset)[0]

    def make(self) -> None:
        """List and publish."""
        with self.output().staged() as draft:
            seal.write_seal(self.configured.settings, sealed_files(self), self.parts()["requires"], draft)


class AllRegions(GuardedTask, luigi.WrapperTask):
    """Build several regions, train and dev, in one graph."""

    task_namespace = "gcn"
    regions: luigi.Parameter[tuple[str, ...]] = luigi.ListParameter(
        default=("southern", "northern"), description='regions to build, for example ["southern", "northern"]'
    )
    output_root: luigi.Parameter[str] = luigi.Parameter(
        default="output", config_path={"section": "gcn", "name": "output_root"}, description="see gcn.Dataset"
    )
    config_dir: luigi.Parameter[str] = luigi.Parameter(
        default="config",
        config_path={"section": "gcn", "name": "config_dir"},
        significant=False,
        description="see gcn.Dataset",
    )

    def requires(self) -> list[Dataset]:
        """Require the dataset of each region."""
        return [
            Dataset(region=region, output_root=self.output_root, config_dir=self.config_dir) for region in self.regions
        ]
