"""Which files hold a band: its mosaics, its warped tiles, and tiles made from cubes. Nothing here opens a file."""

from fnmatch import fnmatchcase
from pathlib import Path

from gcn_luigi.bands import Band, Role, elevation_band
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.inputs.patterns import Match, PathPattern
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.settings import BandSettings, RegionSettings


def optical_bands(settings: RegionSettings) -> tuple[Band, ...]:
    """Return the bands with one mosaic per year: optical bands, then quality bands."""
    return (*(band for band in settings.schema_bands if band.role is Role.OPTICAL), *settings.quality_bands)


def raster_of(paths: DatasetPaths, band: Band, year: int) -> Path:
    """Return the raster that a stacked band is taken from."""
    if band.role is Role.LABEL:
        return paths.label
    if band.role is Role.DISTANCE:
        return paths.distance
    return paths.mosaic(band, year if band.role is Role.OPTICAL else None)


def mosaic_files(paths: DatasetPaths, band: Band, year: int | None) -> tuple[Path, ...]:
    """Return the files that hold the mosaic of a band: what was delivered first, then its conversion, if any.

    Elevations that are not stacked are not converted.
    """
    mosaic = paths.mosaic(band, year)
    if not band.stacked:
        return (paths.source_mosaic(band, year),)
    return (paths.source_mosaic(band, year), mosaic) if band.is_converted else (mosaic,)


def strata_elevations(settings: RegionSettings) -> Band | None:
    """Return the band whose elevations are used: one of the stack, or one that only serves to compute others."""
    return elevation_band((*settings.schema_bands.image, *settings.topo_bands))


def elevation_file(paths: DatasetPaths, band: Band) -> Path:
    """Return the raster that holds the elevations: as stored in the stack, or as delivered if they are not stacked."""
    return mosaic_files(paths, band, None)[-1]


def aligned_files(paths: DatasetPaths, inventory: Inventory, band: str) -> dict[Path, SourceFile]:
    """Return the sources of a band that are warped, by the path of the file that each is warped into."""
    return {paths.aligned(band, file.path): file for file in inventory.of_band(band) if file.resampling}


def cube_bands(settings: RegionSettings) -> tuple[BandSettings, ...]:
    """Return the bands whose path leads to a cube."""
    return tuple(table for table in settings.bands if table.is_cube)


def cubes_of(region: Region, name: str) -> dict[str, Path]:
    """Return the cubes of a band by tile, below the data root. The one tile of a path without ``{tile}`` is ``""``."""
    table = region.settings.table_of(name)
    excluded = region.settings.tiles.exclude
    return {
        match.tile: region.root / match.path
        for match in PathPattern(str(table.path), table.as_band()).files(region.root)
        if not any(fnmatchcase(Path(match.path).name, pattern) for pattern in excluded)
    }


def made_tiles(region: Region, paths: DatasetPaths) -> dict[str, list[Match]]:
    """Return the files that `write_cube_tile` makes, by band; their paths start at the dataset."""
    return {
        table.name: [
            Match(paths.cube_tile(table.name, tile).relative_to(paths.root).as_posix(), tile, None)
            for tile in cubes_of(region, table.name)
        ]
        for table in cube_bands(region.settings)
    }
