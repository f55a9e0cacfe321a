"""Missing samples made homogeneous: as the published scripts did, or strictly by role."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import nodata as kernel
from gcn_luigi.bands import LABEL_IGNORE, BandSchema
from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.dtypes import Array, check_stack, fitting, writable
from gcn_luigi.prepare.missing.flags import Flag, Marks, band_flags, mark_strict, outside_flags, stack_flags
from gcn_luigi.prepare.missing.legacy import LegacyRule, as_legacy_stack, legacy_nodata

__all__ = [
    "Corrected",
    "Flag",
    "LegacyRule",
    "Marks",
    "as_legacy_stack",
    "band_flags",
    "legacy_corrected",
    "legacy_nodata",
    "mark_outside",
    "mark_strict",
    "outside_flags",
    "strict_nodata",
]


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


def strict_nodata(
    stack: Array,
    schema: BandSchema,
    *,
    inside: Window | None = None,
    outside: npt.NDArray[np.bool_] | None = None,
    fill: int = 0,
    out: Corrected | None = None,
) -> Corrected:
    """Fill missing samples by role, and record every one of them.

    What is missing is that of `mark_strict`. A pixel missing in any band of a role is filled in all
    bands of that role.

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
        (y, x): pixels on which no tile lies, as `mark_outside` makes them afterwards.
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
        The dtype is not supported, the bands are not those of the schema, or `outside` is no bool
        plane of the stack.
    ConfigError
        The fill or a band's nodata cannot be held by the dtype.
    """
    check_stack(stack)
    stack = np.ascontiguousarray(stack)
    shape = stack.shape[1:]
    out = Corrected.empty(schema, shape, stack.dtype) if out is None else out
    writable(out.image, (len(schema) - 1, *shape), stack.dtype)
    value = fitting(fill, stack.dtype, "fill")
    marks = Marks(out.label, out.flags, out.out_of_range)
    mark_strict(stack, schema, inside=inside, outside=outside, out=marks)
    kernel.fill_missing(stack, stack_flags(schema), out.flags, value, out.image)
    return out


def legacy_corrected(
    stack: Array,
    schema: BandSchema,
    rule: LegacyRule,
    *,
    inside: Window | None = None,
    out: Corrected | None = None,
) -> Corrected:
    """Return the pixels of the published chain together with flags that tell the truth.

    Image and label are those of `legacy_nodata` on `as_legacy_stack`; flags and the samples out of
    range are those of `strict_nodata`. Where a flag is set the legacy pixel may nevertheless be
    a leaked sentinel, and a missing label is class 0 with the usual fill.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) in the order of `schema`, as read from our own stack; not modified.
    schema : BandSchema
        Roles, nodata and valid ranges.
    rule : LegacyRule
        Its class band must be the schema's label.
    inside : Window, optional
        The part of the stack that lies on the mosaic, in the stack's own pixels.
    out : Corrected, optional
        Buffers from `Corrected.empty`, written to and returned.

    Returns
    -------
    Corrected
        A legacy label that is no class is 255.

    Raises
    ------
    InputError, ConfigError
        As in `legacy_nodata` and `strict_nodata`, or the rule's class band is not the label.
    """
    if rule.class_band % len(schema) != schema.label_index:
        raise ConfigError(
            f"the rule takes band {rule.class_band} for the class, the stack's label is band {schema.label_index}",
            where="legacy nodata rule",
            fix="make the rule with LegacyRule.of(schema, settings)",
        )
    out = strict_nodata(stack, schema, inside=inside, out=out)
    legacy = as_legacy_stack(stack, schema, inside=inside)
    legacy_nodata(legacy, rule, out=legacy)
    label = legacy[schema.label_index]
    out.label[...] = LABEL_IGNORE
    for value in (0, 1, 2):
        out.label[label == value] = value
    image = [i for i in range(len(schema)) if i != schema.label_index]
    out.image[...] = legacy[image]
    return out


def mark_outside(
    corrected: Corrected, schema: BandSchema, outside: npt.NDArray[np.bool_], *, fill: int | None
) -> Corrected:
    """Say of pixels where no tile lies that they are outside the mosaic, and missing in every role.

    Parameters
    ----------
    corrected : Corrected
        Modified in place.
    schema : BandSchema
        The stack's bands.
    outside : ndarray of bool
        (y, x): no tile lies here.
    fill : int or None
        What image samples there become, the label becoming 255; None changes flags alone, as legacy pixels must
        stay what the published chain made of them.

    Returns
    -------
    Corrected
        The same object.
    """
    if outside.any():
        corrected.flags[outside] |= int(outside_flags(schema))
        if fill is not None:
            corrected.image[:, outside] = fill
            corrected.label[outside] = LABEL_IGNORE
    return corrected
