"""Versions of the C libraries that formats stand on, as their Python packages were built with."""

import h5py
import pyogrio
import pyproj
import rasterio
import shapely


def c_libraries() -> dict[str, str]:
    """Return names and versions; GDAL comes twice, because rasters and vectors are read by two packages."""
    return {
        "GDAL of rasterio": str(rasterio.__gdal_version__),
        "GDAL of pyogrio": pyogrio.__gdal_version_string__,
        "PROJ": pyproj.proj_version_str,
        "GEOS": shapely.geos_version_string,
        "HDF5": str(h5py.version.hdf5_version),
    }
