"""Keep settings of GDAL and PROJ in the environment from changing the result of a build.

GDAL takes its thousand options from the environment, and from files named there or in the user's home. Some options
move pixels, hide masks or let damaged blocks pass. So commands and tasks drop all options except those that only affect
messages or the network. `pin_rasters` and `pin_vectors` set the most harmful ones to fixed values, also for reads
outside a build.

rasterio and pyogrio each contain their own copy of GDAL with its own options. An option that is set explicitly
overrides the environment and files of settings. It is set for the whole process, because a lazy reader such as a VRT
opens files, and so uses the options, at any time. Both libraries are imported only where they are used, after the
environment was cleaned.
"""

import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gcn_luigi.errors import ConfigError

# First words of the options of GDAL, of the formats that are read here, and of PROJ.
_FAMILIES = re.compile(
    r"(?:AAIGRID|CPL|FLATGEOBUF|GDAL|GEOJSON|GPKG|GTIFF|HFA|JP2[A-Z]*|OGR|OPENFILEGDB|OPENJPEG|OSR|PROJ|SPATIALITE|VRT"
    r"|VSI)_[A-Z0-9_]+"
)
# Options without such a first word, or with one that other programs use as well.
_OTHERS = frozenset({
    "ALLOW_OGR_SQL_FUNCTIONS_FROM_TRIGGER_AND_VIEW", "ALLOW_VIRTUAL_OGR_FROM_TRIGGER_AND_VIEW", "ATTRIBUTES_SKIP",
    "CENTER_LONG", "CHECK_DISK_FREE_SPACE", "CHECK_WITH_INVERT_PROJ", "COMPRESS_GEOM", "CONVERT_YCBCR_TO_RGB",
    "CREATE_GEOMETRY_COLUMNS", "CREATE_RASTER_TABLES", "CREATE_TRIGGERS", "DRIVER_WISHED", "ESRI_XML_PAM",
    "FGDB_STRING_WIDTH", "FORCE_BLOCKSIZE", "GEOMETRY_AS_COLLECTION", "GMLJP2OVERRIDE", "IDRISIDIR",
    "JPEGMEM", "JPEG_FORCE_INTERNAL_OVERVIEWS", "JPEG_MASK_BIT_ORDER", "JPEG_READ_MASK", "JPEG_WRITE_MASK_BIT_ORDER",
    "JPEG_WRITE_RGB", "QHULL_LOG_TO_TEMP_FILE", "RAW_CHECK_FILE_SIZE", "RAW_MEM_ALLOC_LIMIT_MB",
    "RESTRICT_OUTPUT_DATASET_UPDATE", "SHAPE_2GB_LIMIT", "SHAPE_ENCODING", "SHAPE_RESTORE_SHX",
    "SHAPE_REWIND_ON_WRITE", "SQLITE_BUSY_TIMEOUT", "SQLITE_LIST_ALL_TABLES", "SQLITE_USE_OGR_VFS", "SQLITE_USE_URI",
    "TAB_APPROX_GEOTRANSFORM", "TIFF_READ_STREAMING", "TIFF_USE_OVR", "USE_OSR_FIND_MATCHES", "USE_RRD",
    "USE_SPILL", "USE_TEMPFILE", "USE_TILE_AS_BLOCK", "WARP_THREAD_CHUNK_SIZE",
})  # fmt: skip
# Where an installation is and which version it is, for compiling against it.
_BUILD = re.compile(r"(?:GDAL|PROJ)_(?:HOME|ROOT|DIR|PREFIX|VERSION|CONFIG|LIBS?|LIBRAR(?:Y|IES)(?:_PATH)?|INCLUDE.*)")
# Options for messages, and for the network, which has no sources. The cache size is not harmless: it affects the order
# in which blocks are written to a file.
_HARMLESS = re.compile(
    r"CPL_(?:DEBUG|LOG|LOG_APPEND|LOG_ERRORS|MAX_ERROR_REPORTS|TIMESTAMP|TMPDIR|AWS_.*|AZURE_.*|CURL_.*|GCE_.*|GS_.*"
    r"|OSS_.*|MACHINE_IS_GCE|VSIL_CURL_.*|VSIS3_.*|VSIAZ_.*|VSIGS_.*)|GDAL_(?:HTTPS?_.*|PROXY|PROXY_AUTH"
    r"|CURL_CA_BUNDLE)|PROJ_(?:DEBUG|CURL_CA_BUNDLE)"
)
# Where the tables of GDAL and PROJ are. Wheels contain the tables; other installations need these variables.
_TABLES = frozenset({"GDAL_DATA", "PROJ_DATA", "PROJ_LIB"})
_CONFIG_FILE = "GDAL_CONFIG_FILE"
# No file of settings, and no grids from the network or the user's home: these differ between machines.
_FIXED = (
    (_CONFIG_FILE, os.devnull),
    ("PROJ_NETWORK", "OFF"),
    ("PROJ_SKIP_READ_USER_WRITABLE_DIRECTORY", "YES"),
)
# Where boto3 is installed, rasterio starts it with each of its environments, and fails if there is no such profile.
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_HOME_FILE = Path(".gdal") / "gdalrc"
_OPTION = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=")
# Each library has its own copy of PROJ. The second value is the directory of the database in its wheel.
_CARRIERS = (("rasterio", "proj_data"), ("pyogrio", "proj_data"), ("pyproj", "proj_dir/share/proj"))
_LOOKED_UP = 3338
# Options for both copies: reading of reference systems, sidecar files, and numbers.
_COMMON = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
    "GDAL_READDIR_LIMIT_ON_OPEN": "1000",
    "GDAL_DISABLE_CPLLOCALEC": "NO",
    "OGR_CT_FORCE_TRADITIONAL_GIS_ORDER": "NO",
    "OSR_ADD_TOWGS84_ON_IMPORT_FROM_EPSG": "NO",
    "OSR_DEFAULT_AXIS_MAPPING_STRATEGY": "AUTHORITY_COMPLIANT",
    "OSR_STRIP_TOWGS84": "YES",
    "OSR_USE_NON_DEPRECATED": "YES",
    "VSI_CACHE": "FALSE",
}
RASTER_OPTIONS: Mapping[str, str] = MappingProxyType({
    **_COMMON,
    # Georeferencing: which sources are used, and how.
    "GDAL_GEOREF_SOURCES": "PAM,INTERNAL,TABFILE,WORLDFILE",
    "GDAL_PAM_ENABLED": "YES",
    "GDAL_IGNORE_AXIS_ORIENTATION": "FALSE",
    "GDAL_JP2K_ALT_OFFSETVECTOR_ORDER": "FALSE",
    "GDAL_USE_GEOJP2": "YES",
    "GDAL_USE_GMLJP2": "YES",
    "GTIFF_HONOUR_NEGATIVE_SCALEY": "NO",
    "GTIFF_POINT_GEO_IGNORE": "FALSE",
    "GTIFF_READ_ANGULAR_PARAMS_IN_DEGREE": "NO",
    # Pixels: damaged blocks are errors; colours and masks are returned as stored.
    "CONVERT_YCBCR_TO_RGB": "YES",
    "GDAL_TIFF_INTERNAL_MASK_TO_8BIT": "YES",
    "GTIFF_DIRECT_IO": "NO",
    "GTIFF_FORCE_RGBA": "NO",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "GTIFF_VIRTUAL_MEM_IO": "NO",
    "JP2OPENJPEG_PROMOTE_1BIT_ALPHA_AS_8BIT": "YES",
    # VRTs: they may not run code or read the memory of this process.
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "VRT_ALLOW_MEM_DRIVER": "NO",
    "VRT_VIRTUAL_OVERVIEWS": "NO",
    # Writing of files.
    "ESRI_XML_PAM": "NO",
    "GDAL_TIFF_ENDIANNESS": "NATIVE",
    "GTIFF_DONT_WRITE_BLOCKS": "NO",
    "GTIFF_WRITE_IMAGE_STRUCTURE_METADATA": "YES",
    "TIFF_USE_OVR": "FALSE",
})  # fmt: skip
VECTOR_OPTIONS: Mapping[str, str] = MappingProxyType({
    **_COMMON,
    # Geometry: curves are divided in the same way on every machine, and coordinates are not rounded.
    "GEOMETRY_AS_COLLECTION": "NO",
    "OGR_APPLY_GEOM_SET_PRECISION": "NO",
    "OGR_ARC_MAX_GAP": "0",
    "OGR_ARC_STEPSIZE": "4",
    "OGR_GEOMETRY_ACCEPT_UNCLOSED_RING": "YES",
    # This is how shapefiles are read without the option. `gcn_luigi.prepare.outlines.polygons` checks other rings.
    "OGR_ORGANIZE_POLYGONS": "ONLY_CCW",
    # Rows and columns: all that are stored, with their stored types.
    "ATTRIBUTES_SKIP": "NO",
    "OGR_FORCE_ASCII": "YES",
    "OGR_GEOJSON_ARRAY_AS_STRING": "NO",
    "OGR_GEOJSON_DATE_AS_STRING": "NO",
    "OGR_PROMOTE_TO_INTEGER64": "NO",
    "OPENFILEGDB_IGNORE_GDBTABLX": "NO",
    "OPENFILEGDB_REPORT_DELETED_FEATURES": "NO",
    "SHAPE_RESTORE_SHX": "NO",
    "SQLITE_LIST_ALL_TABLES": "NO",
})  # fmt: skip


def is_gdal_option(name: str) -> bool:
    """Return whether a variable is an option of GDAL or PROJ that could change what is read or written.

    Examples
    --------
    >>> is_gdal_option("GTIFF_POINT_GEO_IGNORE"), is_gdal_option("CPL_DEBUG"), is_gdal_option("HOME")
    (True, False, False)
    """
    if name in _OTHERS or name in _TABLES:
        return True
    return _FAMILIES.fullmatch(name) is not None and not (_HARMLESS.fullmatch(name) or _BUILD.fullmatch(name))


def set_aside(environ: MutableMapping[str, str] = os.environ) -> tuple[str, ...]:
    """Remove from the environment what could change a result, for this process and the processes that it starts.

    Returns the names of the variables that were removed, and the paths of GDAL's settings files that are now ignored.
    The result is empty if this was done before.

    Raises
    ------
    ConfigError
        The libraries contain no tables of their own, and PROJ_DATA or PROJ_LIB do not lead to any.
    """
    is_first = environ.get(_CONFIG_FILE) != os.devnull
    files = _files_of_settings(environ) if is_first else []
    kept = frozenset() if _carries_tables() else _TABLES
    fixed = dict(_FIXED)
    dropped = {name for name, value in environ.items() if is_gdal_option(name) and value != fixed.get(name)} - kept
    for name in dropped:
        del environ[name]
    environ.update(fixed)
    for name in _PROFILES:
        environ.pop(name, None)
    _forget(files)
    if dropped & _TABLES:
        _use_own_tables()
    if is_first and not kept.isdisjoint(environ):
        _check_tables(environ)
    return tuple(sorted({*dropped - {_CONFIG_FILE}, *map(str, files)}))


def told(ignored: tuple[str, ...]) -> str:
    """Return the line that tells the user what `set_aside` removed."""
    line = f"note: settings of GDAL and PROJ never reach a dataset; ignored here: {', '.join(ignored)}"
    tables = sorted(_TABLES.intersection(ignored))
    return f"{line} ({' and '.join(tables)} of another installation)" if tables else line


def _files_of_settings(environ: Mapping[str, str]) -> list[Path]:
    """Return the files from which GDAL takes options, or took them when it was loaded."""
    named = environ.get(_CONFIG_FILE)
    places = [Path(named)] if named is not None else [Path(environ.get("HOME", "~")).expanduser() / _HOME_FILE]
    return [place for place in places if place.is_file()]


def _forget(files: Iterable[Path]) -> None:
    """Unset the options that a library has already read from its settings files."""
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    options = {found[1].upper(): None for line in lines if (found := _OPTION.match(line))}
    options = {name: value for name, value in options.items() if is_gdal_option(name)}
    if options and "rasterio" in sys.modules:
        from rasterio.env import set_gdal_config  # noqa: PLC0415

        for name in options:
            set_gdal_config(name, None)
    if options and "pyogrio" in sys.modules:
        from pyogrio import set_gdal_config_options  # noqa: PLC0415

        set_gdal_config_options(options)


@functools.lru_cache(maxsize=1)
def _carries_tables() -> bool:
    """Return whether all three libraries contain PROJ's database, as their wheels do."""
    return all(_own_tables(name, place) is not None for name, place in _CARRIERS)


def _own_tables(library: str, place: str) -> Path | None:
    spec = find_spec(library)
    for directory in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(directory) / place / "proj.db").is_file():
            return Path(directory) / place
    return None


def _use_own_tables() -> None:
    """Make rasterio use its own tables again: at import it took the directory from the variable that was removed."""
    place = _own_tables(*_CARRIERS[0])
    if "rasterio" in sys.modules and place is not None:
        from rasterio.env import set_proj_data_search_path  # noqa: PLC0415

        set_proj_data_search_path(str(place))


def _check_tables(environ: Mapping[str, str]) -> None:
    """Look up one reference system, to check the tables of libraries that do not contain their own."""
    from pyproj import CRS as ProjCRS  # noqa: N811, PLC0415
    from pyproj.exceptions import CRSError as ProjError  # noqa: PLC0415
    from rasterio.crs import CRS  # noqa: PLC0415
    from rasterio.errors import CRSError  # noqa: PLC0415

    try:
        CRS.from_epsg(_LOOKED_UP)
        ProjCRS.from_epsg(_LOOKED_UP)
    except (CRSError, ProjError) as error:
        named = [f"{name}={environ[name]}" for name in sorted(_TABLES & environ.keys())]
        raise ConfigError(
            f"PROJ does not find the EPSG reference systems in its database: {error}",
            where=", ".join(named),
            fix="unset these variables, or set them to the directory of the PROJ that rasterio and pyproj were built "
            "with",
        ) from error


def environment(**options: Any) -> Any:
    """Return a `rasterio.Env` with options and without credentials: files lie on file systems, and boto3 stays out."""
    import rasterio  # noqa: PLC0415
    from rasterio.session import DummySession  # noqa: PLC0415

    return rasterio.Env(session=DummySession(), **options)


def pin_rasters() -> None:
    """Set the options of rasterio's GDAL. Call this before a file is opened or created; it takes about 25 µs."""
    from rasterio.env import set_gdal_config  # noqa: PLC0415

    # This is repeated each time, because the end of a rasterio.Env unsets the options that it set.
    for name, value in RASTER_OPTIONS.items():
        set_gdal_config(name, value, normalize=False)


def pin_vectors() -> None:
    """Set the options of pyogrio's GDAL. Call this before a file is read or written."""
    from pyogrio import set_gdal_config_options  # noqa: PLC0415

    set_gdal_config_options(dict(VECTOR_OPTIONS))
