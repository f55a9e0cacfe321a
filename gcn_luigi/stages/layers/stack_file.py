"""A year's stack as one GeoTIFF, for programs that read no VRT."""

from pathlib import Path

import numpy as np

from gcn_luigi.errors import InputError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, open_geotiff
from gcn_luigi.io.raster.provenance import rasterio_window
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory

# A GeoTIFF has one nodata for all bands; a stack has one for each.
STACK_FILE_NODATA = -32768
_STRIP = (BLOCK, 4096)


def write_stack_file(settings: RegionSettings, paths: DatasetPaths, year: int, out: Path, say: Say) -> None:
    """Copy the stack of `year` into one GeoTIFF: int16, bands by name, -32768 wherever a band is missing.

    Nothing else changes: pixels are neither corrected nor filled, and values out of range stay.

    Parameters
    ----------
    settings : RegionSettings
        The bands, each with the nodata it has in the stack.
    paths : DatasetPaths
        Where the stack is.
    year : int
        The composite.
    out : Path
        The GeoTIFF.
    say : callable
        Told how far the work is.

    Raises
    ------
    InputError
        A source is damaged, or a band whose nodata is another number holds -32768 as a value.
    """
    schema, lattice, source = settings.schema_bands, read_inventory(paths).lattice, paths.stack(year)
    nodata = np.array([band.nodata for band in schema], np.int16)[:, np.newaxis, np.newaxis]
    with (
        StackReader(paths.stack) as stack,
        open_geotiff(out, lattice, dtype="int16", nodata=STACK_FILE_NODATA, names=schema.names) as target,
    ):
        stack.expect([(year, window) for window in blocks(lattice, _STRIP)])
        for window in blocks(lattice, _STRIP):
            values = stack.read(year, window)
            taken = (values == STACK_FILE_NODATA) & (nodata != STACK_FILE_NODATA)
            if taken.any():
                names = [name for name, plane in zip(schema.names, taken, strict=True) if plane.any()]
                raise InputError(
                    f"{', '.join(names)} holds {STACK_FILE_NODATA}, which would turn into nodata",
                    where=str(source),
                    fix=f"set nodata = {STACK_FILE_NODATA} for these bands, or use the VRT as it is",
                )
            target.write(np.where(values == nodata, STACK_FILE_NODATA, values), window=rasterio_window(window))
            say(f"{year}: row {window.row} of {lattice.height}", window.row / lattice.height)
