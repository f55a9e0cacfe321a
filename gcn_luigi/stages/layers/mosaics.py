"""Mosaics of tiles, one per band and year, and stacks of all bands of a year.

`stack_of` returns which pixels of which files a stack shows. This value is used to write VRTs and to read stacks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from gcn_luigi.bands import Band, Role
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile, tile_order
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, open_geotiff
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.stages import Say
from gcn_luigi.stages.band_files import raster_of
from gcn_luigi.stages.layers.aligned_band import in_place_of_sources
from gcn_luigi.stages.layers.conversion import Target, convert_mosaic

# Rows and columns of a strip: 4 MB of float32 per band.
_STRIP = (BLOCK, 4096)
# A GeoTIFF has one nodata value for all bands; a stack has one per band.
STACK_FILE_NODATA = -32768


def read_inventory(paths: DatasetPaths) -> Inventory:
    """Return the published inventory."""
    return Inventory.from_json(paths.inventory.read_text(encoding="utf-8"))


def mosaic_band(
    files: Sequence[SourceFile],
    band: Band,
    root: Path,
    *,
    source_band: int = 1,
    precedence: Literal["lowest-id", "highest-id"] = "lowest-id",
    dataset: Path | None = None,
) -> VrtBand:
    """Return the mosaic of one band. Where tiles overlap, it shows the first valid pixel in order of precedence.

    The result equals ``rasterio.merge`` with ``method="first"`` over the files in that order. Ids that are numbers are
    compared as numbers. A file is masked by the nodata tag of its band or, without a tag, by ``band.nodata``. The
    nodata value of the mosaic is ``band.nodata``, so every pixel of that value reads as nodata. But only the mask of a
    file decides whether a tile below is visible. The type of the mosaic is the narrowest that can hold every file and
    the nodata value. `source_band` is the 1-based position of the year (1 for topography): the band of every file whose
    bands are the years. Files without this year are left out. Paths of files start from `root`, or from `dataset` if
    the build made them. `precedence` says which tile is on top.

    Raises
    ------
    InputError
        There is no file, or one of them lacks `source_band`.
    """
    files = [file for file in files if file.number_of(source_band - 1)]
    short = [file.path for file in files if file.count < file.number_of(source_band - 1)]
    if short or not files:
        raise InputError(
            f"there is no band {source_band} for the mosaic of {band.name}",
            where=", ".join(short) or "no file at all",
            fix="supply files with one band per year",
        )
    from_top = sorted(files, key=lambda file: (tile_order(file.tile), file.path))
    if precedence == "highest-id":
        from_top.reverse()
    root = root.absolute()
    sources = tuple(
        VrtSource(
            file.place(root, (dataset or root).absolute()),
            number := file.number_of(source_band - 1),
            file.window,
            float(band.nodata) if (tag := file.tag_of(number)) is None else tag,
            mask=file.mask,
        )
        for file in reversed(from_top)
    )
    dtype = np.result_type(*{np.dtype(file.dtype) for file in files}, np.min_scalar_type(band.nodata))
    return VrtBand(band.name, dtype.name, float(band.nodata), sources)


def stack_of(region: Region, paths: DatasetPaths, inventory: Inventory, year: int) -> Vrt:
    """Return the stack of a year: named bands of one type, each with its nodata.

    Optical bands that are not converted show tiles through mosaics.
    """
    lattice, bands, schema = inventory.lattice, [], region.settings.schema_bands
    for band in schema:
        is_shown = band.role is Role.OPTICAL and not band.is_converted
        mosaic = mosaic_of(region, paths, inventory, band, year) if is_shown else None
        source = VrtSource(raster_of(paths, band, year).absolute(), 1, lattice.window, band.nodata, mosaic)
        bands.append(VrtBand(band.name, schema.dtype, band.nodata, (source,)))
    return Vrt(paths.stack(year), lattice, tuple(bands))


def mosaic_of(
    region: Region, paths: DatasetPaths, inventory: Inventory, band: Band, year: int | None = None
) -> VrtBand:
    """Return the mosaic of a band's tiles. Band k of an optical tile is the k-th configured year."""
    settings, number = region.settings, 1
    if year is not None:
        number += settings.years.index(year)
    files: Sequence[SourceFile] = inventory.of_band(band.name)
    if any(file.resampling for file in files):
        files = in_place_of_sources(files, paths, settings)
    precedence = settings.tiles.precedence
    return mosaic_band(files, band, region.root, source_band=number, precedence=precedence, dataset=paths.root)


def write_mosaic(region: Region, paths: DatasetPaths, band: Band, year: int | None, path: Path, out: Path) -> None:
    """Write one of `mosaic_files`, `path`, to `out`: the VRT that joins a band's tiles, or its conversion."""
    inventory = read_inventory(paths)
    mosaic = mosaic_of(region, paths, inventory, band, year)
    if band.is_converted and path == paths.mosaic(band, year):
        (scaling,) = {file.scaling for file in inventory.of_band(band.name)}
        target = Target(region.settings.convert, region.settings.stack.dtype, scaling)
        convert_mosaic(paths.source_mosaic(band, year), out, band, target, mosaic)
    else:
        write_vrt(out, inventory.lattice, [mosaic])


def write_stack(region: Region, paths: DatasetPaths, year: int, out: Path) -> None:
    """Write the VRT of a year's stack to `out`, in the final directory because paths in it are relative."""
    stack = stack_of(region, paths, read_inventory(paths), year)
    write_vrt(out, stack.lattice, stack.bands)


def write_stack_file(region: Region, paths: DatasetPaths, year: int, out: Path, say: Say) -> None:
    """Copy the stack of `year` into one GeoTIFF of its type: bands by name, -32768 wherever a band is missing.

    Nothing else changes: pixels are neither corrected nor filled, and values out of range are kept.

    Raises
    ------
    InputError
        A source is damaged, or a band whose nodata is another number holds -32768 as a value.
    """
    schema = region.settings.schema_bands
    source = stack_of(region, paths, read_inventory(paths), year)
    lattice = source.lattice
    nodata = np.array([band.nodata for band in schema], schema.dtype)[:, np.newaxis, np.newaxis]
    with (
        StackReader({year: source}) as stack,
        open_geotiff(out, lattice, dtype=schema.dtype, nodata=STACK_FILE_NODATA, names=schema.names) as target,
    ):
        stack.expect([(year, window) for window in blocks(lattice, _STRIP)])
        for window in blocks(lattice, _STRIP):
            values = stack.read(year, window)
            taken = (values == STACK_FILE_NODATA) & (nodata != STACK_FILE_NODATA)
            if taken.any():
                names = [name for name, plane in zip(schema.names, taken, strict=True) if plane.any()]
                raise InputError(
                    f"{', '.join(names)} holds {STACK_FILE_NODATA}, which would turn into nodata",
                    where=str(source.path),
                    fix=f"set nodata = {STACK_FILE_NODATA} for these bands, or use the VRT as it is",
                )
            target.write(np.where(values == nodata, STACK_FILE_NODATA, values), window=window.ranges)
            say(f"{year}: row {window.row} of {lattice.height}", window.row / lattice.height)
