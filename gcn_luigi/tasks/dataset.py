"""Tasks that complete a dataset: styles, report, card and manifest."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
from luigi.util import requires

from gcn_luigi.config import band_facts, pick
from gcn_luigi.errors import InputError, PublishError, few
from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.sidecar import Record
from gcn_luigi.io.publish.timings import read_times
from gcn_luigi.luigi_host.guard import GuardedTask
from gcn_luigi.prepare.appearance import recent_choice
from gcn_luigi.prepare.disagreements import disagreements
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.band_files import mosaic_files
from gcn_luigi.stages.dataset.styles import is_stretched, styled_layers, write_style
from gcn_luigi.tasks.base import RegionTask, files_of
from gcn_luigi.tasks.dependencies import Dependencies, Snapshot
from gcn_luigi.tasks.evaluation import Autocorrelation, StrataTables, TrainingDistances
from gcn_luigi.tasks.graph import explain, upstream
from gcn_luigi.tasks.inventory import TileInventory, TileQuality
from gcn_luigi.tasks.metadata import DATASET_KEYS, DatasetMetadata, StacCatalog
from gcn_luigi.tasks.partitions import GridComparison, GridReport, PartitionCatalog, PartitionFiles, PartitionGrid
from gcn_luigi.tasks.rasters import ClassLabel, StackFiles, TopoMosaic
from gcn_luigi.tasks.shards import BandStatistics, ChipIndex, all_shards
from gcn_luigi.tasks.target import PublishedFile

if TYPE_CHECKING:
    from gcn_luigi.report.graph_picture import TaskTime
    from gcn_luigi.report.quality.page import Provenance

# The keys of [label] that the card tells if there is a confidence.
_OF_CONFIDENCE = ("confidence", "edge_px", "confidence_lost_per_year", "min_confidence")


def _composite(settings: RegionSettings) -> dict[str, list[str]]:
    return recent_choice(settings.schema_bands.image, settings.report.composite or ())


def everything(settings: RegionSettings) -> dict[str, Any]:
    """Return all sections that are given; the location of the sources is not part of the dataset's content."""
    return settings.model_dump(mode="json", exclude={"data_root"})


def tile_qualities(task: RegionTask) -> list[TileQuality]:
    """Return the tasks that read every pixel of the tiles, one per band."""
    return [task.clone(TileQuality, band=band.name) for band in task.configured.settings.checked_bands]


@requires(BandStatistics)
class LayerStyles(RegionTask):
    """Write a QGIS style next to each layer."""

    def dependencies(self, path: Path) -> Dependencies:
        layer, settings = self._layers()[path], self.configured.settings
        bands = settings.schema_bands
        if layer == self.paths.label:
            return Dependencies(settings.class_table.unusual("name", "value", "colour"))
        if not is_stretched(self.paths, layer):
            return Dependencies(settings.unusual_splits)
        shown: dict[str, Any] = {"bands": band_facts(bands, "name", "role"), **_composite(settings)}
        if layer == self.paths.distance:
            shown = {"bands": band_facts((bands.bands[-1],), "name", "role", "unit")}
        return Dependencies(shown, reads=self.clone(BandStatistics).targets())

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(*self._layers())

    def make(self) -> None:
        for target, layer in zip(self.output(), self._layers().values(), strict=True):
            if not target.exists():
                with target.atomic_write() as temporary:
                    write_style(self.configured.settings, self.paths, layer, temporary)

    def _layers(self) -> dict[Path, Path]:
        layers = styled_layers(self.configured.settings, self.paths)
        return {self.paths.style(layer): layer for layer in layers}


class QualityReport(RegionTask):
    """Draw the quality page."""

    # It shows how long the tasks took.
    in_manifest = False

    def dependencies(self, _path: Path) -> Dependencies:
        settings = self.configured.settings
        chosen = {**everything(settings), **_composite(settings)}
        return Dependencies(chosen, facets=("all",), reads=self._read_files())

    def parts(self, path: Path, snapshot: Snapshot | None = None) -> Mapping[str, Any]:
        """Return everything that decides the page: its dependencies, and the digests and fingerprints on it."""
        records = records_by_path(self, self._stated_files())
        files = {name: record and [record.sha256, record.fingerprint] for name, record in records.items()}
        return {**super().parts(path, snapshot), "files": files}

    def _read_files(self) -> list[PublishedFile]:
        shown = [*self.requires(), self.clone(PartitionGrid), self.clone(ClassLabel), *all_shards(self)]
        bands = self.configured.settings.topo_bands
        if not bands:
            return files_of(shown)
        # For the relief; of a band that is converted, only the conversion is read.
        read = {mosaic_files(self.paths, band, None)[-1] for band in bands}
        return [*files_of(shown), *(target for target in self.clone(TopoMosaic).targets() if target.path in read)]

    def _stated_files(self) -> list[PublishedFile]:
        return [*self.clone(TileInventory).targets(), *self._read_files()]

    def requires(self) -> list[RegionTask]:
        return [
            self.clone(ChipIndex),
            self.clone(BandStatistics),
            self.clone(PartitionCatalog),
            self.clone(GridComparison),
            self.clone(TrainingDistances),
            self.clone(StrataTables),
            *([self.clone(Autocorrelation)] if self.configured.settings.evaluation.autocorrelation else []),
            *tile_qualities(self),
        ]

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.report)[0]

    def page(self) -> str:
        return self.paths.report.name

    def make(self) -> None:
        from gcn_luigi.report.quality.page import write_report  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_report(self.configured.settings, self.paths, temporary, self.origin())

    def origin(self) -> "Provenance":
        """Return all tasks of the dataset with their times, the files that the page lists, and versions."""
        from gcn_luigi.report.quality.page import Provenance  # noqa: PLC0415
        from gcn_luigi.stages.dataset.manifest import versions  # noqa: PLC0415

        return Provenance(
            tasks=task_times(self.clone(Dataset)),
            records=records_by_path(self, self._stated_files()),
            versions=versions(self.configured.settings),
        )


class DatasetCard(RegionTask):
    """Write the data card: what the dataset is, and how to cite it."""

    # 2: the header for Hugging Face, and the sources that [sources] names.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        settings = self.configured.settings
        keys = ("chips.size", "chips.step", "grid.size", "nodata.fill", "nodata.mode", "split.method", "shards.layout")
        return Dependencies(
            {
                **pick(
                    settings,
                    (
                        *keys,
                        "stack.dtype",
                        "sources",
                        *DATASET_KEYS,
                        *(f"label.{key}" for key in _OF_CONFIDENCE),
                    ),
                ),
                "is_voted": settings.label.stem is not None,
                "bands": band_facts(settings.schema_bands.image, "name", "role", "unit"),
                **settings.class_table.unusual("name", "value"),
                **settings.unusual_splits,
            },
            reads=files_of([*self.requires(), self.clone(PartitionCatalog)]),
        )

    def requires(self) -> list[RegionTask]:
        return [self.clone(ChipIndex), self.clone(BandStatistics), *tile_qualities(self)]

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(self.paths.readme, self.paths.citation)

    def make(self) -> None:
        from gcn_luigi.stages.dataset.data_card import write_card  # noqa: PLC0415

        readme, citation = self.output()
        with readme.atomic_write() as page, citation.atomic_write() as sources:
            write_card(self.configured.settings, self.paths, page, sources)


@requires(
    QualityReport,
    DatasetCard,
    DatasetMetadata,
    StacCatalog,
    LayerStyles,
    ChipIndex,
    BandStatistics,
    TrainingDistances,
    StrataTables,
)
class Dataset(RegionTask):
    """Complete the dataset: ``dataset.json`` lists every file with size and digest."""

    # 2: the manifest holds a digest of itself. 3: the quality page is not listed.
    # 4: it also holds a digest of the data alone.
    code_version = 4

    def dependencies(self, _path: Path) -> Dependencies:
        return Dependencies(everything(self.configured.settings))

    def parts(self, path: Path, snapshot: Snapshot | None = None) -> Mapping[str, Any]:
        """Return everything that decides the manifest: the configuration, and every file with its digests."""
        records = records_of(self)
        files = {name: record and [record.sha256, record.fingerprint] for name, record in records.items()}
        return {**super().parts(path, snapshot), "files": files}

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.dataset)[0]

    def page(self) -> str:
        return ""

    def extras(self) -> tuple[RegionTask, ...]:
        """Return the tasks that are not part of the dataset's graph, and are only built on request."""
        return self.clone(PartitionFiles), self.clone(StackFiles), self.clone(GridReport)

    def built_extras(self) -> tuple[RegionTask, ...]:
        """Return the extras that have at least one file or sidecar."""
        return tuple(
            task
            for task in self.extras()
            if any(target.path.is_file() or target.sidecar.is_file() for target in task.targets())
        )

    def make(self) -> None:
        """Check that all files were made from the same state of the sources, then write the manifest."""
        from gcn_luigi.stages.dataset.manifest import write_manifest  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            check_one_state(self)
            write_manifest(self.configured.settings, *manifest_entries(self), temporary)


class AllRegions(GuardedTask, luigi.WrapperTask):
    """Build several regions, each with its splits, in one graph."""

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
        return [
            Dataset(region=region, output_root=self.output_root, config_dir=self.config_dir) for region in self.regions
        ]


def records_of(root: RegionTask) -> dict[str, Record | None]:
    """Return the records in the sidecars of all files that the manifest of `root` lists, by path in the dataset."""
    listed = (task for task in upstream(root) if task.in_manifest)
    return records_by_path(root, (target for task in listed for target in task.targets()))


def records_by_path(root: RegionTask, targets: Iterable[PublishedFile]) -> dict[str, Record | None]:
    """Return the records in the sidecars of `targets`, by path in the dataset of `root`."""
    start = root.paths.root
    return {target.path.relative_to(start).as_posix(): target.record() for target in targets}


def task_times(root: RegionTask) -> "tuple[TaskTime, ...]":
    """Return `root` and every task that it requires, requirements first, each with the time of its last run."""
    from gcn_luigi.report.graph_picture import TaskTime  # noqa: PLC0415

    tasks = (*upstream(root), root)
    seconds = read_times(root.paths, [task.name for task in tasks])
    return tuple(
        TaskTime(
            task.name,
            type(task).__name__,
            tuple(required.name for required in luigi.task.flatten(task.requires())),
            seconds.get(task.name),
        )
        for task in tasks
    )


def manifest_entries(root: RegionTask) -> tuple[list[ManifestEntry], dict[str, str]]:
    """Return the files that the manifest of `root` lists, with size and digest as published, and their fingerprints.

    Raises PublishError if a sidecar is gone.
    """
    files, fingerprints = [], {}
    for path, record in records_of(root).items():
        if record is None:
            raise PublishError(
                "the file's sidecar is gone or damaged",
                where=str(root.paths.root / path),
                fix="run again to rebuild the file; if another build works on this dataset, let it finish first",
            )
        files.append(ManifestEntry(path, record.size, record.sha256))
        fingerprints[path] = record.fingerprint
    return files, fingerprints


def check_one_state(root: RegionTask) -> None:
    """Check that all files in the manifest were made from the same state of the sources, which is the present state.

    A source can change between two tasks that read it. Luigi asks whether everything is complete before it starts a
    task, not while the task runs, and a program that runs tasks without Luigi may not ask at all.
    Raises InputError if two files were made from different states of a source, or if a file was made from another state
    than the present one.
    """
    fix = "do not change the sources, and run the same command again; it rebuilds the older files"
    records = records_of(root).items()
    for found in disagreements((name, record.parts.get("sources", {})) for name, record in records if record):
        raise InputError(
            f"{found.first} and {found.second} were made from different states of a source; no manifest was written",
            where=few(found.sources),
            fix=fix,
        )
    snapshot = Snapshot()
    for task in upstream(root):
        if task.in_manifest and not task.is_published(snapshot):
            raise InputError(
                f"the files of {task.name} no longer match the settings and sources; no manifest was written",
                where=few(explain(task, snapshot).reasons),
                fix=fix,
            )
