"""What a source file is by its first bytes, so that GDAL reads what the user named and nothing beyond.

GDAL looks at the content of a file, not at its name: a text in ``a.tif`` can have it fetch from the network or read
any other file. Each source is therefore opened by the one driver that its first bytes call for.
"""

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import rasterio

from gcn_luigi.errors import InputError
from gcn_luigi.io.gdal_options import pin_rasters
from gcn_luigi.io.other_formats import other_format

# First bytes, and the driver for them. None of these formats names other files than those beside it.
_RASTERS = (
    (b"II*\0", "GTiff"), (b"MM\0*", "GTiff"), (b"II+\0", "GTiff"), (b"MM\0+", "GTiff"),
    (b"EHFA_HEADER_TAG", "HFA"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"), (b"ncols", "AAIGrid"),
)  # fmt: skip
_VECTORS = (b"SQLite format 3\0", b"\0\0\x27\x0a", b"fgb")
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")
_HEAD = 1 << 16
# A VRT of a whole region takes some megabytes.
_MOST_XML = 1 << 28
# VRTs of VRTs: a mosaic, a stack of mosaics, and some room.
_MOST_DEPTH = 6
# Names of drivers and schemes (NETCDF:, http:), GDAL's other file systems, and XML in place of a name.
_NO_FILE = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9_+.-]*:|/vsi|<|\{)")
_SOURCES = frozenset({"SourceFilename", "SourceDataset"})


def open_local(path: Path) -> Any:
    """Open a raster of this machine with the driver that its first bytes call for.

    Parameters
    ----------
    path : Path
        GeoTIFF, Erdas Imagine, JPEG 2000, ASCII grid; or a VRT, named ``.vrt``, of such files.

    Returns
    -------
    rasterio.DatasetReader
        For the caller to close.

    Raises
    ------
    InputError
        It is of another format, or a VRT that names anything else than such files.
    rasterio.errors.RasterioIOError
        It is absent or damaged.
    """
    driver = raster_driver(path)
    pin_rasters()
    return rasterio.open(path, driver=driver)


def raster_driver(path: Path) -> str:
    """Return the GDAL driver for a file; GTiff, which will say so, where it is absent or damaged.

    Raises
    ------
    InputError
        As `open_local`.
    """
    if path.is_dir():
        raise InputError(
            f"is {other_format(path) or 'a directory'}, where a raster file is asked for",
            where=str(path),
            fix="write it as GeoTIFF; docs/howto/own-data.md shows how",
        )
    try:
        start = _head(path, 64)
    except OSError:
        return "GTiff"
    driver = next((driver for magic, driver in _RASTERS if start.startswith(magic)), None)
    if driver is not None:
        return driver
    if path.suffix == ".vrt":
        status = path.stat()
        _check_vrt(str(path), status.st_mtime_ns, status.st_size)
        return "VRT"
    if start.lstrip().startswith((b"<VRTDataset", b"<GDAL_WMS", b"<WMS_", b"<WCS_")):
        raise InputError(
            "holds no pixels: it describes a raster that lies elsewhere",
            where=str(path),
            fix="supply the raster itself as GeoTIFF; a VRT of local files may be named .vrt where one raster is asked "
            "for",
        )
    if start and path.suffix.lower() not in {".tif", ".tiff"}:
        raise InputError(
            "is of no raster format that is read here", where=str(path), fix="write it as GeoTIFF: rio convert"
        )
    return "GTiff"


def check_vector(path: Path) -> None:
    """Refuse a vector file that is no plain file of shapes.

    Parameters
    ----------
    path : Path
        GeoPackage or other SQLite, shapefile, FlatGeobuf, GeoJSON, GeoParquet; or an Esri file geodatabase.

    Raises
    ------
    InputError
        It is an archive, or of a format that can name other files or the network.
    OSError
        It cannot be read.
    """
    if path.is_dir():
        if path.suffix.lower() != ".gdb":
            raise InputError("is a directory", where=str(path), fix="name the file in it")
        return
    head = _head(path, _HEAD)
    if head.startswith(_ARCHIVES):
        raise InputError("is an archive", where=str(path), fix="unpack it and name the file of shapes in it")
    # GDAL also runs programs of its own that stand in such a file.
    is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b"gdal_streamed_alg" not in head
    if head and not head.startswith(_VECTORS) and not (is_json and b'"type"' in head):
        raise InputError(
            "not a readable vector file: of no format that is read here",
            where=str(path),
            fix="write it as GeoPackage; shapefile, GeoJSON, FlatGeobuf, GeoParquet and .gdb are read, too",
        )


def read_xml(path: Path) -> ET.Element:
    """Return the root of an XML file that declares no document type: no entity is expanded, nothing is fetched.

    Raises
    ------
    InputError
        It declares one, or is larger than any VRT.
    OSError, xml.etree.ElementTree.ParseError
        It cannot be read, or is no XML.
    """
    if path.stat().st_size > _MOST_XML:
        raise InputError(f"is larger than {_MOST_XML >> 20} MB", where=str(path), fix="build the VRT anew")
    parser = ET.XMLParser(target=_NoDoctype(str(path)))  # noqa: S314  made safe by its target
    return ET.parse(path, parser).getroot()  # noqa: S314


class _NoDoctype(ET.TreeBuilder):
    """Builds a tree, and stops at a document type, before any entity of it is known."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        del pubid, system
        raise InputError(
            f"declares a document type ({name[:40]}), which no VRT needs",
            where=self._where,
            fix="build the VRT anew, and find out who wrote this one",
        )


@functools.lru_cache(maxsize=256)
def _check_vrt(path: str, mtime_ns: int, size: int) -> None:
    """Check a VRT and all below it; once for each state of the file."""
    del mtime_ns, size
    _check_vrt_below(Path(path), 0)


def _check_vrt_below(path: Path, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise InputError(
            f"is a VRT of VRTs, more than {_MOST_DEPTH} deep", where=str(path), fix="name the files themselves"
        )
    try:
        root = read_xml(path)
    except (OSError, ET.ParseError):
        # GDAL says why.
        return
    for name in dict.fromkeys(_named(root, path)):
        if name.suffix == ".vrt":
            if name.is_file():
                _check_vrt_below(name, depth + 1)
        else:
            _check_pixels(name)


@functools.lru_cache(maxsize=1 << 16)
def _check_pixels(path: Path) -> None:
    # Bands and years share their tiles: each is looked at once a process.
    raster_driver(path)


def _named(root: ET.Element, path: Path) -> Iterator[Path]:
    """Yield the files that a VRT is made of."""
    for element in root.iter():
        text = element.text or ""
        if "/vsi" in text or (element.tag in _SOURCES and _NO_FILE.match(text)):
            raise InputError(
                f"names {text.strip()[:80]}, which is no file of this machine",
                where=str(path),
                fix="make a VRT of local GeoTIFFs",
            )
        if element.tag in _SOURCES:
            is_relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) != "0"
            place = os.path.join(path.parent, text) if is_relative else text  # noqa: PTH118
            yield Path(os.path.normpath(place))


def _head(path: Path, size: int) -> bytes:
    # Without a buffer, which would read a whole block of every tile.
    with path.open("rb", buffering=0) as file:
        return file.read(size)
