"""Chips that are cut on the device are those of the reader, to the bit."""

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.read.normalise import normalise

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch import ChipStream, DeviceChips  # noqa: E402


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


def test_raw_chips_are_those_of_the_reader(dataset):
    reader, chips = dataset.chips("train"), DeviceChips(dataset, "train", device="cpu")
    positions = np.random.default_rng(3).permutation(len(reader))[:40]

    found, plain = chips.batch(positions), reader.batch(positions)

    assert set(found) == set(plain)
    for name, values in found.items():
        assert values.numpy().dtype == plain[name].dtype
        np.testing.assert_array_equal(values.numpy(), plain[name])


@pytest.mark.parametrize("part", [(0, 1), (0, 3), (2, 3)])
@pytest.mark.parametrize("seed", [None, 5])
def test_epochs_have_the_order_of_a_stream_and_normalised_images(dataset, seed, part):
    reader = dataset.chips("train")
    chips = DeviceChips(dataset, "train", device="cpu").batches(16, seed=seed, part=part)
    stream = ChipStream(reader, 16, seed=seed, part=part)
    assert len(chips) == len(stream)
    for _ in range(2):
        for ours, theirs in zip(chips, stream, strict=True):
            assert ours["position"].tolist() == theirs["position"].tolist()
            wanted = normalise(theirs["image"].numpy(), theirs["flags"].numpy(), dataset.statistics, dataset.bands)
            np.testing.assert_allclose(ours["image"].numpy(), wanted, rtol=1e-5, atol=1e-5)
            assert not ours["image"].numpy()[wanted == 0].any()


def test_turns_are_drawn_anew_in_each_epoch_and_again_the_same(dataset):
    def epochs():
        chips = DeviceChips(dataset, "train", device="cpu").batches(32, seed=1, turn=True)
        return [torch.cat([batch["image"] for batch in chips]) for _ in range(2)]

    first, again = epochs(), epochs()

    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(*first)


def test_parts_are_disjoint_and_whole(dataset):
    chips = DeviceChips(dataset, "train", device="cpu")
    shown = [
        position
        for rank in range(3)
        for batch in chips.batches(8, seed=2, part=(rank, 3))
        for position in batch["position"].tolist()
    ]

    assert sorted(shown) == list(range(len(dataset.chips("train"))))


@pytest.mark.parametrize("wrong", [{"size": 0}, {"part": (3, 3)}, {"turn": True}, {"mix_years": True}])
def test_arguments_out_of_range_are_refused(dataset, wrong):
    with pytest.raises(ConfigError, match="not possible"):
        DeviceChips(dataset, "train", device="cpu").batches(**{"size": 4, **wrong})


@pytest.mark.parametrize("given", [0, 1, 3, 100])
def test_a_pass_goes_on_after_a_checkpoint(dataset, given):
    def chips():
        return DeviceChips(dataset, "train", device="cpu").batches(32, seed=4, turn=True)

    whole, first = chips(), chips()
    batches = [batch["image"] for _ in range(2) for batch in whole]
    taken = []
    for batch in first:
        taken.append(batch["image"])
        if len(taken) >= given:
            break
    state = first.state_dict() if given else chips().state_dict()
    rest = chips()
    rest.load_state_dict(state)
    found = [batch["image"] for batch in rest] + [batch["image"] for batch in rest]

    # What is left of both epochs comes first, and then the next epoch.
    expected = batches[min(given, len(whole)) :]
    assert len(found) >= len(expected)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=False))


@pytest.mark.parametrize("state", [{}, {"epoch": 0}, {"epoch": 0, "batches": -1}, {"epoch": 0, "batches": 999}])
def test_a_state_of_something_else_is_refused(dataset, state):
    with pytest.raises(ConfigError, match="no state"):
        DeviceChips(dataset, "train", device="cpu").batches(4).load_state_dict(state)


def test_a_device_without_room_is_a_plain_error(dataset, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "zeros", full)

    with pytest.raises(ConfigError, match="do not fit in the memory of cpu"):
        DeviceChips(dataset, "train", device="cpu")


@pytest.mark.parametrize("device", ["abacus", "xpu"])
def test_a_device_that_torch_cannot_use_is_a_plain_error(dataset, device):
    with pytest.raises(ConfigError, match=f"cannot use the device {device}"):
        DeviceChips(dataset, "train", device=device)
