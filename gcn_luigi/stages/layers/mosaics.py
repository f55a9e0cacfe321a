"""Mosaics of tiles: one a band and year, topography converted to int16."""

from pathlib import Path

from gcn_luigi.bands import Band, Role
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.vrt import mosaic_band, write_vrt
from gcn_luigi.io.raster.windows import convert_mosaic
from gcn_luigi.settings import RegionSettings


def optical_bands(settings: RegionSettings) -> tuple[Band, ...]:
    """Return the bands with a mosaic a year: optical, then quality."""
    return (*(band for band in settings.schema_bands if band.role is Role.OPTICAL), *settings.quality_bands)


def read_inventory(paths: DatasetPaths) -> Inventory:
    """Return the published inventory."""
    return Inventory.from_json(paths.inventory.read_text(encoding="utf-8"))


def write_optical(region: Region, paths: DatasetPaths, band: Band, year: int, out: Path) -> None:
    """Write the VRT that joins a band's tiles for `year`; band k of a tile is the k-th configured year."""
    settings = region.settings
    _write(region, paths, band, settings.years.index(year) + 1, out)


def write_topo_source(region: Region, paths: DatasetPaths, band: Band, out: Path) -> None:
    """Write the VRT that joins a topographic band's tiles as delivered."""
    _write(region, paths, band, 1, out)


def write_topo(region: Region, paths: DatasetPaths, band: Band, out: Path) -> None:
    """Convert a topographic mosaic to int16 on the lattice."""
    convert_mosaic(paths.source_mosaic(band), out, band, region.settings.convert)


def _write(region: Region, paths: DatasetPaths, band: Band, source_band: int, out: Path) -> None:
    inventory = read_inventory(paths)
    mosaic = mosaic_band(
        inventory.of_band(band.name),
        band,
        region.root,
        source_band=source_band,
        precedence=region.settings.tiles.precedence,
    )
    write_vrt(out, inventory.lattice, [mosaic])
