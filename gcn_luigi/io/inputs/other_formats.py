"""Files and directories of formats that tiles are often kept in and that are not read here, told by name."""

from pathlib import Path

# The ends of names, and what such a file is.
_FORMATS = {
    "NetCDF": (".nc", ".nc4", ".cdf"),
    "Zarr": (".zarr",),
    "HDF": (".h5", ".hdf", ".hdf5", ".he5"),
    "GRIB": (".grib", ".grib2", ".grb", ".grb2"),
    "an archive": (".zip", ".tar", ".gz", ".tgz", ".7z"),
    "Erdas Imagine": (".img",),
    "JPEG 2000": (".jp2", ".j2k"),
    "ENVI": (".bsq", ".bil", ".bip"),
    "a VRT": (".vrt",),
    "a grid of numbers in text": (".asc",),
}
# A file of each generation of Zarr.
_ZARR = (".zgroup", ".zarray", ".zmetadata", "zarr.json")
FIX = (
    "write each band of each tile as one GeoTIFF, the years as its bands: <optical>/<tile>/x_nbr.tif. From NetCDF: "
    "`rio convert netcdf:cube.nc:nbr x_nbr.tif`; of an archive, unpack it; else `rio convert`. "
    "docs/howto/own-data.md shows how, also for Zarr"
)


def other_format(path: Path) -> str | None:
    """Return what a file or directory is, by its name and, for Zarr, by what it holds; None where it is none of these.

    Examples
    --------
    >>> other_format(Path("cube.nc")), other_format(Path("x_nbr.tif"))
    ('NetCDF', None)
    """
    ending = path.suffix.lower()
    if any((path / name).is_file() for name in _ZARR):
        return "Zarr"
    return next((name for name, endings in _FORMATS.items() if ending in endings), None)
