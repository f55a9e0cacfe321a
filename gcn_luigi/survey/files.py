"""List the files of a directory by kind, without opening them."""

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import other_format
from gcn_luigi.settings import TileSettings

_RASTERS = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".img", ".asc"})
_VECTORS = frozenset({".shp", ".gpkg", ".geojson", ".json", ".fgb", ".parquet", ".geoparquet", ".sqlite"})
# More files than this are not looked at: a first look takes seconds.
_MOST_FILES = 200_000


@dataclass
class FileList:
    """Paths relative to the directory, with forward slashes, sorted within each directory.

    `cubes` are Zarr directories and netCDF files. `datasets` are datasets of this package, whose files are no sources.
    """

    rasters: list[str] = field(default_factory=list)
    vectors: list[str] = field(default_factory=list)
    cubes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)


def list_files(root: Path) -> FileList:
    """Return the files below `root`. Hidden files, and links that lead back to a directory around them, are left out.

    Raises
    ------
    InputError
        The directory does not exist or cannot be listed, or has more files than a first look can take.
    """
    if not root.is_dir():
        raise InputError("there is no such directory", where=str(root), fix="name the directory of your files")
    found = FileList()
    waiting, seen, count = [""], set(), 0
    while waiting:
        below = waiting.pop()
        directories = []
        for entry in _entries(root / below):
            path = PurePosixPath(below, entry.name).as_posix()
            count += 1
            if count > _MOST_FILES:
                raise InputError(
                    f"the directory has more than {_MOST_FILES:,} files",
                    where=str(root),
                    fix="name the directory below it that has the sources of one region",
                )
            if not entry.is_dir():
                _add(found, path)
            elif other_format(Path(entry.path)) == "Zarr":
                found.cubes.append(path)
            elif PurePosixPath(path).suffix.lower() == ".gdb":
                found.vectors.append(path)
            elif (Path(entry.path) / "dataset.json").is_file() or (Path(entry.path) / ".gcn").is_dir():
                found.datasets.append(path)
            else:
                status = entry.stat()
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    directories.append(path)
        waiting += reversed(directories)
    return found


def _add(found: FileList, path: str) -> None:
    ending = PurePosixPath(path).suffix.lower()
    if ending in _RASTERS:
        found.rasters.append(path)
    elif ending in _VECTORS:
        found.vectors.append(path)
    elif ending in {".nc", ".nc4", ".cdf"}:
        found.cubes.append(path)
    elif other_format(Path(path)):
        found.others.append(path)


def _is_usable(name: str) -> bool:
    # What the build leaves out without being asked is not proposed.
    is_excluded = any(fnmatchcase(name, pattern) for pattern in TileSettings().exclude)
    return name.isprintable() and not name.startswith(".") and not is_excluded


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted((entry for entry in entries if _is_usable(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"the directory cannot be listed: {error.strerror}", where=str(directory), fix="check the permissions"
        ) from error
