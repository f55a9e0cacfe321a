"""The published nodata step, to the bit, and true flags for its pixels."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from gcn_luigi._core import legacy as kernel
from gcn_luigi.bands import LABEL_IGNORE, BandSchema, Role
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.dtypes import Array, check_stack, fitting, writable
from gcn_luigi.prepare.missing.fill import Corrected, strict_nodata
from gcn_luigi.settings import NodataSettings

# The one nodata value that the published yearly stack declared for every band.
LEGACY_NODATA = -32768

_SELECT_CLASS, _SELECT_OPTICAL, _SELECT_TOPO = 1, 2, 4


@dataclass(frozen=True)
class LegacyRule:
    """Parameters of the published nodata step, by position as they were there.

    Attributes
    ----------
    class_band, optical_band, topo_band : int
        0-based bands that are probed; a negative number counts from the end.
    alt_topo_band : int or None
        A second topo band to probe; None and 0 probe none.
    optical_start, topo_start : int
        First band of either group; topography ends before the class band.
    optical_nodata, topo_nodata : int
        Sentinels in the stack.
    class_nodata : int or None
        Sentinel of the class band; None and 0 mean `optical_nodata`.
    fill : float
        What a missing sample becomes.
    """

    class_band: int = 9
    optical_band: int = 0
    topo_band: int = -3
    alt_topo_band: int | None = None
    optical_start: int = 0
    topo_start: int = 5
    optical_nodata: int = -32768
    topo_nodata: int = -9999
    class_nodata: int | None = None
    fill: float = 0

    @classmethod
    def of(cls, schema: BandSchema, settings: NodataSettings) -> Self:
        """Return the rule for stacks of `schema`: its label, its number of optical bands."""
        return cls(
            class_band=schema.label_index,
            optical_band=settings.legacy.optical_band,
            topo_band=settings.legacy.topo_band,
            alt_topo_band=settings.legacy.alt_topo_band,
            topo_start=len(schema.indices(Role.OPTICAL)),
            fill=settings.fill,
        )


def legacy_nodata(stack: Array, rule: LegacyRule, out: Array | None = None) -> Array:
    """Replace missing samples exactly as the published nodata step did, its faults included.

    With C where the class band holds its nodata, O where the probed optical band holds its own and
    T where the probed topo band is negative (or the alternative one holds a sentinel): O fills the
    optical group, T the topo group, C every band. A zero is never replaced; NaN and infinity
    always are, masked or not.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) int16, int32, float32 or float64; not modified unless it is `out`.
    rule : LegacyRule
        Which bands are probed for what.
    out : ndarray, optional
        Written to and returned: shape and dtype of `stack`, C-contiguous; may be `stack` itself.

    Returns
    -------
    ndarray
        (band, y, x), dtype of `stack`.

    Raises
    ------
    InputError
        The dtype is not supported, or the stack has too few bands for the rule.
    ConfigError
        The fill or a sentinel cannot be held by the dtype, or the groups are out of order.
    """
    check_stack(stack)
    n_bands = stack.shape[0]
    class_band = _position(rule.class_band, n_bands, "class_band")
    alternative = _position(rule.alt_topo_band, n_bands, "alt_topo_band") if rule.alt_topo_band else -1
    optical, topo = (_position(getattr(rule, key), n_bands, key) for key in ("optical_band", "topo_band"))
    if not 0 <= rule.optical_start <= rule.topo_start <= class_band:
        raise ConfigError(
            f"bands out of order: optical from {rule.optical_start}, topo from {rule.topo_start}, class {class_band}",
            where="legacy nodata rule",
            fix="use 0 <= optical_start <= topo_start <= class_band",
        )
    class_nodata = rule.class_nodata or rule.optical_nodata
    values = {
        "class_nodata": class_nodata,
        "optical_nodata": rule.optical_nodata,
        "topo_nodata": rule.topo_nodata,
        "saturation value": -class_nodata - 1,
        "fill": rule.fill,
    }
    sentinels = np.array([fitting(value, stack.dtype, key) for key, value in values.items()], stack.dtype)
    selects = np.full(n_bands, _SELECT_CLASS, np.uint8)
    selects[rule.optical_start : rule.topo_start] |= _SELECT_OPTICAL
    selects[rule.topo_start : class_band] |= _SELECT_TOPO
    probes = np.array([class_band, optical, topo, alternative], np.int64)
    out = np.empty(stack.shape, stack.dtype) if out is None else writable(out, stack.shape, stack.dtype)
    kernel.replace(np.ascontiguousarray(stack), probes, sentinels, selects, np.empty(stack.shape[2], np.uint8), out)
    return out


def as_legacy_stack(stack: Array, schema: BandSchema, *, inside: Window | None = None) -> Array:
    """Return a copy of the stack as the published chain would have had it before its nodata step.

    There -32768 was the nodata of every band: every band holds it beyond `inside`, and so does a missing label (255
    here). Nothing else is changed, so -9999 stays data in topography. Arguments and errors as in `legacy_corrected`.
    """
    check_stack(stack)
    made = np.array(stack, order="C")
    label = made[schema.label_index]
    label[label == LABEL_IGNORE] = LEGACY_NODATA
    if inside is not None:
        part = Window(0, 0, *made.shape[1:]).intersection(inside)
        beyond = np.ones(made.shape[1:], bool)
        beyond[part.row : part.row + part.height, part.col : part.col + part.width] = False
        made[:, beyond] = LEGACY_NODATA
    return made


def legacy_corrected(
    stack: Array,
    schema: BandSchema,
    rule: LegacyRule,
    *,
    inside: Window | None = None,
    out: Corrected | None = None,
) -> Corrected:
    """Return the pixels of the published chain together with true flags.

    Image and label are those of `legacy_nodata` on `as_legacy_stack`; flags and the samples out of range are those of
    `strict_nodata`. Where a flag is set the legacy pixel may nevertheless be a leaked sentinel, and a missing label is
    class 0 with the usual fill.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) in the order of `schema`, as read from our own stack; not modified.
    schema : BandSchema
        Roles, nodata and valid ranges.
    rule : LegacyRule
        Its class band must be the schema's label.
    inside : Window, optional
        The part of the stack that is on the mosaic, in the stack's own pixels.
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
    out.label[...] = np.where(np.isin(label, (0, 1, 2)), label, LABEL_IGNORE)
    out.image[...] = np.delete(legacy, schema.label_index, axis=0)
    return out


def _position(band: int, n_bands: int, key: str) -> int:
    if not -n_bands <= band < n_bands:
        raise InputError(
            f"{key} {band} is not among the {n_bands} bands of the stack",
            where="legacy nodata rule",
            fix="give a stack of at least 10 bands, or a rule for fewer",
        )
    return band % n_bands
