"""The pixel lattice: where the pixels are, in whole numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from gcn_luigi.errors import LatticeError

# A file written with single-precision coordinates is off by far less than this;
# a real shift (7 m of 30 m) is off by far more.
_TOLERANCE_PX = 1e-3
# Pixels. Rows and columns stay whole numbers of 32 bits, also when they are added.
FARTHEST = 2.0**30
# Bits of the Hilbert curve: for rows and columns within 2**30 pixels of the lattice's corner, on both sides.
_HILBERT_BITS = 31


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels; it may reach beyond the lattice.

    Rows are ``row .. row + height - 1``, columns ``col .. col + width - 1``.
    """

    row: int
    col: int
    height: int
    width: int

    @property
    def is_empty(self) -> bool:
        """True when the window holds no pixel."""
        return self.height <= 0 or self.width <= 0

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns as half-open ranges, the form in which rasterio takes a window."""
        return (self.row, self.row + self.height), (self.col, self.col + self.width)

    def intersection(self, other: Self) -> Self:
        """Return the common rectangle; empty (zero height or width) where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.row + self.height, other.row + other.height) - row
        width = min(self.col + self.width, other.col + other.width) - col
        return type(self)(row, col, max(height, 0), max(width, 0))


class WindowSet:
    """Rectangles of pixels on one lattice, which may overlap each other and reach beyond the lattice.

    Examples
    --------
    >>> windows = WindowSet([Window(0, 0, 4, 4), Window(0, 4, 4, 4)])
    >>> windows.meeting(Window(1, 3, 1, 1)), windows.meeting(Window(1, 3, 1, 2))
    ([0], [0, 1])
    >>> windows.hull
    Window(row=0, col=0, height=4, width=8)
    >>> windows.uncovered(Window(1, 1, 2, 6)) is None
    True
    >>> windows.uncovered(Window(3, 3, 2, 1)).tolist()
    [[False], [True]]
    """

    def __init__(self, windows: Iterable[Window]) -> None:
        edges = [(at.row, at.col, at.row + at.height, at.col + at.width) for at in windows]
        self._edges = np.array(edges, np.int64).reshape(-1, 4)

    @property
    def hull(self) -> Window:
        """The smallest rectangle that holds all of them, of which there is at least one."""
        row, col = self._edges[:, :2].min(axis=0).tolist()
        bottom, right = self._edges[:, 2:].max(axis=0).tolist()
        return Window(row, col, bottom - row, right - col)

    def meeting(self, window: Window) -> list[int]:
        """Return the positions, in ascending order, of the rectangles that share a pixel with `window`."""
        bottom, right = window.row + window.height, window.col + window.width
        row, col, end, far = self._edges.T
        met = (row < bottom) & (end > window.row) & (col < right) & (far > window.col)
        found: list[int] = np.flatnonzero(met).tolist()
        return found

    def uncovered(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of `window` are in no rectangle, (y, x) bool; None if every pixel is in one."""
        empty = np.ones((window.height, window.width), bool)
        for first, left, last, edge in self._edges[self.meeting(window)].tolist():
            rows = slice(max(first - window.row, 0), last - window.row)
            empty[rows, max(left - window.col, 0) : edge - window.col] = False
        return empty if empty.any() else None


@dataclass(frozen=True)
class Lattice:
    """A north-up raster of square pixels.

    Attributes
    ----------
    crs : str
        An authority code (``"EPSG:3338"``) or WKT; projected, in metres.
    left, top : float
        Outer corner of pixel (0, 0), in metres.
    pixel_size : float
        Edge of a pixel, in metres.
    height, width : int
        Rows and columns.
    """

    crs: str
    left: float
    top: float
    pixel_size: float
    height: int
    width: int

    def __post_init__(self) -> None:
        """Refuse a lattice without pixels or without a finite position."""
        if self.pixel_size <= 0 or self.height < 1 or self.width < 1:
            raise LatticeError(
                f"a lattice of {self.height} x {self.width} pixels of {self.pixel_size} m has no pixels",
                where="lattice",
                fix="give a positive pixel size, height and width",
            )
        # NaN is equal to nothing, itself included: such a lattice would never be the same as before.
        if not all(math.isfinite(value) for value in (self.left, self.top, self.pixel_size)):
            raise LatticeError(
                f"pixels of {self.pixel_size} m from ({self.left}, {self.top}) have no finite position",
                where="lattice",
                fix="give a finite corner and pixel size",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def right(self) -> float:
        """East edge, in metres."""
        return self.left + self.width * self.pixel_size

    @property
    def bottom(self) -> float:
        """South edge, in metres."""
        return self.top - self.height * self.pixel_size

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top, in metres."""
        return self.left, self.bottom, self.right, self.top

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients a, b, c, d, e, f: ``x = a col + b row + c``, ``y = d col + e row + f``."""
        return self.pixel_size, 0.0, self.left, 0.0, -self.pixel_size, self.top

    @property
    def window(self) -> Window:
        """All pixels of the lattice."""
        return Window(0, 0, self.height, self.width)

    def crop(self, window: Window) -> Self:
        """Return the lattice of `window`, which may reach beyond this one."""
        return type(self)(
            self.crs,
            self.left + window.col * self.pixel_size,
            self.top - window.row * self.pixel_size,
            self.pixel_size,
            window.height,
            window.width,
        )

    def window_of(self, bounds: tuple[float, float, float, float], *, where: str, snap: bool = False) -> Window:
        """Return the window that covers `bounds`.

        Parameters
        ----------
        bounds : tuple of float
            Left, bottom, right, top, in metres.
        where : str
            What the bounds belong to, for the message.
        snap : bool
            Move bounds that are between pixels to the nearest pixel edge instead of refusing them. The corner is
            rounded first, halves southward and eastward, and the size separately, so that equal bounds keep equal
            sizes wherever they are.

        Returns
        -------
        Window
            It may reach beyond the lattice.

        Raises
        ------
        LatticeError
            The bounds are between pixels and `snap` is False, or are not finite numbers, or a thousand million pixels
            away, as those of a damaged file may be.
        """
        if not all(math.isfinite(value) for value in bounds):
            raise LatticeError(
                f"bounds {bounds} are not all numbers",
                where=where,
                fix="give left, bottom, right and top in metres",
            )
        left, bottom, right, top = bounds
        edges = (
            (self.top - top) / self.pixel_size,
            (left - self.left) / self.pixel_size,
            (self.top - bottom) / self.pixel_size,
            (right - self.left) / self.pixel_size,
        )
        if max(map(abs, edges)) >= FARTHEST:
            raise LatticeError(
                f"lies {max(map(abs, edges)):.0e} pixels away from the region's lattice",
                where=where,
                fix="correct its position: rio edit-info --transform '[...]' FILE",
            )
        row, col = (math.floor(edge + 0.5) for edge in edges[:2])
        height, width = (math.floor(last - first + 0.5) for first, last in zip(edges[:2], edges[2:], strict=True))
        off = max(abs(edge - round(edge)) for edge in edges)
        if off > _TOLERANCE_PX and not snap:
            raise LatticeError(
                f"off the pixel lattice by ({edges[1] - col:+.3f}, {edges[0] - row:+.3f}) pixel (x, y)",
                where=where,
                fix="move or resample it onto the region's lattice; gcn never shifts by part of a pixel silently",
            )
        return Window(row, col, height, width)


def hilbert_order(rows: npt.ArrayLike, cols: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the order of places along the Hilbert curve.

    The curve visits all places of an aligned square of 2**k x 2**k, from neighbour to neighbour, before it leaves the
    square. So any run of consecutive places is a compact patch, whatever its length.

    Parameters
    ----------
    rows, cols : array_like of int
        (place,): whole numbers from -2**30 to 2**30 - 1, for example the first pixels of windows. Places need not
        be equally spaced.

    Returns
    -------
    ndarray of intp
        (place,): positions in `rows`, in the order of the curve; equal places keep their order.

    References
    ----------
    D. Hilbert, Ueber die stetige Abbildung einer Linie auf ein Flaechenstueck, Math. Ann. 38 (1891) 459-460.
    """
    y, x = ((np.asarray(values, np.int64) + (1 << (_HILBERT_BITS - 1))).astype(np.uint64) for values in (rows, cols))
    distance = np.zeros(y.shape, np.uint64)
    for bit in range(_HILBERT_BITS - 1, -1, -1):
        side = np.uint64(1 << bit)
        low = side - np.uint64(1)
        upper, right = (y & side) != 0, (x & side) != 0
        quarter = np.where(right, np.where(upper, 2, 3), np.where(upper, 1, 0)).astype(np.uint64)
        distance = (distance << np.uint64(2)) | quarter
        # The curve enters the first and the last quarter along the other axis, the last one mirrored.
        turned, mirrored = ~upper, ~upper & right
        y, x = y & low, x & low
        y, x = np.where(mirrored, low - y, y), np.where(mirrored, low - x, x)
        y, x = np.where(turned, x, y), np.where(turned, y, x)
    return np.argsort(distance, kind="stable")
