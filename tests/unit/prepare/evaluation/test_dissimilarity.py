"""The dissimilarity index and the comparison of distances, on made-up chips."""

import json

import numpy as np
import pandas as pd
import pytest

from gcn_luigi.prepare.evaluation.comparison import Places, compare
from gcn_luigi.prepare.evaluation.dissimilarity import FROM_BLOCKS, FROM_DEV, FROM_FOLDS, TrainingSpace, fold_distances

NAMES = ("red_mean", "red_std")


def chips(features, split, block=None, fold=None):
    table = pd.DataFrame({"split": split, "block": "a" if block is None else block})
    if fold is not None:
        table["fold"] = pd.array(fold, "Int64")
        table["left_out"] = ""
    table[list(NAMES)] = np.asarray(features, np.float32)
    table["x"], table["y"] = table["red_mean"].fillna(0.0) * 1000.0, 0.0
    return table


def cloud(count=400, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2))


def measured(table, area):
    space = TrainingSpace.of(table, NAMES)
    centres = np.column_stack([np.nan_to_num(area[:, 0]) * 1000.0, np.zeros(len(area))])
    return compare(Places(table, centres), Places(table, area.astype(np.float32), NAMES), space)


def test_index_by_hand():
    # Standardised, train is at -1 and 1 on the first axis; the second is constant. The mean distance is 2.
    space = TrainingSpace.of(chips([[10, 5], [30, 5], [25, 5]], ["train", "train", "dev"]), NAMES)

    assert space.mean_distance == 2.0
    assert space.index(np.array([[10.0, 5.0], [20.0, 5.0], [70.0, 9.0], [np.nan, 5.0]])).tolist() == pytest.approx(
        [0.0, 0.5, 2.0, np.nan], nan_ok=True
    )
    # The dev chip is a quarter of the way from 30 to 10.
    assert (space.threshold, space.source) == (pytest.approx(0.25), FROM_DEV)


def test_the_half_of_an_area_that_is_far_away_is_outside():
    table = chips(np.concatenate([cloud(), cloud(100, 1)]), ["train"] * 400 + ["dev"] * 100)
    area = np.concatenate([cloud(200, 2), cloud(200, 3) + 25.0])
    space = TrainingSpace.of(table, NAMES)
    inside = space.index(area) <= space.threshold

    assert inside[:200].mean() > 0.9
    assert not inside[200:].any()
    assert measured(table, area)["features"]["inside"]["area"] == pytest.approx(inside.mean())


def test_the_threshold_comes_from_folds_then_dev_then_blocks():
    features, split = cloud(60), ["train"] * 40 + ["dev"] * 20
    block = ["a"] * 20 + ["b"] * 40
    of_folds = TrainingSpace.of(chips(features, split, block, [0, 1, 2] * 20), NAMES)
    of_dev = TrainingSpace.of(chips(features, split, block, [0] * 60), NAMES)
    of_blocks = TrainingSpace.of(chips(features, ["train"] * 60, block), NAMES)
    of_none = TrainingSpace.of(chips(features, ["train"] * 60), NAMES)

    assert [each.source for each in (of_folds, of_dev, of_blocks, of_none)] == [FROM_FOLDS, FROM_DEV, FROM_BLOCKS, ""]
    assert of_none.threshold is None


def test_dev_of_shuffled_neighbours_is_nearer_than_dev_of_blocks():
    # Chips along a line, 10 to a block, whose features change slowly with the place.
    at = np.arange(200)
    features = np.column_stack([at / 10, np.sin(at / 40)])
    block = (at // 10).astype(str)
    shuffled = np.where(np.random.default_rng(6).random(200) < 0.2, "dev", "train")
    blocked = np.where(at // 10 % 5 == 2, "dev", "train")
    random, blocks = (measured(chips(features, split, block), features) for split in (shuffled, blocked))

    for part in ("space", "features"):
        near, far = (found[part]["curves"]["dev"]["quantiles"]["50%"] for found in (random, blocks))
        assert 2 * near < far
    # With a spacing of 100 m, the middle of a block of 10 is 500 m from the next one.
    assert blocks["space"]["curves"]["dev"]["quantiles"]["100%"] == pytest.approx(500.0)
    assert random["space"]["curves"]["dev"]["quantiles"]["50%"] == pytest.approx(100.0)
    assert random["space"]["curves"]["train_block"]["quantiles"]["100%"] > 500.0


def test_a_far_area_is_as_far_as_it_is_and_its_wasserstein_distance_says_so():
    table = chips([[0, 0], [1, 1], [1.5, 1]], ["train", "train", "dev"])
    found = measured(table, np.array([[5.0, 0.0], [7.0, 0.0]]))["space"]

    assert found["curves"]["area"]["quantiles"]["0%"] == 4000.0
    assert found["curves"]["area"]["mean"] == 5000.0
    assert found["wasserstein"] == {"train": 4000.0, "dev": 4500.0}
    assert len(found["curves"]["dev"]["curve"]) == 101


def test_a_test_split_and_folds_have_curves_of_their_own():
    table = chips(cloud(40), ["train"] * 20 + ["dev"] * 10 + ["test"] * 10, ["a", "b"] * 20, [0, 1] * 15 + [None] * 10)
    found = measured(table, cloud(5))

    for part in ("space", "features"):
        assert list(found[part]["curves"]) == ["train", "train_block", "fold", "dev", "test", "area"]
    assert found["features"]["curves"]["fold"]["places"] == 30


def test_chips_in_the_buffer_of_a_fold_are_no_training_of_that_fold():
    table = chips([[0, 0], [1, 0], [3, 0], [7, 0]], ["train"] * 4, fold=[0, 1, 1, None])
    at = table[["x"]].to_numpy() / 1000

    assert fold_distances(table, at, np.array([0, 1, 2])).tolist() == [1.0, 1.0, 3.0]
    table["left_out"] = ["", "0;2", "", ""]
    assert fold_distances(table, at, np.array([0, 1, 2])).tolist() == [3.0, 1.0, 3.0]
    table["left_out"] = ["1", "0;2", "10", ""]
    assert fold_distances(table, at, np.array([0, 1])).tolist() == pytest.approx([3.0, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("table", "area", "said"),
    [
        (chips(cloud(4), ["train"] * 4), cloud(3), ["all in one block", "no dev chip", "no threshold"]),
        (chips(cloud(4), ["train"] * 3 + ["dev"]), cloud(0), ["No cell of the catalog has an image"]),
        (chips([[1, 2], [1, 2], [3, 2]], ["train"] * 2 + ["dev"]), cloud(3), ["not measured", "different features"]),
        (chips([[1, 2], [2, 2], [3, 2]], ["train"] * 2 + ["dev"]), cloud(3), ["red_std: the same in all train chips"]),
        (chips([[1, 2], [2, 3], [np.nan, 2]], ["train"] * 2 + ["dev"]), cloud(3), ["1 of 3 chips have no features"]),
        (chips(cloud(2), ["train"] * 2), np.full((2, 2), np.nan), ["2 of 2 windows of the area have no features"]),
        (chips(cloud(2), ["dev"] * 2), cloud(3), ["no train chip"]),
        (chips(cloud(2), ["train", "dev"]), cloud(3), ["single train chip"]),
    ],
)
def test_gaps_are_sentences_and_never_nan(table, area, said):
    found = measured(table, area)
    text = json.dumps(found, allow_nan=False)

    assert [words for words in said if words not in " ".join(found["gaps"])] == []
    assert "NaN" not in text
