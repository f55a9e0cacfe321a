"""Read vector files: outlines, grids, polygons, footprints, and lists of ids."""

import csv
import re
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
from gcn_luigi.io.raster.drivers import check_vector
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.outlines.columns import column_texts, outline_rows
from gcn_luigi.prepare.outlines.identity import unite_outlines
from gcn_luigi.prepare.outlines.overlaps import note_overlaps
from gcn_luigi.prepare.outlines.polygons import RepairRules, drop_unusable, only_polygons, repair_polygons
from gcn_luigi.prepare.outlines.reproject import TOLERANCE_M, check_degrees, check_finite, check_on_region, reproject
from gcn_luigi.settings import OutlineSettings

# The largest deviation of a reprojected edge, in pixels.
_SHARE_OF_PIXEL = 0.1
_LEAVE_OUT = ', or leave them out: outlines.on_unusable = "skip"'
# For polygons other than outlines. For outlines there is a setting.
_MOST_REPAIRED = 0.01
# The fix for several layers if no setting can name one.
_NAME_ONE = "name one of them with the key for the layer ([outlines] layer, for outlines)"
_APART = "save the one to use in a separate file"
_ID_HEADERS = {"label", "new_id", "id", "partition", "cell", "cell_id", "grid_id", "rejects", "rejected", "reject"}
# Tried in this order: UTF-8 accepts hardly any other text, Windows-1252 nearly every text.
_ENCODINGS = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}
# The table of a shapefile has one or a few bytes per letter. GDAL trusts these wrong claims and reads Chinese letters.
_IMPOSSIBLE = re.compile(r"(utf|ucs)[-_ ]?(2|4|16|32)", re.IGNORECASE)


@dataclass(frozen=True)
class Outlines:
    """Glacier outlines that are ready for use, with notes on what was chosen, repaired, united, subtracted or left out.

    The table has the columns outline (str, unique), glacier (str, the id, the same for all analyses of a glacier), year
    (Int64, NA if undated), date (str, as written), area_m2 and geometry (valid flat polygons). It is sorted by outline.
    """

    table: gpd.GeoDataFrame
    notes: tuple[str, ...]


def read_outlines(
    path: Path, settings: OutlineSettings, onto: Lattice | str, composites: Sequence[int] = ()
) -> Outlines:
    """Read outlines of RGI 6, RGI 7 or GLIMS, or your own.

    Outlines are first reprojected without moving their edges, then checked and repaired. Rows without area are skipped.
    Rows with one id are united if they are parts of one glacier and date
    (`gcn_luigi.prepare.outlines.identity.unite_outlines`). Rock within a glacier of GLIMS is subtracted. The notes of
    the result list all of this.

    Parameters
    ----------
    path : Path
        A file in a format of `gcn_luigi.io.raster.drivers.check_vector`, or GeoParquet.
    settings : OutlineSettings
        Fields that the settings do not name are found by their usual names, in upper or lower case.
    onto : Lattice or str
        The lattice or CRS of the result. Edges deviate by less than a tenth of a pixel of the lattice, or by less than
        a metre with a CRS.
    composites : sequence of int
        Years with composites; needed if `analyses` is ``"nearest"``.

    Raises
    ------
    InputError
        The file is missing, unreadable or empty, states no CRS or a wrong one, lacks a field, or has no usable row; a
        row holds no polygon, is broken beyond what the settings allow, or cannot be reprojected; rows that are not one
        glacier share an id; or dates are not understood.
    """
    table, encoding = _read(path, settings.layer)
    frame = _located(table, path)
    where = str(path)
    if frame.empty:
        raise InputError("no outlines in the file: it has no rows", where=where, fix="give a file with polygons")
    rows = outline_rows(frame.drop(columns=frame.geometry.name), settings, where)
    names = rows.table["outline"].tolist()
    shapes = frame.geometry.to_numpy()[rows.table.index]
    shapes, unusable = only_polygons(shapes, names, settings.on_unusable, where, _LEAVE_OUT)
    fix = "fix them, for example with the tool Fix geometries of QGIS, or raise outlines.max_repaired_share"
    rules = RepairRules(settings.on_invalid, settings.max_repaired_share, fix)
    shapes, repaired = repair_polygons(_reprojected(shapes, frame.crs, onto, where), names, rules, where)
    table = gpd.GeoDataFrame(rows.table.reset_index(drop=True), geometry=shapes, crs=_crs(onto))
    table, skipped = drop_unusable(table, where)
    table, united = unite_outlines(table, rows, settings.analyses, tuple(composites), where)
    undated = int(table["year"].isna().sum())
    late = [f"{undated} of {len(table)} outlines have no usable date"] if undated else []
    notes = (*encoding, *rows.notes, *unusable, *repaired, *skipped, *united, *note_overlaps(table), *late)
    return Outlines(table, notes)


def read_areas(
    path: Path, layer: str | None, settings: OutlineSettings, onto: Lattice, column: str | None = None
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Read polygons whose ids and dates do not matter, and notes on what was repaired or left out.

    Broken polygons and rows without polygons are treated as `settings` say for outlines. The table has a row for each
    polygon with an area, in the order of the file: row (int, its number from 0), value (str, what it holds in `column`;
    blank without a column) and geometry (valid flat polygons). Raise InputError as `read_outlines` does for a file that
    is missing, unreadable, empty, elsewhere or broken, or that lacks the column.
    """
    table, encoding = _read(path, layer)
    frame, where = _located(table, path), str(path)
    if frame.empty:
        raise InputError("no polygons in the file: it has no rows", where=where, fix="give a file with polygons")
    values = [""] * len(frame)
    if column is not None:
        values = column_texts(frame.drop(columns=frame.geometry.name), column, where)
    names = [f"row {row}" for row in range(len(frame))]
    shapes, unusable = only_polygons(frame.geometry.to_numpy(), names, settings.on_unusable, where, _LEAVE_OUT)
    fix = "fix them, for example with the tool Fix geometries of QGIS, or raise outlines.max_repaired_share"
    rules = RepairRules(settings.on_invalid, settings.max_repaired_share, fix)
    shapes, repaired = repair_polygons(_reprojected(shapes, frame.crs, onto, where), names, rules, where)
    areas = gpd.GeoDataFrame({"row": range(len(frame)), "value": values}, geometry=shapes, crs=onto.crs)
    has_area = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    return areas[has_area].reset_index(drop=True), (*encoding, *unusable, *repaired)


def read_grid(path: Path, layer: str | None = None) -> gpd.GeoDataFrame:
    """Read an existing grid without changing it. `gcn_luigi.prepare.partitions.grid.import_grid` checks grid and CRS.

    Rows without geometry are kept, because columns may give the positions of their cells. Raise InputError if the file
    is missing or unreadable, has several layers but `layer` names none, states no CRS or a wrong one, or has rows of
    lines or points.
    """
    frame = _located(_read(path, layer)[0], path)
    shapes = frame.geometry.to_numpy()
    drawn = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    only_polygons(frame.geometry.to_numpy()[drawn], [f"row {row}" for row in drawn], "error", str(path))
    return frame


def read_footprints(path: Path) -> gpd.GeoDataFrame:
    """Read footprints of samples made elsewhere, without changing them.

    Raise InputError if the file is missing or unreadable, has several layers, or states no CRS or a wrong one.
    """
    return _located(_read(path, None, _APART)[0], path)


def read_polygons(path: Path, onto: Lattice | str) -> gpd.GeoSeries:
    """Read polygons, for example those that exclude cells. `onto` as in `read_outlines`.

    The result has one valid, flat polygon per row. Broken polygons are repaired if that changes at most one per cent of
    their area; ``attrs["notes"]``, a list of str, says which. Raise InputError if the file is missing or unreadable,
    has several layers, or states no CRS or a wrong one; or if a row holds no polygon, would change more, or cannot be
    reprojected.
    """
    table, encoding = _read(path, None, _APART)
    frame, where = _located(table, path), str(path)
    names = [f"row {row}" for row in range(len(frame))]
    shapes, mixed = only_polygons(frame.geometry.to_numpy(), names, "error", where)
    rules = RepairRules("repair", _MOST_REPAIRED, "fix them, for example with the tool Fix geometries of QGIS")
    shapes, repaired = repair_polygons(_reprojected(shapes, frame.crs, onto, where), names, rules, where)
    if shapely.is_empty(shapes).any():
        empty = few(f"row {row}" for row in np.flatnonzero(shapely.is_empty(shapes)))
        raise InputError(f"polygons without area: {empty}", where=where, fix="correct or remove these rows")
    polygons = gpd.GeoSeries(shapes, crs=_crs(onto))
    polygons.attrs["notes"] = [*encoding, *mixed, *repaired]
    return polygons


def read_reject_ids(path: Path) -> frozenset[str]:
    """Read ids: one per line, those in the first column of a CSV, or all ids of a file with a single line.

    The published workflow kept its rejects in one line. Values are separated by comma, semicolon or tab. A header,
    empty lines and lines that start with # are skipped. Ids are returned as written, without quotes and surrounding
    spaces. Raise InputError if the file is missing or is not text.
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
    # Lines are parsed one by one, so that an extra quotation mark does not swallow the ids below.
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(
            f"cannot read the list of ids: {error}: {line[:60]!r}",
            where=str(path),
            fix="correct the quotation marks of this line",
        ) from error


def _read(path: Path, layer: str | None, several: str = _NAME_ONE) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a table, and a note if its text has another encoding than the file claims."""
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
            # Heights and measures are not used.
            warnings.filterwarnings("ignore", message=".*Measured.*geometry types are not supported")
            # Dates are read as texts as well as dates.
            warnings.filterwarnings("ignore", message="Error parsing datetimes")
            # Such rings are refused below.
            warnings.filterwarnings("ignore", message="Non closed ring detected")
            # If the claimed encoding does not fit, another is tried and noted.
            warnings.filterwarnings("ignore", message="One or several characters couldn't be converted")
            # Rings are rebuilt by containment.
            warnings.filterwarnings("ignore", message=".*rings with invalid winding order")
            # Numbers that are not finite are refused below, with a message of their own.
            with np.errstate(invalid="ignore", over="ignore"):
                return _read_layer(path, layer)
    except InputError:
        raise
    except DataLayerError as error:
        raise InputError(f"no layer {layer!r}", where=where, fix=f"name one of: {', '.join(layers)}") from error
    except (DataSourceError, CRSError, ShapelyError, UnboundLocalError, ValueError, OSError) as error:
        # UnboundLocalError: what pyogrio raises for a CRS that is not UTF-8.
        raise InputError(f"not a readable vector file: {error}", where=where, fix="write the file again") from error


def _read_layer(path: Path, layer: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return all rows and columns of a layer, and a note if the encoding differs from the claimed one.

    The .cpg file of a shapefile names the encoding of its text. If that does not fit, others are tried. Other formats
    must be in UTF-8.
    """
    is_shapefile = path.suffix.lower() == ".shp"
    claim = _claimed_encoding(path) if is_shapefile else ""
    try:
        if not _IMPOSSIBLE.match(claim):
            return _decoded(path, layer, None), ()
    except UnicodeDecodeError as error:
        if not is_shapefile:
            raise InputError(
                f"holds text that is not UTF-8, in {_undecodable(path, layer)}: {error}",
                where=str(path),
                fix="write the file again in UTF-8, or leave out the part named above",
            ) from error
    for encoding in _ENCODINGS:
        try:
            frame = _decoded(path, layer, encoding)
        except UnicodeDecodeError:
            continue
        return frame, (_encoding_note(frame, claim, encoding),)
    raise InputError(
        "no known encoding fits the text in its table",
        where=str(path),
        fix="write the file again in UTF-8, with a .cpg file",
    )


def _decoded(path: Path, layer: str | None, encoding: str | None) -> pd.DataFrame:
    table: pd.DataFrame = pyogrio.read_dataframe(path, layer=layer, use_arrow=False, encoding=encoding)
    return table


def _undecodable(path: Path, layer: str | None) -> str:
    """Return a text that names the columns with text that cannot be decoded."""
    bad = []
    try:
        for name in pyogrio.read_info(path, layer=layer)["fields"]:
            try:
                pyogrio.read_dataframe(path, layer=layer, columns=[name], read_geometry=False, use_arrow=False)
            except UnicodeDecodeError:
                bad.append(str(name))
    except UnicodeDecodeError:
        return "the names of its columns"
    return f"columns {', '.join(bad)}" if bad else "its table"


def _claimed_encoding(path: Path) -> str:
    found = next((file for file in (path.with_suffix(".cpg"), path.with_suffix(".CPG")) if file.exists()), None)
    return "" if found is None else found.read_bytes()[:40].decode("ascii", "replace").strip()


def _encoding_note(frame: pd.DataFrame, claim: str, encoding: str) -> str:
    strange = [
        str(name)
        for name in frame.columns
        if any(isinstance(value, str) and not value.isascii() for value in frame[name])
    ]
    said = f"the .cpg file says {claim}: correct it" if claim else "its table says otherwise: add a .cpg file"
    columns = f"columns {', '.join(strange)}" if strange else "the table"
    return f"{columns} read as {_ENCODINGS[encoding]}, though {said} if these texts matter"


def _layer(path: Path, layer: str | None, several: str) -> tuple[list[str], str | None]:
    """Return the layers of a file, and the one to read. Tables without geometry, such as QGIS styles, do not count."""
    found = pyogrio.list_layers(path)
    layers = [str(name) for name, kind in found if kind is not None] or [str(name) for name, _ in found]
    if layer is None and len(layers) > 1:
        raise InputError(f"the file has {len(layers)} layers", where=str(path), fix=f"{several}: {', '.join(layers)}")
    return layers, layer if layer is not None or len(found) == 1 else layers[0]


def _located(frame: pd.DataFrame, path: Path) -> gpd.GeoDataFrame:
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("the file holds no geometry", where=str(path), fix="give a vector file with polygons")
    if frame.crs is None:
        raise InputError(
            "the file does not state its CRS", where=str(path), fix="add the CRS; a shapefile needs a .prj file"
        )
    shapes = frame.geometry.to_numpy()
    check_finite(shapes, str(path))
    check_degrees(shapes, frame.crs, str(path))
    return frame


def _reprojected(shapes: npt.NDArray[Any], crs: CRS, onto: Lattice | str, where: str) -> npt.NDArray[Any]:
    """Return shapes in the CRS in which they are used, without moving their edges."""
    if not isinstance(onto, Lattice):
        return reproject(shapes, crs, onto, TOLERANCE_M, where)
    moved = reproject(shapes, crs, onto.crs, onto.pixel_size * _SHARE_OF_PIXEL, where)
    check_on_region(shapes, moved, crs, onto, where)
    return moved


def _crs(onto: Lattice | str) -> str:
    return onto.crs if isinstance(onto, Lattice) else onto
