"""Convert pixels to float32: values are scaled and checked, and all that is missing gets one nodata value."""

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.prepare.layers.source_values import UNSCALED, missing_values, scaled_values, values_lost
from gcn_luigi.settings import ConvertSettings

# The mark of a value that was too large and was saturated.
LARGEST = float(np.finfo(np.float32).max)


def to_float32(
    values: NDArray[np.number],
    band: Band,
    *,
    nodata: float | None,
    settings: ConvertSettings,
    where: str,
    tags: tuple[float, float] = UNSCALED,
) -> NDArray[np.float32]:
    """Return ``values * scale + offset``, computed in double precision and rounded once, to float32.

    A pixel is missing, and becomes ``band.nodata``, if it is NaN or infinite, equals `nodata`, or equals
    ``band.nodata`` *before* scaling: nodata values are never scaled. A pixel overflows if it is not missing and its
    result is beyond the range of float32 (about 3.4e38), or happens to equal ``band.nodata``.

    Parameters
    ----------
    values : array of any real dtype, any shape
        Source pixels.
    band : Band
        Gives the scale, offset and nodata of the result.
    nodata : float or None
        Nodata tag of the source; may be nan or infinite.
    settings : ConvertSettings
        What happens on overflow: ``"error"``; ``"nodata"``; or ``"saturate"``, which takes the nearest float32 that is
        finite and not nodata (of two equally near, the one nearer to zero). Rounding to whole numbers has no effect.
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
    exact = scaled_values(values, band, tags, missing)
    with np.errstate(over="ignore"):
        stored: NDArray[np.float32] = exact.astype(np.float32)
    overflow = ~(missing | (np.isfinite(stored) & (stored != band.nodata)))
    if overflow.any():
        if settings.overflow == "error":
            fix = (
                "correct the source or the band's scale, give the band a nodata value that does not occur, or set "
                "convert.overflow to 'nodata' or 'saturate'"
            )
            raise values_lost(exact[overflow], band, "float32", where=where, fix=fix)
        if settings.overflow == "saturate":
            stored[overflow] = _nearest(exact[overflow], band.nodata)
        else:
            missing |= overflow
    stored[missing] = band.nodata
    return stored


def _nearest(exact: NDArray[np.float64], nodata: int) -> NDArray[np.float32]:
    """Return the finite float32 nearest to each value, other than `nodata`."""
    nearest = np.clip(exact, -LARGEST, LARGEST).astype(np.float32)
    mark = np.float32(nodata)
    below, above = (float(np.nextafter(mark, np.float32(end))) for end in (-np.inf, np.inf))
    # The steps on both sides of a power of two have different lengths. Differences would lose values near zero.
    middle = (below + above) / 2
    is_above = exact >= middle if nodata <= 0 else exact > middle
    return np.where(nearest == mark, np.where(is_above, above, below), nearest).astype(np.float32)
