"""Vector files: outlines, grids, polygons to leave out, and lists of ids."""

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from gcn_luigi.errors import InputError, few
from gcn_luigi.io.gdal import pin_vectors
from gcn_luigi.io.inputs.vector_text import read_table
from gcn_luigi.io.raster.drivers import check_vector
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.outlines.columns import outline_rows
from gcn_luigi.prepare.outlines.identity import Choice, unite_outlines
from gcn_luigi.prepare.outlines.misplaced import check_degrees, check_on_region
from gcn_luigi.prepare.outlines.overlaps import note_overlaps
from gcn_luigi.prepare.outlines.polygons import Mending, drop_unusable, mend_polygons, only_polygons
from gcn_luigi.prepare.outlines.reproject import TOLERANCE_M, reproject
from gcn_luigi.settings import OutlineSettings

# Coordinates in any unit that is in use, micrometres included, are smaller.
_FARTHEST = 1e15
# An edge may be off by so much of a pixel.
_SHARE_OF_PIXEL = 0.1
_LEAVE_OUT = ', or leave them out: outlines.on_unusable = "skip"'
# Of polygons to leave out; outlines have a setting.
_MOST_MENDED = 0.01
# What to do about several layers where no setting names one.
_APART = "keep the one that counts in a file of its own"
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


def read_outlines(
    path: Path, settings: OutlineSettings, onto: Lattice | str, composites: Sequence[int] = ()
) -> Outlines:
    """Read outlines of RGI 6, RGI 7, GLIMS or one's own making.

    They are brought into the CRS in which they are used, with edges that stay where they were, and judged and mended
    there. Rows without area are skipped; records with one id are united where they are parts of one glacier and date
    (`gcn_luigi.prepare.outlines.identity.unite_outlines`), rock within a glacier of GLIMS is subtracted. Each of these
    is noted.

    Parameters
    ----------
    path : Path
        See `gcn_luigi.io.raster.drivers.check_vector`.
    settings : OutlineSettings
        Layer, fields (found by themselves, in any case of letters, where not given), `analyses`, and what to do with
        rows that are broken or hold no polygon.
    onto : Lattice or str
        What to lay them over: edges are off by less than a tenth of a pixel. Of a CRS alone, by less than a metre.
    composites : sequence of int
        Years there are composites of; needed where `analyses` is ``"nearest"``.

    Returns
    -------
    Outlines
        At least one.

    Raises
    ------
    InputError
        The file is missing, unreadable or empty, states no CRS or one that cannot be right, lacks a field, or holds
        nothing usable; a row holds no polygon, is broken beyond what the settings allow, or cannot be reprojected; an
        id is shared by rows that are not one glacier, or dates are not understood.
    """
    table, encoding = _read(path, settings.layer)
    frame = _located(table, path)
    where = str(path)
    if frame.empty:
        raise InputError("no outlines in the file", where=where, fix="give a file with at least one polygon")
    rows = outline_rows(frame.drop(columns=frame.geometry.name), settings, where)
    names = rows.table["outline"].tolist()
    shapes = frame.geometry.to_numpy()[rows.table.index]
    shapes, unusable = only_polygons(shapes, names, settings.on_unusable, where, _LEAVE_OUT)
    shapes, mended = mend_polygons(_laid(shapes, frame.crs, onto, where), names, _outline_rules(settings), where)
    table = gpd.GeoDataFrame(rows.table.reset_index(drop=True), geometry=shapes, crs=_crs(onto))
    table, skipped = drop_unusable(table, where)
    table, united = unite_outlines(table, rows, Choice(settings.analyses, tuple(composites)), where)
    undated = int(table["year"].isna().sum())
    late = [f"{undated} of {len(table)} outlines have no usable date"] if undated else []
    notes = (*encoding, *rows.notes, *unusable, *mended, *skipped, *united, *note_overlaps(table), *late)
    return Outlines(table, notes)


def read_grid(path: Path, layer: str | None = None) -> gpd.GeoDataFrame:
    """Read an existing grid, unchanged; `gcn_luigi.prepare.partitions.grid_import.import_grid` judges it, and its CRS.

    Rows without geometry are left to that, too: columns may say where their cells lie.

    Parameters
    ----------
    path : Path
        See `gcn_luigi.io.raster.drivers.check_vector`.
    layer : str or None
        Needed where the file has several.

    Returns
    -------
    GeoDataFrame
        All columns and rows, possibly none.

    Raises
    ------
    InputError
        The file is missing or unreadable, has several layers and none is named, states no CRS or one that cannot be
        right, or holds rows of lines or points.
    """
    frame = _located(_read(path, layer)[0], path)
    drawn = np.flatnonzero(~(frame.geometry.isna() | frame.geometry.is_empty).to_numpy())
    only_polygons(frame.geometry.to_numpy()[drawn], [f"row {row}" for row in drawn], "error", str(path))
    return frame


def read_footprints(path: Path) -> gpd.GeoDataFrame:
    """Read somebody's footprints of samples, as they are.

    Parameters
    ----------
    path : Path
        A vector file of one layer, see `gcn_luigi.io.raster.drivers.check_vector`, or GeoParquet.

    Raises
    ------
    InputError
        The file is missing or unreadable, has several layers, or states no CRS or one that cannot be right.
    """
    return _located(_read(path, None, _APART)[0], path)


def read_polygons(path: Path, onto: Lattice | str) -> gpd.GeoSeries:
    """Read polygons, for example those whose cells are never used.

    Parameters
    ----------
    path : Path
        See `gcn_luigi.io.raster.drivers.check_vector`.
    onto : Lattice or str
        As in `read_outlines`.

    Returns
    -------
    GeoSeries
        Valid, two-dimensional polygons, one a row; broken ones are repaired where that changes little. What was done is
        in its ``attrs["notes"]``, a list of str.

    Raises
    ------
    InputError
        The file is missing or unreadable, has several layers, or states no CRS or one that cannot be right; a row
        holds no polygon, is broken beyond a per cent of its area, or cannot be reprojected.
    """
    table, encoding = _read(path, None, _APART)
    frame, where = _located(table, path), str(path)
    names = [f"row {row}" for row in range(len(frame))]
    shapes, mixed = only_polygons(frame.geometry.to_numpy(), names, "error", where)
    rules = Mending("repair", _MOST_MENDED, "mend them, for example with QGIS's Fix geometries")
    shapes, mended = mend_polygons(_laid(shapes, frame.crs, onto, where), names, rules, where)
    if shapely.is_empty(shapes).any():
        empty = few(f"row {row}" for row in np.flatnonzero(shapely.is_empty(shapes)))
        raise InputError(f"polygons without area: {empty}", where=where, fix="correct or remove these rows")
    polygons = gpd.GeoSeries(shapes, crs=_crs(onto))
    polygons.attrs["notes"] = [*encoding, *mixed, *mended]
    return polygons


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


def _read(path: Path, layer: str | None, several: str = "name one of") -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a table, and a note where its texts are in another encoding than the file claims."""
    where = str(path)
    if not path.exists():
        raise InputError("there is no such file", where=where, fix="correct the path; it starts at data_root")
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            return read_geoparquet(path), ()
        check_vector(path)
        pin_vectors()
        layers, layer = _layer(path, layer, several)
        with warnings.catch_warnings():
            # Heights and measures are dropped in any case.
            warnings.filterwarnings("ignore", message=".*Measured.*geometry types are not supported")
            # Dates are read as texts as well as dates.
            warnings.filterwarnings("ignore", message="Error parsing datetimes")
            # Refused below.
            warnings.filterwarnings("ignore", message="Non closed ring detected")
            # An encoding is guessed, and told, where the one claimed does not fit.
            warnings.filterwarnings("ignore", message="One or several characters couldn't be converted")
            # Rings are read by what contains what.
            warnings.filterwarnings("ignore", message=".*rings with invalid winding order")
            # A number that is none is refused below, by name.
            with np.errstate(invalid="ignore", over="ignore"):
                return read_table(path, layer)
    except DataLayerError as error:
        raise InputError(f"no layer {layer!r}", where=where, fix=f"name one of: {', '.join(layers)}") from error
    except (DataSourceError, CRSError, ShapelyError, UnboundLocalError, ValueError, OSError) as error:
        # UnboundLocalError: pyogrio's answer to a CRS that is no text in UTF-8.
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a readable vector file: {error}", where=where, fix="write the file again") from error


def _layer(path: Path, layer: str | None, several: str) -> tuple[list[str], str | None]:
    """Return the layers of a file and the one to read; tables without geometry, as QGIS keeps styles in, are none."""
    found = pyogrio.list_layers(path)
    layers = [str(name) for name, kind in found if kind is not None] or [str(name) for name, _ in found]
    if layer is None and len(layers) > 1:
        raise InputError(f"the file has {len(layers)} layers", where=str(path), fix=f"{several}: {', '.join(layers)}")
    return layers, layer if layer is not None or len(found) == 1 else layers[0]


def _located(frame: pd.DataFrame, path: Path) -> gpd.GeoDataFrame:
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("the file holds no geometry", where=str(path), fix="give a vector file with polygons")
    if frame.crs is None:
        raise InputError("the file states no CRS", where=str(path), fix="add it, for a shapefile as a .prj file")
    _check_coordinates(frame, path)
    check_degrees(frame.geometry.to_numpy(), frame.crs, str(path))
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


def _laid(shapes: npt.NDArray[Any], crs: CRS, onto: Lattice | str, where: str) -> npt.NDArray[Any]:
    """Return shapes in the CRS in which they are used, with edges that stay where they were."""
    tolerance = onto.pixel_size * _SHARE_OF_PIXEL if isinstance(onto, Lattice) else TOLERANCE_M
    moved = reproject(shapes, crs, _crs(onto), tolerance, where)
    if isinstance(onto, Lattice):
        check_on_region(shapes, moved, crs, onto, where)
    return moved


def _crs(onto: Lattice | str) -> str:
    return onto.crs if isinstance(onto, Lattice) else onto


def _outline_rules(settings: OutlineSettings) -> Mending:
    fix = "mend them, for example with QGIS's Fix geometries, or allow more by outlines.max_repaired_share"
    return Mending(settings.on_invalid, settings.max_repaired_share, fix)
