"""Reproduce the published nodata step to the bit, and give its pixels correct flags."""

import numpy as np

from gcn_luigi._core import legacy as kernel
from gcn_luigi.bands import LABEL_IGNORE, BandSchema, Role
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Window, WindowSet
from gcn_luigi.prepare.dtypes import Array
from gcn_luigi.prepare.missing.fill import Corrected, strict_nodata
from gcn_luigi.settings import NodataSettings

# The nodata value that the published yearly stack declared for every band, and a second one in its topography.
LEGACY_NODATA, _TOPO_NODATA = -32768, -9999
_SATURATED = 32767

_SELECT_CLASS, _SELECT_OPTICAL, _SELECT_TOPO = 1, 2, 4


def legacy_nodata(stack: Array, schema: BandSchema, settings: NodataSettings) -> Array:
    """Replace missing samples exactly as the published nodata step did, including its faults.

    Three conditions are tested at each pixel. C: the label is -32768. O: the probed optical band is -32768. T: the
    probed topo band is negative, or the alternative topo band is -32768, -9999 or 32767. Where O holds, the optical
    bands are filled; where T holds, topography; where C holds, every band. A zero is never replaced.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) int16 or float32, C-contiguous, in the order of `schema`; modified in place and returned. In
        float32, NaN and infinity are filled everywhere, as in the published script.
    schema : BandSchema
        Roles of the bands.
    settings : NodataSettings
        The fill value, and the bands that are probed.

    Raises
    ------
    InputError
        The stack lacks a band that is probed.
    """
    n_bands, label, probed = len(stack), schema.label_index, settings.legacy
    optical, topo = (_position(getattr(probed, key), n_bands, key) for key in ("optical_band", "topo_band"))
    alternative = _position(probed.alt_topo_band, n_bands, "alt_topo_band") if probed.alt_topo_band else -1
    first_topo = len(schema.indices(Role.OPTICAL))
    selects = np.full(n_bands, _SELECT_CLASS, np.uint8)
    selects[:first_topo] |= _SELECT_OPTICAL
    selects[first_topo:label] |= _SELECT_TOPO
    sentinels = np.array([LEGACY_NODATA, LEGACY_NODATA, _TOPO_NODATA, _SATURATED, settings.fill], stack.dtype)
    probes = np.array([label, optical, topo, alternative], np.int64)
    kernel.replace(stack, probes, sentinels, selects, np.empty(stack.shape[2], np.uint8), stack)
    return stack


def as_legacy_stack(stack: Array, schema: BandSchema, *, inside: Window | None = None) -> Array:
    """Return a copy of the stack as it was in the published chain before the nodata step.

    In that chain -32768 was the nodata of every band. So every band gets it beyond `inside`, and the label also where
    it is missing (255 here). Nothing else changes, so -9999 in topography still counts as data. Arguments and errors
    as in `legacy_corrected`.
    """
    made = np.array(stack, order="C")
    label = made[schema.label_index]
    label[label == LABEL_IGNORE] = LEGACY_NODATA
    if inside is not None:
        beyond = WindowSet([inside]).uncovered(Window(0, 0, *made.shape[1:]))
        if beyond is not None:
            made[:, beyond] = LEGACY_NODATA
    return made


def legacy_corrected(
    stack: Array,
    schema: BandSchema,
    settings: NodataSettings,
    *,
    inside: Window | None = None,
    out: Corrected | None = None,
) -> Corrected:
    """Return the pixels of the published chain together with correct flags.

    Image and label come from `legacy_nodata`, applied to `as_legacy_stack`. Flags and samples out of range come from
    `strict_nodata`. Where a flag is set, the legacy pixel may still be a sentinel that was not replaced; with the usual
    fill, a missing label is class 0.

    Parameters
    ----------
    stack : ndarray
        (band, y, x) in the order and type of `schema`, as read from this package's stack; not modified.
    schema : BandSchema
        Roles, nodata and valid ranges.
    settings : NodataSettings
        As in `legacy_nodata`.
    inside : Window, optional
        The part of the stack that is on the mosaic, in the stack's own pixels.
    out : Corrected, optional
        Buffers from `Corrected.empty`, which are filled and returned.

    Returns
    -------
    Corrected
        The legacy pixels with flags. A legacy label that is no class becomes 255.

    Raises
    ------
    InputError
        As in `legacy_nodata`.
    """
    out = strict_nodata(stack, schema, inside=inside, out=out)
    legacy = legacy_nodata(as_legacy_stack(stack, schema, inside=inside), schema, settings)
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
