"""Convert pixels to int16: values are scaled, rounded and checked, and never wrap around."""

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.prepare.layers.source_values import UNSCALED, missing_values, scaled_values, values_lost
from gcn_luigi.settings import ConvertSettings

_LOW, _HIGH = -32768, 32767


def to_int16(
    values: NDArray[np.number],
    band: Band,
    *,
    nodata: float | None,
    settings: ConvertSettings,
    where: str,
    tags: tuple[float, float] = UNSCALED,
) -> NDArray[np.int16]:
    """Return ``round(values * scale + offset)`` as int16, computed in double precision.

    A pixel is missing, and becomes ``band.nodata``, if it is NaN or infinite, equals `nodata`, or equals
    ``band.nodata`` *before* scaling: nodata values are never scaled. A pixel overflows if its result does not fit
    int16, or happens to equal ``band.nodata`` although the pixel is not missing.

    Parameters
    ----------
    values : array of any real dtype, any shape
        Source pixels.
    band : Band
        Gives the scale, offset and nodata of the result.
    nodata : float or None
        Nodata tag of the source; may be nan or infinite.
    settings : ConvertSettings
        How halves are rounded, and what happens on overflow: ``"error"``; ``"nodata"``; or ``"saturate"``, which
        takes the nearest int16 that is not nodata (of two equally near, the one nearer to zero).
    where : str
        File and window, for error messages.
    tags : tuple of float
        Scale and offset tags of the file, which are applied before those of the band; see `scaled_values`.

    Raises
    ------
    InputError
        A pixel overflows and the policy is ``"error"``.
    """
    missing = missing_values(values, nodata, band.nodata)
    # An infinite product counts as an overflow.
    exact = scaled_values(values, band, tags, missing)
    rounded = np.rint(exact) if settings.rounding == "half-even" else _round_half_away(exact)
    fits = (rounded >= _LOW) & (rounded <= _HIGH) & (rounded != band.nodata)
    overflow = ~(fits | missing)
    if overflow.any():
        if settings.overflow == "error":
            fix = "correct the source or the band's scale, or set convert.overflow to 'nodata' or 'saturate'"
            raise values_lost(exact[overflow], band, "int16", where=where, fix=fix)
        if settings.overflow == "saturate":
            rounded[overflow] = _nearest(exact[overflow], band.nodata)
        else:
            missing |= overflow
    rounded[missing] = band.nodata
    return rounded.astype(np.int16)


def _round_half_away(exact: NDArray[np.float64]) -> NDArray[np.float64]:
    # Adding one half before truncating would round 0.49999999999999994 up to 1.
    with np.errstate(invalid="ignore"):
        whole = np.trunc(exact)
        result: NDArray[np.float64] = whole + np.sign(exact) * (np.abs(exact - whole) >= 0.5)
    return result


def _nearest(exact: NDArray[np.float64], nodata: int) -> NDArray[np.float64]:
    """Return the int16 nearest to each value, other than `nodata`."""
    nearest: NDArray[np.float64] = np.rint(np.clip(exact, _LOW, _HIGH))
    towards_zero = -1 if nodata > 0 else 1
    beside = nodata + np.where(exact == nodata, towards_zero, np.sign(exact - nodata))
    beside = np.where(beside < _LOW, nodata + 1, np.where(beside > _HIGH, nodata - 1, beside))
    nearest[nearest == nodata] = beside[nearest == nodata]
    return nearest
