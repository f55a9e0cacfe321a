"""Write bands of data cubes as GeoTIFFs, which the rest of the build reads like any other tile."""

from pathlib import Path

import numpy as np

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.cubes import CubeBand, Request, open_cube
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, open_geotiff
from gcn_luigi.lattice import Window
from gcn_luigi.stages import Say

# Bytes of a cube that are in memory at a time. A strip of one block is read even if it is larger.
_MOST_BYTES = 64 << 20


def write_cube_tile(region: Region, name: str, cube: Path, out: Path, say: Say) -> None:
    """Write a band of a cube to `out`: a GeoTIFF with one band for each configured year, or one for topography.

    Values and type are those of the cube; only ``scale_factor`` and ``add_offset`` are applied, as xarray does. Rows
    run from north to south. Missing pixels hold the nodata value that the file declares.

    Raises
    ------
    ConfigError
        A library that reads cubes is not installed.
    InputError
        As `open_cube`.
    PublishError
        The file cannot be written.
    """
    table = region.settings.table_of(name)
    request = Request(table.as_band(), table.band, region.settings.years)
    with (
        open_cube(cube, request) as band,
        open_geotiff(out, band.lattice, dtype=band.dtype, nodata=band.nodata, names=band.names) as target,
    ):
        lattice = band.lattice
        for part in blocks(lattice, _strip(band)):
            values = band.read(part)
            for row in range(0, part.height, BLOCK):
                window = Window(part.row + row, part.col, min(BLOCK, part.height - row), part.width)
                target.write(values[:, row : row + window.height], window=window.ranges)
            done = part.row + part.height
            say(f"{cube.name}: {done} of {lattice.height} rows", done / lattice.height)


def _strip(band: CubeBand) -> tuple[int, int]:
    """Return how many rows and columns are read at a time: whole chunks of the cube, if they fit.

    Blocks of a GeoTIFF are written in row-major order, so that a strip of several blocks is as wide as the raster.
    """
    lattice = band.lattice
    pixel_bytes = len(band.names) * np.dtype(band.dtype).itemsize
    fit = _MOST_BYTES // (pixel_bytes * lattice.width * BLOCK) * BLOCK
    if not fit:
        return BLOCK, max(_MOST_BYTES // (pixel_bytes * BLOCK) // BLOCK, 1) * BLOCK
    wanted = -(-max(band.chunk_rows, BLOCK) // BLOCK) * BLOCK
    return min(fit, wanted), lattice.width
