"""Chips on a device are those of the reader, each as often as it should be, whatever the places, groups and parts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError
from gcn_luigi.read.reader import ChipReader
from gcn_luigi.read.store.orders import checked_positions

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch import DeviceChips  # noqa: E402
from gcn_luigi.read.torch.ground import grounds_of  # noqa: E402
from gcn_luigi.read.torch.pixels import DevicePixels, ground_bytes  # noqa: E402

SIZE, EDGE = 4, 12


class DrawnReader(ChipReader):
    """A reader of chips that are cut from random partitions in memory, without files."""

    def __init__(self, table, seed=0, size=SIZE):
        self._table, self._conditions, self._edge_px = table, "", size
        self._ground = {}
        rng = np.random.default_rng(seed)
        for key in sorted(set(zip(table["partition"], table["year"], strict=True))):
            image = rng.integers(-99, 99, (2, EDGE, EDGE)).astype(np.int16)
            label, flags = rng.integers(0, 3, (2, EDGE, EDGE)).astype(np.uint8)
            self._ground[key] = {"image": image, "label": label, "flags": flags}

    def __len__(self):
        return len(self._table)

    size = property(lambda self: self._edge_px)
    edge = "clamp"

    def batch(self, indices, out=None):
        del out
        positions = checked_positions(indices, len(self))
        found = {"image": [], "label": [], "flags": []}
        for row in self._table.iloc[positions].itertuples():
            window = slice(row.row, row.row + self.size), slice(row.col, row.col + self.size)
            for name, plane in self._ground[row.partition, row.year].items():
                found[name].append(plane[(..., *window)])
        return {**{name: np.stack(planes) for name, planes in found.items()}, "position": positions}


FIVE = pd.DataFrame([(name, 2000, 0, 0) for name in "pqrst"], columns=["partition", "year", "row", "col"])


def dataset_of(reader):
    statistics = {"bands": {name: {"mean": 1.0, "std": 2.0} for name in "ab"}}
    bands = (Band("a", Role.OPTICAL), Band("b", Role.TOPO))
    return SimpleNamespace(chips=lambda *_, **__: reader, statistics=statistics, bands=bands)


def chips_of(reader, groups_of=None):
    """Return chips of a reader, all on the device, or `groups_of` partitions at a time."""
    grounds = list(grounds_of(reader))
    room = len(grounds) if groups_of is None else 2 * groups_of
    return DeviceChips(
        dataset_of(reader), "train", device="cpu", memory_mb=(room + 0.5) * ground_bytes(reader, grounds) / 1e6
    )


@st.composite
def tables(draw):
    """Return chips of few places, of most of which there are several years."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    corners = draw(st.sampled_from([[0], [0, 3], [0, 3, 8]]))
    count = draw(st.integers(1, 40))
    drawn = [
        rng.choice(list("pqrstu"), count),
        *(rng.choice(one, count) for one in (range(2000, 2003), corners, corners)),
    ]
    table = pd.DataFrame(dict(zip(["partition", "year", "row", "col"], drawn, strict=True)))
    return table.astype({"partition": object}).drop_duplicates(ignore_index=True)


@settings(max_examples=150, deadline=None)
@given(
    table=tables(),
    groups_of=st.sampled_from([None, 1, 2, 3]),
    size=st.integers(1, 9),
    seed=st.none() | st.integers(0, 99),
    mixes=st.booleans(),
    world=st.integers(1, 3),
)
def test_an_epoch_shows_each_chip_or_place_once_as_it_is_stored(table, groups_of, size, seed, mixes, world):
    reader = DrawnReader(table)
    chips = chips_of(reader, groups_of)
    mixes = mixes and seed is not None
    per_rank = [chips.batches(size, seed=seed, mix_years=mixes, part=(rank, world)) for rank in range(world)]
    for _ in range(2):
        shown = []
        for batches in per_rank:
            found = list(batches)
            assert len(found) == len(batches)
            for batch in found:
                positions = batch["position"].numpy()
                plain = reader.batch(positions)
                for name in ("label", "flags"):
                    np.testing.assert_array_equal(batch[name].numpy(), plain[name])
                values = chips.normalise(torch.from_numpy(plain["image"]), torch.from_numpy(plain["flags"]))
                assert torch.equal(batch["image"], values)
                shown += positions.tolist()
        assert len(shown) == len(set(shown))
        names = ["partition", "row", "col"]
        expected = table if not mixes else table.drop_duplicates(names)
        assert len(shown) == len(expected)
        assert set(table.iloc[shown][names].itertuples(index=False)) == set(expected[names].itertuples(index=False))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_places_of_partitions_that_an_epoch_leaves_out_do_not_disturb_the_others(size):
    """A partition and year of which no place is drawn is not needed, and the groups after it still hold together."""
    single = [(name, year, 0, 0) for name in "pqr" for year in (2000, 2001)]
    several = [(name, year, 0, col) for name in "stu" for year in (2000, 2001) for col in (0, 3, 8)]
    reader = DrawnReader(pd.DataFrame(single + several, columns=["partition", "year", "row", "col"]))
    batches = chips_of(reader, 2).batches(size, seed=1, mix_years=True)
    for _ in range(20):
        for batch in batches:
            np.testing.assert_array_equal(batch["label"].numpy(), reader.batch(batch["position"].numpy())["label"])


@settings(max_examples=60, deadline=None)
@given(
    table=tables(), groups_of=st.sampled_from([None, 1, 2]), size=st.integers(1, 9), mixes=st.booleans(), data=st.data()
)
def test_a_pass_goes_on_anywhere(table, groups_of, size, mixes, data):
    chips = chips_of(DrawnReader(table), groups_of)

    def batches():
        return chips.batches(size, seed=5, mix_years=mixes, turn=True)

    whole = batches()
    epochs = [[(one["position"].tolist(), one["image"]) for one in whole] for _ in range(2)]
    first = batches()
    given = data.draw(st.integers(1, len(first)))
    for _, _ in zip(range(given), first, strict=False):
        pass
    rest = batches()
    rest.load_state_dict(first.state_dict())

    found = [(one["position"].tolist(), one["image"]) for one in rest]

    wanted = epochs[0][given:] or epochs[1]
    assert [positions for positions, _ in found] == [positions for positions, _ in wanted]
    assert all(torch.equal(one[1], other[1]) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("groups_of", [None, 1])
@pytest.mark.parametrize("wrong", [[99], [-9], [0, 5]])
def test_chips_that_are_not_there_are_refused(groups_of, wrong):
    with pytest.raises(IndexError, match="of 5"):
        chips_of(DrawnReader(FIVE), groups_of).batch(wrong)


@pytest.mark.parametrize("memory_mb", [float("nan"), -1.0, 0])
def test_an_amount_of_memory_that_makes_no_sense_is_refused(memory_mb):
    with pytest.raises(ConfigError, match="hold fewer than"):
        DeviceChips(dataset_of(DrawnReader(FIVE)), "train", device="cpu", memory_mb=memory_mb)


def test_endless_memory_holds_all():
    chips = DeviceChips(dataset_of(DrawnReader(FIVE)), "train", device="cpu", memory_mb=float("inf"))

    assert isinstance(chips.pixels, DevicePixels)


@pytest.mark.parametrize("groups_of", [None, 1])
def test_an_epoch_of_which_no_batch_came_is_not_left_out(groups_of, monkeypatch):
    chips = chips_of(DrawnReader(FIVE), groups_of)
    whole, disturbed = chips.batches(1, seed=7), chips.batches(1, seed=7)
    epochs = [[batch["position"].tolist() for batch in whole] for _ in range(3)]
    assert [batch["position"].tolist() for batch in disturbed] == epochs[0]

    with monkeypatch.context() as patch:
        patch.setattr(chips, "normalise", fail)
        with pytest.raises(OSError, match="gone"):
            next(iter(disturbed))
    rest = chips.batches(1, seed=7)
    rest.load_state_dict(disturbed.state_dict())

    for batches in (disturbed, rest):
        assert [[batch["position"].tolist() for batch in batches] for _ in range(2)] == epochs[1:]


def fail(*_):
    raise OSError("gone")
