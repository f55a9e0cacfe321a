"""Names of everything a dataset holds; no other module joins these paths."""

import re
from dataclasses import dataclass
from pathlib import Path

from gcn_luigi.bands import Band
from gcn_luigi.io.publish.safe_names import name_part

SPLITS = ("train", "dev")

# Of a task's name: gcn.ChipShard(train, 0, 4).
_BETWEEN_WORDS = re.compile(r"[(), ]+")


@dataclass(frozen=True)
class DatasetPaths:
    """Paths below one region's output directory.

    Attributes
    ----------
    root : Path
        ``<output>/<region>``.
    """

    root: Path

    @property
    def inventory(self) -> Path:
        """What the tile directories hold."""
        return self.root / "inventory.json"

    @property
    def label(self) -> Path:
        """The class label raster."""
        return self.root / "label.tif"

    @property
    def distance(self) -> Path:
        """The distance raster."""
        return self.root / "distance.tif"

    @property
    def grid(self) -> Path:
        """The cells partitions are cut by."""
        return self.root / "grid.gpkg"

    @property
    def grid_notes(self) -> Path:
        """What was changed when the grid was imported."""
        return self.root / "grid.json"

    @property
    def grid_comparison(self) -> Path:
        """Glacier share of train and dev cells for three grid sizes."""
        return self.root / "grid_comparison.json"

    @property
    def catalog(self) -> Path:
        """One row a partition."""
        return self.root / "catalog.parquet"

    @property
    def catalog_map(self) -> Path:
        """The catalog for a GIS."""
        return self.root / "catalog.gpkg"

    @property
    def index(self) -> Path:
        """One row a chip."""
        return self.root / "index.parquet"

    @property
    def index_map(self) -> Path:
        """The index for a GIS."""
        return self.root / "index.gpkg"

    @property
    def split_audit(self) -> Path:
        """What train and dev share, measured."""
        return self.root / "split.json"

    @property
    def statistics(self) -> Path:
        """Band statistics and class counts."""
        return self.root / "statistics.json"

    @property
    def report(self) -> Path:
        """The quality page."""
        return self.root / "report.html"

    @property
    def grids(self) -> Path:
        """The comparison of grid sizes, made on request."""
        return self.root / "grids.html"

    @property
    def readme(self) -> Path:
        """What the dataset is, for people."""
        return self.root / "README.md"

    @property
    def citation(self) -> Path:
        """What to cite."""
        return self.root / "CITATION.md"

    @property
    def metadata_log(self) -> Path:
        """The eight lines of the published workflow's log."""
        return self.root / "metadata_log.txt"

    @property
    def dataset(self) -> Path:
        """The seal: every file with size and digest."""
        return self.root / "dataset.json"

    def tile_quality(self, band: str) -> Path:
        """Return what the tiles of a band hold, counted."""
        return self.root / "tile_quality" / f"{name_part(band)}.json"

    def mosaic(self, band: Band, year: int | None = None) -> Path:
        """Return the mosaic of a band; topography has no year and is a converted GeoTIFF."""
        if year is None:
            return self.root / "mosaics" / f"{band.role}_{band.name}.tif"
        return self.root / "mosaics" / f"{band.role}_{band.name}_{year}.vrt"

    def source_mosaic(self, band: Band) -> Path:
        """Return the mosaic of a topographic band as delivered, before conversion."""
        return self.root / "mosaics" / f"{band.role}_{band.name}_source.vrt"

    def stack(self, year: int) -> Path:
        """Return the stack of a year."""
        return self.root / "stacks" / f"{year}.vrt"

    def stack_file(self, year: int) -> Path:
        """Return the stack of a year as one GeoTIFF."""
        return self.root / "stacks" / f"{year}.tif"

    def style(self, layer: Path) -> Path:
        """Return the style that QGIS loads with `layer`: of its name, but for the suffix."""
        return layer.with_suffix(".qml")

    @property
    def shards(self) -> Path:
        """Directory of the shards."""
        return self.root / "shards"

    def shard(self, split: str, number: int, total: int) -> Path:
        """Return one shard of a split."""
        return self.shards / f"{name_part(split)}-{number:05d}-of-{total:05d}.h5"

    def partition(self, name: str, year: int) -> Path:
        """Return a corrected partition, named as the published workflow named it."""
        return self.root / "partitions" / f"train_pt_id_{name_part(name)}_partition_year_{year}_grid_corrected.tif"

    @property
    def partition_list(self) -> Path:
        """Which partition files were written."""
        return self.root / "partitions" / "partitions.csv"

    @property
    def times(self) -> Path:
        """Directory of what tasks took; no part of the dataset."""
        return self.root / ".gcn" / "times"

    def time(self, task: str) -> Path:
        """Return where it is kept how long a task took, by its name."""
        return self.times / f"{name_part(_BETWEEN_WORDS.sub('-', task).strip('-')[:100])}.seconds"

    def sidecar(self, path: Path) -> Path:
        """Return where the fingerprint of `path` is kept."""
        relative = path.relative_to(self.root)
        return self.root / ".gcn" / relative.with_name(relative.name + ".json")
