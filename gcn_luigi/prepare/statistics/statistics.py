"""Exact statistics of int16 bands from whole-number histograms.

A histogram holds one bin a value (bin = value + 32768), so histograms made anywhere, in
any order, add up to the same bits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcn_luigi.bands import CLASS_NAMES

Histogram = npt.NDArray[np.int64]

N_BINS = 65536
_ZERO_BIN = 32768


@dataclass(frozen=True)
class BandSummary:
    """What a band holds; all but the count are None where nothing was counted.

    Attributes
    ----------
    count : int
        Samples, weights included.
    mean, std : float or None
        Mean, and deviation of the population (ddof 0), in stored units.
    min, max : int or None
        Extremes.
    p1, p99 : int or None
        The smallest value that at least 1 % (99 %) of the samples do not exceed: a value that
        occurs, as numpy's method ``inverted_cdf`` gives it (Hyndman and Fan, 1996, type 1).
    """

    count: int
    mean: float | None
    std: float | None
    min: int | None
    max: int | None
    p1: int | None
    p99: int | None


def empty_histogram(n_bands: int) -> Histogram:
    """Return (band, 65536) int64 of zeros."""
    return np.zeros((n_bands, N_BINS), np.int64)


def summarise(histogram: Histogram) -> BandSummary:
    """Return the statistics of one band, computed in whole numbers and rounded once.

    `histogram` is (65536,) int64, counts of the values -32768 to 32767; what is missing was never counted.
    """
    bins = np.flatnonzero(histogram)
    values = (bins - _ZERO_BIN).tolist()
    counts = histogram[bins].tolist()
    count = sum(counts)
    if count == 0:
        return BandSummary(0, None, None, None, None, None, None)
    # Python's integers do not overflow: squares of all Alaska do not fit 64 bits.
    total = sum(value * n for value, n in zip(values, counts, strict=True))
    squares = sum(value * value * n for value, n in zip(values, counts, strict=True))
    return BandSummary(
        count=count,
        mean=total / count,
        std=math.sqrt((count * squares - total * total) / (count * count)),
        min=values[0],
        max=values[-1],
        p1=_percentile(values, counts, 1),
        p99=_percentile(values, counts, 99),
    )


def class_weights(counts: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return weights by class name that make rare classes count; 0 for a class that is absent.

    ``inverse_frequency``: all / (classes present * count), 1 where classes are even. ``median_frequency``: median count
    of the classes present / count (after Eigen and Fergus, 2015). `counts` are pixels of none, debris and ice.
    """
    present = [n for n in counts.values() if n > 0]
    total = sum(present)
    middle = float(np.median(present)) if present else 0.0
    return {
        "inverse_frequency": {k: total / (len(present) * counts[k]) if counts[k] else 0.0 for k in CLASS_NAMES},
        "median_frequency": {k: middle / counts[k] if counts[k] else 0.0 for k in CLASS_NAMES},
    }


def ks_distance(hist_a: Histogram, hist_b: Histogram) -> float:
    """Return the largest difference of two cumulative distributions (Kolmogorov and Smirnov), 0 to 1.

    The histograms are those that `summarise` takes; each counts something. 0 for equal ones, 1 for ranges that
    do not meet.
    """
    below = [np.cumsum(histogram) / histogram.sum() for histogram in (hist_a, hist_b)]
    return float(np.abs(below[0] - below[1]).max())


def ks_of_samples(one: npt.ArrayLike, other: npt.ArrayLike) -> float | None:
    """Return the largest difference of two empirical cumulative distributions (Kolmogorov and Smirnov).

    `one` and `other` are (sample,), not binned, in any order; NaN is left out. 0 for equal distributions, 1 for ranges
    that do not meet; None where a sample is empty.

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


def _percentile(values: list[int], counts: list[int], percent: int) -> int:
    # Rounded up, and in whole numbers: 0.01 * n in floating point misses some n by one sample.
    wanted = -(-sum(counts) * percent // 100)
    return values[int(np.searchsorted(np.cumsum(counts), wanted))]
