"""The dissimilarity index of places, and the area of applicability of what was learnt from the training chips.

The method is that of Meyer and Pebesma (2021), doi:10.1111/2041-210X.13650; see the module `distances`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from gcn_luigi.prepare.evaluation.distances import applicability_threshold, mean_distance, nearest, sampled
from gcn_luigi.prepare.evaluation.features import Floats, Scaling, is_complete

# Where the threshold comes from, best first: what the score of a model was measured on.
FROM_FOLDS = "the distances of the held-out chips of each fold to its train chips"
FROM_DEV = "the distances of dev chips to train chips"
FROM_BLOCKS = "the distances of train chips to train chips of other blocks"
# Points of a kind from which distances are measured.
MOST_POINTS = 5000
# The seed of samples: the same dataset gives the same figures.
SEED = 0


def has_folds(chips: pd.DataFrame) -> bool:
    """Return whether the chips of a table are in at least two folds."""
    return "fold" in chips.columns and len(chips["fold"].dropna().unique()) > 1


def fold_distances(chips: pd.DataFrame, points: Floats, chosen: NDArray[np.intp]) -> Floats:
    """Return the distance of each held-out chip to the nearest chip that its fold trains on.

    Parameters
    ----------
    chips : DataFrame
        One row per chip: fold, missing for a chip of none, and left_out, the folds that may not use the chip because
        of the buffer, separated by ";".
    points : ndarray of float64
        (chip, axis): their coordinates.
    chosen : ndarray of intp
        (held-out chip,): positions of the chips to measure from, each in a fold.

    Returns
    -------
    ndarray of float64
        (held-out chip,); NaN for a fold without train chips.
    """
    fold = chips["fold"].fillna(-1).to_numpy(np.int64)
    left_out = chips["left_out"].to_numpy(str)
    found = np.full(len(chosen), np.nan)
    for number in np.unique(fold[chosen]).tolist():
        may_train = np.array([str(number) not in text.split(";") for text in left_out], bool)
        held = fold[chosen] == number
        found[held] = nearest(points[chosen[held]], points[(fold >= 0) & (fold != number) & may_train])
    return found


@dataclass(frozen=True)
class TrainingSpace:
    """The training chips in standardised feature space, and what a dissimilarity index needs to know about them.

    Attributes
    ----------
    scaling : Scaling
        From features to coordinates.
    points : ndarray of float64
        (chip, axis): coordinates of the training chips that have features.
    mean_distance : float
        Mean of all pairwise distances of `points`; the unit of the index.
    threshold : float or None
        The largest index of a place within the area of applicability; None if it cannot be determined.
    source : str
        Which distances the threshold comes from; empty if there is none.
    """

    scaling: Scaling
    points: Floats
    mean_distance: float
    threshold: float | None
    source: str

    @classmethod
    def of(cls, chips: pd.DataFrame, names: tuple[str, ...], weights: Mapping[str, float] | None = None) -> Self | None:
        """Return the space of a table of chips; None if no train chip has features or all features are constant.

        Parameters
        ----------
        chips : DataFrame
            One row per chip: split, block, the features and, if there are folds, fold and left_out; see
            `fold_distances`.
        names : tuple of str
            The columns of features.
        weights : mapping, optional
            Weight of each feature, as the importance that a model gave it; see `Scaling.of`.
        """
        features = chips[list(names)].to_numpy(np.float32)
        split = chips["split"].to_numpy(str)
        has = is_complete(features)
        is_train = has & (split == "train")
        if not is_train.any():
            return None
        scaling = Scaling.of(names, features[is_train], weights)
        mean = mean_distance(scaling.apply(features[is_train]), SEED)
        if mean <= 0:
            return None
        found = cls(scaling, scaling.apply(features[is_train]), mean, None, "")
        for source, apart in found._held_out(chips[has], scaling.apply(features[has])):
            known = apart[~np.isnan(apart)] / mean
            if known.size:
                return cls(scaling, found.points, mean, applicability_threshold(known), source)
        return found

    def _held_out(self, chips: pd.DataFrame, points: Floats) -> Any:
        """Yield sources of the threshold and the distances that they give, best first."""
        split = chips["split"].to_numpy(str)
        if has_folds(chips):
            held = np.flatnonzero(chips["fold"].notna().to_numpy(bool))
            yield FROM_FOLDS, fold_distances(chips, points, held[sampled(len(held), MOST_POINTS, SEED)])
        dev = points[split == "dev"]
        yield FROM_DEV, nearest(dev[sampled(len(dev), MOST_POINTS, SEED)], self.points)
        block = np.unique(chips["block"].to_numpy(str)[split == "train"], return_inverse=True)[1]
        chosen = sampled(len(block), MOST_POINTS, SEED)
        yield FROM_BLOCKS, nearest(self.points[chosen], self.points, (block[chosen], block))

    @cached_property
    def _tree(self) -> "scipy.spatial.KDTree":
        return scipy.spatial.KDTree(self.points)

    def index(self, features: NDArray[Any]) -> Floats:
        """Return the dissimilarity index (place,) of `features` (place, feature); NaN where a feature is missing.

        The index is the distance to the nearest training chip, divided by the mean distance of training chips.
        """
        points = self.scaling.apply(features)
        found = np.full(len(points), np.nan)
        has = is_complete(points)
        if has.any():
            found[has] = self._tree.query(points[has])[0] / self.mean_distance
        return found
