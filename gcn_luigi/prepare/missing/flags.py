"""Missing samples found and recorded by role; the samples themselves are left as they are."""

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import nodata as kernel
from gcn_luigi.bands import Band, BandSchema, Role
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.dtypes import Array, check_stack, limits_of, writable


class Flag(enum.IntFlag):
    """Bits of the flags plane; a set bit means missing."""

    OPTICAL = 1
    TOPO = 2
    LABEL = 4
    OUTSIDE = 8
    DISTANCE = 16


_FLAG_OF = {
    Role.OPTICAL: Flag.OPTICAL,
    Role.TOPO: Flag.TOPO,
    Role.LABEL: Flag.LABEL,
    Role.DISTANCE: Flag.DISTANCE,
    Role.QUALITY: Flag.DISTANCE,
}


@dataclass(frozen=True)
class Marks:
    """What is missing in a stack.

    Attributes
    ----------
    label : ndarray of uint8
        (y, x): 0 none, 1 debris, 2 debris-free ice, 255 missing.
    flags : ndarray of uint8
        (y, x): bits of `Flag`.
    out_of_range : ndarray of int64
        (band,), label left out: finite samples, no sentinel, beyond the band's valid range.
    """

    label: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    out_of_range: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, schema: BandSchema, shape: tuple[int, int]) -> Self:
        """Return buffers for stacks of `shape` (y, x), to be reused as ``out``; their content is arbitrary."""
        return cls(np.empty(shape, np.uint8), np.empty(shape, np.uint8), np.empty(len(schema) - 1, np.int64))


def band_flags(schema: BandSchema) -> npt.NDArray[np.uint8]:
    """Return the flag of each image band, (band,) uint8: the bit that tells where it is missing."""
    return np.array([_FLAG_OF[band.role] for band in schema.image], np.uint8)


def stack_flags(schema: BandSchema) -> npt.NDArray[np.uint8]:
    """Return the flag of each band of the stack, (band,) uint8; 0 for the label, which touches no other band."""
    return np.insert(band_flags(schema), schema.label_index, 0)


def outside_flags(bands: Iterable[Band]) -> Flag:
    """Return the flags of a pixel beyond the mosaic: every role that `bands` have, and `Flag.OUTSIDE`."""
    flags = Flag.OUTSIDE
    for band in bands:
        flags |= _FLAG_OF[band.role]
    return flags


def mark_strict(
    stack: Array,
    schema: BandSchema,
    *,
    inside: Window | None = None,
    outside: npt.NDArray[np.bool_] | None = None,
    out: Marks | None = None,
) -> Marks:
    """Record every missing sample by role.

    A sample is missing when it equals its band's own nodata, is NaN or infinite, lies beyond the
    band's valid range or, in topography, equals 32767, the mark of a saturated conversion. Where a
    band of a role is missing the role's flag is set. A label that is missing or no class is 255 and
    touches no other band.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) in the order of `schema`, int16, int32, float32 or float64; not modified.
    schema : BandSchema
        Roles, nodata and valid ranges; any number of bands of a role, also none.
    inside : Window, optional
        The part of the stack that lies on the mosaic, in the stack's own pixels. Beyond it every
        role is missing and nothing counts as out of range.
    outside : ndarray of bool, optional
        (y, x): pixels on which no tile lies. Every role is missing there, whatever the stack holds.
    out : Marks, optional
        Buffers from `Marks.empty`, written to and returned.

    Returns
    -------
    Marks
        Label, flags and the samples out of range.

    Raises
    ------
    InputError
        The dtype is not supported, the bands are not those of the schema, or `outside` is no bool
        plane of the stack.
    ConfigError
        A band's nodata cannot be held by the dtype.
    """
    check_stack(stack)
    if stack.shape[0] != len(schema):
        raise InputError(
            f"a stack of {stack.shape[0]} bands where {len(schema)} are expected",
            where=f"bands {', '.join(schema.names)}",
            fix="read the stack by the schema it was made with",
        )
    stack = np.ascontiguousarray(stack)
    shape, label_at = stack.shape[1:], schema.label_index
    if outside is not None and (outside.shape != shape or outside.dtype != np.bool_):
        raise InputError(
            f"a mask of shape {outside.shape} and dtype {outside.dtype} for pixels of shape {shape}",
            where="pixels without a tile",
            fix="give a bool plane (y, x) of the stack",
        )
    out = Marks.empty(schema, shape) if out is None else _reused(out, schema, shape)
    limits, bits = _rule(schema, stack.dtype)

    window = Window(0, 0, *shape)
    part = window if inside is None else window.intersection(inside)
    rows, cols = (part.row, part.row + part.height), (part.col, part.col + part.width)
    if part != window:
        out.flags[...] = outside_flags(schema)
    out.flags[slice(*rows), slice(*cols)] = 0
    counts = np.zeros(len(schema), np.int64)
    if not part.is_empty:
        kernel.mark_missing(stack, limits, bits, np.array([*rows, *cols], np.int64), out.flags, counts)
    if outside is not None and outside.any():
        out.flags[outside] |= int(outside_flags(schema))
    kernel.read_label(stack[label_at], limits[label_at, 0].item(), int(Flag.LABEL), out.flags, out.label)
    out.out_of_range[...] = np.delete(counts, label_at)
    return out


@functools.lru_cache(maxsize=16)
def _rule(schema: BandSchema, dtype: np.dtype[Any]) -> tuple[Array, npt.NDArray[np.uint8]]:
    """Return (band, 4) limits and (band,) flags, of which neither may be written to."""
    limits = np.array([limits_of(band, dtype) for band in schema], dtype)
    bits = stack_flags(schema)
    for array in (limits, bits):
        array.flags.writeable = False
    return limits, bits


def _reused(out: Marks, schema: BandSchema, shape: tuple[int, ...]) -> Marks:
    writable(out.label, shape, np.dtype(np.uint8))
    writable(out.flags, shape, np.dtype(np.uint8))
    writable(out.out_of_range, (len(schema) - 1,), np.dtype(np.int64))
    return out
