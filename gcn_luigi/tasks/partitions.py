"""The grid, the catalog of partitions, and the files that are made from partitions on request."""

from contextlib import ExitStack
from pathlib import Path

from luigi.util import requires

from gcn_luigi.config import band_facts, outline_keys, pick
from gcn_luigi.stages.sources import catalog_sources, comparison_sources, grid_sources
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies, Snapshot
from gcn_luigi.tasks.inventory import TileInventory
from gcn_luigi.tasks.rasters import STACKED, ClassLabel, YearStack
from gcn_luigi.tasks.target import PublishedFile


@requires(TileInventory)
class PartitionGrid(RegionTask):
    """Make the cells that partitions are cut from, or import them."""

    # 2: all years that an imported grid gives.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        keys = ["grid.size", "grid.path"]
        is_given = region.settings.grid.path is not None
        keys += ["grid.layer", "grid.id_field", "grid.off_lattice"] if is_given else ["grid.origin"]
        return Dependencies(pick(region.settings, keys), grid_sources(region), ("lattice",))

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(self.paths.grid, self.paths.grid_notes)

    def make(self) -> None:
        from gcn_luigi.stages.partitions import write_grid  # noqa: PLC0415

        cells, notes = self.output()
        with cells.atomic_write() as layer, notes.atomic_write() as text:
            write_grid(self.configured, self.paths, layer, text)


@requires(PartitionGrid, ClassLabel)
class PartitionCatalog(RegionTask):
    """Decide for each cell its year and split, or why it is not used."""

    # 2: a grid with a third split is refused, and split.json records its word for dev; outlines are distinguished by
    # date, their union counts, and rows of a grid keep all their years. 3: a label that lacks a class is refused.
    code_version = 3
    # Shards wait for it, and it for the label; a task that it requires gets its priority.
    priority = 20

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        grid, label = self.requires()
        # The classes that must occur.
        label_keys = ("allow_absent", "source", "debris_outlines", "debris_raster", "class_column")
        used_keys = (
            "max_outside_share",
            "min_outline_share",
            "max_outline_distance_m",
            "reject_ids_path",
            "exclude_polygons_path",
        )
        return Dependencies(
            region.settings.class_table.unusual("name", "value", "glacier")
            | region.settings.unusual_splits
            | pick(
                region.settings,
                (
                    *("outlines", "year", "years", "split"),
                    *(f"label.{key}" for key in label_keys),
                    *(f"grid.{key}" for key in used_keys),
                ),
            ),
            sources=catalog_sources(region),
            facets=("lattice", "windows"),
            # The first target of the label is its raster.
            reads=[*grid.targets(), *label.targets()[:1]],
        )

    def output(self) -> tuple[PublishedFile, ...]:
        paths = self.paths
        folds = (paths.folds, paths.folds_csv, paths.unfolded_catalog)
        more = folds if self.configured.settings.split.folds else ()
        return self.publishes(paths.catalog, paths.catalog_map, paths.split_audit, *more)

    def without_folds(self) -> PublishedFile:
        """Return the published catalog without its folds, which decide no pixel; if it has none, that is itself.

        The published file decides, not the settings: until the catalog is made again, shards compare themselves with
        what is there, and new folds leave them current.
        """
        catalog, without = self.publishes(self.paths.catalog, self.paths.unfolded_catalog)
        record = catalog.record()
        has_folds = record is not None and "folds" in record.parts["settings"]["split"]
        return without if has_folds else catalog

    def page(self) -> str:
        return "catalog"

    def make(self) -> None:
        from gcn_luigi.stages.partitions import write_catalog  # noqa: PLC0415

        with ExitStack() as files:
            written = [files.enter_context(target.atomic_write()) for target in self.output()]
            write_catalog(self.configured, self.paths, *written)


@requires(PartitionCatalog)
class GridComparison(RegionTask):
    """Compare the glacier share of train and dev cells for three grid sizes."""

    is_heavy = True
    # 2: the distance of train and dev, and glacier areas. 3: outlines that overlap count once.
    code_version = 3

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        catalog = self.requires().targets()[0]
        return Dependencies(
            pick(region.settings, outline_keys(region.settings)),
            comparison_sources(region),
            ("lattice",),
            (catalog,),
        )

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.grid_comparison)[0]

    def make(self) -> None:
        from gcn_luigi.stages.partitions import write_grid_comparison  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_grid_comparison(self.configured, self.paths, temporary)


def corrected_dependencies(task: RegionTask, *keys: str) -> Dependencies:
    """Return what corrected partitions depend on, and the settings `keys`; `task` requires catalog, then stacks."""
    settings = task.configured.settings
    _, *stacks = task.requires()
    catalog = task.clone(PartitionCatalog)
    # Only the published rule depends on which bands are tested.
    nodata = ("nodata",) if settings.nodata.mode == "legacy" else ("nodata.mode", "nodata.fill")
    return Dependencies(
        {
            **pick(settings, (*nodata, *keys, "stack.dtype")),
            **settings.class_table.unusual("value"),
            "bands": band_facts(settings.schema_bands, *STACKED, "valid_min", "valid_max"),
        },
        facets=("lattice", "windows"),
        reads=[target for stack in stacks for target in stack.targets()],
        # Under the name of the catalog, so that folds that come or go make nothing older.
        in_place_of={catalog.paths.catalog.name: catalog.without_folds()},
    )


class PartitionFiles(RegionTask):
    """Write each used partition, corrected, as a GeoTIFF; only built on request."""

    is_heavy = True
    # 2: the list gives sizes.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        return corrected_dependencies(self)

    def requires(self) -> list[RegionTask]:
        years = self.configured.settings.years
        return [self.clone(PartitionCatalog), *(self.clone(YearStack, year=year) for year in years)]

    def output(self) -> PublishedFile:
        """Return the list of files; it is written last."""
        return self.publishes(self.paths.partition_list)[0]

    def is_published(self, snapshot: Snapshot | None = None) -> bool:
        """Return whether the list is published and current, and every file on it exists."""
        if not super().is_published(snapshot):
            return False
        from gcn_luigi.stages.shards.partition_files import partition_files_are_there  # noqa: PLC0415

        return partition_files_are_there(self.paths.partition_list)

    def make(self) -> None:
        from gcn_luigi.stages.shards.partition_files import write_partition_files  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_partition_files(self.configured, self.paths, temporary, self.say)


@requires(GridComparison, PartitionCatalog, ClassLabel)
class GridReport(RegionTask):
    """Draw the page that compares grid sizes; only built on request."""

    # 2: outlines that overlap count once.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        comparison, catalog, label = self.requires()
        keys = (*outline_keys(region.settings), "grid.size", "chips.size", "chips.step", "chips.edge", "chips.densify")
        return Dependencies(
            {**pick(region.settings, keys), **region.settings.class_table.unusual("value", "glacier")},
            comparison_sources(region),
            ("lattice",),
            (*comparison.targets(), catalog.targets()[0], label.targets()[0]),
        )

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.grids)[0]

    def page(self) -> str:
        return self.paths.grids.name

    def make(self) -> None:
        from gcn_luigi.report.grids.page import write_grid_page  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_grid_page(self.configured, self.paths, temporary)
