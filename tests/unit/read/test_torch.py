"""Torch gets the same chips, whole batches at a time, shared out without loss."""

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils.data import DataLoader  # noqa: E402

from gcn_luigi.read.torch import ChipDataset, ChipStream, collate  # noqa: E402


@pytest.fixture(scope="module")
def reader(small_output):
    reader = gcn_luigi.open_dataset(small_output).chips("train")
    yield reader
    reader.close()


def positions_of(batches):
    return [position for batch in batches for position in batch["position"].tolist()]


def assert_same(batch, reader):
    plain = reader.batch(batch["position"].numpy())
    for name in ("image", "label", "flags"):
        np.testing.assert_array_equal(batch[name].numpy(), plain[name])


class TestDataset:
    def test_a_sample_is_a_chip(self, reader):
        sample = ChipDataset(reader)[3]

        assert sample["image"].dtype == torch.int16
        assert (sample["label"].dtype, sample["flags"].dtype) == (torch.uint8, torch.uint8)
        assert int(sample["position"]) == 3
        np.testing.assert_array_equal(sample["image"].numpy(), reader[3]["image"])

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_loader_gives_every_chip_once(self, reader, workers):
        context = "spawn" if workers else None
        loader = DataLoader(
            ChipDataset(reader), batch_size=16, collate_fn=collate, num_workers=workers, multiprocessing_context=context
        )

        batches = list(loader)

        assert positions_of(batches) == list(range(len(reader)))
        assert_same(batches[1], reader)

    def test_a_whole_batch_is_read_at_once(self, reader, monkeypatch):
        asked = []
        batch = type(reader).batch
        monkeypatch.setattr(
            type(reader),
            "batch",
            lambda self, indices, out=None: asked.append(len(indices)) or batch(self, indices, out),
        )

        next(iter(DataLoader(ChipDataset(reader), batch_size=16, collate_fn=collate)))

        assert asked == [16]

    def test_samples_taken_one_by_one_are_put_together_too(self, reader):
        dataset = ChipDataset(reader)

        assert_same(collate([dataset[5], dataset[2]]), reader)

    def test_the_sampler_decides(self, reader):
        order = [5, 3, 8]

        (batch,) = DataLoader(ChipDataset(reader), batch_size=3, sampler=order, collate_fn=collate)

        assert batch["position"].tolist() == order


class TestStream:
    @pytest.mark.parametrize("group", [None, 2])
    def test_an_epoch_sees_every_chip_once_and_the_next_one_in_another_order(self, reader, group):
        stream = ChipStream(reader, 16, seed=8, group=group)
        first = positions_of(stream)
        stream.set_epoch(1)
        second = positions_of(stream)

        assert sorted(first) == sorted(second) == list(range(len(reader)))
        assert first != second
        assert first == reader.order(seed=8, group=group).tolist()

    def test_batches_hold_the_chips_they_say(self, reader):
        for batch in ChipStream(reader, 16, seed=1):
            assert_same(batch, reader)

    def test_without_a_seed_the_order_is_that_of_the_index(self, reader):
        assert positions_of(ChipStream(reader, 16)) == list(range(len(reader)))

    @pytest.mark.parametrize("workers", [0, 1, 2])
    def test_a_loader_adds_nothing_and_its_workers_share_the_batches(self, reader, workers):
        stream = ChipStream(reader, 16, seed=8)
        context = "spawn" if workers else None
        loader = DataLoader(stream, batch_size=None, num_workers=workers, multiprocessing_context=context)

        batches = list(loader)

        assert len(batches) == len(stream)
        assert sorted(positions_of(batches)) == list(range(len(reader)))

    @pytest.mark.parametrize("world", [2, 3])
    @pytest.mark.parametrize("drop_last", [False, True])
    def test_processes_of_a_training_share_the_batches(self, reader, world, drop_last):
        parts = [list(ChipStream(reader, 16, seed=8, part=(rank, world), drop_last=drop_last)) for rank in range(world)]

        seen = sorted(position for part in parts for position in positions_of(part))
        assert len(seen) == len(set(seen))
        if drop_last:
            assert len({len(part) for part in parts}) == 1
            assert all(len(batch["position"]) == 16 for part in parts for batch in part)
        else:
            assert seen == list(range(len(reader)))

    @pytest.mark.parametrize("wrong", [{"part": (2, 2)}, {"part": (-1, 2)}, {"part": (0, 0)}, {"size": 0}])
    def test_parts_that_are_none_are_refused(self, reader, wrong):
        with pytest.raises(ConfigError, match="process"):
            ChipStream(reader, **{"size": 4, **wrong})


class TestCheckpoints:
    @pytest.mark.parametrize("group", [None, 2])
    @pytest.mark.parametrize("given", [0, 1, 3, 100])
    def test_a_pass_goes_on_after_one(self, reader, given, group):
        def stream():
            return ChipStream(reader, 16, seed=4, group=group)

        whole, first = stream(), stream()
        wanted = [batch["position"].tolist() for _ in range(3) for batch in whole]
        taken = []
        for _ in range(0 if not given else 1):
            for batch in first:
                taken.append(batch["position"].tolist())
                if len(taken) >= given:
                    break
        rest = stream()
        rest.load_state_dict(first.state_dict())
        while len(taken) < len(wanted):
            taken += [batch["position"].tolist() for batch in rest]

        assert taken == wanted

    def test_a_state_that_is_loaded_is_the_one_that_is_returned(self, reader):
        stream = ChipStream(reader, 16, seed=4)
        stream.load_state_dict({"epoch": 5, "batches": 2})

        assert stream.state_dict() == {"epoch": 5, "batches": 2}
        assert len(list(stream)) == len(stream) - 2
        assert stream.state_dict() == {"epoch": 5, "batches": len(stream)}
        assert (stream.epoch, len(list(stream))) == (6, len(stream))

    def test_choosing_an_epoch_forgets_a_state(self, reader):
        stream = ChipStream(reader, 16, seed=4)
        stream.load_state_dict({"epoch": 5, "batches": 2})
        stream.set_epoch(5)

        assert stream.state_dict() == {"epoch": 4, "batches": 0}
        assert positions_of(stream) == reader.order(seed=4, epoch=5).tolist()

    @pytest.mark.long
    def test_workers_go_on_with_the_rest_and_then_with_whole_epochs(self, reader):
        stream = ChipStream(reader, 16, seed=4)
        stream.load_state_dict({"epoch": 5, "batches": 2})
        loader = DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="spawn")

        first, second = (positions_of(loader) for _ in range(2))

        assert sorted(first) == sorted(reader.order(seed=4, epoch=5).tolist()[32:])
        assert sorted(second) == list(range(len(reader)))
        with pytest.raises(ConfigError, match="worker processes"):
            stream.state_dict()

    @pytest.mark.parametrize(
        "state",
        [{}, {"epoch": 0}, {"epoch": "1", "batches": 0}, {"epoch": 0, "batches": -1}, {"epoch": 0, "batches": 99}],
    )
    def test_a_state_of_something_else_is_refused(self, reader, state):
        with pytest.raises(ConfigError, match="no state"):
            ChipStream(reader, 16, seed=4).load_state_dict(state)
