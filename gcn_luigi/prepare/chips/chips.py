"""Chips: where they are cut, the cutting, and how often each pixel is seen."""

import itertools
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

# A summed-area table counts in 32 bits, which hold the pixels of one chip up to this edge.
_MAX_SIZE = 65535
# Of stacks, and of label and flags.
_DTYPES = (np.dtype("uint8"), np.dtype("int16"))


def chip_offsets(extent: int, size: int, step: int, edge: Edge) -> tuple[int, ...]:
    """Return the first pixel of every chip along one axis.

    ``drop`` takes whole steps only; ``clamp`` adds a last chip flush with the edge; ``pad`` goes on
    until every pixel a step can reach is seen, hanging over the edge; ``legacy`` takes the
    ``ceil((extent - size) / step) + 1`` offsets of the published script, which hang over likewise.

    Parameters
    ----------
    extent : int
        Pixels along the axis.
    size, step : int
        Edge of a chip, and distance of neighbouring origins, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        What happens where whole steps do not reach the edge.

    Returns
    -------
    tuple of int
        Rising from 0.

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
            # A step longer than a chip could start one wholly beyond the edge: it would be empty.
            return tuple(range(0, min(last + step, extent), step))
        case "legacy":
            return tuple(range(0, last + step, step))


def chip_origins(shape: tuple[int, int], size: int, step: int, edge: Edge) -> Origins:
    """Return the top left pixel of every chip that covers `shape`, (chip, 2) row and column, row-major.

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
    """Copy a chip from every origin.

    Parameters
    ----------
    stack : ndarray
        (band, y, x), or a plane (y, x); uint8 or int16; not modified. Values are copied as they are,
        nodata too.
    origins : ndarray of int64
        (chip, 2): row and column, not negative.
    size : int
        Edge of a chip, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        ``clamp`` and ``drop`` refuse a chip that hangs over the edge. ``pad`` writes `fill` there.
        ``legacy`` stretches the part inside over the chip, row i of it showing row
        ``floor(i * h / size)`` of the h rows inside; a chip wholly outside is `fill`.
    fill : int
        What is written beyond the edge.
    out : ndarray, optional
        Written to and returned: C-contiguous, dtype of `stack`, shape of the result.

    Returns
    -------
    ndarray
        (chip, band, y, x), or (chip, y, x) for a plane.

    Raises
    ------
    InputError
        Shape or dtype is not supported, an origin is negative, or a chip hangs over the edge
        where it must not.
    ConfigError
        `fill` cannot be held by the dtype, or `size` is not positive.
    """
    if stack.ndim not in (2, 3) or stack.dtype not in _DTYPES:
        raise InputError(
            f"no chips can be cut from shape {stack.shape} and dtype {stack.dtype}",
            where="stack",
            fix="give (band, y, x) or (y, x) of uint8 or int16",
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
    """Copy chips from anywhere in an array of partitions, which may be a memory map.

    Parameters
    ----------
    windows : ndarray
        (partition, band, y, x), or planes (partition, y, x), C-contiguous; uint8 or int16; not modified.
        Values are copied as they are.
    places : ndarray of int64
        (chip, 3): partition, row and column.
    out : ndarray
        Written to and returned: (chip, band, y, x), or (chip, y, x) for planes, C-contiguous, dtype of
        `windows`. Its last two axes are the size of a chip.
    edge : {"clamp", "drop", "pad", "legacy"}
        As in `cut_chips`, at the edge of the partition's extent.
    extents : ndarray of int64, optional
        (partition, 2): rows and columns of each partition that hold pixels, where smaller ones are
        stored padded; all of them when not given.
    fill : int
        What is written beyond the extent.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    InputError
        Shapes or dtypes do not belong together, a place is in no partition, or a chip hangs over the
        edge where it must not.
    ConfigError
        `fill` cannot be held by the dtype.
    """
    if windows.ndim not in (3, 4) or windows.dtype not in _DTYPES or not windows.flags.c_contiguous:
        raise InputError(
            f"chips cannot be gathered from shape {windows.shape} and dtype {windows.dtype}",
            where="partitions",
            fix="give C-contiguous (partition, band, y, x) or (partition, y, x), of a dtype that cut_chips takes",
        )
    bands = windows.shape[1:-2]
    writable(out, (len(places), *bands, *out.shape[-2:]), windows.dtype)
    whole = np.broadcast_to(np.array(windows.shape[-2:], np.int64), (len(windows), 2))
    extents = np.ascontiguousarray(whole if extents is None else extents, np.int64)
    if places.ndim != 2 or places.shape[1] != 3 or places.dtype.kind != "i" or extents.shape != whole.shape:
        raise InputError(
            f"places of shape {places.shape} and dtype {places.dtype}, extents of shape {extents.shape}",
            where=f"{len(windows)} partitions",
            fix="give whole numbers: (chip, 3) partition, row, column, and (partition, 2) rows, columns",
        )
    partition, corner = places[:, 0], places[:, 1:]
    if ((places < 0).any(axis=1) | (partition >= len(windows))).any() or ((extents < 0) | (extents > whole)).any():
        raise InputError(
            "a place is in no partition, or an extent is larger than the partitions",
            where=f"{len(windows)} partitions of {whole[:1].tolist()} px",
            fix="take places and extents from the index the partitions were stored with",
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
    """Return by how many chips each pixel of `shape` is seen, (y, x); what hangs over the edge is left out.

    A pixel that a stretched legacy chip repeats is counted once.
    """
    seen = np.empty(shape, np.uint32)
    counting.cover(origins, size, seen)
    return seen


@dataclass(frozen=True)
class ChipLoad:
    """What one whole cell gives before any chip is selected."""

    n_chips: int
    # How many chips see a pixel that any sees, on average; 1 where none overlap, 0 where there is no chip.
    overlap: float
    # How many chips see the pixel that most see.
    most: int
    # Share of the cell, 0 to 1, that no chip sees.
    unseen: float


def chip_load(cell: int, size: int, step: int, edge: Edge) -> ChipLoad:
    """Return what a square cell of `cell` pixels along its edge gives; one smaller than a chip gives none.

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
    """Return `origins` as the kernels want them; raise InputError or ConfigError for what cannot be cut."""
    if not 1 <= size <= _MAX_SIZE:
        raise ConfigError(f"a chip of {size} px", where="chips.size", fix=f"use 1 to {_MAX_SIZE} pixels")
    if origins.ndim != 2 or origins.shape[1] != 2 or origins.dtype.kind != "i" or (origins < 0).any():
        raise InputError(
            f"origins of shape {origins.shape} and dtype {origins.dtype} are not usable",
            where="chip origins",
            fix="give (chip, 2) whole numbers, row and column, none below 0",
        )
    return np.ascontiguousarray(origins, np.int64)


def _fitting(fill: int, dtype: np.dtype[Any]) -> int:
    """Return `fill` if `dtype` holds it; else raise ConfigError."""
    limits = np.iinfo(dtype)
    if not limits.min <= fill <= limits.max:
        raise ConfigError(
            f"fill {fill} does not fit {dtype}", where="nodata settings", fix=f"give a value {dtype} holds"
        )
    return fill


def overhanging(origins: Origins, size: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return (chip,) bool: the chip reaches beyond `shape`, rows and columns."""
    return (origins[:, 0] > shape[0] - size) | (origins[:, 1] > shape[1] - size)


def refuse_overhang(edge: Edge, hangs: npt.NDArray[np.bool_], where: str) -> None:
    """Raise InputError if a chip hangs over the edge, (chip,) bool, where the policy does not allow it."""
    if edge in ("clamp", "drop") and hangs.any():
        raise InputError(
            "a chip hangs over the edge",
            where=f"{where}, edge policy {edge}",
            fix="take the origins from chip_origins with the stack's own shape, or use the policy pad",
        )
