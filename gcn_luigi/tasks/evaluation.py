"""Tasks that measure what an evaluation on a dataset has to know."""

from dataclasses import replace
from pathlib import Path

from gcn_luigi.config import band_facts, pick
from gcn_luigi.stages.band_files import elevation_file, strata_elevations
from gcn_luigi.tasks.aligned import shown_pixels
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies
from gcn_luigi.tasks.partitions import PartitionCatalog, corrected_dependencies
from gcn_luigi.tasks.rasters import ClassLabel, TopoMosaic, YearStack
from gcn_luigi.tasks.shards import ChipIndex, all_shards
from gcn_luigi.tasks.target import PublishedFile


class TrainingDistances(RegionTask):
    """Measure how far dev and the whole area are from training, in metres and in feature space."""

    # The page waits for it, and it takes longest after the shards.
    priority = 5
    # As for a shard: it reads windows of all stacks.
    resources = {"io": 1}  # noqa: RUF012  luigi reads a plain attribute

    def dependencies(self, _path: Path) -> Dependencies:
        # Shards bring the pixels and places of chips. The catalog and the stacks are the whole area.
        found = corrected_dependencies(self, "years", "grid.size", "chips.size", "split.block_partitions")
        folds = (target for target in self.clone(PartitionCatalog).targets() if target.path == self.paths.folds)
        return replace(found, reads=(*found.reads, *folds))

    def requires(self) -> list[RegionTask]:
        stacks = (self.clone(YearStack, year=year) for year in self.configured.settings.years)
        return [self.clone(PartitionCatalog), *stacks, *all_shards(self)]

    def output(self) -> tuple[PublishedFile, ...]:
        """Return the features of chips, and the distances to training."""
        return self.publishes(self.paths.features, self.paths.distances)

    def make(self) -> None:
        from gcn_luigi.stages.evaluation.training_distances import write_training_distances  # noqa: PLC0415

        features, distances = self.output()
        shards = [shard.output().path for shard in all_shards(self)]
        with features.atomic_write() as table, distances.atomic_write() as text:
            write_training_distances(self.configured, self.paths, shards, table, text, self.say)


class StrataTables(RegionTask):
    """Count the labelled pixels of each class by elevation, aspect, year, split and fold."""

    def dependencies(self, _path: Path) -> Dependencies:
        settings = self.configured.settings
        index, catalog, label, *_ = self.requires()
        facts = {**pick(settings, ("region", "chips.size")), **settings.class_table.unusual("name", "value")}
        reads = [index.targets()[0], catalog.targets()[0], label.targets()[0]]
        band = strata_elevations(settings)
        if band is None:
            return Dependencies(facts, facets=("lattice", "windows"), reads=reads)
        fields = ("name", "nodata", "scale", "offset", "valid_min", "valid_max")
        facts["elevations"] = band_facts((band,), *fields)
        path = elevation_file(self.paths, band)
        reads += [target for target in self.clone(TopoMosaic).targets() if target.path == path]
        # A virtual mosaic says nothing about the pixels of its sources.
        sources, more = shown_pixels(self, band.name) if path.suffix == ".vrt" else ((), ())
        facets = ("lattice", "windows", *([f"band:{band.name}"] if sources else []))
        return Dependencies(facts, sources=sources, facets=facets, reads=[*reads, *more])

    def requires(self) -> list[RegionTask]:
        topography = [self.clone(TopoMosaic)] if strata_elevations(self.configured.settings) else []
        return [self.clone(ChipIndex), self.clone(PartitionCatalog), self.clone(ClassLabel), *topography]

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.strata)[0]

    def make(self) -> None:
        from gcn_luigi.stages.evaluation.strata import write_strata  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_strata(self.configured, self.paths, temporary, self.say)


class Autocorrelation(RegionTask):
    """Measure how far bands and label resemble themselves, and compare this with the buffer of the split."""

    def dependencies(self, _path: Path) -> Dependencies:
        catalog, *shards = self.requires()
        settings = self.configured.settings
        return Dependencies(
            {**pick(settings, ("split.method",)), **settings.class_table.unusual("name", "value")},
            reads=(
                *(
                    target
                    for target in catalog.targets()
                    if target.path in {self.paths.catalog, self.paths.split_audit}
                ),
                *(target for shard in shards for target in shard.targets()),
            ),
        )

    def requires(self) -> list[RegionTask]:
        return [self.clone(PartitionCatalog), *all_shards(self)]

    def output(self) -> tuple[PublishedFile, ...]:
        """Return the variograms as JSON, and their bins as CSV."""
        return self.publishes(self.paths.autocorrelation, self.paths.autocorrelation_lags)

    def make(self) -> None:
        from gcn_luigi.stages.evaluation.autocorrelation import write_autocorrelation  # noqa: PLC0415

        text, table = self.output()
        shards = [shard.output().path for shard in all_shards(self)]
        with text.atomic_write() as json_out, table.atomic_write() as csv_out:
            write_autocorrelation(self.configured.settings, self.paths, shards, (json_out, csv_out), self.say)
