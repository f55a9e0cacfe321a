"""Compare distances of held-out chips to training with distances of the whole area to training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gcn_luigi.prepare.evaluation.dissimilarity import MOST_POINTS, SEED, TrainingSpace, fold_distances, has_folds
from gcn_luigi.prepare.evaluation.distances import nearest, quantile_curve, sampled, wasserstein
from gcn_luigi.prepare.evaluation.features import Floats, is_complete

_QUANTILES = (0, 5, 25, 50, 75, 95, 100)
AREA = "area"
# What is compared with the area: ways to hold out chips.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train, one chip left out",
        "train_block": "train, one block left out",
        "fold": "folds, one left out",
        "dev": "dev",
        "test": "test",
        AREA: "whole area",
    }
)
# What is said if a kind has no distance.
_GAPS: Mapping[str, str] = MappingProxyType(
    {
        "train": "There is a single train chip, so there is no distance to another.",
        "train_block": "Train chips are all in one block, so there is no distance to another block.",
        "fold": "No fold has both held-out chips and train chips, so distances of folds are not measured.",
        "dev": "There is no dev chip, so distances of dev are not measured.",
        AREA: "No cell of the catalog has an image, so distances of the area are not measured.",
    }
)


@dataclass(frozen=True)
class Places:
    """Chips, and the whole area, in one space.

    Attributes
    ----------
    chips : DataFrame
        One row per chip: split, block, fold and left_out if there are folds; x and y in metres, and features if there
        are `names`.
    area : ndarray
        (place, axis): places of the whole area; x and y, or features.
    names : tuple of str
        Columns of features; without them the places are x and y.
    """

    chips: pd.DataFrame
    area: NDArray[Any]
    names: tuple[str, ...] = ()


def compare(in_space: Places, in_features: Places, space: TrainingSpace | None) -> dict[str, Any]:
    """Return distances to training in metres and in feature space, as JSON content, with the gaps as sentences.

    Parameters
    ----------
    in_space, in_features : Places
        All chips by their centres, and those whose pixels were read by their features.
    space : TrainingSpace or None
        The train chips of `in_features`; None if they span no space.

    Returns
    -------
    dict
        ``space`` and ``features``, each with ``unit``, ``curves`` by kind of place (the keys of `WORDS`) and
        ``wasserstein`` by way of holding out; ``features`` also has ``space``, which is the scaling, the mean distance
        and the threshold of the area of applicability, and ``inside``, the share of each kind of place within it;
        ``gaps``, a list of sentences.
    """
    gaps: list[str] = []
    metres = _distances(in_space.chips, in_space.chips[["x", "y"]].to_numpy(np.float64), in_space.area, gaps)
    features: dict[str, Any] = {"unit": "standard deviations"}
    features["read"] = {"chips": len(in_features.chips), "of": len(in_space.chips), "windows": len(in_features.area)}
    if space is None:
        gaps.append(
            "Distances in feature space are not measured: no two train chips have different features. A chip has "
            "features if at least half of its pixels are valid in each band."
        )
        features |= {"curves": {}, "wasserstein": {}, "inside": {}, "space": None}
    else:
        features |= _in_features(in_features, space, gaps)
    content = {"space": {"unit": "m", **_described(metres)}, "features": features, "gaps": list(dict.fromkeys(gaps))}
    rounded: dict[str, Any] = _rounded(content)
    return rounded


def _in_features(places: Places, space: TrainingSpace, gaps: list[str]) -> dict[str, Any]:
    chips, scaling = places.chips, space.scaling
    points = scaling.apply(chips[list(places.names)].to_numpy(np.float32))
    area = scaling.apply(places.area)
    has, seen = is_complete(points), is_complete(area)
    for found, what in ((has, "chips"), (seen, "windows of the area")):
        if not found.all():
            gaps.append(
                f"{int((~found).sum()):,} of {len(found):,} {what} have no features, because a band is missing in more "
                "than half of their pixels. They are left out."
            )
    if scaling.constant:
        gaps.append(
            f"{', '.join(scaling.constant)}: the same in all train chips, so distances leave it out, and say nothing "
            "about places where it differs."
        )
    if space.threshold is None:
        gaps.append("The area of applicability has no threshold: there is no dev chip, and train has a single block.")
    distances = _distances(chips.loc[has], points[has], area[seen], gaps)
    limit = space.threshold
    return {
        **_described(distances),
        "inside": {}
        if limit is None
        else {kind: float((apart / space.mean_distance <= limit).mean()) for kind, (apart, _) in distances.items()},
        "space": {
            "scaling": scaling.as_dict(),
            "mean_distance": space.mean_distance,
            "threshold": limit,
            "threshold_from": space.source,
        },
    }


def _distances(chips: pd.DataFrame, points: Floats, area: Floats, gaps: list[str]) -> dict[str, tuple[Floats, int]]:
    """Return, for each kind of place, the distances of at most `MOST_POINTS` to training, and how many there are."""
    train = points[chips["split"].to_numpy(str) == "train"]
    found: dict[str, tuple[Floats, int]] = {}
    for kind, count, measure in _kinds(chips, points, train, area):
        apart = measure(sampled(count, MOST_POINTS, SEED))
        known = apart[~np.isnan(apart)]
        if known.size:
            found[kind] = known, count
        elif kind in _GAPS and len(train):
            gaps.append(_GAPS[kind])
    if not len(train):
        gaps.append("There is no train chip to measure distances to.")
    return found


def _kinds(
    chips: pd.DataFrame, points: Floats, train: Floats, area: Floats
) -> Iterator[tuple[str, int, Callable[[NDArray[np.intp]], Floats]]]:
    """Yield kinds of places, how many there are, and what measures the distances of some of them, by position."""
    split = chips["split"].to_numpy(str)
    one = np.arange(len(train))
    block = np.unique(chips["block"].to_numpy(str)[split == "train"], return_inverse=True)[1]
    for kind, group in (("train", one), ("train_block", block)):
        yield kind, len(train), partial(_elsewhere, train, group)
    if has_folds(chips):
        held = np.flatnonzero(chips["fold"].notna().to_numpy(bool))
        yield "fold", len(held), lambda chosen: fold_distances(chips, points, held[chosen])
    for kind in ("dev", "test"):
        if kind == "dev" or (split == kind).any():
            yield kind, int((split == kind).sum()), partial(_to_train, points[split == kind], train)
    yield AREA, len(area), partial(_to_train, area, train)


def _elsewhere(train: Floats, group: NDArray[np.intp], chosen: NDArray[np.intp]) -> Floats:
    return nearest(train[chosen], train, (group[chosen], group))


def _to_train(places: Floats, train: Floats, chosen: NDArray[np.intp]) -> Floats:
    return nearest(places[chosen], train)


def _described(distances: dict[str, tuple[Floats, int]]) -> dict[str, Any]:
    curves = {
        kind: {
            "places": count,
            "measured": len(apart),
            "mean": float(apart.mean()),
            "quantiles": {f"{at}%": float(np.quantile(apart, at / 100)) for at in _QUANTILES},
            "curve": quantile_curve(apart),
        }
        for kind, (apart, count) in distances.items()
    }
    area = distances.get(AREA)
    held_out = {kind: apart for kind, (apart, _) in distances.items() if kind != AREA}
    return {
        "curves": curves,
        "wasserstein": {} if area is None else {kind: wasserstein(apart, area[0]) for kind, apart in held_out.items()},
    }


def _rounded(value: Any) -> Any:
    """Return JSON content with seven significant digits, which every machine computes alike."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value
