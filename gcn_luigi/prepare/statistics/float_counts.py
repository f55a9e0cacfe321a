"""Exact statistics of float32 bands: counts in 65536 bins, with the sums of what each bin rounds away.

The upper half of a float32 holds its sign, its exponent and seven bits of its mantissa. It is the number of the bin, in
the order of the values. So bins need no range, and each is at most 1/128 of its values wide. All samples of a bin have
one exponent, so the lower half counts equal steps from the start of the bin. The sums of these steps, and of their
squares, are whole numbers. From counts and sums follow mean and deviation as if every sample had been added exactly,
wherever and in whatever order the counts were made. Percentiles and distances between distributions know the bin alone.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import histogram as kernel
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.statistics.statistics import N_BINS, BandSummary, Histogram, percentile_bin, summarise

_ZERO_BIN = N_BINS // 2
# Steps count from the middle of a bin: so their squares are smallest.
_MIDDLE = 1 << 15
# A square is at most 2 ** 30, so a sum of this many fits 63 bits.
_MOST = (1 << 33) - 1
# All finite float32 are whole multiples of 2 ** -149.
_UNIT = 149


def bin_values(dtype: str) -> npt.NDArray[np.float64]:
    """Return the value that each bin of a histogram stands for, (65536,): the value itself, or the middle of a bin.

    `dtype` is the type of the stack. Bins of float32 that hold no finite value give nan.
    """
    if dtype != "float32":
        return np.arange(-_ZERO_BIN, N_BINS - _ZERO_BIN, dtype=np.float64)
    ordered = (np.arange(-_ZERO_BIN, N_BINS - _ZERO_BIN, dtype=np.int32) << 16) + np.int32(_MIDDLE)
    with np.errstate(invalid="ignore"):
        values = _floats(ordered).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


class FloatCounts:
    """Counts of samples that are seen once and as often as their weight says, as `PixelHistograms` for int16.

    Parameters
    ----------
    n_bands : int
        Number of bands of the images.
    """

    def __init__(self, n_bands: int) -> None:
        # Of each bin: counts, sums of steps and sums of squared steps, once per sample and then by weight.
        self._sums = np.zeros((n_bands, N_BINS, 6), np.int64)
        limits = np.iinfo(np.int32)
        self._extremes = np.tile(np.array([limits.max, limits.min], np.int32), (n_bands, 1))
        # No bin has a larger sum of weights.
        self._most = 0

    def add(
        self,
        image: npt.NDArray[np.float32],
        flags: npt.NDArray[np.uint8],
        band_flags: npt.NDArray[np.uint8],
        weight: npt.NDArray[np.uint32],
    ) -> None:
        """Count the valid samples of an image: (band, y, x) float32, finite where they are valid.

        `flags`, `band_flags` and `weight` are as in `PixelHistograms.add`. Raise InputError if the sum of the squares
        in a bin may not fit 63 bits.
        """
        more = int(weight.sum(dtype=np.int64))
        if self._most + more > _MOST:
            self._most = int(self._sums[..., 3].max(initial=0))
        self._most += more
        if self._most > _MOST:
            raise InputError(
                f"{self._most:,} samples of one shard may be nearly equal, too many to add their squares",
                where="statistics of a shard",
                fix="build more shards: raise n_train or n_dev in [shards]",
            )
        bits = np.ascontiguousarray(image).view(np.int32)
        kernel.add_floats(bits, flags, band_flags, weight, self._sums, self._extremes)

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of a shard's table ``statistics``."""
        names = ("histogram", "steps", "squared_steps")
        made: dict[str, npt.NDArray[Any]] = {
            f"{prefix}{name}": np.ascontiguousarray(self._sums[..., position])
            for position, (prefix, name) in enumerate(product(("", "chip_"), names))
        }
        is_seen = self._sums[..., 0].any(axis=1)
        for name, values, nothing in zip(("lowest", "highest"), self._extremes.T, (np.inf, -np.inf), strict=True):
            made[name] = np.where(is_seen, _floats(values), np.float32(nothing))
        return made


def _floats(ordered: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return the floats of whole numbers that are in their order."""
    return np.ascontiguousarray(ordered ^ ((ordered >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


class FloatHistogram:
    """The sum of the counts of several shards, of one weighting.

    Parameters
    ----------
    n_bands : int
        Number of bands.

    Attributes
    ----------
    counts, steps : ndarray of int64
        (band, 65536): number of samples, and the sum of their steps from the middle of the bin.
    squared_steps : ndarray of object
        (band, 65536): the sum of the squares, as Python's whole numbers, which do not overflow.
    lowest, highest : ndarray of float32
        (band,): the smallest and largest value; infinite if there is none.
    """

    def __init__(self, n_bands: int) -> None:
        self.counts, self.steps = np.zeros((2, n_bands, N_BINS), np.int64)
        self.squared_steps: npt.NDArray[Any] = np.zeros((n_bands, N_BINS), object)
        self.lowest, self.highest = (np.full(n_bands, end, np.float32) for end in (np.inf, -np.inf))

    def add(self, table: Mapping[str, npt.NDArray[Any]], prefix: str = "") -> None:
        """Add the table ``statistics`` of a shard. With the prefix ``chip_``, samples count once for every chip."""
        self.counts += table[f"{prefix}histogram"]
        self.steps += table[f"{prefix}steps"]
        squares = table[f"{prefix}squared_steps"]
        at = np.nonzero(squares)
        self.squared_steps[at] += squares[at].astype(object)
        np.minimum(self.lowest, table["lowest"], out=self.lowest)
        np.maximum(self.highest, table["highest"], out=self.highest)

    def summary(self, band: int) -> BandSummary:
        """Return the statistics of one band: exact and rounded once, except p1 and p99.

        Each of these is the mean of the samples in the bin that holds the percentile, so it is off by less than 1/128
        of its value.
        """
        bins = np.flatnonzero(self.counts[band])
        counts = self.counts[band, bins].tolist()
        count = sum(counts)
        if count == 0:
            return BandSummary(0, None, None, None, None, None, None)
        steps, squared = self.steps[band, bins].tolist(), self.squared_steps[band, bins].tolist()
        middles = [_middle(number - _ZERO_BIN) for number in bins.tolist()]
        parts = list(zip(middles, counts, steps, squared, strict=True))
        # In units of 2 ** -149.
        sums = [middle * n + step * unit for (middle, unit), n, step, _ in parts]
        squares = sum(
            middle * middle * n + 2 * middle * unit * step + unit * unit * square
            for (middle, unit), n, step, square in parts
        )
        total = sum(sums)
        at = [percentile_bin(counts, percent) for percent in (1, 99)]
        p1, p99 = (sums[position] / (counts[position] << _UNIT) for position in at)
        return BandSummary(
            count=count,
            mean=total / (count << _UNIT),
            std=math.sqrt((count * squares - total * total) / (count * count << 2 * _UNIT)),
            min=float(self.lowest[band]),
            max=float(self.highest[band]),
            p1=p1,
            p99=p99,
        )


def summaries_of(tables: Sequence[Mapping[str, npt.NDArray[Any]]], prefix: str = "") -> list[BandSummary]:
    """Return the statistics of each band from the tables ``statistics`` of one or more shards, of either type.

    With the prefix ``chip_``, samples count once for every chip that shows them.
    """
    n_bands = len(tables[0]["histogram"])
    if "steps" not in tables[0]:
        total: Histogram = sum((table[f"{prefix}histogram"] for table in tables), np.zeros((n_bands, N_BINS), np.int64))
        return [summarise(row) for row in total]
    merged = FloatHistogram(n_bands)
    for table in tables:
        merged.add(table, prefix)
    return [merged.summary(band) for band in range(n_bands)]


def _middle(number: int) -> tuple[int, int]:
    """Return the value in the middle of a bin, counted from that of zero, and its step, in units of 2 ** -149."""
    ordered = (number << 16) + _MIDDLE
    is_negative = ordered < 0
    magnitude = -ordered - 1 if is_negative else ordered
    exponent, mantissa = magnitude >> 23, magnitude & 0x7FFFFF
    # Numbers with exponent 0 are subnormal: they have no hidden bit, and the step of exponent 1.
    unit = 1 << max(exponent - 1, 0)
    value = (mantissa | (0x800000 if exponent else 0)) * unit
    return (-value if is_negative else value), unit
