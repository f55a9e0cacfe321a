"""Topographic bands computed from the joined tiles of an elevation model, strip by strip."""

from pathlib import Path

from gcn_luigi.bands import Band
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, open_geotiff
from gcn_luigi.io.raster.header import COPY_FIRST, open_raster, read_header
from gcn_luigi.prepare.layers.terrain import derive, length_unit, metres_of, with_neighbours
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.conversion import Target, strips
from gcn_luigi.stages.layers.mosaics import mosaic_of, read_inventory

# Rows and columns of a strip: 4 MB of float64, of which a curvature needs about a dozen.
_STRIP = (BLOCK, 2048)


def write_derived(region: Region, paths: DatasetPaths, band: Band, out: Path, say: Say) -> None:
    """Compute a derived band from the mosaic of its elevations and write it to `out`, a GeoTIFF of the stack's type.

    Each strip is read with one more pixel on every side, so the result is that of the whole mosaic at once. A pixel is
    missing if one of the 9 elevations around it is. At the edge of the area the surface is continued linearly.

    Raises
    ------
    InputError
        A source is damaged, or in feet without a `z_factor`; the area has fewer than 2 x 2 pixels; or a value does not
        fit the type.
    PublishError
        The file cannot be written.
    """
    settings = region.settings
    elevations = settings.elevations_of(band)
    z_factor = settings.table_of(band.name).z_factor
    if z_factor == 1.0:
        _check_metres(region, paths, elevations)
    source = paths.source_mosaic(elevations)
    header, inventory = read_header(source), read_inventory(paths)
    lattice, made = header.lattice, Target(settings.convert, settings.stack.dtype)
    (tags,) = {file.scaling for file in inventory.of_band(elevations.name)}
    with (
        strips(source, mosaic_of(region, paths, inventory, elevations)) as read,
        open_geotiff(out, lattice, dtype=made.dtype, nodata=band.nodata, names=[band.name]) as target,
    ):
        for window in blocks(lattice, _STRIP):
            around, frame = with_neighbours(window, lattice)
            metres = metres_of(read(around)[0], elevations, nodata=header.nodata[0], z_factor=z_factor, tags=tags)
            surface = derive(band.derive, metres, frame, lattice.pixel_size)
            place = f"{window.height} x {window.width} pixels from row {window.row}, column {window.col}"
            try:
                stored = made.stored(surface, band, nodata=None, where=f"{source}, {place}")
            except InputError as error:
                fix = "give the band a smaller scale, or set convert.overflow to 'nodata' or 'saturate'"
                raise InputError(error.what, where=error.where, fix=fix) from error
            target.write(stored, 1, window=window.ranges)
            say(f"{band.name}: row {window.row} of {lattice.height}", window.row / lattice.height)


def _check_metres(region: Region, paths: DatasetPaths, elevations: Band) -> None:
    """Refuse elevations whose first file says that they are in feet."""
    file = read_inventory(paths).of_band(elevations.name)[0]
    path = file.place(region.root, paths.root)
    with open_raster(path) as dataset:
        unit = dataset.units[file.number_of(0) - 1] or ""
    if length_unit(unit) == "feet":
        raise InputError(
            f"the elevations of {elevations.name} are in the unit {unit}, by the tag of their file",
            where=str(path),
            fix="set z_factor = 0.3048 for the derived bands, or correct the tag: rio edit-info --bidx 1 --units m FILE"
            f"{COPY_FIRST}",
        )
