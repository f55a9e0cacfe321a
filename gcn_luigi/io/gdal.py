"""What the shell says to GDAL and PROJ, and what of it may reach a build: nothing that changes a result.

GDAL takes any of its thousand options from the environment, and from files named there or in the user's home. Some of
them move pixels, hide masks or let damaged blocks pass. Commands and tasks therefore drop all of them but those that
only bear on messages. `pin_rasters` and `pin_vectors` fix the worst of them for reads outside a build as well.

rasterio and pyogrio each bring a GDAL of their own, with options of its own. An option that is set explicitly counts
more than one of the environment or of a file of settings. This holds for the process from the first use on: a lazy
reader such as a VRT opens files, and so looks at its options, at any time. Both libraries are loaded only where they
are used, since the environment is cleaned before.
"""

import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from gcn_luigi.errors import ConfigError

# First words of the options of GDAL, of the formats that are read here, and of PROJ.
_FAMILIES = re.compile(
    r"(?:AAIGRID|CPL|FLATGEOBUF|GDAL|GEOJSON|GPKG|GTIFF|HFA|JP2[A-Z]*|OGR|OPENFILEGDB|OPENJPEG|OSR|PROJ|SPATIALITE|VRT"
    r"|VSI)_[A-Z0-9_]+"
)
# Options that belong to none, or to a family whose first word others use as well.
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
# Where an installation is and what it is, for those who compile against it.
_BUILD = re.compile(r"(?:GDAL|PROJ)_(?:HOME|ROOT|DIR|PREFIX|VERSION|CONFIG|LIBS?|LIBRAR(?:Y|IES)(?:_PATH)?|INCLUDE.*)")
# Messages, and the network, which no source is on. Not the size of the cache: blocks reach a file in its order.
_HARMLESS = re.compile(
    r"CPL_(?:DEBUG|LOG|LOG_APPEND|LOG_ERRORS|MAX_ERROR_REPORTS|TIMESTAMP|TMPDIR|AWS_.*|AZURE_.*|CURL_.*|GCE_.*|GS_.*"
    r"|OSS_.*|MACHINE_IS_GCE|VSIL_CURL_.*|VSIS3_.*|VSIAZ_.*|VSIGS_.*)|GDAL_(?:HTTPS?_.*|PROXY|PROXY_AUTH"
    r"|CURL_CA_BUNDLE)|PROJ_(?:DEBUG|CURL_CA_BUNDLE)"
)
# Where GDAL's and PROJ's own tables are: an installation from wheels carries them, any other needs these.
_TABLES = frozenset({"GDAL_DATA", "PROJ_DATA", "PROJ_LIB"})
_CONFIG_FILE = "GDAL_CONFIG_FILE"
# No file of settings, no grids from the network, and none from the user's home: each would differ by machine.
_FIXED = (
    (_CONFIG_FILE, os.devnull),
    ("PROJ_NETWORK", "OFF"),
    ("PROJ_SKIP_READ_USER_WRITABLE_DIRECTORY", "YES"),
)
_HOME_FILE = Path(".gdal") / "gdalrc"
_OPTION = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=")
# Each library has its own copy of PROJ; and where its wheel keeps the database.
_CARRIERS = (("rasterio", "proj_data"), ("pyogrio", "proj_data"), ("pyproj", "proj_dir/share/proj"))
_LOOKED_UP = 3338
# Both copies: how reference systems are read, sidecar files, and numbers.
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
    # Placement: what the file says, and from where.
    "GDAL_GEOREF_SOURCES": "PAM,INTERNAL,TABFILE,WORLDFILE",
    "GDAL_PAM_ENABLED": "YES",
    "GDAL_IGNORE_AXIS_ORIENTATION": "FALSE",
    "GDAL_JP2K_ALT_OFFSETVECTOR_ORDER": "FALSE",
    "GDAL_USE_GEOJP2": "YES",
    "GDAL_USE_GMLJP2": "YES",
    "GTIFF_HONOUR_NEGATIVE_SCALEY": "NO",
    "GTIFF_POINT_GEO_IGNORE": "FALSE",
    "GTIFF_READ_ANGULAR_PARAMS_IN_DEGREE": "NO",
    # Pixels: damaged blocks are errors, and colours and masks are what is stored.
    "CONVERT_YCBCR_TO_RGB": "YES",
    "GDAL_TIFF_INTERNAL_MASK_TO_8BIT": "YES",
    "GTIFF_DIRECT_IO": "NO",
    "GTIFF_FORCE_RGBA": "NO",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "GTIFF_VIRTUAL_MEM_IO": "NO",
    "JP2OPENJPEG_PROMOTE_1BIT_ALPHA_AS_8BIT": "YES",
    # VRTs: no code, and nothing of this process' memory.
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "VRT_ALLOW_MEM_DRIVER": "NO",
    "VRT_VIRTUAL_OVERVIEWS": "NO",
    # Files that are written.
    "ESRI_XML_PAM": "NO",
    "GDAL_TIFF_ENDIANNESS": "NATIVE",
    "GTIFF_DONT_WRITE_BLOCKS": "NO",
    "GTIFF_WRITE_IMAGE_STRUCTURE_METADATA": "YES",
    "TIFF_USE_OVR": "FALSE",
})  # fmt: skip
VECTOR_OPTIONS: Mapping[str, str] = MappingProxyType({
    **_COMMON,
    # Geometry: curves are divided as finely everywhere, and no coordinate is rounded.
    "GEOMETRY_AS_COLLECTION": "NO",
    "OGR_APPLY_GEOM_SET_PRECISION": "NO",
    "OGR_ARC_MAX_GAP": "0",
    "OGR_ARC_STEPSIZE": "4",
    "OGR_GEOMETRY_ACCEPT_UNCLOSED_RING": "YES",
    # As shapefiles are read without it; `gcn_luigi.prepare.outlines.polygons` judges and reports other rings.
    "OGR_ORGANIZE_POLYGONS": "ONLY_CCW",
    # Rows and columns: all that are stored, of the type they are stored in.
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
    """Return whether a variable is an option of GDAL or PROJ that might change what is read or written.

    Examples
    --------
    >>> is_gdal_option("GTIFF_POINT_GEO_IGNORE"), is_gdal_option("CPL_DEBUG"), is_gdal_option("HOME")
    (True, False, False)
    """
    if name in _OTHERS or name in _TABLES:
        return True
    return _FAMILIES.fullmatch(name) is not None and not (_HARMLESS.fullmatch(name) or _BUILD.fullmatch(name))


def set_aside(environ: MutableMapping[str, str] = os.environ) -> tuple[str, ...]:
    """Take out of the environment what could change a result, for this process and those it starts.

    Returns the names of the variables that were dropped, and the paths of the files of GDAL's settings that no longer
    count; empty where it was done before.

    Raises
    ------
    ConfigError
        The libraries carry no tables of their own, and there are none where PROJ_DATA or PROJ_LIB say.
    """
    is_first = environ.get(_CONFIG_FILE) != os.devnull
    files = _files_of_settings(environ) if is_first else []
    kept = frozenset() if _carries_tables() else _TABLES
    fixed = dict(_FIXED)
    dropped = {name for name, value in environ.items() if is_gdal_option(name) and value != fixed.get(name)} - kept
    for name in dropped:
        del environ[name]
    environ.update(fixed)
    _forget(files)
    if dropped & _TABLES:
        _use_own_tables()
    if is_first and not kept.isdisjoint(environ):
        _check_tables(environ)
    return tuple(sorted({*dropped - {_CONFIG_FILE}, *map(str, files)}))


def told(ignored: tuple[str, ...]) -> str:
    """Return the line that says what `set_aside` took out."""
    line = f"note: settings of GDAL and PROJ never reach a dataset; ignored here: {', '.join(ignored)}"
    tables = sorted(_TABLES.intersection(ignored))
    return f"{line} ({' and '.join(tables)} of another installation)" if tables else line


def _files_of_settings(environ: Mapping[str, str]) -> list[Path]:
    """Return the files that GDAL takes options from, or took when it was loaded."""
    named = environ.get(_CONFIG_FILE)
    places = [Path(named)] if named is not None else [Path(environ.get("HOME", "~")).expanduser() / _HOME_FILE]
    return [place for place in places if place.is_file()]


def _forget(files: Iterable[Path]) -> None:
    """Unset what a library that was loaded before has taken from its files of settings."""
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
    """Return whether all three libraries carry PROJ's database, as their wheels do."""
    return all(_own_tables(name, place) is not None for name, place in _CARRIERS)


def _own_tables(library: str, place: str) -> Path | None:
    spec = find_spec(library)
    for directory in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(directory) / place / "proj.db").is_file():
            return Path(directory) / place
    return None


def _use_own_tables() -> None:
    """Lead rasterio back to its own tables: when it was imported it looked where the dropped variable said."""
    place = _own_tables(*_CARRIERS[0])
    if "rasterio" in sys.modules and place is not None:
        from rasterio.env import set_proj_data_search_path  # noqa: PLC0415

        set_proj_data_search_path(str(place))


def _check_tables(environ: Mapping[str, str]) -> None:
    """Look up one reference system, where the libraries do not carry the tables that describe it."""
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
            f"PROJ does not find the reference systems of the EPSG in its database: {error}",
            where=", ".join(named),
            fix="unset these variables, or point them at the PROJ that rasterio and pyproj were built with",
        ) from error


def pin_rasters() -> None:
    """Fix the options of rasterio's GDAL; about 25 µs, to be called before a file is opened or created."""
    from rasterio.env import set_gdal_config  # noqa: PLC0415

    # Each time, because the end of a rasterio.Env unsets what it set.
    for name, value in RASTER_OPTIONS.items():
        set_gdal_config(name, value, normalize=False)


def pin_vectors() -> None:
    """Fix the options of pyogrio's GDAL; to be called before a file is read or written."""
    from pyogrio import set_gdal_config_options  # noqa: PLC0415

    set_gdal_config_options(dict(VECTOR_OPTIONS))
