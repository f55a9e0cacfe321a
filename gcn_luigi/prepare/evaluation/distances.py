"""Distances to the nearest training point, and how far two distributions of them are apart.

Sources: distributions of nearest-neighbour distances of cross-validation and of prediction, and the Wasserstein
distance W between them: Linnenbrink, J., Milà, C., Ludwig, M., Meyer, H. (2024): kNNDM CV: k-fold nearest-neighbour
distance matching cross-validation for map accuracy estimation. Geoscientific Model Development 17, 5897-5912.
Dissimilarity index and its threshold: Meyer, H., Pebesma, E. (2021): Predicting into unknown space? Estimating the area
of applicability of spatial prediction models. Methods in Ecology and Evolution 12, 1620-1633.
"""

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How many neighbours are looked at until one is in another group, and how many of them are in memory at a time.
_NEIGHBOURS = (2, 16, 128, 1024, 4096)
_AT_ONCE = 2_000_000
# All pairs of so many points fit 25 MB.
MOST_PAIRED = 2500
# The curve of a distribution: its quantiles at 0, 1, ... 100 %.
N_STEPS = 100


def nearest(points: Floats, reference: Floats, groups: tuple[NDArray[Any], NDArray[Any]] | None = None) -> Floats:
    """Return the Euclidean distance of each point to the nearest reference point.

    Parameters
    ----------
    points, reference : ndarray of float64
        (point, axis) and (reference, axis), without NaN.
    groups : tuple of ndarray, optional
        Groups of the points, (point,), and of the reference, (reference,). A reference point in the point's own group
        does not count. With a number of its own for each point, this leaves one out; with numbers of blocks, a block.

    Returns
    -------
    ndarray of float64
        (point,), in the unit of the axes; NaN for a point that has no reference point in another group.

    Examples
    --------
    >>> line = np.array([[0.0], [1.0], [5.0]])
    >>> nearest(np.array([[4.0]]), line).tolist()
    [1.0]
    >>> nearest(line, line, (np.array([0, 0, 1]), np.array([0, 0, 1]))).tolist()
    [5.0, 4.0, 4.0]
    """
    if not len(points) or not len(reference):
        return np.full(len(points), np.nan)
    tree = scipy.spatial.KDTree(reference)
    if groups is None:
        plain: Floats = tree.query(points)[0]
        return plain
    own, theirs = groups
    found = np.full(len(points), np.nan)
    for count in _NEIGHBOURS:
        if count > len(reference):
            break
        for part in _parts(np.flatnonzero(np.isnan(found)), _AT_ONCE // count):
            distance, at = tree.query(points[part], k=count)
            is_other = theirs[at] != own[part][:, np.newaxis]
            hit = is_other.any(axis=1)
            found[part[hit]] = distance[hit, is_other.argmax(axis=1)[hit]]
    # Groups so large that the middle has no other point among thousands of neighbours.
    left = np.flatnonzero(np.isnan(found))
    for group in np.unique(own[left]):
        others, inside = reference[theirs != group], left[own[left] == group]
        if len(others):
            found[inside] = scipy.spatial.KDTree(others).query(points[inside])[0]
    return found


def _parts(positions: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [positions[first : first + size] for first in range(0, len(positions), size)]


def wasserstein(first: Floats, second: Floats) -> float:
    """Return the Wasserstein distance of order 1 of two samples: the area between their distribution curves.

    The result has the unit of the values. Both samples have at least one value and no NaN.

    Examples
    --------
    >>> wasserstein(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    2.0
    """
    first, second = np.sort(first), np.sort(second)
    steps = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(values, steps[:-1], side="right") / len(values) for values in (first, second)]
    return float(np.sum(np.abs(shares[0] - shares[1]) * np.diff(steps)))


def quantile_curve(values: Floats) -> list[float]:
    """Return the quantiles of `values` at 0, 1, ... 100 %, which is its empirical distribution curve turned round."""
    curve: list[float] = np.quantile(values, np.linspace(0, 1, N_STEPS + 1)).tolist()
    return curve


def sampled(count: int, most: int, seed: int) -> NDArray[np.intp]:
    """Return at most `most` positions of `count`, in ascending order: all of them, or a random sample."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def mean_distance(points: Floats, seed: int) -> float:
    """Return the mean of the distances of all pairs of points, (point, axis); 0 if there are fewer than two.

    If there are more than `MOST_PAIRED`, it is the mean over all pairs of a random sample of so many.
    """
    chosen = points[sampled(len(points), MOST_PAIRED, seed)]
    return float(scipy.spatial.distance.pdist(chosen).mean()) if len(chosen) > 1 else 0.0


def applicability_threshold(dissimilarity: Floats) -> float:
    """Return the largest dissimilarity index at which a place still belongs to the area of applicability.

    It is the maximum without outliers of the index of training data under cross-validation: the third quartile plus one
    and a half times the interquartile range, or the maximum if that is smaller. `dissimilarity` has at least one value
    and no NaN.

    Examples
    --------
    >>> applicability_threshold(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    7.0
    """
    low, high = np.quantile(dissimilarity, [0.25, 0.75])
    return float(min(high + 1.5 * (high - low), dissimilarity.max()))
