"""Look at vector files without judging them: their layers, columns and values, but not their shapes."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from gcn_luigi.errors import GcnLuigiError, InputError
from gcn_luigi.io.gdal import pin_vectors
from gcn_luigi.io.raster.drivers import check_vector
from gcn_luigi.io.tables import read_geoparquet

# An inventory of the whole world has about 300,000 glaciers.
_MOST_ROWS = 400_000


@dataclass(frozen=True)
class LayerLook:
    """A layer of a vector file.

    Attributes
    ----------
    path : Path
        The file.
    layer : str
        Name of the layer; empty if the file has a single one.
    crs : str
        A code, or the start of its WKT; empty without a CRS.
    kind : str
        Type of the geometries, such as ``"MultiPolygon"``.
    bounds : tuple of float
        Left, bottom, right, top in the CRS of the file; empty if they are unknown.
    table : pandas.DataFrame
        The columns without the shapes, of all rows.
    """

    path: Path
    layer: str
    crs: str
    kind: str
    bounds: tuple[float, ...]
    table: pd.DataFrame

    @property
    def is_polygons(self) -> bool:
        """Whether the shapes are polygons, or may be."""
        return "Polygon" in self.kind or self.kind in {"Unknown", "GeometryCollection"}

    def column(self, *names: str) -> str | None:
        """Return the first of the columns `names` that the layer has, without regard to case."""
        lower = {str(column).lower(): str(column) for column in reversed(self.table.columns)}
        return next((lower[name.lower()] for name in names if name.lower() in lower), None)


def look_at_layers(path: Path) -> list[LayerLook]:
    """Return the layers of a vector file that have shapes.

    Raises
    ------
    InputError
        The file is not a readable vector file.
    """
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            return _of_parquet(path)
        check_vector(path)
        pin_vectors()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [(str(name), str(kind)) for name, kind in pyogrio.list_layers(path) if kind is not None]
            return [_of_layer(path, name, kind, is_only=len(found) == 1) for name, kind in found]
    except GcnLuigiError:
        raise
    except (DataSourceError, DataLayerError, CRSError, UnicodeDecodeError, ValueError, OSError) as error:
        raise InputError(f"not a readable vector file: {error}", where=str(path), fix="write the file again") from error


def _of_layer(path: Path, name: str, kind: str, *, is_only: bool) -> LayerLook:
    info: dict[str, Any] = pyogrio.read_info(path, layer=name)
    bounds = info["total_bounds"]
    encoding = {"encoding": "cp1252"} if path.suffix.lower() == ".shp" else {}
    try:
        table = pyogrio.read_dataframe(path, layer=name, read_geometry=False, use_arrow=False, max_features=_MOST_ROWS)
    except UnicodeDecodeError:
        table = pyogrio.read_dataframe(
            path, layer=name, read_geometry=False, use_arrow=False, max_features=_MOST_ROWS, **encoding
        )
    return LayerLook(
        path, "" if is_only else name, _code(info["crs"]), kind, () if bounds is None else tuple(bounds), table
    )


def _of_parquet(path: Path) -> list[LayerLook]:
    frame = read_geoparquet(path)
    geometry = getattr(frame, "geometry", None)
    if geometry is None:
        return []
    kinds = sorted(set(geometry.geom_type.dropna()))
    table = pd.DataFrame(frame.drop(columns=geometry.name))
    crs = "" if frame.crs is None else _code(frame.crs.to_wkt())
    return [LayerLook(path, "", crs, kinds[-1] if kinds else "Unknown", tuple(geometry.total_bounds), table)]


def _code(text: str | None) -> str:
    if not text:
        return ""
    authority = CRS.from_user_input(text).to_authority()
    return ":".join(authority) if authority else text[:40]
