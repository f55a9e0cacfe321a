"""Exact statistics of int16 bands, computed from histograms of whole numbers. Float bands: `float_counts`.

A histogram has one bin per value (bin = value + 32768), so the sum of histograms is the same to the bit, wherever and
in whatever order they were made.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Histogram = npt.NDArray[np.int64]

N_BINS = 65536
_ZERO_BIN = 32768


@dataclass(frozen=True)
class BandSummary:
    """Statistics of one band. If nothing was counted, all except the count are None.

    Attributes
    ----------
    count : int
        Number of samples, weights included.
    mean, std : float or None
        Mean and population standard deviation (ddof 0), in stored units.
    min, max : int or float or None
        Smallest and largest value.
    p1, p99 : int or float or None
        The smallest value that at least 1 % (99 %) of the samples do not exceed. It always occurs in the data, as
        with numpy's method ``inverted_cdf`` (Hyndman and Fan, 1996, type 1). Of floats, it is approximate.
    """

    count: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    p1: float | None
    p99: float | None


def empty_histogram(n_bands: int) -> Histogram:
    """Return (band, 65536) int64 of zeros."""
    return np.zeros((n_bands, N_BINS), np.int64)


def summarise(histogram: Histogram) -> BandSummary:
    """Return the statistics of one band, computed in whole numbers and rounded once.

    `histogram` is (65536,) int64: counts of the values -32768 to 32767, without missing samples.
    """
    bins = np.flatnonzero(histogram)
    values = (bins - _ZERO_BIN).tolist()
    counts = histogram[bins].tolist()
    count = sum(counts)
    if count == 0:
        return BandSummary(0, None, None, None, None, None, None)
    # Python's integers do not overflow. The sum of squares for all of Alaska would not fit 64 bits.
    total = sum(value * n for value, n in zip(values, counts, strict=True))
    squares = sum(value * value * n for value, n in zip(values, counts, strict=True))
    return BandSummary(
        count=count,
        mean=total / count,
        std=math.sqrt((count * squares - total * total) / (count * count)),
        min=values[0],
        max=values[-1],
        p1=values[percentile_bin(counts, 1)],
        p99=values[percentile_bin(counts, 99)],
    )


@dataclass(frozen=True)
class ConfidenceSummary:
    """The confidence of one class.

    Attributes
    ----------
    pixels : int
        Number of pixels with a confidence.
    mean : float or None
        Mean confidence in percent; None without pixels.
    uncertain : int or None
        Number of pixels below the limit; None without a limit.
    by_tens : list of int
        Number of pixels with 0 to 9 percent, 10 to 19 percent, and so on; the eleventh number is that of 100 percent.
    """

    pixels: int
    mean: float | None
    uncertain: int | None
    by_tens: list[int]


def summarise_confidence(histogram: Histogram, limit: int | None) -> ConfidenceSummary:
    """Return the summary of one class. `histogram` is (101,) int64: pixels by percent; `limit` is in percent.

    Examples
    --------
    >>> counts = np.bincount([50, 100, 100], minlength=101)
    >>> found = summarise_confidence(counts, 70)
    >>> found.pixels, found.uncertain, round(found.mean, 1)
    (3, 1, 83.3)
    """
    counts = histogram.tolist()
    pixels = sum(counts)
    total = sum(percent * count for percent, count in enumerate(counts))
    below = None if limit is None else sum(counts[:limit])
    by_tens = [sum(counts[first : first + 10]) for first in range(0, len(counts), 10)]
    return ConfidenceSummary(pixels, total / pixels if pixels else None, below, by_tens)


def class_weights(counts: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return weights by class name that give rare classes more influence; 0 for a class that is absent.

    ``inverse_frequency``: all pixels / (number of classes present * count), which is 1 if classes are equally frequent.
    ``median_frequency``: median count of the classes present / count (after Eigen and Fergus, 2015). `counts` are the
    pixels of each class.
    """
    present = [n for n in counts.values() if n > 0]
    total = sum(present)
    middle = float(np.median(present)) if present else 0.0
    return {
        "inverse_frequency": {k: total / (len(present) * counts[k]) if counts[k] else 0.0 for k in counts},
        "median_frequency": {k: middle / counts[k] if counts[k] else 0.0 for k in counts},
    }


def ks_distance(hist_a: Histogram, hist_b: Histogram) -> float:
    """Return the largest difference between two cumulative distributions (Kolmogorov and Smirnov), 0 to 1.

    The histograms have the form that `summarise` takes and must not be empty. The result is 0 for equal distributions
    and 1 for ranges that do not overlap.
    """
    below = [np.cumsum(histogram) / histogram.sum() for histogram in (hist_a, hist_b)]
    return float(np.abs(below[0] - below[1]).max())


def ks_of_samples(one: npt.ArrayLike, other: npt.ArrayLike) -> float | None:
    """Return the largest difference between two empirical cumulative distributions (Kolmogorov and Smirnov).

    `one` and `other` are (sample,), not binned, in any order; NaN is left out. The result is 0 for equal distributions,
    1 for ranges that do not overlap, and None if a sample is empty.

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


def percentile_bin(counts: list[int], percent: int) -> int:
    """Return the position of the first of the bins, in the order of their values, up to which `percent` are counted."""
    # Rounded up in whole numbers: with floating point, 0.01 * n would be off by one sample for some n.
    wanted = -(-sum(counts) * percent // 100)
    return int(np.searchsorted(np.cumsum(counts), wanted))
