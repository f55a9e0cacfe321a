"""The grid: square cells that partitions are cut by."""

import math
from dataclasses import dataclass

from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Lattice, Window

# No projected coordinate in metres lies farther from its origin.
_WORLD_M = 2.1e7
# Floating-point dust, in pixels; a real phase is far larger.
_DUST_PX = 1e-3


@dataclass(frozen=True, order=True)
class Cell:
    """One cell of the grid.

    Attributes
    ----------
    id : str
        Unique and safe in file names: ``[A-Za-z0-9_-]+``.
    window : Window
        Its pixels on the region's lattice; it may reach beyond the lattice.
    split : str
        What an imported grid says in its split column, in lower case; empty where it says nothing.
    years : tuple of int
        What the rows of an imported grid say of this cell in their year column, sorted: one a row that states one.
    """

    id: str
    window: Window
    split: str = ""
    years: tuple[int, ...] = ()

    @property
    def year(self) -> int | None:
        """The commonest of `years`, the smallest on a tie; None where there is none."""
        return min(self.years, key=lambda year: (-self.years.count(year), year), default=None)


def make_grid(lattice: Lattice, size: int, origin: str) -> list[Cell]:
    """Return all cells that touch the lattice, row-major from the north-west.

    Parameters
    ----------
    lattice : Lattice
        The pixels to cover.
    size : int
        Edge of a cell, in pixels.
    origin : str
        ``"world"``: cells at whole multiples of their edge from (0, 0) of the CRS, moved by the lattice's own
        sub-pixel phase if it has one, so that the same ground has the same cell and id on every lattice with these
        pixels. ``"lattice"``: cells from the lattice's north-west corner, named by row and column.

    Returns
    -------
    list of Cell
        Their windows cover every pixel of the lattice exactly once; those at the edge may reach beyond it.

    Raises
    ------
    ConfigError
        `size` is not positive or `origin` is unknown.

    Examples
    --------
    >>> lattice = Lattice("EPSG:3338", left=30.0, top=60.0, pixel_size=30.0, height=2, width=3)
    >>> [(cell.id, cell.window.row, cell.window.col) for cell in make_grid(lattice, 2, "lattice")]
    [('r0000_c0000', 0, 0), ('r0000_c0001', 0, 2)]
    >>> [cell.window.col for cell in make_grid(lattice, 2, "world")]
    [-1, 1]
    """
    if size < 1 or origin not in {"world", "lattice"}:
        raise ConfigError(
            f"no grid of {size} px cells with origin {origin!r}",
            where="[grid]",
            fix='give a positive size and origin = "world" or "lattice"',
        )
    if origin == "lattice":
        return _from_corner(lattice, size)
    west, north = world_pixel(lattice.left, lattice.pixel_size), world_pixel(lattice.top, lattice.pixel_size)
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


def _from_corner(lattice: Lattice, size: int) -> list[Cell]:
    n_rows, n_cols = -(-lattice.height // size), -(-lattice.width // size)
    digits = max(4, len(str(max(n_rows, n_cols) - 1)))
    return [
        Cell(f"r{row:0{digits}d}_c{col:0{digits}d}", Window(row * size, col * size, size, size))
        for row in range(n_rows)
        for col in range(n_cols)
    ]


def world_pixel(coordinate: float, pixel_size: float) -> int:
    """Return the number of whole pixels from the CRS origin to `coordinate`, rounded down."""
    return math.floor(coordinate / pixel_size + _DUST_PX)


def world_id(col: int, row: int, edge_m: float) -> str:
    """Return the name of the square `col` steps east and `row` steps north of the CRS origin.

    A false origin of half the number range is added, as UTM adds one to its northings: names hold no sign and
    sort in the order of their indices. The number of digits follows from the edge alone.

    Parameters
    ----------
    col, row : int
        Steps of `edge_m` from (0, 0); negative to the west and south.
    edge_m : float
        Edge of the square, in metres.

    Examples
    --------
    >>> world_id(-159, 218, 7680.0)
    'x4841_y5218'
    """
    digits = max(4, math.ceil(math.log10(2 * _WORLD_M / edge_m)))
    false_origin = 5 * 10 ** (digits - 1)
    return f"x{false_origin + col:0{digits}d}_y{false_origin + row:0{digits}d}"
