"""Write corrected partitions as GeoTIFFs, with the file names of the published workflow."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from gcn_luigi.config import Region
from gcn_luigi.io.publish.atomic import atomic_write, digest
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.safe_names import inside
from gcn_luigi.io.raster.geotiff import write_geotiff
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.partition_reader import read_partitions
from gcn_luigi.stages.shards.shard import catalog_of_shards, used_partitions


def write_partition_files(region: Region, paths: DatasetPaths, out: Path, say: Say) -> None:
    """Write one GeoTIFF per used partition, and to `out` a CSV that lists them.

    The bands are those of the stack, in its order and type. In the mode ``strict`` missing samples hold the fill value
    and missing label pixels 255; in the mode ``legacy`` they hold the published result. No nodata value is declared,
    because no pixel holds one. The CSV has the columns split, partition, year, file, size (in bytes) and sha256.
    """
    inventory = read_inventory(paths)
    lattice = inventory.lattice
    schema = region.settings.schema_bands
    splits = region.settings.splits
    catalog = catalog_of_shards(region.settings, paths)
    places = [place for split in splits for place in used_partitions(catalog, lattice, split)]
    rows = []
    partitions = read_partitions(region, paths, inventory, places)
    for done, (place, corrected) in enumerate(zip(places, partitions, strict=True), 1):
        stack = np.insert(corrected.image, schema.label_index, corrected.label.astype(schema.dtype), axis=0)
        path = paths.partition(place.partition, place.year)
        with atomic_write(path) as temporary:
            write_geotiff(temporary, lattice.crop(place.window), stack, nodata=None, names=schema.names)
        rows.append((place.split, place.partition, place.year, path.name, path.stat().st_size, digest(path)))
        say(f"{done} of {len(places)} partitions", done / len(places))
    rows.sort(key=lambda row: (splits.index(row[0]), row[1]))
    table = pd.DataFrame(rows, columns=["split", "partition", "year", "file", "size", "sha256"])
    table.to_csv(out, index=False, lineterminator="\n")


def partition_files_are_there(partition_list: Path) -> bool:
    """Return whether every file of a published list exists next to it with the right size."""
    with partition_list.open(encoding="utf-8", newline="") as stream:
        return all(
            (path := inside(partition_list.parent, row["file"], where=partition_list)).is_file()
            and path.stat().st_size == int(row["size"])
            for row in csv.DictReader(stream)
        )
