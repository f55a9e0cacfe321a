"""The grid: the square cells that partitions are cut from. It is generated or imported."""

import math
import re
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely

from gcn_luigi.errors import InputError, LatticeError, few
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.outlines.columns import find_column
from gcn_luigi.prepare.outlines.dates import not_understood, read_dates
from gcn_luigi.settings import GridSettings

# No projected coordinate is farther from the origin, in metres.
_WORLD_M = 2.1e7
# As in gcn_luigi.lattice: errors of single precision are smaller, real shifts are larger.
_TOLERANCE_PX = 1e-3
_BOX = ("left", "bottom", "right", "top")
_IDS = ("label", "new_id")
# Columns with a glacier id, in a grid that was joined with outlines. The year of a row belongs to this glacier.
_GLACIERS = ("rgiid", "rgi_id", "glims_id", "glimsid", "glac_id", "glacier_id")


@dataclass(frozen=True, order=True)
class Cell:
    """One cell of the grid.

    Attributes
    ----------
    id : str
        Unique and safe in file names: ``[A-Za-z0-9_-]+``.
    window : Window
        The pixels of the cell on the region's lattice. The window may reach beyond the lattice.
    split : str
        The value of the split column of an imported grid, in lower case; empty without one.
    years : tuple of int
        The years that the rows of an imported grid give for this cell, sorted: one per row that has a year.
    """

    id: str
    window: Window
    split: str = ""
    years: tuple[int, ...] = ()

    @property
    def year(self) -> int | None:
        """The most frequent of `years`, the smallest on a tie; None without years."""
        return min(self.years, key=lambda year: (-self.years.count(year), year), default=None)


def make_grid(lattice: Lattice, size: int, origin: str) -> list[Cell]:
    """Return all cells of `size` pixels that touch the lattice, in row-major order from the north-west.

    Their windows cover every pixel of the lattice exactly once. Windows at the edge may reach beyond the lattice.

    Parameters
    ----------
    lattice : Lattice
        The pixels to cover.
    size : int
        Edge length of a cell, in pixels.
    origin : str
        ``"world"``: cells start at whole multiples of their edge length from (0, 0) of the CRS, plus the sub-pixel
        offset of the lattice if it has one. So the same place has the same cell and id on every lattice with these
        pixels. ``"lattice"``: cells start at the lattice's north-west corner and are named by row and column.

    Examples
    --------
    >>> lattice = Lattice("EPSG:3338", left=30.0, top=60.0, pixel_size=30.0, height=2, width=3)
    >>> [(cell.id, cell.window.row, cell.window.col) for cell in make_grid(lattice, 2, "lattice")]
    [('r0000_c0000', 0, 0), ('r0000_c0001', 0, 2)]
    >>> [cell.window.col for cell in make_grid(lattice, 2, "world")]
    [-1, 1]
    """
    if origin == "lattice":
        n_rows, n_cols = -(-lattice.height // size), -(-lattice.width // size)
        digits = max(4, len(str(max(n_rows, n_cols) - 1)))
        return [
            Cell(f"r{row:0{digits}d}_c{col:0{digits}d}", Window(row * size, col * size, size, size))
            for row in range(n_rows)
            for col in range(n_cols)
        ]
    # The lattice's corner, in whole pixels from the origin of the CRS.
    west, north = (math.floor(edge / lattice.pixel_size + _TOLERANCE_PX) for edge in (lattice.left, lattice.top))
    cols = range(west // size, (west + lattice.width - 1) // size + 1)
    rows = range((north - 1) // size, (north - lattice.height) // size - 1, -1)
    return [
        Cell(
            world_id(col, row, size * lattice.pixel_size),
            Window(north - (row + 1) * size, col * size - west, size, size),
        )
        for row in rows
        for col in cols
    ]


def world_id(col: int, row: int, edge_m: float) -> str:
    """Return the name of the square `col` steps of `edge_m` metres east and `row` steps north of the CRS origin.

    Half of the number range is added as a false origin, as in the northings of UTM. So names need no sign and sort in
    the order of their indices. The number of digits depends only on the edge length.

    Examples
    --------
    >>> world_id(-159, 218, 7680.0)
    'x4841_y5218'
    """
    digits = max(4, math.ceil(math.log10(2 * _WORLD_M / edge_m)))
    false_origin = 5 * 10 ** (digits - 1)
    return f"x{false_origin + col:0{digits}d}_y{false_origin + row:0{digits}d}"


def import_grid(table: gpd.GeoDataFrame, lattice: Lattice, settings: GridSettings) -> tuple[list[Cell], list[str]]:
    """Return the cells of an existing grid, in row-major order, and notes about changes.

    Boxes come from the columns left, top, right and bottom (in upper or lower case), or from the bounds of the
    geometries. If a row has both, they must agree. Rows that repeat a cell with an equal box count once, as in a table
    joined with outlines; the year of each outline is kept.

    Parameters
    ----------
    table : GeoDataFrame
        One row per cell, in the lattice's CRS. Optional columns: label or new_id (otherwise cells are
        numbered from 0), split, year.
    lattice : Lattice
        The lattice of the pixels.
    settings : GridSettings
        `size`, `id_field` and `off_lattice`; `path` appears in messages.

    Returns
    -------
    list of Cell, list of str
        The cells may be outside the lattice. The catalog rejects such cells.

    Raises
    ------
    InputError
        There are no rows, the CRS is missing or different, a box or id cannot be used, one id has two boxes or
        splits, or a cell does not have ``size x size`` pixels.
    LatticeError
        Cell edges are between pixel edges and `settings.off_lattice` is ``"error"``.
    """
    where = f"grid {settings.path}" if settings.path else "grid"
    _check_table(table, lattice, where)
    boxes, notes = _boxes(table, lattice.pixel_size, where)
    ids, id_notes = _ids(table, boxes, settings, where)
    column = find_column(table, "split")
    words = [""] * len(table) if column is None else table[column]
    split = ["" if pd.isna(word) else str(word).strip().lower() for word in words]
    stated, year_notes = _years(table, ids)
    keep, repeat_notes = _unique(ids, boxes, split, where)
    windows, snap_notes = _windows(boxes[keep], [ids[i] for i in keep], lattice, settings, where)
    cells = [Cell(ids[i], window, split[i], stated.get(ids[i], ())) for i, window in zip(keep, windows, strict=True)]
    cells.sort(key=lambda cell: (cell.window.row, cell.window.col, cell.id))
    return cells, [*notes, *id_notes, *repeat_notes, *year_notes, *snap_notes]


def cell_id(value: object) -> str:
    """Return an id that is safe in file names: ``12.0`` becomes ``12``, and _ replaces all but A-Z a-z 0-9 _ and -.

    Examples
    --------
    >>> cell_id(79945217.0), cell_id(" A/7 b "), cell_id("12.0")
    ('79945217', 'A_7_b', '12')
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", _plain(value))


def _plain(value: object) -> str:
    """Return a value as text; whole numbers lose their decimals."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip())


def _check_table(table: gpd.GeoDataFrame, lattice: Lattice, where: str) -> None:
    if len(table) == 0:
        raise InputError("the grid has no rows", where=where, fix="give a grid with at least one cell, or leave it out")
    wanted = pyproj.CRS.from_user_input(lattice.crs)
    crs = table.crs if isinstance(table, gpd.GeoDataFrame) and table.active_geometry_name else None
    if crs is None:
        raise InputError(
            "the grid does not state its CRS", where=where, fix=f"write it with its CRS; the region uses {lattice.crs}"
        )
    # A .prj by ESRI differs only in names, and the axis order of a projected grid does not matter.
    if not crs.equals(wanted, ignore_axis_order=True) and (crs.to_epsg() is None or crs.to_epsg() != wanted.to_epsg()):
        raise InputError(
            f"the grid is in {crs.name}, but the region is in {wanted.name}",
            where=where,
            fix=f"make the grid in {lattice.crs}; reprojection would not keep its cells square",
        )


def _boxes(table: gpd.GeoDataFrame, pixel_size: float, where: str) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Return left, bottom, right and top in metres, (cell, edge), and notes."""
    named = [name for name in (find_column(table, name) for name in _BOX) if name is not None]
    shapes = table.geometry.to_numpy()
    drawn = shapely.bounds(shapes).reshape(-1, 4)
    has_shape = np.isfinite(drawn).all(axis=1)
    if len(named) < len(_BOX):
        bad = ~has_shape | (shapely.area(shapes) < 0.99 * shapely.area(shapely.box(*drawn.T)))
        _refuse_rows(bad, "without a box-shaped geometry", where)
        return drawn, [f"only {few(named)} of left, top, right, bottom; bounds taken from geometry"] if named else []
    boxes = np.column_stack([pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in named])
    bad = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])
    _refuse_rows(bad, "without a usable left, top, right, bottom", where)
    apart = has_shape & (np.abs(boxes - np.where(has_shape[:, None], drawn, boxes)).max(axis=1) > pixel_size)
    _refuse_rows(apart, "whose left, top, right, bottom differ from their geometry", where)
    return boxes, []


def _refuse_rows(bad: npt.NDArray[np.bool_], what: str, where: str) -> None:
    if bad.any():
        rows = np.flatnonzero(bad).tolist()
        raise InputError(f"{len(rows)} rows {what}: {few(map(str, rows))}", where=where, fix="correct or remove them")


def _ids(
    table: gpd.GeoDataFrame, boxes: npt.NDArray[np.float64], settings: GridSettings, where: str
) -> tuple[list[str], list[str]]:
    field = find_column(table, *((settings.id_field,) if settings.id_field else _IDS))
    if field is None and settings.id_field:
        raise InputError(
            f"the grid has no column {settings.id_field!r}",
            where=where,
            fix=f"set grid.id_field to one of: {', '.join(map(str, table.columns))}",
        )
    if field is None:
        number = pd.DataFrame(boxes).groupby([0, 1, 2, 3], sort=False).ngroup()
        ids = number.astype(str).tolist()
        return ids, [f"no label or new_id column; cells numbered 0 to {number.max()} in table order"]
    _refuse_rows(table[field].isna().to_numpy(bool), f"without {field}", where)
    raw = [_plain(value) for value in table[field]]
    ids = [cell_id(value) for value in raw]
    meanings = pd.Series(raw).groupby(ids).nunique()
    if "" in ids or (meanings > 1).any():
        raise InputError(
            f"the grid has ids that would be equal in file names: {few(meanings.index[meanings > 1])}",
            where=where,
            fix="use ids of letters, digits, _ and -",
        )
    changed = sorted({before for before, after in zip(raw, ids, strict=True) if before != after})
    return ids, [f"characters replaced by _ in the ids {few(changed)}"] if changed else []


def _years(table: pd.DataFrame, ids: list[str]) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return the years that the rows give for each cell, sorted, and notes. An outline counts once per cell."""
    column = find_column(table, "year")
    if column is None:
        return {}, []
    dates, unread = read_dates(table[column])
    outline = find_column(table, *_GLACIERS)
    rows = pd.DataFrame({"id": ids, "year": [int(date[:4]) if date else None for date in dates]})
    if outline is not None:
        names = table[outline].map(lambda value: "" if pd.isna(value) else str(value).strip()).to_numpy(object)
        repeats = rows.assign(outline=names).duplicated().to_numpy() & (names != "")
        rows = rows[~repeats]
    stated = rows.dropna().groupby("id")["year"]
    years = {str(name): tuple(sorted(int(year) for year in group)) for name, group in stated}
    several = sum(len(set(group)) > 1 for group in years.values())
    notes = [f"{several} cells whose rows state several years"] if several else []
    return years, [*notes, *([not_understood(unread, len(dates))] if unread else [])]


def _unique(
    ids: list[str], boxes: npt.NDArray[np.float64], split: list[str], where: str
) -> tuple[list[int], list[str]]:
    """Return the first row of each id, and notes. All rows of an id must agree."""
    rows = pd.DataFrame(boxes, columns=list(_BOX)).assign(id=ids, split=split)
    distinct = rows.groupby("id")[[*_BOX, "split"]].nunique()
    two_boxes = distinct.index[(distinct[list(_BOX)] > 1).any(axis=1)]
    two_splits = distinct.index[distinct["split"] > 1]
    if len(two_boxes) or len(two_splits):
        what = [f"different boxes have the same id: {few(two_boxes)}"] if len(two_boxes) else []
        what += [f"one id is in two splits: {few(two_splits)}"] if len(two_splits) else []
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
    # Halves are rounded up, as in gdal_translate -projwin, which cut the published partitions.
    size = np.floor(shape + 0.5).astype(np.int64)
    off = np.maximum(np.abs(corner - np.rint(corner)).max(axis=1), np.abs(shape - size).max(axis=1))
    wrong = (size != settings.size).any(axis=1)
    if wrong.any():
        listed = (f"{name} ({h} x {w})" for name, (h, w), bad in zip(ids, size, wrong, strict=True) if bad)
        raise InputError(
            f"{int(wrong.sum())} cells are not {settings.size} x {settings.size} px: {few(listed)}",
            where=where,
            fix=f"set grid.size to the size of the cells, or give cells of {settings.size} px",
        )
    is_off = off > _TOLERANCE_PX
    if is_off.any() and settings.off_lattice == "error":
        raise LatticeError(
            f"{int(is_off.sum())} cells are up to {off.max():.3f} px off the pixel lattice: "
            f"{few(name for name, bad in zip(ids, is_off, strict=True) if bad)}",
            where=where,
            fix="align the grid with the pixel edges, or let cells be moved by less than a pixel: "
            'grid.off_lattice = "snap" or "floor"',
        )
    if settings.off_lattice == "floor":
        # gdal_translate rounds offsets in this way, with the same tolerance.
        start, edge = np.floor(corner + _TOLERANCE_PX).astype(np.int64), "pixel edge to the north and west"
    else:
        start, edge = np.rint(corner).astype(np.int64), "nearest pixel edge"
    windows = [Window(row, col, settings.size, settings.size) for row, col in start.tolist()]
    if not is_off.any():
        return windows, []
    by = max(np.abs(corner - start)[is_off].max(), np.abs(shape - size)[is_off].max())
    return windows, [f"{int(is_off.sum())} cells moved to the {edge}, by up to {by:.3f} px"]
