"""Chips are found by their ids, and a reader can be narrowed."""

import pickle

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.read.store.ids import similar


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


def test_an_id_gives_the_chip_of_this_name(dataset):
    chips = dataset.chips("train")
    for position in (0, len(chips) // 2, len(chips) - 1):
        (name,) = chips.ids([position])
        found = chips[name]

        assert found["chip_id"] == name
        np.testing.assert_array_equal(found["image"], chips[position]["image"])


def test_an_unknown_id_is_answered_with_similar_ones(dataset):
    chips = dataset.chips("train")
    (name,) = chips.ids([7])

    with pytest.raises(ConfigError, match="has no chip") as raised:
        chips[name[:-1] + "x"]

    assert name in raised.value.fix


def test_a_chip_of_another_split_is_unknown(dataset):
    with pytest.raises(ConfigError, match="has no chip"):
        dataset.chips("train")[dataset.chips("dev").ids([0])[0]]


def test_an_id_in_a_reader_without_chips_is_a_plain_error(dataset):
    with pytest.raises(ConfigError, match="has no chip"):
        dataset.chips("train", where="share_debris > 2")["demo"]


def test_similar_names_are_found_among_many():
    names = [f"region_train_r{row:04d}_c{col:04d}" for row in range(100) for col in range(100)]

    assert similar("region_train_r0042_c0O17", names)[0] == "region_train_r0042_c0017"
    assert similar("", names)
    assert similar("anything", []) == []


class TestWhere:
    def test_it_gives_the_chips_that_the_condition_gives_at_once(self, dataset):
        condition = "share_debris > 0.05"
        found, wanted = dataset.chips("train").where(condition), dataset.chips("train", where=condition)

        assert 0 < len(found) < len(dataset.chips("train"))
        assert found.ids(range(len(found))) == wanted.ids(range(len(wanted)))
        np.testing.assert_array_equal(found[0]["image"], wanted[0]["image"])
        assert found.table["share_debris"].min() > 0.05

    def test_conditions_add_up_and_are_named_if_no_chip_is_left(self, dataset):
        none = dataset.chips("train", years=dataset.chips("train").table["year"].iloc[0]).where("share_ice > 2")

        assert len(none) == 0
        with pytest.raises(ConfigError, match=r"years=.*, where='share_ice > 2'"):
            none.order(seed=1)

    def test_an_unknown_column_is_refused(self, dataset):
        with pytest.raises(ConfigError, match="no column share_snow"):
            dataset.chips("dev").where("share_snow > 0")


def test_a_reader_that_was_sent_to_another_process_still_reads(dataset):
    chips = dataset.chips("dev")
    copy = pickle.loads(pickle.dumps(chips))  # noqa: S301  our own

    np.testing.assert_array_equal(copy[0]["label"], chips[0]["label"])
    assert len(copy.where("share_ice >= 0")) == len(chips)
