"""Weights of chips and classes: rare classes are drawn as often as frequent ones."""

import numpy as np
import pandas as pd
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, ShardError
from gcn_luigi.read.sampling import chip_weights, class_weights


class Table:
    """A reader that has only rows of an index."""

    def __init__(self, **shares):
        self.table = pd.DataFrame({f"share_{name}": values for name, values in shares.items()})

    def check_not_empty(self):
        """Nothing was chosen."""


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


def test_weights_by_hand():
    found = chip_weights(Table(none=[1.0, 0.5, 0.5], debris=[0.0, 0.5, 0.0]))

    # Half of the draws are for each class: 1/2 (s_none / 2) + 1/2 (s_debris / 0.5).
    assert found == pytest.approx([0.25, 0.125 + 0.5, 0.125])


def test_each_class_is_equally_likely(dataset):
    """Draw a class by the shares of each chip that is drawn: what each chip was drawn for is balanced."""
    chips = dataset.chips("train")
    found = chip_weights(chips)
    shares = chips.table[["share_none", "share_debris", "share_ice"]].to_numpy()

    assert found.shape == (len(chips),)
    assert found.sum() == pytest.approx(1)
    reached = (shares / shares.sum(axis=0)).mean(axis=1)
    np.testing.assert_allclose(found, reached / reached.sum(), rtol=1e-6)
    before = shares.mean(axis=0)
    assert (found @ shares)[1] > 1.3 * before[1]


def test_classes_are_drawn_as_often_as_asked():
    table = Table(none=[1.0, 0.0, 0.0], debris=[0.0, 1.0, 0.0], ice=[0.0, 0.0, 1.0])

    assert chip_weights(table, {"debris": 3, "none": 1}) == pytest.approx([0.25, 0.75, 0])


def test_a_balance_of_nothing_draws_all_chips_alike():
    table = Table(none=[1.0, 0.9, 0.9, 0.9], debris=[0.0, 0.1, 0.1, 0.1])

    assert chip_weights(table, balance=0) == pytest.approx([0.25] * 4)
    halves = (chip_weights(table) + 0.25) / 2
    assert chip_weights(table, balance=0.5) == pytest.approx(halves)


def test_a_class_that_no_chip_shows_takes_nothing_from_the_others():
    assert chip_weights(Table(none=[1.0, 1.0], lake=[0.0, 0.0])) == pytest.approx([0.5, 0.5])


def test_a_chip_without_a_label_is_not_drawn():
    assert chip_weights(Table(none=[0.5, 0.0], ice=[0.5, 0.0])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("wanted", "more", "said"),
    [
        ({"snow": 1}, {}, "no class 'snow'"),
        ({"debri": 1}, {}, "did you mean debris"),
        ({"debris": -1}, {}, "-1 times"),
        ({"debris": float("nan")}, {}, "nan times"),
        ({"ice": 1}, {}, "no chip shows ice"),
        ({"debris": 0}, {}, "no chip would have a weight"),
        ({}, {}, "no chip would have a weight"),
        (None, {"balance": 1.5}, "balance is 1.5"),
        (None, {"balance": float("nan")}, "balance is nan"),
    ],
)
def test_wishes_that_cannot_be_fulfilled_are_plain_errors(wanted, more, said):
    with pytest.raises(ConfigError, match=said):
        chip_weights(Table(none=[0.5, 0.5], debris=[0.5, 0.5], ice=[0.0, 0.0]), wanted, **more)


def test_weights_of_no_chip_are_plain_errors(dataset):
    with pytest.raises(ConfigError, match="no chip"):
        chip_weights(Table(none=[], ice=[]))
    with pytest.raises(ConfigError, match="no chip would"):
        chip_weights(Table(none=[0.0], ice=[0.0]))
    with pytest.raises(ConfigError, match="share_ice > 2"):
        chip_weights(dataset.chips("train", where="share_ice > 2"))


@pytest.mark.parametrize("shares", [{}, {"none": [0.5, np.nan]}, {"none": [0.5, -0.1]}, {"none": [0.5, 1.5]}])
def test_an_index_without_proper_shares_is_refused(shares):
    table = Table(**shares)
    table.table["chip_id"] = ["a", "b"]

    with pytest.raises(ShardError, match="share"):
        chip_weights(table)


def test_the_sampler_of_torch_draws_by_them(dataset):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from torch.utils.data import DataLoader, WeightedRandomSampler  # noqa: PLC0415

    from gcn_luigi.read.torch import ChipDataset, collate  # noqa: PLC0415

    chips = dataset.chips("train")
    weights = chip_weights(chips, {"debris": 1})
    torch.manual_seed(3)
    sampler = WeightedRandomSampler(weights, num_samples=400)
    loader = DataLoader(ChipDataset(chips), batch_size=100, sampler=sampler, collate_fn=collate)

    drawn = torch.cat([batch["position"] for batch in loader]).numpy()

    # A chip without debris is never drawn, and debris is drawn more often than it occurs.
    shares = chips.table["share_debris"].to_numpy()
    assert shares[drawn].min() > 0
    assert shares[drawn].mean() == pytest.approx((weights * shares).sum(), rel=0.15)


class TestClasses:
    @pytest.mark.parametrize("kind", ["median_frequency", "inverse_frequency"])
    def test_they_are_those_of_the_statistics_by_value(self, dataset, kind):
        found = dataset.class_weights(kind)

        pixels = np.array([dataset.statistics["classes"]["pixels"][name] for name in dataset.class_names])
        scale = np.median(pixels) if kind == "median_frequency" else pixels.sum() / 3
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, scale / pixels, rtol=1e-6)

    def test_an_unknown_kind_is_refused(self, dataset):
        with pytest.raises(ConfigError, match="inverse_frequency, median_frequency"):
            dataset.class_weights("frequency")

    def test_statistics_of_other_classes_are_refused(self, dataset):
        with pytest.raises(ShardError, match="no weights of none, debris, ice"):
            class_weights({"classes": {"weights": {"median_frequency": {"lake": 1.0}}}}, dataset.classes)
        with pytest.raises(ShardError, match="no weights"):
            class_weights({}, dataset.classes)
