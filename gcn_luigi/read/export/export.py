"""Export chips, partitions or mosaics from a finished dataset as GeoTIFFs, with their footprints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import pandas as pd

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.safe_names import name_part
from gcn_luigi.io.raster.geotiff import blocks
from gcn_luigi.io.tables import write_geopackage
from gcn_luigi.lattice import Lattice, Window, WindowSet
from gcn_luigi.prepare.partitions.query import Selection, select, window_around
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.export.files import LAYERS, ExportFiles, Layer, published
from gcn_luigi.read.export.scene import Scene

Form = Literal["chips", "partitions", "mosaic"]
Say = Callable[[str, float], None]

# Rows and columns of a mosaic that are in memory at once.
_STRIP = (256, 4096)
_BATCH = 32


@dataclass(frozen=True)
class Request:
    """What to export, and how: one GeoTIFF per chip, per partition, or per year with everything in the box."""

    selection: Selection
    form: Form = "chips"
    # None: all that the dataset has.
    layers: tuple[Layer, ...] | None = None
    overwrite: bool = False


def export(dataset: Dataset, out: Path, request: Request, say: Say) -> dict[str, Any]:
    """Write a directory of GeoTIFFs with footprints and styles. The sources are not needed.

    Pixels are equal to those of `ChipReader`, to the bit. A mosaic shows one year. Where no partition of this year
    covers it, the image holds the fill value, the label is 255, and the flags say that everything is missing. The
    directory `out`, which must not exist or must be empty, appears when it is complete. The function returns the
    content of ``export.json``: ``dataset`` and ``digest``, ``form``, ``crs``, counts, and ``files``. `say` is called
    with a message and the completed fraction.

    Raises
    ------
    ConfigError
        Nothing is selected, or `out` cannot be used.
    ShardError, InputError
        A shard is missing or damaged, or overlapping partitions do not agree.
    PublishError
        A file cannot be written.
    """
    selection = request.selection
    if request.form == "mosaic" and (selection.sample is not None or selection.limit is not None):
        raise ConfigError(
            "a mosaic shows the whole selection, so it cannot be a sample",
            where="--as mosaic",
            fix="leave out --sample and --limit, or use --as chips",
        )
    where = dataset.place
    layers = dataset_layers(dataset) if request.layers is None else request.layers
    if unknown := [layer for layer in layers if layer not in dataset_layers(dataset)]:
        raise ConfigError(
            f"the dataset has no {unknown[0]}",
            where=where,
            fix="leave this layer out, or build the dataset with [label] confidence",
        )
    rows = select(dataset.chip_boxes, selection, "chip_id" if request.form == "chips" else "partition", where=where)
    with published(dataset, out, overwrite=request.overwrite) as directory:
        files = ExportFiles(dataset, directory, layers)
        if request.form == "chips":
            footprints = _chips(dataset, rows, files, say)
        elif request.form == "partitions":
            footprints = _partitions(dataset, rows, files, say)
        else:
            footprints = _mosaics(dataset, rows, files, selection, say)
        write_geopackage(directory / "footprints.gpkg", footprints, "footprints")
        return files.close(request.form, len(rows))


def dataset_layers(dataset: Dataset) -> tuple[Layer, ...]:
    """Return the layers that a dataset has."""
    return tuple(layer for layer in LAYERS if layer != "confidence" or dataset.has_confidence)


def _chips(dataset: Dataset, rows: gpd.GeoDataFrame, files: ExportFiles, say: Say) -> gpd.GeoDataFrame:
    names = [name_part(str(name)) for name in rows["chip_id"]]
    reader = dataset.reader(rows)
    try:
        for first in range(0, len(rows), _BATCH):
            positions = range(first, min(first + _BATCH, len(rows)))
            batch = reader.batch(list(positions))
            for number, position in enumerate(positions):
                row = rows.iloc[position]
                size = batch["label"].shape[-1]
                # The position from the shard, to the last digit.
                left, top = float(row["left"]), float(row["top"])
                own = Lattice(dataset.lattice.crs, left, top, dataset.lattice.pixel_size, size, size)
                planes: Any = batch
                pixels: dict[str, Any] = {layer: planes[layer][number] for layer in dataset_layers(dataset)}
                files.write(names[position], own, [(own.window, pixels)])
                say(names[position], (position + 1) / len(rows))
    finally:
        reader.close()
    return rows.assign(file=pd.array([f"{name}.tif" for name in names], dtype="str"))


def _partitions(dataset: Dataset, rows: gpd.GeoDataFrame, files: ExportFiles, say: Say) -> gpd.GeoDataFrame:
    # Use all chips of the partitions, including those not selected, because they show pixels of the partition as well.
    whole = dataset.chip_table[dataset.chip_table["partition"].isin(rows["partition"])]
    used = _used(dataset, rows)
    scene = Scene(dataset, whole)
    names = []
    for done, row in enumerate(used.itertuples(), 1):
        names.append(name_part(f"{dataset.description['region']}_{row.partition}_{row.year}"))
        window = Window(int(row.row), int(row.col), int(row.height), int(row.width))
        files.write(names[-1], dataset.lattice.crop(window), _pieces(scene, window, row.partition, int(row.year)))
        say(names[-1], done / len(used))
    scene.close()
    return used.assign(file=pd.array([f"{name}.tif" for name in names], dtype="str"))


def _mosaics(
    dataset: Dataset, rows: gpd.GeoDataFrame, files: ExportFiles, selection: Selection, say: Say
) -> gpd.GeoDataFrame:
    parts = []
    years = sorted(rows["year"].unique().tolist())
    for done, year in enumerate(years, 1):
        shown = rows[rows["year"] == year]
        of_year = dataset.chip_table[dataset.chip_table["year"] == year]
        scene = Scene(dataset, of_year[of_year["partition"].isin(shown["partition"])])
        window = scene.hull
        if selection.bounds is not None:
            there = WindowSet([dataset.lattice.window, scene.hull]).hull
            window = window_around(dataset.lattice, selection.bounds).intersection(there)
        name = name_part(f"{dataset.description['region']}_{year}")
        files.write(name, dataset.lattice.crop(window), _pieces(scene, window))
        parts.append(_used(dataset, shown).assign(file=f"{name}.tif"))
        scene.close()
        say(name, done / len(years))
    return pd.concat(parts, ignore_index=True)


def _used(dataset: Dataset, rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the rows of these partitions in the catalog, in the order of the index, one for each year of `rows`."""
    table = dataset.partition_table.set_index("partition", drop=False)
    shown = rows[["partition", "year"]].drop_duplicates()
    return table.loc[shown["partition"]].assign(year=shown["year"].to_numpy()).reset_index(drop=True)


def _pieces(
    scene: Scene, window: Window, partition: str | None = None, year: int | None = None
) -> Iterator[tuple[Window, Any]]:
    """Yield parts of `window`, with positions relative to its corner, and their pixels."""
    frame = Lattice("", 0.0, 0.0, 1.0, window.height, window.width)
    for part in blocks(frame, _STRIP):
        placed = Window(window.row + part.row, window.col + part.col, part.height, part.width)
        yield part, scene.read(placed, partition, year).planes
