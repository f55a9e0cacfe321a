"""Band statistics from the samples themselves, by numpy and by fractions."""

import math
from fractions import Fraction

import numpy as np


def samples(image, flags, band_flag, weight):
    """Valid samples of one band plane, each repeated by its weight."""
    valid = np.ma.masked_array(image, (flags & band_flag) != 0)
    return np.repeat(image.ravel(), np.where(np.ma.getmaskarray(valid), 0, weight).ravel())


def percentile(values, percent):
    ordered = sorted(int(value) for value in values)
    return ordered[max(math.ceil(Fraction(percent * len(ordered), 100)), 1) - 1]


def ks_distance(a, b):
    points = np.union1d(a, b)
    below = [np.searchsorted(np.sort(x), points, side="right") / len(x) for x in (a, b)]
    return np.abs(below[0] - below[1]).max()
