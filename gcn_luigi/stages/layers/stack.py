"""The stack: all bands of one year in one VRT."""

from pathlib import Path

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource, write_vrt
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.layers.mosaics import read_inventory


def write_stack(settings: RegionSettings, paths: DatasetPaths, year: int, out: Path) -> None:
    """Write the VRT of `year`: int16, bands by name, a nodata for each.

    Parameters
    ----------
    settings : RegionSettings
        Which bands there are.
    paths : DatasetPaths
        Where their rasters are.
    year : int
        The composite.
    out : Path
        The file, in the directory of its final name: paths inside are relative to it.
    """
    lattice = read_inventory(paths).lattice
    bands = [
        VrtBand(
            name=band.name,
            dtype="int16",
            nodata=band.nodata,
            sources=(VrtSource(raster_of(paths, band, year), 1, lattice.window, band.nodata),),
        )
        for band in settings.schema_bands
    ]
    write_vrt(out, lattice, bands)


def raster_of(paths: DatasetPaths, band: Band, year: int) -> Path:
    """Return the raster that a stacked band is taken from."""
    if band.role is Role.LABEL:
        return paths.label
    if band.role is Role.DISTANCE:
        return paths.distance
    return paths.mosaic(band, year if band.role is Role.OPTICAL else None)
