"""How far two samples differ, by their unbinned values."""

import numpy as np
import numpy.typing as npt


def ks_of_samples(one: npt.ArrayLike, other: npt.ArrayLike) -> float | None:
    """Return the largest difference of two empirical cumulative distributions (Kolmogorov and Smirnov).

    Parameters
    ----------
    one, other : array_like of float
        (sample,), any order; NaN is left out.

    Returns
    -------
    float or None
        0 for equal distributions, 1 for ranges that do not meet; None where a sample is empty.

    Examples
    --------
    >>> ks_of_samples([0.0, 1.0], [0.0, 0.0])
    0.5
    """
    samples = [np.sort(values[~np.isnan(values)]) for values in (np.asarray(one, float), np.asarray(other, float))]
    if not all(map(len, samples)):
        return None
    at = np.concatenate(samples)
    below = [np.searchsorted(values, at, side="right") / len(values) for values in samples]
    return float(np.abs(below[0] - below[1]).max())
