"""Place chips in a partition, cut them, and count how many chips show each pixel."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as counting
from gcn_luigi._core import windows as kernel
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.dtypes import Array, writable

Edge = Literal["clamp", "drop", "pad", "legacy"]
Origins = npt.NDArray[np.int64]

# A summed-area table counts in 32 bits, which suffice for the pixels of one chip up to this edge length.
_MAX_SIZE = 65535
# int16 or float32 for stacks; uint8 for label and flags.
_DTYPES = (np.dtype("uint8"), np.dtype("int16"), np.dtype("float32"))


def chip_offsets(extent: int, size: int, step: int, edge: Edge) -> tuple[int, ...]:
    """Return the first pixel of every chip along one axis.

    ``drop`` takes whole steps only. ``clamp`` adds a last chip that ends at the edge. ``pad`` adds steps until the
    chips show every pixel that steps can reach; the last chip may hang over the edge. ``legacy`` takes the
    ``ceil((extent - size) / step) + 1`` offsets of the published script, whose last chip may hang over as well.

    Parameters
    ----------
    extent : int
        Pixels along the axis.
    size, step : int
        Edge length of a chip, and distance between neighbouring origins, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        What to do if whole steps do not end exactly at the edge.

    Returns
    -------
    tuple of int
        In ascending order, starting at 0.

    Raises
    ------
    ConfigError
        `size` exceeds `extent`, or either length is not positive.

    Examples
    --------
    >>> chip_offsets(256, 128, 48, "drop")
    (0, 48, 96)
    >>> chip_offsets(256, 128, 48, "clamp")
    (0, 48, 96, 128)
    >>> chip_offsets(256, 128, 48, "legacy")
    (0, 48, 96, 144)
    """
    if min(size, step) < 1 or size > min(extent, _MAX_SIZE):
        raise ConfigError(
            f"cannot cut chips of {size} px every {step} px",
            where=f"an extent of {extent} px",
            fix=f"use 1 <= size <= extent, size <= {_MAX_SIZE} and step >= 1",
        )
    last = extent - size
    match edge:
        case "drop":
            return tuple(range(0, last + 1, step))
        case "clamp":
            return (*range(0, last, step), last)
        case "pad":
            # With steps longer than a chip, a chip could start beyond the edge, where it would be empty.
            return tuple(range(0, min(last + step, extent), step))
        case "legacy":
            return tuple(range(0, last + step, step))


def chip_origins(shape: tuple[int, int], size: int, step: int, edge: Edge) -> Origins:
    """Return the top left pixel of each chip in an area of `shape`, as (chip, 2) row and column, in row-major order.

    The other arguments and the error are those of `chip_offsets`, for both axes.
    """
    rows, cols = (chip_offsets(extent, size, step, edge) for extent in shape)
    return np.array(list(itertools.product(rows, cols)), np.int64).reshape(-1, 2)


def cut_chips(
    stack: Array,
    origins: Origins,
    size: int,
    *,
    edge: Edge,
    fill: int = 0,
    out: Array | None = None,
) -> Array:
    """Cut a chip at every origin and return copies.

    Parameters
    ----------
    stack : ndarray
        (band, y, x), or a plane (y, x); uint8, int16 or float32; not modified. All values are copied unchanged,
        including nodata.
    origins : ndarray of int64
        (chip, 2): row and column, not negative.
    size : int
        Edge length of a chip, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        ``clamp`` and ``drop`` refuse a chip that hangs over the edge. ``pad`` writes `fill` there.
        ``legacy`` stretches the part inside over the whole chip: row i of the chip shows row
        ``floor(i * h / size)`` of the h rows inside. A chip that is entirely outside is all `fill`.
    fill : int
        The value written beyond the edge.
    out : ndarray, optional
        A buffer for the result, which is returned: C-contiguous, dtype of `stack`, shape of the result.

    Returns
    -------
    ndarray
        (chip, band, y, x), or (chip, y, x) for a plane.

    Raises
    ------
    InputError
        The shape or dtype is not supported, an origin is negative, or a chip hangs over the edge
        although `edge` does not allow it.
    ConfigError
        The dtype cannot hold `fill`, or `size` is not positive.
    """
    if stack.ndim not in (2, 3) or stack.dtype not in _DTYPES:
        raise InputError(
            f"chips cannot be cut from an array of shape {stack.shape} and dtype {stack.dtype}",
            where="stack",
            fix="give (band, y, x) or (y, x) of uint8, int16 or float32",
        )
    origins = check_origins(origins, size)
    rows, cols = stack.shape[-2:]
    refuse_overhang(edge, overhanging(origins, size, (rows, cols)), f"stack of {rows} x {cols} px")
    shape = (len(origins), *stack.shape[:-2], size, size)
    out = np.empty(shape, stack.dtype) if out is None else writable(out, shape, stack.dtype)
    solid = np.ascontiguousarray(stack)
    n_bands = stack.shape[0] if stack.ndim == 3 else 1
    kernel.cut(
        solid.reshape(n_bands, *stack.shape[-2:]),
        origins,
        _fitting(fill, stack.dtype),
        edge == "legacy",
        out.reshape(len(origins), n_bands, size, size),
    )
    return out


def gather_chips(
    windows: Array,
    places: npt.NDArray[np.int64],
    out: Array,
    *,
    edge: Edge,
    extents: npt.NDArray[np.int64] | None = None,
    fill: int = 0,
) -> Array:
    """Copy chips from an array of partitions into `out`, in any order. The array may be a memory map.

    Parameters
    ----------
    windows : ndarray
        (partition, band, y, x), or planes (partition, y, x), C-contiguous; uint8, int16 or float32; not modified.
        All values are copied unchanged.
    places : ndarray of int64
        (chip, 3): partition, row and column.
    out : ndarray
        The buffer that is filled and returned: (chip, band, y, x), or (chip, y, x) for planes, C-contiguous,
        dtype of `windows`. Its last two axes give the size of a chip.
    edge : {"clamp", "drop", "pad", "legacy"}
        As in `cut_chips`, at the edge of the partition's extent.
    extents : ndarray of int64, optional
        (partition, 2): how many rows and columns of each partition hold pixels, if smaller partitions are
        stored with padding. By default all of them do.
    fill : int
        The value written beyond the extent.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    InputError
        Shapes or dtypes do not match, a place is in no partition, or a chip hangs over the edge although
        `edge` does not allow it.
    ConfigError
        The dtype cannot hold `fill`.
    """
    if windows.ndim not in (3, 4) or windows.dtype not in _DTYPES or not windows.flags.c_contiguous:
        raise InputError(
            f"chips cannot be gathered from an array of shape {windows.shape} and dtype {windows.dtype}",
            where="partitions",
            fix="give a C-contiguous array (partition, band, y, x) or (partition, y, x) of uint8, int16 or float32",
        )
    bands = windows.shape[1:-2]
    writable(out, (len(places), *bands, *out.shape[-2:]), windows.dtype)
    whole = np.broadcast_to(np.array(windows.shape[-2:], np.int64), (len(windows), 2))
    extents = np.ascontiguousarray(whole if extents is None else extents, np.int64)
    if places.ndim != 2 or places.shape[1] != 3 or places.dtype.kind != "i" or extents.shape != whole.shape:
        raise InputError(
            f"places of shape {places.shape} and dtype {places.dtype} with extents of shape {extents.shape} "
            "cannot be used",
            where=f"{len(windows)} partitions",
            fix="give whole numbers: places (chip, 3) of partition, row, column, and extents (partition, 2) of rows, "
            "columns",
        )
    partition, corner = places[:, 0], places[:, 1:]
    if ((places < 0).any(axis=1) | (partition >= len(windows))).any() or ((extents < 0) | (extents > whole)).any():
        raise InputError(
            "a place is outside all partitions, or an extent is larger than the partitions",
            where=f"{len(windows)} partitions of {whole[:1].tolist()} px",
            fix="take places and extents from the index that was stored with the partitions",
        )
    hangs = (corner > extents[partition] - np.array(out.shape[-2:])).any(axis=1)
    refuse_overhang(edge, hangs, f"{len(windows)} partitions")
    planes = bands or (1,)
    kernel.gather(
        windows.reshape(len(windows), *planes, *windows.shape[-2:]),
        extents,
        np.ascontiguousarray(places, np.int64),
        _fitting(fill, windows.dtype),
        edge == "legacy",
        out.reshape(len(out), *planes, *out.shape[-2:]),
    )
    return out


def coverage(origins: Origins, size: int, shape: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Return how many chips show each pixel of an area of `shape`, (y, x). Parts beyond the edge are left out.

    If a stretched legacy chip repeats a pixel, the pixel still counts once.
    """
    seen = np.empty(shape, np.uint32)
    counting.cover(origins, size, seen)
    return seen


@dataclass(frozen=True)
class ChipLoad:
    """The number and overlap of the chips of one whole cell, before any are selected."""

    n_chips: int
    # Average number of chips per pixel, over the pixels in at least one chip: 1 without overlap, 0 without chips.
    overlap: float
    # The largest number of chips that share one pixel.
    most: int
    # Share of the cell, 0 to 1, that is in no chip.
    unseen: float


def chip_load(cell: int, size: int, step: int, edge: Edge) -> ChipLoad:
    """Return the chip load of a square cell with edges of `cell` pixels. A cell smaller than a chip gives no chips.

    The other arguments and the error are those of `chip_offsets`.

    Examples
    --------
    >>> chip_load(256, 128, 128, "clamp")
    ChipLoad(n_chips=4, overlap=1.0, most=1, unseen=0.0)
    >>> chip_load(100, 128, 32, "clamp")
    ChipLoad(n_chips=0, overlap=0.0, most=0, unseen=1.0)
    """
    if 1 <= cell < size:
        return ChipLoad(0, 0.0, 0, 1.0)
    origins = chip_origins((cell, cell), size, step, edge)
    seen = coverage(origins, size, (cell, cell))
    n_seen = int((seen > 0).sum())
    return ChipLoad(len(origins), float(seen.sum(dtype="int64")) / n_seen, int(seen.max()), 1.0 - n_seen / seen.size)


def check_origins(origins: Origins, size: int) -> Origins:
    """Return `origins` in the form that the kernels need. Raise InputError or ConfigError if no chip can be cut."""
    if not 1 <= size <= _MAX_SIZE:
        raise ConfigError(f"a chip cannot have {size} px", where="chips.size", fix=f"use 1 to {_MAX_SIZE} pixels")
    if origins.ndim != 2 or origins.shape[1] != 2 or origins.dtype.kind != "i" or (origins < 0).any():
        raise InputError(
            f"origins of shape {origins.shape} and dtype {origins.dtype} cannot be used",
            where="chip origins",
            fix="give an array (chip, 2) of row and column, whole numbers from 0",
        )
    return np.ascontiguousarray(origins, np.int64)


def _fitting(fill: int, dtype: np.dtype[Any]) -> int:
    """Return `fill` if `dtype` can hold it; otherwise raise ConfigError."""
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    if not limits.min <= fill <= limits.max:
        raise ConfigError(
            f"fill {fill} does not fit {dtype}", where="nodata settings", fix=f"give a value that {dtype} can hold"
        )
    return fill


def overhanging(origins: Origins, size: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return for each chip whether it reaches beyond `shape` (rows, columns): (chip,) bool."""
    return (origins[:, 0] > shape[0] - size) | (origins[:, 1] > shape[1] - size)


def refuse_overhang(edge: Edge, hangs: npt.NDArray[np.bool_], where: str) -> None:
    """Raise InputError if a chip extends beyond the edge (`hangs`, (chip,) bool) and the policy does not allow it."""
    if edge in ("clamp", "drop") and hangs.any():
        raise InputError(
            "a chip extends beyond the edge",
            where=f"{where}, edge policy {edge}",
            fix="take the origins from chip_origins with the stack's own shape, or use the policy pad",
        )


def place_ids(partitions: Sequence[str], rows: Sequence[int], cols: Sequence[int]) -> list[str]:
    """Return an id for the ground of each chip, (chip,): chips of one partition and origin have the same in all years.

    `rows` and `cols` are the origins of the chips in their partitions.
    """
    return [f"{name}_r{row:04d}_c{col:04d}" for name, row, col in zip(partitions, rows, cols, strict=True)]
