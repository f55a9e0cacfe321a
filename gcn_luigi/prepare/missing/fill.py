"""Missing samples found, recorded by role, and filled."""

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import nodata as kernel
from gcn_luigi.bands import LABEL_IGNORE, Band, BandSchema, Role
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.dtypes import Array, check_stack, fitting, limits_of, writable


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
class Corrected:
    """A stack with its missing samples filled and recorded.

    Attributes
    ----------
    image : ndarray
        (band, y, x), dtype of the stack: all bands but the label, in stack order.
    label : ndarray of uint8
        (y, x): 0 none, 1 debris, 2 debris-free ice, 255 missing.
    flags : ndarray of uint8
        (y, x): bits of `Flag`.
    out_of_range : ndarray of int64
        (band,) of `image`: finite samples, no sentinel, beyond the band's valid range.
    """

    image: Array
    label: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    out_of_range: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, schema: BandSchema, shape: tuple[int, int], dtype: npt.DTypeLike = np.int16) -> Self:
        """Return buffers for stacks of `shape` (y, x), to be reused as ``out``; their content is arbitrary."""
        n_image = len(schema) - 1
        return cls(
            np.empty((n_image, *shape), dtype),
            np.empty(shape, np.uint8),
            np.empty(shape, np.uint8),
            np.empty(n_image, np.int64),
        )


def band_flags(schema: BandSchema) -> npt.NDArray[np.uint8]:
    """Return the flag of each image band, (band,) uint8: the bit that is set where it is missing."""
    return np.array([_FLAG_OF[band.role] for band in schema.image], np.uint8)


def outside_flags(bands: Iterable[Band]) -> Flag:
    """Return the flags of a pixel beyond the mosaic: every role that `bands` have, and `Flag.OUTSIDE`."""
    flags = Flag.OUTSIDE
    for band in bands:
        flags |= _FLAG_OF[band.role]
    return flags


def strict_nodata(
    stack: Array,
    schema: BandSchema,
    *,
    inside: Window | None = None,
    fill: int = 0,
    out: Corrected | None = None,
) -> Corrected:
    """Fill missing samples by role, and record every one of them.

    A sample is missing if it equals its band's own nodata, is NaN or infinite, is beyond the band's valid range or, in
    topography, equals 32767, the mark of a saturated conversion. A pixel that is missing in any band of a role gets the
    role's flag, and the fill in all bands of that role. A label that is missing or no class is 255 and affects no other
    band.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) in the order of `schema`, int16, int32, float32 or float64; not modified.
    schema : BandSchema
        Roles, nodata and valid ranges; any number of bands per role, including none.
    inside : Window, optional
        The part of the stack that is on the mosaic, in the stack's own pixels. Beyond it every role is missing and
        nothing counts as out of range.
    fill : int
        What a missing image sample becomes.
    out : Corrected, optional
        Buffers from `Corrected.empty`, written to and returned.

    Returns
    -------
    Corrected
        Filled image, label, flags and the samples out of range.

    Raises
    ------
    InputError
        The dtype is not supported, or the bands are not those of the schema.
    ConfigError
        The fill or a band's nodata cannot be held by the dtype.
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
    value = fitting(fill, stack.dtype, "fill")
    limits, bits = _rule(schema, stack.dtype)
    out = Corrected.empty(schema, shape, stack.dtype) if out is None else _reused(out, schema, stack)

    window = Window(0, 0, *shape)
    part = window if inside is None else window.intersection(inside)
    rows, cols = (part.row, part.row + part.height), (part.col, part.col + part.width)
    if part != window:
        out.flags[...] = outside_flags(schema)
    out.flags[slice(*rows), slice(*cols)] = 0
    counts = np.zeros(len(schema), np.int64)
    if not part.is_empty:
        kernel.mark_missing(stack, limits, bits, np.array([*rows, *cols], np.int64), out.flags, counts)
    kernel.read_label(stack[label_at], limits[label_at, 0].item(), int(Flag.LABEL), out.flags, out.label)
    out.out_of_range[...] = np.delete(counts, label_at)
    kernel.fill_missing(stack, bits, out.flags, value, out.image)
    return out


def flag_outside(
    corrected: Corrected, schema: BandSchema, outside: npt.NDArray[np.bool_], *, fill: int | None
) -> Corrected:
    """Flag pixels without a tile as outside the mosaic and missing in every role.

    Parameters
    ----------
    corrected : Corrected
        Modified in place and returned.
    schema : BandSchema
        The stack's bands.
    outside : ndarray of bool
        (y, x): no tile here.
    fill : int or None
        What image samples there become, while the label becomes 255; None changes flags alone, as legacy pixels must
        stay what the published chain made of them.
    """
    if outside.any():
        corrected.flags[outside] |= int(outside_flags(schema))
        if fill is not None:
            corrected.image[:, outside] = fill
            corrected.label[outside] = LABEL_IGNORE
    return corrected


@functools.lru_cache(maxsize=16)
def _rule(schema: BandSchema, dtype: np.dtype[Any]) -> tuple[Array, npt.NDArray[np.uint8]]:
    """Return (band, 4) limits and (band,) flags, 0 for the label, which affects no other band; both read-only."""
    limits = np.array([limits_of(band, dtype) for band in schema], dtype)
    bits = np.insert(band_flags(schema), schema.label_index, 0)
    for array in (limits, bits):
        array.flags.writeable = False
    return limits, bits


def _reused(out: Corrected, schema: BandSchema, stack: Array) -> Corrected:
    n_image, shape = len(schema) - 1, stack.shape[1:]
    writable(out.image, (n_image, *shape), stack.dtype)
    writable(out.label, shape, np.dtype(np.uint8))
    writable(out.flags, shape, np.dtype(np.uint8))
    writable(out.out_of_range, (n_image,), np.dtype(np.int64))
    return out
