"""Choose the GDAL driver of a source file by its first bytes, so that GDAL reads only the file that the user named.

GDAL examines the content of a file, not its name: a text in ``a.tif`` could make it fetch data from the network or read
any other file. So each source is opened with the only driver that fits its first bytes.
"""

import functools
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from gcn_luigi.errors import InputError
from gcn_luigi.io.gdal import pin_rasters

# First bytes, and the driver for them. Files in these formats name no other files except those next to them.
_RASTERS = (
    (b"II*\0", "GTiff"), (b"MM\0*", "GTiff"), (b"II+\0", "GTiff"), (b"MM\0+", "GTiff"),
    (b"EHFA_HEADER_TAG", "HFA"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"), (b"ncols", "AAIGrid"),
)  # fmt: skip
# Common raster formats that are not accepted for tiles, by the ends of file names.
_OTHER_FORMATS = {
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
# One of these files is in every Zarr directory, depending on the version of Zarr.
_ZARR = (".zgroup", ".zarray", ".zmetadata", "zarr.json")
_VECTORS = (b"SQLite format 3\0", b"\0\0\x27\x0a", b"fgb")
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")
_HEAD = 1 << 16
# A VRT of a whole region takes some megabytes.
_MOST_XML = 1 << 28
# Levels of VRTs within VRTs: a mosaic, a stack of mosaics, and some reserve.
_MOST_DEPTH = 6
# The number of links that Linux follows.
_MOST_LINKS = 40
# Names of drivers and schemes (NETCDF:, http:), GDAL's virtual file systems, and XML instead of a name.
_NO_FILE = re.compile(r"(?:[A-Za-z][A-Za-z0-9_+.-]*:|/vsi|<|\{)")
# Elements of a VRT that name files. GDAL ignores the case of their letters.
_SOURCES = frozenset({"sourcefilename", "sourcedataset"})
# A text that C's atoi reads as a number other than 0.
_TRUE = re.compile(r"\s*[+-]?0*[1-9]")
# Files in which SQLite keeps changes that are not yet, or not safely, in the database. First bytes of a live journal.
_WAL, _JOURNAL = "-wal", "-journal"
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"


def open_local(path: Path) -> Any:
    """Open a raster on this machine with the driver that its first bytes require; return a rasterio.DatasetReader.

    The raster may be a GeoTIFF, Erdas Imagine, JPEG 2000 or ASCII grid, or a VRT of such files, named ``.vrt``.

    Raises
    ------
    InputError
        The file has another format, or is a VRT that names anything other than such files.
    rasterio.errors.RasterioIOError
        The file does not exist or is damaged.
    """
    driver = raster_driver(path)
    pin_rasters()
    with warnings.catch_warnings():
        # Callers that need the position of the pixels check the header.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, driver=driver)


def raster_driver(path: Path) -> str:
    """Return the GDAL driver for a file. If the file is absent or damaged, return GTiff, which then raises the error.

    Raises
    ------
    InputError
        As `open_local`.
    """
    if path.is_dir():
        kind = other_format(path) or "a directory"
        is_cube = kind == "Zarr" and path.suffix.lower() != ".zarr"
        raise InputError(
            f"is {kind}, but a raster file is needed",
            where=str(path),
            fix="end its name in .zarr, so that [[bands]] path reads it as a cube"
            if is_cube
            else "write it as GeoTIFF; docs/howto/own-data.md shows how",
        )
    try:
        start = _head(path, 64)
    except OSError:
        return "GTiff"
    driver = next((driver for magic, driver in _RASTERS if start.startswith(magic)), None)
    if driver is not None:
        return driver
    if path.suffix == ".vrt":
        _check_vrt(path)
        return "VRT"
    if start.lstrip().startswith((b"<VRTDataset", b"<GDAL_WMS", b"<WMS_", b"<WCS_")):
        raise InputError(
            "holds no pixels: it describes a raster that is elsewhere",
            where=str(path),
            fix="supply the raster itself as GeoTIFF; if a single raster is needed, a VRT of local files named .vrt is "
            "accepted as well",
        )
    if start and path.suffix.lower() not in {".tif", ".tiff"}:
        raise InputError(
            "has a raster format that is not supported", where=str(path), fix="write it as GeoTIFF: rio convert"
        )
    return "GTiff"


def other_format(path: Path) -> str | None:
    """Return the format of a file or directory that is not accepted as a tile, by its name or, for Zarr, its content.

    Examples
    --------
    >>> other_format(Path("cube.nc")), other_format(Path("x_nbr.tif"))
    ('NetCDF', None)
    """
    ending = path.suffix.lower()
    if any((path / name).is_file() for name in _ZARR):
        return "Zarr"
    return next((name for name, endings in _OTHER_FORMATS.items() if ending in endings), None)


def check_vector(path: Path) -> None:
    """Refuse a vector file that is not a plain file of shapes.

    Accepted are GeoPackage and other SQLite files, shapefile, FlatGeobuf, GeoJSON, GeoParquet, and Esri file
    geodatabases.

    Raises
    ------
    InputError
        The file is an archive, has a format that can name other files or the network, or is a database with changes
        that are not yet in it.
    OSError
        The file cannot be read.
    """
    if path.is_dir():
        if path.suffix.lower() != ".gdb":
            raise InputError("is a directory", where=str(path), fix="name the vector file in it")
        return
    head = _head(path, _HEAD)
    if head.startswith(_ARCHIVES):
        raise InputError("is an archive", where=str(path), fix="unpack it and name the vector file in it")
    if head.startswith(_VECTORS[0]):
        _refuse_live_logs(path)
    # GDAL would also run commands of its own that such a file contains.
    is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b"gdal_streamed_alg" not in head
    if head and not head.startswith(_VECTORS) and not (is_json and b'"type"' in head):
        raise InputError(
            "not a readable vector file: its format is not supported",
            where=str(path),
            fix="write it as GeoPackage; shapefile, GeoJSON, FlatGeobuf, GeoParquet and .gdb can be read as well",
        )


def read_xml(path: Path) -> ET.Element:
    """Return the root of an XML file. It may not declare a document type, so entities are never expanded or fetched.

    Raises
    ------
    InputError
        The file declares a document type, or is larger than any VRT.
    OSError, xml.etree.ElementTree.ParseError
        The file cannot be read, or is not XML.
    """
    if path.stat().st_size > _MOST_XML:
        raise InputError(f"is larger than {_MOST_XML >> 20} MB", where=str(path), fix="rebuild the VRT")
    parser = ET.XMLParser(target=_NoDoctype(str(path)))  # noqa: S314  made safe by its target
    return ET.parse(path, parser).getroot()  # noqa: S314


class _NoDoctype(ET.TreeBuilder):
    """Build a tree, and stop at a document type before any of its entities is read."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        del pubid, system
        raise InputError(
            f"declares a document type ({name[:40]}), which no VRT needs",
            where=self._where,
            fix="rebuild the VRT, and find out who wrote this one",
        )


def _check_vrt(path: Path, depth: int = 0) -> None:
    """Check a VRT and all files that it uses. Each state of a file is checked once."""
    if depth > _MOST_DEPTH:
        raise InputError(
            f"is in more than {_MOST_DEPTH} levels of VRTs", where=str(path), fix="name the raster files themselves"
        )
    try:
        status = path.stat()
    except OSError:
        # GDAL reports the cause.
        return
    for name in _checked_vrts(path, status.st_mtime_ns, status.st_size):
        _check_vrt(name, depth + 1)


@functools.lru_cache(maxsize=1024)
def _checked_vrts(path: Path, _mtime_ns: int, _size: int) -> tuple[Path, ...]:
    """Return the VRTs that a VRT names, and check the other files that it names."""
    try:
        names = vrt_sources(path)
    except InputError:
        raise
    except OSError:
        # GDAL reports the cause.
        return ()
    except (ET.ParseError, ValueError, LookupError) as error:
        # GDAL also accepts text that is not XML, and would read files that were not checked.
        raise InputError(
            f"is not well-formed XML: {error}",
            where=str(path),
            fix="rebuild the VRT with gdalbuildvrt; if it was written by hand, save it in UTF-8 and write & as &amp;",
        ) from error
    for name in names:
        if name.suffix != ".vrt":
            _check_pixels(name)
    return tuple(name for name in names if name.suffix == ".vrt")


@functools.lru_cache(maxsize=1 << 16)
def _check_pixels(path: Path) -> None:
    # Bands and years share their tiles. Each file is checked once per process.
    raster_driver(path)


def vrt_sources(path: Path) -> tuple[Path, ...]:
    """Return the files that a VRT names, each once, as GDAL finds them.

    Relative names start from the directory of the VRT. If `path` is a link, this is the directory of its target.

    Raises
    ------
    InputError
        The VRT names anything other than files on this machine, or `read_xml` refuses it.
    OSError, xml.etree.ElementTree.ParseError
        The VRT cannot be read, or is not XML.
    """
    return tuple(dict.fromkeys(file for _, file in named_files(read_xml(path), path)))


def live_logs(path: Path) -> tuple[str, str]:
    """Return the files in which SQLite keeps changes of a database: next to it or, for a link, next to its target."""
    place = os.path.realpath(path)
    return place + _WAL, place + _JOURNAL


def _refuse_live_logs(path: Path) -> None:
    """Refuse a database with changes in a file next to it. Reading it would write them into it, or show only some."""
    wal, journal = (Path(name) for name in live_logs(path))
    is_hot = journal.is_file() and _head(journal, len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC
    if is_hot or (wal.is_file() and wal.stat().st_size > 0):
        raise InputError(
            f"has changes that are not yet in it: they are in {(journal if is_hot else wal).name} next to it",
            where=str(path),
            fix="save and close it in the GIS that has it open; if the GIS crashed, run "
            f"sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'; or export a copy and name that",
        )


def named_files(root: ET.Element, path: Path) -> Iterator[tuple[ET.Element, Path]]:
    """Yield the files that a VRT consists of, each with the element that names it; see `vrt_sources`."""
    home, places = _home(path), {}
    for element in root.iter():
        tag = element.tag.lower()
        # GDAL skips white space before a text.
        text = (element.text or "").lstrip()
        if "/vsi" in text or (tag in _SOURCES and _NO_FILE.match(text)):
            raise InputError(
                f"names {text.strip()[:80]}, which is not a file on this machine",
                where=str(path),
                fix="make a VRT of local GeoTIFFs",
            )
        if _names_otherwise(tag, element):
            raise InputError(
                f"uses a file for more than its pixels ({element.tag}), which is not supported",
                where=str(path),
                fix="write it as GeoTIFF, for example with rio convert",
            )
        if tag in _SOURCES:
            is_relative = _TRUE.match(_attribute(element, "relativetovrt"))
            place = os.path.join(home, text) if is_relative else text  # noqa: PTH118
            # Resolve ".." as the system does, not in the text, because a directory in the path may be a link.
            start, climbs, rest = place.rpartition("/../")
            if climbs:
                if start not in places:
                    places[start] = os.path.realpath(f"{start}/..")
                place = f"{places[start]}/{rest}"
            yield element, Path(os.path.abspath(place))  # noqa: PTH100  links stay links


def _home(path: Path) -> str:
    """Return the directory from which relative names in a VRT start: that of the file itself, after following links."""
    place = os.fspath(path)
    for _ in range(_MOST_LINKS):
        if not os.path.islink(place):  # noqa: PTH114
            break
        place = os.path.join(os.path.dirname(place), os.readlink(place))  # noqa: PTH115, PTH118, PTH120
    return os.path.dirname(place)  # noqa: PTH120


def _names_otherwise(tag: str, element: ET.Element) -> bool:
    """Return whether an element names a file of heights, positions or gains, as VRTs of transformations do."""
    if tag == "mdi":
        return _attribute(element, "key").upper() in {"X_DATASET", "Y_DATASET"}
    return tag == "dempath" or (tag == "argument" and "filename" in _attribute(element, "name").lower())


def _attribute(element: ET.Element, name: str) -> str:
    return next((value for key, value in element.items() if key.lower() == name), "")


def _head(path: Path, size: int) -> bytes:
    # A buffer would read a whole block of every tile.
    with path.open("rb", buffering=0) as file:
        return file.read(size)
