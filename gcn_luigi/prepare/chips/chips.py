"""Chips: where they are cut, and the cutting."""

import itertools
from typing import Literal

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import counts as counting
from gcn_luigi._core import windows as kernel
from gcn_luigi.bands import LABEL_DEBRIS, LABEL_ICE, LABEL_NONE
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.dtypes import CUT_DTYPES, Array, fitting, writable

Edge = Literal["clamp", "drop", "pad", "legacy"]
Origins = npt.NDArray[np.int64]

# A summed-area table counts in 32 bits, which hold the pixels of one chip up to this edge.
_MAX_SIZE = 65535


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
            whole = tuple(range(0, last + 1, step))
            return whole if whole[-1] == last else (*whole, last)
        case "pad":
            # A step longer than a chip could start one wholly beyond the edge: it would be empty.
            return tuple(range(0, min(last + step, extent), step))
        case "legacy":
            return tuple(range(0, last + step, step))
    raise ConfigError(f"no edge policy {edge!r}", where="chips.edge", fix="use clamp, drop, pad or legacy")


def chip_origins(shape: tuple[int, int], size: int, step: int, edge: Edge) -> Origins:
    """Return the top left pixel of every chip, row-major.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns to cover.
    size, step : int
        As in `chip_offsets`.
    edge : {"clamp", "drop", "pad", "legacy"}
        As in `chip_offsets`, for both axes.

    Returns
    -------
    ndarray of int64
        (chip, 2): row and column.

    Raises
    ------
    ConfigError
        As in `chip_offsets`.
    """
    rows, cols = (chip_offsets(extent, size, step, edge) for extent in shape)
    return np.array(list(itertools.product(rows, cols)), np.int64).reshape(-1, 2)


def cut_chips(
    stack: Array,
    origins: Origins,
    size: int,
    *,
    edge: Edge,
    fill: float = 0,
    out: Array | None = None,
) -> Array:
    """Copy a chip from every origin.

    Parameters
    ----------
    stack : ndarray
        (band, y, x), or a plane (y, x); uint8, int16, int32, float32 or float64; not modified.
        Values are copied as they are, nodata too.
    origins : ndarray of int64
        (chip, 2): row and column, not negative.
    size : int
        Edge of a chip, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        ``clamp`` and ``drop`` refuse a chip that hangs over the edge. ``pad`` writes `fill` there.
        ``legacy`` stretches the part inside over the chip, row i of it showing row
        ``floor(i * h / size)`` of the h rows inside; a chip wholly outside is `fill`.
    fill : float
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
    if stack.ndim not in (2, 3) or stack.dtype not in CUT_DTYPES:
        raise InputError(
            f"no chips can be cut from shape {stack.shape} and dtype {stack.dtype}",
            where="stack",
            fix="give (band, y, x) or (y, x) of uint8, int16, int32, float32 or float64",
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
        fitting(fill, stack.dtype, "fill"),
        edge == "legacy",
        out.reshape(len(origins), n_bands, size, size),
    )
    return out


def is_balanced(label: npt.NDArray[np.uint8], extent: int) -> bool:
    """Return whether 40 to 60 % is glacier and 40 to 60 % is not, as in the published density rule.

    Parameters
    ----------
    label : ndarray of uint8
        (y, x): 0 none, 1 debris, 2 debris-free ice; anything else counts in neither share.
    extent : int
        Declared edge of a partition, in pixels: both shares are of its square.

    Returns
    -------
    bool
        Both shares lie in the closed range from 0.4 to 0.6.

    Raises
    ------
    ConfigError
        `extent` is not positive.
    """
    if extent < 1:
        raise ConfigError(f"an extent of {extent} px", where="density rule", fix="give a positive number of pixels")
    glacier = np.count_nonzero((label == LABEL_DEBRIS) | (label == LABEL_ICE)) / extent**2
    background = np.count_nonzero(label == LABEL_NONE) / extent**2
    return bool(0.4 <= glacier <= 0.6 and 0.4 <= background <= 0.6)


def effective_step(step: int, *, densify: bool, split: str, balanced: bool) -> int:
    """Return the step in pixels: half of `step`, at least 1, on balanced partitions of train if asked to."""
    return max(1, step // 2) if densify and balanced and split == "train" else step


def coverage(origins: Origins, size: int, shape: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Return by how many chips each pixel is seen.

    Parameters
    ----------
    origins : ndarray of int64
        (chip, 2): row and column, not negative.
    size : int
        Edge of a chip, in pixels; what hangs over the edge is left out.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of uint32
        (y, x). A pixel that a stretched legacy chip repeats is counted once.

    Raises
    ------
    InputError
        An origin is negative.
    ConfigError
        `size` is not positive.
    """
    origins = check_origins(origins, size)
    seen = np.empty(shape, np.uint32)
    counting.cover(origins, size, seen)
    return seen


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
