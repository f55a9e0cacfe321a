"""Which pixels of a source are missing, and what the others are after scaling, before they get the type of a stack."""

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.errors import InputError

# Scale and offset of a file that carries no such tags.
UNSCALED = (1.0, 0.0)


def missing_values(values: NDArray[np.number], nodata: float | None, band_nodata: int) -> NDArray[np.bool_]:
    """Return which pixels hold no number, or one of the nodata values in the precision of their own dtype.

    Parameters
    ----------
    values : array of any real dtype, any shape
        Source pixels. NaN and both infinities are missing.
    nodata : float or None
        Nodata tag of the source; may be nan or infinite.
    band_nodata : int
        The nodata value of the band, which counts as well.
    """
    missing: NDArray[np.bool_] = ~np.isfinite(values)
    for tag in (band_nodata, band_nodata if nodata is None else nodata):
        with np.errstate(over="ignore", invalid="ignore"):
            typed = np.asarray(tag, np.float64).astype(values.dtype)
        # A tag that the dtype cannot hold matches no pixel. After a cast it would match wrong ones.
        if float(typed) == tag or (values.dtype.kind == "f" and np.isinf(typed) == np.isinf(tag)):
            missing |= values == typed
    return missing


def scaled_values(
    values: NDArray[np.number], band: Band, tags: tuple[float, float], missing: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return ``(values * tag scale + tag offset) * scale + offset`` in double precision, and 0 where `missing`.

    `values` and `missing` have any shape. `tags` are the scale and offset of the file; `UNSCALED` if they do not count.
    A product beyond the range of a double is infinite.
    """
    # Tags of 1 and 0 change no value, so they cost no pass over the pixels.
    with np.errstate(over="ignore", invalid="ignore"):
        exact = values.astype(np.float64)
        if tags != UNSCALED:
            exact = exact * tags[0] + tags[1]
        exact = exact * band.scale + band.offset
    exact[missing] = 0.0
    return exact


def values_lost(exact: NDArray[np.float64], band: Band, dtype: str, *, where: str, fix: str) -> InputError:
    """Return the error for the scaled values (sample,) of a band that do not fit the type of the stack."""
    return InputError(
        f"{exact.size} pixels of {band.name} do not fit {dtype} with nodata {band.nodata}: "
        f"{exact.min():g} to {exact.max():g} after scaling by {band.scale:g} and adding {band.offset:g}",
        where=where,
        fix=fix,
    )
