"""Names of everything a dataset holds; no other module joins these paths."""

import re
from dataclasses import dataclass
from pathlib import Path

from gcn_luigi.bands import Band
from gcn_luigi.io.publish.safe_names import name_part

SPLITS = ("train", "dev")

# Of a task's name: gcn.ChipShard(train, 0, 4).
_BETWEEN_WORDS = re.compile(r"[(), ]+")


class Below:
    """A path below a dataset's directory, as an attribute of `DatasetPaths`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, paths: "DatasetPaths", _owner: type) -> Path:
        return paths.root / self._name


@dataclass(frozen=True)
class DatasetPaths:
    """Paths below one region's output directory, ``<output>/<region>``."""

    root: Path

    # What the tile directories hold, and the class label and distance rasters.
    inventory = Below("inventory.json")
    label = Below("label.tif")
    distance = Below("distance.tif")
    # The cells that partitions are cut by; what was changed when they were imported; three sizes of them compared.
    grid = Below("grid.gpkg")
    grid_notes = Below("grid.json")
    grid_comparison = Below("grid_comparison.json")
    # One row per partition, and one per chip; each for a GIS as well.
    catalog = Below("catalog.parquet")
    catalog_map = Below("catalog.gpkg")
    index = Below("index.parquet")
    index_map = Below("index.gpkg")
    # What train and dev share; band statistics and class counts.
    split_audit = Below("split.json")
    statistics = Below("statistics.json")
    # The quality page, and the comparison of grid sizes, which is made on request.
    report = Below("report.html")
    grids = Below("grids.html")
    # What the dataset is and what to cite, for people; the eight lines of the published workflow's log.
    readme = Below("README.md")
    citation = Below("CITATION.md")
    metadata_log = Below("metadata_log.txt")
    # The manifest: every file with size and digest.
    dataset = Below("dataset.json")
    shards = Below("shards")
    # Which partition files were written.
    partition_list = Below("partitions/partitions.csv")
    # How long tasks took; no part of the dataset.
    times = Below(".gcn/times")

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

    def shard(self, split: str, number: int, total: int) -> Path:
        """Return one shard of a split."""
        return self.shards / f"{name_part(split)}-{number:05d}-of-{total:05d}.h5"

    def partition(self, name: str, year: int) -> Path:
        """Return a corrected partition, named as the published workflow named it."""
        return self.root / "partitions" / f"train_pt_id_{name_part(name)}_partition_year_{year}_grid_corrected.tif"

    def time(self, task: str) -> Path:
        """Return where it is kept how long a task took, by its name."""
        return self.times / f"{name_part(_BETWEEN_WORDS.sub('-', task).strip('-')[:100])}.seconds"

    def sidecar(self, path: Path) -> Path:
        """Return where the fingerprint of `path` is kept."""
        relative = path.relative_to(self.root)
        return self.root / ".gcn" / relative.with_name(relative.name + ".json")
