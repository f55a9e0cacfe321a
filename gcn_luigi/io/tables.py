"""Tables on disk: GeoParquet and GeoPackage. Equal tables give equal bytes."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from gcn_luigi.errors import InputError
from gcn_luigi.io.gdal import pin_vectors

# GeoPackage requires a date of last change. A real date would differ in every run.
_NO_DATE = "1970-01-01T00:00:00.000Z"


def write_geoparquet(path: Path, frame: gpd.GeoDataFrame) -> None:
    """Write GeoParquet 1.1 with WKB, zstd and a bounding box column for spatial filters, without the table's index."""
    frame.to_parquet(
        path, index=False, compression="zstd", schema_version="1.1.0", geometry_encoding="WKB", write_covering_bbox=True
    )


def read_geoparquet(path: Path | io.BytesIO) -> gpd.GeoDataFrame:
    """Read a file from `write_geoparquet`, or its bytes, without the bounding box column.

    Raise InputError for any other file.
    """
    try:
        # Without this, invalid text would be noticed only when it is first used.
        pq.read_table(path).validate(full=True)
        if isinstance(path, io.BytesIO):
            path.seek(0)
        with np.errstate(invalid="ignore", over="ignore"):
            return gpd.read_parquet(path)
    except (OSError, ValueError, LookupError, pa.ArrowException, CRSError, ShapelyError) as error:
        where = str(path) if isinstance(path, Path) else "a table from a store"
        raise InputError(f"not a GeoParquet file: {error}", where=where, fix="build the table again") from error


def read_columns(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a Parquet file. Raise InputError for any other file, or if a column is not there."""
    try:
        table = pq.read_table(path, columns=list(names))
        table.validate(full=True)
        frame: pd.DataFrame = table.select(list(names)).to_pandas()
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise InputError(f"not a table of this dataset: {error}", where=str(path), fix="build it again") from error
    return frame


def column_types(path: Path) -> dict[str, str]:
    """Return the columns of a Parquet file, in order, with the names of their Arrow types, such as ``int16``."""
    return {field.name: str(field.type) for field in pq.read_schema(path)}


def write_geopackage(path: Path, frame: gpd.GeoDataFrame, layer: str) -> None:
    """Write a GeoPackage with one layer of polygons. The name of the layer does not depend on `path`."""
    path.unlink(missing_ok=True)
    pin_vectors()
    with _gdal_option("OGR_CURRENT_DATE", _NO_DATE):
        pyogrio.write_dataframe(frame, path, layer=layer, driver="GPKG", geometry_type="Polygon", use_arrow=False)


@contextmanager
def _gdal_option(name: str, value: str) -> Iterator[None]:
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: value})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})
