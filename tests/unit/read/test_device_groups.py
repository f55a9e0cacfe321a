"""Pixels that do not fit on a device together come group by group, and give the same chips."""

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, ShardError
from gcn_luigi.read.reader import ChipReader

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch import DeviceChips  # noqa: E402
from gcn_luigi.read.torch.ground import grounds_of  # noqa: E402
from gcn_luigi.read.torch.pixels import GroupedPixels, copied, ground_bytes, indexed  # noqa: E402


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


@pytest.fixture(scope="module")
def partition_mb(dataset):
    reader = dataset.chips("train")
    return ground_bytes(reader, list(grounds_of(reader))) / 1e6


def grouped(dataset, partition_mb, count):
    """Return chips of which `count` partitions fit on the device, two groups of half as many."""
    chips = DeviceChips(dataset, "train", device="cpu", memory_mb=(count + 0.5) * partition_mb)
    assert isinstance(chips.pixels, GroupedPixels)
    return chips


def partitions_of(dataset, positions):
    return dataset.chips("train").placed["partition"].to_numpy(str)[positions]


# One partition a group, so that a batch is of several groups; and a last group that is smaller.
@pytest.mark.parametrize("count", [2, 4, 6])
@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("size", [5, 64])
def test_chips_are_those_of_the_reader_each_once(dataset, partition_mb, count, seed, size):
    reader = dataset.chips("train")
    batches = grouped(dataset, partition_mb, count).batches(size, seed=seed)
    orders = []
    for _ in range(2):
        found = list(batches)
        assert len(found) == len(batches)
        positions = np.concatenate([batch["position"].numpy() for batch in found])
        assert sorted(positions) == list(range(len(reader)))
        orders.append(positions.tolist())
        for batch in found:
            plain = reader.batch(batch["position"].numpy())
            for name in ("label", "flags"):
                np.testing.assert_array_equal(batch[name].numpy(), plain[name])
            whole = DeviceChips(dataset, "train", device="cpu") if size == 64 else None
            if whole is not None:
                raw = whole.batch(batch["position"].numpy())
                assert torch.equal(batch["image"], whole.normalise(raw["image"], raw["flags"]))
    assert (orders[0] == orders[1]) is (seed is None)


def test_only_the_chips_of_a_group_are_mixed(dataset, partition_mb):
    batches = grouped(dataset, partition_mb, 4).batches(8, seed=1)

    shown = partitions_of(dataset, np.concatenate([batch["position"].numpy() for batch in batches]))

    names, first = np.unique(shown, return_index=True)
    last = len(shown) - 1 - np.unique(shown[::-1], return_index=True)[1]
    order = np.argsort(first)
    assert len(names) > 4
    # Two partitions a group: a third one begins only after both have ended.
    for number in range(2, len(names), 2):
        assert last[order[:number]].max() < first[order[number:]].min()


def test_parts_are_disjoint_and_whole_and_those_of_the_same_order(dataset, partition_mb):
    chips = grouped(dataset, partition_mb, 4)
    alone = [batch["position"].tolist() for batch in chips.batches(7, seed=2)]

    parts = [[batch["position"].tolist() for batch in chips.batches(7, seed=2, part=(rank, 3))] for rank in range(3)]

    for rank in range(3):
        assert parts[rank] == alone[rank::3]


@pytest.mark.parametrize("given", [1, 4])
def test_a_pass_goes_on_after_a_checkpoint(dataset, partition_mb, given):
    def batches():
        return grouped(dataset, partition_mb, 4).batches(16, seed=4, turn=True)

    whole = [batch["image"] for batch in batches()]
    first = batches()
    for _, _ in zip(range(given), first, strict=False):
        pass
    rest = batches()
    rest.load_state_dict(first.state_dict())

    found = [batch["image"] for batch in rest]

    assert len(found) == len(whole) - given
    assert all(torch.equal(one, other) for one, other in zip(found, whole[given:], strict=True))


def test_a_pass_reads_the_shards_of_each_partition_once(dataset, partition_mb, monkeypatch):
    chips = grouped(dataset, partition_mb, 4)
    batches, read, plain = chips.batches(16, seed=4), [], ChipReader.batch

    def counted(reader, positions, out=None):
        read.extend(np.unique(partitions_of(dataset, np.asarray(positions))).tolist())
        return plain(reader, positions, out)

    monkeypatch.setattr(ChipReader, "batch", counted)
    list(batches)

    assert sorted(read) == sorted(np.unique(partitions_of(dataset, np.arange(len(chips)))))


def test_single_chips_are_found_whichever_group_they_are_of(dataset, partition_mb):
    chips, reader = grouped(dataset, partition_mb, 2), dataset.chips("train")
    positions = [0, -1, len(reader) // 2]

    found, plain = chips.batch(positions), reader.batch(positions)

    for name, values in found.items():
        np.testing.assert_array_equal(values.numpy(), plain[name])


def test_a_pass_that_is_left_early_leaves_no_thread(dataset, partition_mb):
    import threading  # noqa: PLC0415

    batches = iter(grouped(dataset, partition_mb, 2).batches(4, seed=1))
    next(batches)
    batches.close()

    assert not [one for one in threading.enumerate() if one.name.startswith("gcn-device")]


def test_memory_for_less_than_two_partitions_is_refused(dataset, partition_mb):
    with pytest.raises(ConfigError, match="hold fewer than 2 partitions") as refused:
        DeviceChips(dataset, "train", device="cpu", memory_mb=1.5 * partition_mb)
    assert "ChipStream" in str(refused.value)


def test_a_shard_that_is_damaged_meanwhile_ends_the_pass(dataset, partition_mb, monkeypatch):
    chips = grouped(dataset, partition_mb, 2)
    batches = iter(chips.batches(4, seed=1))
    next(batches)

    def damaged(*_, **__):
        raise ShardError("a chunk is damaged", where="train-00000-of-00001.h5", fix="build it again")

    monkeypatch.setattr(ChipReader, "batch", damaged)

    with pytest.raises(ShardError, match="a chunk is damaged"):
        list(batches)


@pytest.mark.parametrize("shape", [(5, 3, 40, 31), (5, 40, 31)])
@pytest.mark.parametrize("n_chips", [0, 1, 9])
def test_windows_are_equal_by_one_operation_and_one_by_one(shape, n_chips):
    draw = np.random.default_rng(n_chips)
    plane = torch.from_numpy(draw.integers(-9, 9, shape, np.int16))
    slots = draw.integers(0, 5, n_chips)
    corners = np.column_stack([draw.integers(0, 40 - 16 + 1, n_chips), draw.integers(0, 31 - 16 + 1, n_chips)])

    found = [cut(plane, slots, corners, 16) for cut in (copied, indexed)]

    assert torch.equal(*found)
    for chip in range(n_chips):
        row, col = corners[chip]
        assert torch.equal(found[0][chip], plane[slots[chip], ..., row : row + 16, col : col + 16])


def test_the_rest_of_an_epoch_of_other_groups_is_refused(dataset, partition_mb):
    few, more = (grouped(dataset, partition_mb, count).batches(16, seed=1) for count in (2, 4))
    whole = DeviceChips(dataset, "train", device="cpu").batches(16, seed=1)
    next(iter(few))

    for other, now in ((more, "2"), (whole, "all")):
        with pytest.raises(ConfigError, match=f"groups of 1 partitions on the device, and now there are {now}"):
            other.load_state_dict(few.state_dict())
    list(few)
    whole.load_state_dict(few.state_dict())
    assert next(iter(whole))["position"].tolist() != next(iter(few))["position"].tolist()


def test_processes_must_agree_on_the_memory_for_groups(dataset, partition_mb, monkeypatch):
    monkeypatch.setattr("gcn_luigi.read.torch.device.free_memory", lambda _device: int(9 * partition_mb * 1e6))
    chips = DeviceChips(dataset, "train", device="cpu")
    assert chips.pixels.group == 2

    assert len(chips.batches(8, seed=1))
    with pytest.raises(ConfigError, match="may differ between processes"):
        chips.batches(8, seed=1, part=(0, 2))
