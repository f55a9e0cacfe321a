"""An existing grid, checked cell by cell and put onto the lattice."""

import re
from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely

from gcn_luigi.errors import GcnLuigiError, InputError, LatticeError, few
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.outlines.dates import not_understood, read_dates
from gcn_luigi.prepare.partitions.grid import Cell
from gcn_luigi.settings import GridSettings

_BOX = ("left", "bottom", "right", "top")
_IDS = ("label", "new_id")
# Whose year a row states, in a grid that was joined with outlines.
_GLACIERS = ("rgiid", "rgi_id", "glims_id", "glimsid", "glac_id", "glacier_id")
# As in gcn_luigi.lattice: single-precision dust lies below, a real shift above.
_TOLERANCE_PX = 1e-3


def import_grid(table: gpd.GeoDataFrame, lattice: Lattice, settings: GridSettings) -> tuple[list[Cell], list[str]]:
    """Return the cells of an existing grid, row-major, and notes about what was changed.

    Boxes are taken from the columns left, top, right and bottom (any case), or from the geometries' bounds;
    where a row has both, they must agree. Rows that repeat a cell with an equal box, as a table joined with
    outlines does, count once; each outline's year is kept.

    Parameters
    ----------
    table : GeoDataFrame
        One row a cell, in the lattice's CRS. Optional columns: label or new_id (otherwise rows are
        numbered from 0), split, year.
    lattice : Lattice
        Where the pixels lie.
    settings : GridSettings
        `size`, `id_field` and `off_lattice`; `path` appears in messages.

    Returns
    -------
    list of Cell, list of str
        The cells may lie outside the lattice; judging that is the catalog's affair.

    Raises
    ------
    InputError
        No rows, no or another CRS, no usable box or id, two boxes or splits under one id, or a cell that is not
        ``size x size`` pixels.
    LatticeError
        Cells lie between pixels and `settings.off_lattice` is ``"error"``.
    """
    where = f"grid {settings.path}" if settings.path else "grid"
    _check_table(table, lattice, where)
    boxes, notes = _boxes(table, lattice.pixel_size, where)
    ids, id_notes = _ids(table, boxes, settings, where)
    split = _text(table, "split")
    stated, year_notes = _years(table, ids)
    keep, repeat_notes = _unique(ids, boxes, split, where)
    windows, snap_notes = _windows(boxes[keep], [ids[i] for i in keep], lattice, settings, where)
    cells = [Cell(ids[i], window, split[i], stated.get(ids[i], ())) for i, window in zip(keep, windows, strict=True)]
    cells.sort(key=lambda cell: (cell.window.row, cell.window.col, cell.id))
    return cells, [*notes, *id_notes, *repeat_notes, *year_notes, *snap_notes]


def cell_id(value: object) -> str:
    """Return an id that is safe in file names: ``12.0`` becomes ``12``, other characters than A-Z a-z 0-9 _ - become _.

    Parameters
    ----------
    value : object
        A number or text from a table.

    Examples
    --------
    >>> cell_id(79945217.0), cell_id(" A/7 b "), cell_id("12.0")
    ('79945217', 'A_7_b', '12')
    """
    text = re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip())
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def _column(table: pd.DataFrame, name: str) -> str | None:
    return next((str(column) for column in table.columns if str(column).lower() == name.lower()), None)


def _check_table(table: gpd.GeoDataFrame, lattice: Lattice, where: str) -> None:
    if len(table) == 0:
        raise InputError("the grid has no rows", where=where, fix="give a grid with at least one cell, or leave it out")
    wanted = pyproj.CRS.from_user_input(lattice.crs)
    crs = table.crs if isinstance(table, gpd.GeoDataFrame) and table.active_geometry_name else None
    if crs is None:
        raise InputError(
            "the grid states no CRS", where=where, fix=f"write it with its CRS; the region uses {lattice.crs}"
        )
    # A .prj in ESRI's wording differs in names only; the axis order of a projected grid plays no part.
    if not crs.equals(wanted, ignore_axis_order=True) and (crs.to_epsg() is None or crs.to_epsg() != wanted.to_epsg()):
        raise InputError(
            f"the grid is in {crs.name}, the region in {wanted.name}",
            where=where,
            fix=f"make the grid in {lattice.crs}: boxes cannot be reprojected without ceasing to be boxes",
        )


def _boxes(table: gpd.GeoDataFrame, pixel_size: float, where: str) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Return left, bottom, right, top (cell, edge), in metres."""
    found = [_column(table, name) for name in _BOX]
    named = [name for name in found if name is not None]
    shapes = table.geometry.to_numpy()
    drawn = shapely.bounds(shapes).reshape(-1, 4)
    has_shape = np.isfinite(drawn).all(axis=1)
    if len(named) < len(_BOX):
        notes = [f"only {few(named)} of left, top, right, bottom; bounds taken from geometry"] if named else []
        bad = ~has_shape | (shapely.area(shapes) < 0.99 * shapely.area(shapely.box(*drawn.T)))
        _refuse(bad, range(len(table)), "rows without a box-shaped geometry", where)
        return drawn, notes
    boxes = np.column_stack([pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in named])
    bad = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])
    _refuse(bad, range(len(table)), "rows without a usable left, top, right, bottom", where)
    apart = has_shape & (np.abs(boxes - np.where(has_shape[:, None], drawn, boxes)).max(axis=1) > pixel_size)
    _refuse(apart, range(len(table)), "rows whose left, top, right, bottom differ from their geometry", where)
    return boxes, []


def _refuse(bad: npt.NDArray[np.bool_], names: Iterable[object], what: str, where: str) -> None:
    if bad.any():
        listed = few(str(name) for name, is_bad in zip(names, bad, strict=True) if is_bad)
        raise InputError(f"{int(bad.sum())} {what}: {listed}", where=where, fix="correct or remove them")


def _ids(
    table: gpd.GeoDataFrame, boxes: npt.NDArray[np.float64], settings: GridSettings, where: str
) -> tuple[list[str], list[str]]:
    wanted = (settings.id_field,) if settings.id_field else _IDS
    field = next((column for name in wanted if (column := _column(table, name)) is not None), None)
    if field is None and settings.id_field:
        raise InputError(
            f"the grid has no column {settings.id_field!r}",
            where=where,
            fix=f"set grid.id_field to one of: {', '.join(map(str, table.columns))}",
        )
    if field is None:
        _, first, number = np.unique(boxes, axis=0, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        ids = [str(rank[i]) for i in np.ravel(number)]
        return ids, [f"no label or new_id column; cells numbered 0 to {len(first) - 1} in table order"]
    _refuse(table[field].isna().to_numpy(bool), range(len(table)), f"rows without {field}", where)
    raw = [re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip()) for value in table[field]]
    ids = [cell_id(value) for value in raw]
    meanings = pd.Series(raw).groupby(ids).nunique()
    if "" in ids or (meanings > 1).any():
        raise InputError(
            f"ids that cannot be told apart in file names: {few(meanings.index[meanings > 1])}",
            where=where,
            fix="use ids of letters, digits, _ and -",
        )
    changed = sorted({before for before, after in zip(raw, ids, strict=True) if before != after})
    return ids, [f"characters replaced by _ in the ids {few(changed)}"] if changed else []


def _text(table: pd.DataFrame, name: str) -> list[str]:
    column = _column(table, name)
    if column is None:
        return [""] * len(table)
    return ["" if pd.isna(value) else str(value).strip().lower() for value in table[column]]


def _years(table: pd.DataFrame, ids: list[str]) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return the years that the rows of each cell state, sorted; an outline counts once a cell."""
    column = _column(table, "year")
    if column is None:
        return {}, []
    dates, lost = read_dates(table[column])
    outline = next((found for name in _GLACIERS if (found := _column(table, name)) is not None), None)
    rows = pd.DataFrame({"id": ids, "year": [int(date[:4]) if date else None for date in dates]})
    if outline is not None:
        names = table[outline].map(lambda value: "" if pd.isna(value) else str(value).strip()).to_numpy(object)
        repeats = rows.assign(outline=names).duplicated().to_numpy() & (names != "")
        rows = rows[~repeats]
    stated = rows.dropna().groupby("id")["year"]
    years = {str(name): tuple(sorted(int(year) for year in group)) for name, group in stated}
    torn = sum(len(set(group)) > 1 for group in years.values())
    notes = [f"{torn} cells whose rows state several years"] if torn else []
    return years, [*notes, *([not_understood(lost, len(dates))] if lost else [])]


def _unique(
    ids: list[str], boxes: npt.NDArray[np.float64], split: list[str], where: str
) -> tuple[list[int], list[str]]:
    """Return the first row of each id; all rows of an id must agree."""
    rows = pd.DataFrame(boxes, columns=list(_BOX)).assign(id=ids, split=split)
    distinct = rows.groupby("id")[[*_BOX, "split"]].nunique()
    clash = distinct.index[(distinct[list(_BOX)] > 1).any(axis=1)]
    torn = distinct.index[distinct["split"] > 1]
    if len(clash) or len(torn):
        what = [f"one id for different boxes: {few(clash)}"] if len(clash) else []
        what += [f"one id in two splits: {few(torn)}"] if len(torn) else []
        raise InputError("; ".join(what), where=where, fix="give every cell its own id and one split")
    keep = np.flatnonzero(~rows.duplicated("id").to_numpy()).tolist()
    repeats = len(ids) - len(keep)
    return keep, [f"{repeats} rows repeat a cell and count once"] if repeats else []


def _windows(
    boxes: npt.NDArray[np.float64], ids: list[str], lattice: Lattice, settings: GridSettings, where: str
) -> tuple[list[Window], list[str]]:
    pixel = lattice.pixel_size
    corner = np.column_stack([lattice.top - boxes[:, 3], boxes[:, 0] - lattice.left]) / pixel
    shape = np.column_stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]]) / pixel
    # Halves go up, as in gdal_translate -projwin, which cut the published partitions.
    size = np.floor(shape + 0.5).astype(np.int64)
    off = np.maximum(np.abs(corner - np.rint(corner)).max(axis=1), np.abs(shape - size).max(axis=1))
    _raise_first(_size_error(size, ids, settings.size, where))
    is_off = off > _TOLERANCE_PX
    if is_off.any() and settings.off_lattice == "error":
        raise LatticeError(
            f"{int(is_off.sum())} cells lie up to {off.max():.3f} px off the pixel lattice: "
            f"{few(name for name, bad in zip(ids, is_off, strict=True) if bad)}",
            where=where,
            fix='put the grid onto the pixels, or move cells by less than one: grid.off_lattice = "snap" or "floor"',
        )
    if settings.off_lattice == "floor":
        # The same tool's rule for offsets; its tolerance happens to be ours.
        start, edge = np.floor(corner + _TOLERANCE_PX).astype(np.int64), "pixel edge to the north and west"
    else:
        start, edge = np.rint(corner).astype(np.int64), "nearest pixel edge"
    windows = [Window(row, col, settings.size, settings.size) for row, col in start.tolist()]
    if not is_off.any():
        return windows, []
    by = max(np.abs(corner - start)[is_off].max(), np.abs(shape - size)[is_off].max())
    return windows, [f"{int(is_off.sum())} cells moved to the {edge}, by up to {by:.3f} px"]


def _size_error(size: npt.NDArray[np.int64], ids: list[str], wanted: int, where: str) -> GcnLuigiError | None:
    wrong = (size != wanted).any(axis=1)
    if not wrong.any():
        return None
    listed: list[Any] = [f"{name} ({h} x {w})" for name, (h, w), bad in zip(ids, size, wrong, strict=True) if bad]
    return InputError(
        f"{int(wrong.sum())} cells are not {wanted} x {wanted} px: {few(listed)}",
        where=where,
        fix=f"set grid.size to the cells' size, or give cells of {wanted} px",
    )


def _raise_first(error: GcnLuigiError | None) -> None:
    if error is not None:
        raise error
