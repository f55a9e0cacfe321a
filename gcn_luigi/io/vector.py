"""Vector files: outlines, grids, polygons to leave out, and lists of ids."""

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from gcn_luigi.errors import InputError
from gcn_luigi.io.formats import check_vector
from gcn_luigi.io.index import read_geoparquet
from gcn_luigi.prepare.grid_import import few
from gcn_luigi.prepare.outline_columns import outline_rows
from gcn_luigi.prepare.outline_identity import Choice, unite_outlines
from gcn_luigi.prepare.outlines import drop_unusable, mend_polygons
from gcn_luigi.settings import OutlineSettings

# Coordinates in any unit that is in use, micrometres included, are smaller.
_FARTHEST = 1e15
_ID_HEADERS = {"label", "new_id", "id", "partition", "cell", "cell_id", "grid_id", "rejects", "rejected", "reject"}


@dataclass(frozen=True)
class Outlines:
    """Glacier outlines, ready for use.

    Attributes
    ----------
    table : GeoDataFrame
        outline (str, unique), glacier (str, its id: one for all analyses of a glacier), year (Int64, NA where undated),
        date (str, as written), area_m2, geometry: valid two-dimensional polygons in the wanted CRS. Sorted by outline.
    notes : tuple of str
        What was chosen, repaired, united, subtracted or left out.
    """

    table: gpd.GeoDataFrame
    notes: tuple[str, ...]


def read_outlines(path: Path, settings: OutlineSettings, crs: str, composites: Sequence[int] = ()) -> Outlines:
    """Read outlines of RGI 6, RGI 7, GLIMS or one's own making.

    Records without geometry, without area, or of points and lines are skipped; records with one id are united where
    they are parts of one glacier and date (`gcn_luigi.prepare.outline_identity.unite_outlines`), rock within a glacier
    of GLIMS is subtracted. Each of these is noted.

    Parameters
    ----------
    path : Path
        See `gcn_luigi.io.formats.check_vector`.
    settings : OutlineSettings
        Layer, fields (found by themselves, in any case of letters, where not given), `analyses` and `on_invalid`.
    crs : str
        What to reproject to.
    composites : sequence of int
        Years there are composites of; needed where `analyses` is ``"nearest"``.

    Returns
    -------
    Outlines
        At least one.

    Raises
    ------
    InputError
        The file is missing, unreadable or empty, states no CRS, lacks a field, holds nothing usable, or holds broken
        polygons while `on_invalid` is ``"error"``; an id is shared by rows that are not one glacier, or dates are not
        understood.
    """
    frame = _located(_read(path, settings.layer), path)
    where = str(path)
    if frame.empty:
        raise InputError("no outlines in the file", where=where, fix="give a file with at least one polygon")
    rows = outline_rows(frame.drop(columns=frame.geometry.name), settings, where)
    names = rows.table["outline"].tolist()
    shapes, mended = mend_polygons(frame.geometry.to_numpy()[rows.table.index], names, settings.on_invalid, where)
    table = gpd.GeoDataFrame(rows.table.reset_index(drop=True), geometry=shapes, crs=frame.crs)
    table = _reprojected(table, crs, path)
    # A ring that just clears itself may cross itself elsewhere on the ellipsoid.
    shapes, mended_again = mend_polygons(table.geometry.to_numpy(), names, settings.on_invalid, where)
    table, skipped = drop_unusable(table.set_geometry(gpd.GeoSeries(shapes, crs=table.crs)), where)
    table, united = unite_outlines(table, rows, Choice(settings.analyses, tuple(composites)), where)
    undated = int(table["year"].isna().sum())
    late = [f"{undated} of {len(table)} outlines have no usable date"] if undated else []
    return Outlines(table, (*rows.notes, *mended, *mended_again, *skipped, *united, *late))


def read_grid(path: Path, layer: str | None = None) -> gpd.GeoDataFrame:
    """Read an existing grid, unchanged; `gcn_luigi.prepare.grid_import.import_grid` judges it.

    Parameters
    ----------
    path : Path
        See `gcn_luigi.io.formats.check_vector`.
    layer : str or None
        Needed where the file has several.

    Returns
    -------
    GeoDataFrame
        All columns and rows, possibly none.

    Raises
    ------
    InputError
        The file is missing or unreadable, has several layers and none is named, or states no CRS.
    """
    return _located(_read(path, layer), path)


def read_footprints(path: Path) -> gpd.GeoDataFrame:
    """Read somebody's footprints of samples, as they are.

    Parameters
    ----------
    path : Path
        A vector file of one layer, see `gcn_luigi.io.formats.check_vector`, or GeoParquet.

    Raises
    ------
    InputError
        As `read_grid`.
    """
    return _located(_read(path, None), path)


def read_polygons(path: Path, crs: str, layer: str | None = None) -> gpd.GeoSeries:
    """Read polygons, for example those whose cells are never used.

    Parameters
    ----------
    path : Path
        See `gcn_luigi.io.formats.check_vector`.
    crs : str
        What to reproject to.
    layer : str or None
        Needed where the file has several.

    Returns
    -------
    GeoSeries
        Valid, two-dimensional polygons in `crs`; broken ones are repaired, whatever is no polygon is left out.

    Raises
    ------
    InputError
        As `read_grid`.
    """
    frame = _reprojected(_located(_read(path, layer), path), crs, path)
    shapes, _ = mend_polygons(frame.geometry.to_numpy(), map(str, range(len(frame))), "repair", str(path))
    return gpd.GeoSeries([shape for shape in shapes if shape is not None], crs=frame.crs)


def read_reject_ids(path: Path) -> frozenset[str]:
    """Read ids, one a line or in the first column of a CSV; a single line of several ids counts whole.

    The published workflow kept its rejects in one line. A header is passed over, so are empty lines and those that
    start with #.

    Parameters
    ----------
    path : Path
        Text, separated by comma, semicolon or tab.

    Returns
    -------
    frozenset of str
        As written, without quotes and surrounding space.

    Raises
    ------
    InputError
        The file is missing or is no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the list of ids: {error}", where=str(path), fix="give a UTF-8 text file"
        ) from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    delimiter = next((mark for mark in ",;\t" if any(mark in line for line in lines)), ",")
    rows = [[value.strip() for value in _fields(line, delimiter, path)] for line in lines]
    has_header = len(rows) > 1 and rows[0][0].lower() in _ID_HEADERS
    if has_header:
        rows = rows[1:]
    ids = rows[0] if len(rows) == 1 and not has_header else [row[0] for row in rows]
    return frozenset(value for value in ids if value)


def _fields(line: str, delimiter: str, path: Path) -> list[str]:
    # Line by line: a quotation mark too many must not swallow the ids of the lines below.
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(
            f"cannot read the list of ids: {error}: {line[:60]!r}",
            where=str(path),
            fix="mend the quotation marks of this line",
        ) from error


def _read(path: Path, layer: str | None) -> pd.DataFrame:
    where = str(path)
    if not path.exists():
        raise InputError("there is no such file", where=where, fix="correct the path; it starts at data_root")
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            parquet: pd.DataFrame = read_geoparquet(path)
            return parquet
        check_vector(path)
        layers = pyogrio.list_layers(path)[:, 0].tolist()
        if layer is None and len(layers) > 1:
            raise InputError(f"the file has {len(layers)} layers", where=where, fix=f"name one of: {', '.join(layers)}")
        with warnings.catch_warnings():
            # Heights and measures are dropped in any case.
            warnings.filterwarnings("ignore", message=".*Measured.*geometry types are not supported")
            # Dates are read as texts as well as dates.
            warnings.filterwarnings("ignore", message="Error parsing datetimes")
            # Refused below.
            warnings.filterwarnings("ignore", message="Non closed ring detected")
            # A number that is none is refused below, by name.
            with np.errstate(invalid="ignore", over="ignore"):
                frame: pd.DataFrame = pyogrio.read_dataframe(path, layer=layer, use_arrow=False)
            return frame
    except DataLayerError as error:
        raise InputError(f"no layer {layer!r}", where=where, fix=f"name one of: {', '.join(layers)}") from error
    except (DataSourceError, CRSError, ShapelyError, UnboundLocalError, ValueError, OSError) as error:
        # UnboundLocalError: pyogrio's answer to a CRS that is no text in UTF-8.
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a readable vector file: {error}", where=where, fix="write the file again") from error


def _located(frame: pd.DataFrame, path: Path) -> gpd.GeoDataFrame:
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("the file holds no geometry", where=str(path), fix="give a vector file with polygons")
    if frame.crs is None:
        raise InputError("the file states no CRS", where=str(path), fix="add it, for a shapefile as a .prj file")
    _check_coordinates(frame, path)
    return frame


def _check_coordinates(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Refuse coordinates that are NaN, infinite or far off the Earth: no polygon can be mended with them."""
    coordinates, records = shapely.get_coordinates(frame.geometry.to_numpy(), return_index=True)
    # NaN compares False.
    lost = np.unique(records[~(np.abs(coordinates) < _FARTHEST).all(axis=1)])
    if lost.size:
        raise InputError(
            f"{lost.size} records with coordinates that are no place on Earth: {few(f'row {row}' for row in lost)}",
            where=str(path),
            fix="the file may be damaged: copy it again, or correct these records",
        )


def _reprojected(frame: gpd.GeoDataFrame, crs: str, path: Path) -> gpd.GeoDataFrame:
    try:
        return frame.to_crs(crs)
    except (CRSError, RuntimeError) as error:
        raise InputError(f"cannot reproject to {crs}: {error}", where=str(path), fix="check both CRSs") from error
