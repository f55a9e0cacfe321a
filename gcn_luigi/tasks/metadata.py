"""Tasks that describe a dataset for catalogs, programs and people."""

from collections.abc import Mapping
from pathlib import Path

from gcn_luigi.config import band_facts, pick
from gcn_luigi.errors import PublishError
from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.settings import DatasetSettings
from gcn_luigi.tasks.base import RegionTask, files_of
from gcn_luigi.tasks.dependencies import Dependencies
from gcn_luigi.tasks.partitions import PartitionCatalog
from gcn_luigi.tasks.shards import BandStatistics, ChipIndex, all_shards
from gcn_luigi.tasks.target import PublishedFile

# What people say and several files show; a key that is not given has no part in a fingerprint.
DATASET_KEYS = tuple(f"dataset.{key}" for key in DatasetSettings.model_fields if key != "contact")
# Of bands.
_SHOWN = ("name", "role", "unit", "description")
_KEPT = tuple(
    f"chips.{key}"
    for key in ("size", "step", "min_valid_label_share", "min_valid_optical_share", "min_valid_topo_share")
)


class DatasetMetadata(RegionTask):
    """Describe the dataset: Croissant for programs, a datasheet for people, and how to cite it."""

    def dependencies(self, path: Path) -> Dependencies:
        settings = self.configured.settings
        said = {**pick(settings, (*DATASET_KEYS, "sources")), "read": list(settings.source_kinds)}
        if path == self.paths.citation_file:
            return Dependencies(said)
        chips = (*_KEPT, "chips.min_glacier_share", "chips.min_share")
        keys = (
            "grid.size",
            "nodata.fill",
            "nodata.mode",
            "split.method",
            "stack.dtype",
            "shards.layout",
            "datasheet",
            "label.confidence",
        )
        contact = ("dataset.contact",) if path == self.paths.datasheet else ()
        return Dependencies(
            {
                **said,
                **pick(settings, (*chips, *keys, *contact)),
                "label": [settings.label.made_from, settings.label.min_votes, settings.label.has_debris],
                "bands": band_facts(settings.schema_bands.image, *_SHOWN),
                **settings.class_table.unusual("name", "value", "glacier"),
            },
            facets=("lattice",),
            reads=_read(self),
        )

    def requires(self) -> list[RegionTask]:
        return described(self)

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(self.paths.croissant, self.paths.datasheet, self.paths.citation_file)

    def make(self) -> None:
        from gcn_luigi.stages.metadata.write import description_texts  # noqa: PLC0415

        _publish(self, description_texts(self.configured.settings, self.paths, described_files(self)))


class StacCatalog(RegionTask):
    """Describe the dataset as a STAC collection, with an item for each shard."""

    def dependencies(self, _path: Path) -> Dependencies:
        settings = self.configured.settings
        keys = ("chips.size", "stack.dtype", "shards.layout", "label.confidence", "sources", *DATASET_KEYS)
        return Dependencies(
            {
                **pick(settings, keys),
                "read": list(settings.source_kinds),
                "bands": band_facts(settings.schema_bands.image, *_SHOWN),
                **settings.class_table.unusual("name", "value", "colour"),
            },
            facets=("lattice",),
            reads=_read(self),
        )

    def requires(self) -> list[RegionTask]:
        return described(self)

    def output(self) -> tuple[PublishedFile, ...]:
        """Return the collection, then the item of each shard."""
        shards = [target.path for target in files_of(all_shards(self))]
        return self.publishes(self.paths.stac, *map(self.paths.stac_item, shards))

    def make(self) -> None:
        from gcn_luigi.stages.metadata.write import stac_texts  # noqa: PLC0415

        _publish(self, stac_texts(self.configured.settings, self.paths, described_files(self)))


def _publish(task: RegionTask, texts: Mapping[Path, str]) -> None:
    for target in task.targets():
        if not target.exists():
            with target.atomic_write() as temporary:
                temporary.write_text(texts[target.path], encoding="utf-8")


def described(task: RegionTask) -> list[RegionTask]:
    """Return the tasks whose files the descriptions name or read."""
    return [task.clone(PartitionCatalog), *all_shards(task), task.clone(ChipIndex), task.clone(BandStatistics)]


def _named(task: RegionTask) -> list[PublishedFile]:
    """Return the files whose size and digest the descriptions hold."""
    paths = task.paths
    tables = {paths.index, paths.catalog, paths.statistics}
    files = files_of(described(task))
    return [target for target in files if target.path in tables or target.path.parent == paths.shards]


def _read(task: RegionTask) -> list[PublishedFile]:
    audit = [target for target in task.clone(PartitionCatalog).targets() if target.path == task.paths.split_audit]
    return [*_named(task), *audit]


def described_files(task: RegionTask) -> list[ManifestEntry]:
    """Return size and digest of these files as they were published; raise PublishError if a sidecar is gone."""
    entries = []
    for target in _named(task):
        record = target.record()
        if record is None:
            raise PublishError(
                "the file's sidecar is gone or damaged",
                where=str(target.path),
                fix="run again to rebuild the file; if another build works on this dataset, let it finish first",
            )
        path = target.path.relative_to(task.paths.root).as_posix()
        entries.append(ManifestEntry(path, record.size, record.sha256))
    return entries
