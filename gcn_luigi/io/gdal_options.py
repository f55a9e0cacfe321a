"""The options of GDAL that decide what a file says, fixed at GDAL's own defaults for everything read and written here.

rasterio and pyogrio each bring a GDAL of their own, with options of its own. An option that is set explicitly counts
more than one of the environment or of a file of settings. This holds for the process from the first use on: a lazy
reader such as a VRT opens files, and so looks at its options, at any time.
"""

from collections.abc import Mapping
from types import MappingProxyType

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


def pin_rasters() -> None:
    """Fix the options of rasterio's GDAL; about 25 µs, to be called before a file is opened or created."""
    # Loaded where it is used: a reader of shards needs no GDAL.
    from rasterio.env import set_gdal_config  # noqa: PLC0415

    # Each time, because the end of a rasterio.Env unsets what it set.
    for name, value in RASTER_OPTIONS.items():
        set_gdal_config(name, value, normalize=False)


def pin_vectors() -> None:
    """Fix the options of pyogrio's GDAL; to be called before a file is read or written."""
    # Loaded where it is used: most commands need no vector file.
    from pyogrio import set_gdal_config_options  # noqa: PLC0415

    set_gdal_config_options(dict(VECTOR_OPTIONS))
