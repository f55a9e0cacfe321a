"""The versions that decide bytes: a node whose versions differ could make other files."""

import functools
import hashlib
from collections.abc import Mapping
from importlib import import_module
from operator import attrgetter
from pathlib import Path

from gcn_luigi.version import __version__

# What computes, reads or writes pixels. Two packages read rasters and vectors, each with its own GDAL.
_LIBRARIES = {
    "numpy": ("numpy", "__version__"),
    "scipy": ("scipy", "__version__"),
    "GDAL": ("rasterio", "__gdal_version__"),
    "GDAL of pyogrio": ("pyogrio", "__gdal_version_string__"),
    "PROJ": ("pyproj", "proj_version_str"),
    "GEOS": ("shapely", "geos_version_string"),
    "HDF5": ("h5py", "version.hdf5_version"),
    "pyarrow": ("pyarrow", "__version__"),
}


def versions() -> dict[str, str]:
    """Return the versions of this process by name, with a digest of the compiled kernels."""
    found = {"gcn_luigi": __version__, "kernels": _kernels()}
    return found | {
        name: str(attrgetter(attribute)(import_module(module))) for name, (module, attribute) in _LIBRARIES.items()
    }


def differences(home: Mapping[str, str], node: Mapping[str, str]) -> list[str]:
    """Return what a node has otherwise, one text each.

    Examples
    --------
    >>> differences({"numpy": "2.4.6", "GDAL": "3.11"}, {"numpy": "2.4.5", "GDAL": "3.11"})
    ['numpy 2.4.5 instead of 2.4.6']
    """
    return [
        f"{name} {node.get(name, 'missing')} instead of {version}"
        for name, version in home.items()
        if node.get(name) != version
    ]


@functools.cache
def _kernels() -> str:
    digest = hashlib.sha256()
    directory = Path(str(import_module("gcn_luigi._core").__file__)).parent
    for path in sorted(directory.glob("*.so")):
        digest.update(path.name.partition(".")[0].encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
