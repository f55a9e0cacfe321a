"""Find missing samples, record them by role, and fill them."""

import enum
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import nodata as kernel
from gcn_luigi.bands import LABEL_IGNORE, Band, BandSchema, Role
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.dtypes import Array

# The smallest and largest value of a stack, by its type. A conversion that saturates turns a value that is too large
# into the largest.
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "int16": (-32768, 32767),
    "float32": (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)),
})  # fmt: skip


class Flag(enum.IntFlag):
    """Bits of the flags plane. A set bit means that the pixel is missing in this respect.

    Only ``UNCERTAIN`` does not: such a pixel has a label, whose confidence is below ``[label] min_confidence``.
    """

    OPTICAL = 1
    TOPO = 2
    LABEL = 4
    OUTSIDE = 8
    DISTANCE = 16
    UNCERTAIN = 32


# The confidence of a label that is missing.
NO_CONFIDENCE = 255
# All bits that mean missing.
MISSING = Flag.OPTICAL | Flag.TOPO | Flag.LABEL | Flag.OUTSIDE | Flag.DISTANCE

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
        (band, y, x), in the type of the stack: all bands except the label, in stack order.
    label : ndarray of uint8
        (y, x): values of the classes of the schema, 255 missing.
    flags : ndarray of uint8
        (y, x): bits of `Flag`.
    out_of_range : ndarray of int64
        (band,), for the bands of `image`: number of samples that are beyond the band's valid range and no sentinel.
    """

    image: Array
    label: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    out_of_range: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, schema: BandSchema, shape: tuple[int, int]) -> Self:
        """Return buffers for stacks of `shape` (y, x), for reuse as ``out``. Their content is arbitrary."""
        n_image = len(schema) - 1
        return cls(
            np.empty((n_image, *shape), schema.dtype),
            np.empty(shape, np.uint8),
            np.empty(shape, np.uint8),
            np.empty(n_image, np.int64),
        )


def band_flags(schema: BandSchema) -> npt.NDArray[np.uint8]:
    """Return the flag of each image band, (band,) uint8: the bit that is set where the band is missing."""
    return np.array([_FLAG_OF[band.role] for band in schema.image], np.uint8)


def outside_flags(bands: Iterable[Band]) -> Flag:
    """Return the flags of a pixel beyond the mosaic: the flags of all roles in `bands`, and `Flag.OUTSIDE`."""
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

    A sample is missing if it equals its band's own nodata, is beyond the band's valid range or, in topography, equals
    the largest value of the type (32767 in int16), the mark of a saturated conversion. A pixel that is missing in any
    band of a role gets the role's flag, and the fill value in all bands of that role. A label that is missing or is no
    class becomes 255. It affects no other band.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) in the order and type of `schema`; not modified. In a float32 stack, NaN and infinity are missing.
    schema : BandSchema
        Roles, nodata and valid ranges; any number of bands per role, including none.
    inside : Window, optional
        The part of the stack that is on the mosaic, in the stack's own pixels. Beyond it every role is missing and
        no sample counts as out of range.
    fill : int
        The value that missing image samples get.
    out : Corrected, optional
        Buffers from `Corrected.empty`, which are filled and returned.

    Returns
    -------
    Corrected
        The filled image, the label, the flags, and the number of samples out of range per band.
    """
    stack = np.ascontiguousarray(stack)
    shape, label_at = stack.shape[1:], schema.label_index
    limits, bits = _rule(schema)
    out = Corrected.empty(schema, shape) if out is None else out

    window = Window(0, 0, *shape)
    part = window if inside is None else window.intersection(inside)
    rows, cols = part.ranges
    if part != window:
        out.flags[...] = outside_flags(schema)
    out.flags[slice(*rows), slice(*cols)] = 0
    counts = np.zeros(len(schema), np.int64)
    if not part.is_empty:
        kernel.mark_missing(stack, limits, bits, np.array([*rows, *cols], np.int64), out.flags, counts)
    if schema.classes.values == DEFAULT_CLASSES.values:
        kernel.read_label(stack[label_at], limits[label_at, 0].item(), int(Flag.LABEL), out.flags, out.label)
    else:
        _read_label(stack[label_at], schema.classes, out)
    out.out_of_range[...] = np.delete(counts, label_at)
    kernel.fill_missing(stack, bits, out.flags, fill, out.image)
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
        (y, x): True where there is no tile.
    fill : int or None
        The value that image samples get there, while the label becomes 255. None changes the flags only: legacy pixels
        must keep the values of the published chain.
    """
    if outside.any():
        corrected.flags[outside] |= int(outside_flags(schema))
        if fill is not None:
            corrected.image[:, outside] = fill
            corrected.label[outside] = LABEL_IGNORE
    return corrected


def _read_label(plane: npt.NDArray[Any], classes: ClassTable, out: Corrected) -> None:
    """Write the values of classes, and 255 elsewhere or where the label is flagged, which is then flagged there."""
    is_byte = (plane >= 0) & (plane < LABEL_IGNORE)
    found = np.where(is_byte, plane, LABEL_IGNORE).astype(np.uint8)
    lost = ~classes.known[found] | ((out.flags & Flag.LABEL) > 0)
    out.label[...] = np.where(lost, LABEL_IGNORE, found)
    out.flags[lost] |= int(Flag.LABEL)


@functools.lru_cache(maxsize=16)
def _rule(schema: BandSchema) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Return limits (band, 4) and flags (band,), both read-only. The label affects no other band, so its flag is 0."""
    limits = np.array([_limits(band, schema.dtype) for band in schema], schema.dtype)
    bits = np.insert(band_flags(schema), schema.label_index, 0)
    for array in (limits, bits):
        array.flags.writeable = False
    return limits, bits


def _limits(band: Band, dtype: str) -> tuple[float, float, float, float]:
    """Return nodata, second sentinel, lowest and highest valid value in a stack's type. Limits are rounded inwards."""
    low, high = _RANGES[dtype]
    sentinel = high if band.role is Role.TOPO else band.nodata
    lowest = low if band.valid_min is None else max(low, _inwards(band.valid_min, dtype, math.inf))
    highest = high if band.valid_max is None else min(high, _inwards(band.valid_max, dtype, -math.inf))
    # If no value is valid, either limit may be beyond the type.
    return (band.nodata, sentinel, lowest, highest) if lowest <= highest else (band.nodata, sentinel, high, low)


def _inwards(limit: float, dtype: str, towards: float) -> float:
    """Return the value of a type that is nearest to `limit` in the direction of `towards`, an infinity."""
    if dtype == "int16":
        return math.ceil(limit) if towards > 0 else math.floor(limit)
    with np.errstate(over="ignore"):
        near = np.float32(limit)
    # As doubles: otherwise numpy would round the limit to float32 first.
    is_beyond = float(near) < limit if towards > 0 else float(near) > limit
    return float(np.nextafter(near, np.float32(towards)) if is_beyond else near)
