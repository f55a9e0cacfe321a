"""The paths of all files of a dataset. No other module joins these paths."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gcn_luigi.bands import Band
from gcn_luigi.io.publish.safe_names import name_part

# What every dataset has, and what it has if a test split was asked for.
SPLITS = ("train", "dev")
WITH_TEST = (*SPLITS, "test")

# Characters between the parts of a task's name, such as gcn.ChipShard(train, 0, 4).
_BETWEEN_WORDS = re.compile(r"[(), ]+")
# What names of sources may hold and those of this dataset do not.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_STEM = 80


class Below:
    """An attribute of `DatasetPaths`: a path below the directory of the dataset."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, paths: "DatasetPaths", _owner: type) -> Path:
        return paths.root / self._name


@dataclass(frozen=True)
class DatasetPaths:
    """Paths below one region's output directory, ``<output>/<region>``."""

    root: Path

    # The content of the tile directories; the label and distance rasters.
    inventory = Below("inventory.json")
    label = Below("label.tif")
    # What is to be known about a label that is no ready-made raster.
    label_notes = Below("label.json")
    distance = Below("distance.tif")
    # The confidence of the label, where it is asked for.
    confidence = Below("confidence.tif")
    # The cells that partitions are cut from; changes made when they were imported; a comparison of three cell sizes.
    grid = Below("grid.gpkg")
    grid_notes = Below("grid.json")
    grid_comparison = Below("grid_comparison.json")
    # One row per partition, and one row per chip, both also for a GIS.
    catalog = Below("catalog.parquet")
    catalog_map = Below("catalog.gpkg")
    index = Below("index.parquet")
    index_map = Below("index.gpkg")
    # The audit of what train and dev share; band statistics and class counts.
    split_audit = Below("split.json")
    # What each fold does with each partition, if folds were asked for.
    folds = Below("folds.parquet")
    folds_csv = Below("folds.csv")
    # The catalog as it would be without folds: shards depend on it, so that other folds make no shard older.
    unfolded_catalog = Below("catalog_without_folds.parquet")
    statistics = Below("statistics.json")
    # Distances of dev, test and the whole area to training; the features of chips that they are measured in.
    distances = Below("distances.json")
    features = Below("features.parquet")
    # Class counts and shares by elevation, aspect, year, split and fold.
    strata = Below("strata.csv")
    # Variograms of bands and label, and their bins as a table.
    autocorrelation = Below("autocorrelation.json")
    autocorrelation_lags = Below("autocorrelation.csv")
    # The quality page, and the page that compares grid sizes, which is made on request.
    report = Below("report.html")
    grids = Below("grids.html")
    # The data card and the citation, for people; the eight lines of the published workflow's log.
    readme = Below("README.md")
    citation = Below("CITATION.md")
    metadata_log = Below("metadata_log.txt")
    # The same for programs: Croissant, the Citation File Format, a STAC collection; and the datasheet, for people.
    croissant = Below("croissant.json")
    citation_file = Below("CITATION.cff")
    datasheet = Below("datasheet.md")
    stac = Below("stac/collection.json")
    # The manifest: every file with size and digest.
    dataset = Below("dataset.json")
    shards = Below("shards")
    # The list of partition files that were written.
    partition_list = Below("partitions/partitions.csv")
    # Sidecars, and the claims of runs that work now.
    records = Below(".gcn")
    # How long tasks took. This is not part of the dataset.
    times = Below(".gcn/times")

    def tile_quality(self, band: str) -> Path:
        """Return the file with counts of the pixels in the tiles of a band."""
        return self.root / "tile_quality" / f"{name_part(band)}.json"

    def cube_tile(self, band: str, tile: str = "") -> Path:
        """Return the GeoTIFF of a band of a cube, or of one of several cubes."""
        directory = self.root / "cubes"
        return directory / name_part(band) / f"{name_part(tile)}.tif" if tile else directory / f"{name_part(band)}.tif"

    def aligned(self, band: str, source: str) -> Path:
        """Return the file of a source, by its path below the data root, that is warped onto the lattice for a band.

        The digest distinguishes sources of equal names in several directories.
        """
        stem = _UNSAFE.sub("-", PurePosixPath(source).stem)[:_LONGEST_STEM]
        digest = hashlib.sha256(source.encode()).hexdigest()[:8]
        return self.root / "aligned" / name_part(band) / f"{stem}-{digest}.tif"

    def mosaic(self, band: Band, year: int | None = None) -> Path:
        """Return the mosaic of a band: a GeoTIFF if the band is converted. Topography has no year."""
        name = f"{band.role}_{band.name}" + ("" if year is None else f"_{year}")
        return self.root / "mosaics" / f"{name}.{'tif' if band.is_converted else 'vrt'}"

    def source_mosaic(self, band: Band, year: int | None = None) -> Path:
        """Return the mosaic of a converted band as delivered, before the conversion."""
        return self.mosaic(band, year).with_name(f"{self.mosaic(band, year).stem}_source.vrt")

    def stack(self, year: int) -> Path:
        """Return the stack of a year."""
        return self.root / "stacks" / f"{year}.vrt"

    def stack_file(self, year: int) -> Path:
        """Return the stack of a year as one GeoTIFF."""
        return self.root / "stacks" / f"{year}.tif"

    def style(self, layer: Path) -> Path:
        """Return the style that QGIS loads with `layer`. It has the same name with another suffix."""
        return layer.with_suffix(".qml")

    def shard(self, split: str, number: int, total: int) -> Path:
        """Return one shard of a split."""
        return self.shards / f"{name_part(split)}-{number:05d}-of-{total:05d}.h5"

    def stac_item(self, shard: Path) -> Path:
        """Return the STAC item that describes `shard`."""
        return self.stac.with_name(f"{shard.stem}.json")

    def partition(self, name: str, year: int) -> Path:
        """Return the file of a corrected partition, with the name that the published workflow gave it."""
        return self.root / "partitions" / f"train_pt_id_{name_part(name)}_partition_year_{year}_grid_corrected.tif"

    def time(self, task: str) -> Path:
        """Return the file that holds how long a task took; `task` is its name."""
        return self.times / f"{name_part(_BETWEEN_WORDS.sub('-', task).strip('-')[:100])}.seconds"

    def sidecar(self, path: Path) -> Path:
        """Return the sidecar of `path`."""
        relative = path.relative_to(self.root)
        return self.records / relative.with_name(relative.name + ".json")
