"""Each pass over a stream is the next epoch, whoever makes it: this process, workers kept, workers started anew."""

import copy
import gc
import multiprocessing
import pickle
import tempfile

import pandas as pd
import pytest

from gcn_luigi.errors import PublishError
from gcn_luigi.read.epochs import EpochCounter
from gcn_luigi.read.reader import ChipReader
from tests.reference.shards import write_shard

COUNT, SIZE = 23, 4


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    path = tmp_path_factory.mktemp("epochs") / "train-00000-of-00002.h5"
    write_shard(path, COUNT)
    index = pd.DataFrame({"chip_id": [f"chip{row}" for row in range(COUNT)]})
    reader = ChipReader(path.parent, index.assign(shard=path.name, shard_row=range(COUNT)))
    yield reader
    reader.close()


@pytest.fixture
def stream_of(reader):
    torch_side = pytest.importorskip("gcn_luigi.read.torch", reason="torch is not installed", exc_type=ImportError)
    return lambda **changes: torch_side.ChipStream(reader, SIZE, **{"seed": 8, **changes})


def loader_of(stream, workers, context, *, kept):
    from torch.utils.data import DataLoader  # noqa: PLC0415  torch is an extra

    how = {"multiprocessing_context": context, "persistent_workers": kept} if workers else {}
    return DataLoader(stream, batch_size=None, num_workers=workers, **how)


def positions_of(batches):
    return [position for batch in batches for position in batch["position"].tolist()]


def in_turn(order, workers):
    """Return an order as a loader gives it: its batches dealt out to workers, and a batch taken of each in turn."""
    batches = [order[first : first + SIZE] for first in range(0, len(order), SIZE)]
    dealt = [batches[worker::workers] for worker in range(max(workers, 1))] if workers else [batches]
    taken = []
    for turn in range(len(batches)):
        taken += [mine[turn] for mine in dealt if turn < len(mine)]
    return [position for batch in taken for position in batch]


# Workers that do not fork take seconds to start, each: there are fewer of them, and they make fewer passes.
# Processes that start anew import torch, which takes seconds: one way of each in short runs.
SLOW = {(1, "forkserver"), (2, "spawn")}
WAYS = [(0, None, False)] + [
    pytest.param(workers, context, kept, marks=pytest.mark.nightly if (workers, context) in SLOW else ())
    for context in multiprocessing.get_all_start_methods()
    for workers in (1, 2)
    for kept in (False, True)
    if context == "fork" or kept == (workers == 2)
]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize(("workers", "context", "kept"), WAYS)
def test_every_pass_of_a_loader_is_the_next_epoch_of_the_seed(reader, stream_of, workers, context, kept):
    stream = stream_of()
    loader = loader_of(stream, workers, context, kept=kept)

    epochs = [0, 1, 7, 8] if context in (None, "fork") else [0, 1] if not kept else [0, 7, 8]
    passes = []
    for epoch in epochs:
        if epoch == 7:
            stream.set_epoch(7)
        passes.append(positions_of(loader))

    expected = [reader.order(seed=8, epoch=epoch).tolist() for epoch in epochs]
    assert passes == [in_turn(order, workers) for order in expected]
    assert [sorted(one) for one in passes] == [list(range(COUNT))] * len(epochs)
    assert stream.epoch == epochs[-1] + 1
    del loader
    gc.collect()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_pass_that_was_left_in_the_middle_is_over(reader, stream_of):
    stream = stream_of()
    loader = loader_of(stream, 2, "fork", kept=False)
    for batches in (stream, loader):
        next(iter(batches))
    gc.collect()

    later = positions_of(loader)

    assert later == in_turn(reader.order(seed=8, epoch=2).tolist(), 2)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_generator_seeded_alike_for_every_pass_does_not_stop_the_count(reader, stream_of):
    import torch  # noqa: PLC0415  torch is an extra

    stream = stream_of()
    passes = []
    for _ in range(3):
        torch.manual_seed(1)
        passes.append(positions_of(loader_of(stream, 2, "fork", kept=False)))

    assert passes == [in_turn(reader.order(seed=8, epoch=epoch).tolist(), 2) for epoch in range(3)]


def test_a_loop_without_a_loader_sees_another_order_every_time(reader, stream_of):
    stream = stream_of(part=(1, 2))

    passes = [positions_of(stream) for _ in range(3)]

    for epoch, found in enumerate(passes):
        order = reader.order(seed=8, epoch=epoch).tolist()
        assert found == [place for first in range(SIZE, COUNT, 2 * SIZE) for place in order[first : first + SIZE]]


def test_without_a_seed_every_pass_keeps_the_order_of_the_index(stream_of):
    stream = stream_of(seed=None)

    assert [positions_of(stream) for _ in range(2)] == [list(range(COUNT))] * 2
    assert len(stream) == 6


def test_the_epoch_is_chosen_when_a_pass_begins_not_at_its_first_batch(reader, stream_of):
    stream = stream_of()
    first, second = iter(stream), iter(stream)

    assert positions_of(second) == reader.order(seed=8, epoch=1).tolist()
    assert positions_of(first) == reader.order(seed=8, epoch=0).tolist()


class TestCounter:
    def test_the_workers_of_a_run_share_an_epoch_in_any_order(self):
        counter = EpochCounter()

        begun = [counter.begin(*who) for who in (("a", 1), ("a", 0), ("b", 0), ("a", 2), ("b", 1), ("b", 2))]

        assert begun == [0, 0, 1, 0, 1, 1]
        assert counter.begin() == 2
        assert counter.next == 3

    def test_a_worker_that_begins_a_run_again_begins_a_pass(self):
        counter = EpochCounter()

        assert [counter.begin("a", worker) for worker in (0, 1, 0, 1)] == [0, 0, 1, 1]

    def test_copies_share_the_count(self):
        counter = EpochCounter()
        for other in (copy.deepcopy(counter), pickle.loads(pickle.dumps(counter))):  # noqa: S301  our own bytes
            before = counter.next
            assert other.begin() == before
        assert counter.begin() == 2

    def test_a_copy_that_outlives_the_first_goes_on_by_itself(self):
        counter = EpochCounter()
        counter.set(4)
        worker = copy.deepcopy(counter)
        assert [worker.begin("a", 0), worker.begin("b", 0)] == [4, 5]
        other = pickle.loads(pickle.dumps(counter))  # noqa: S301  our own bytes
        del counter
        gc.collect()

        assert [other.begin(), other.begin()] == [6, 7]

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        counter = EpochCounter()
        counter.begin("a", 0)
        assert len(list(tmp_path.iterdir())) == 1

        del counter
        gc.collect()

        assert list(tmp_path.iterdir()) == []

    def test_many_runs_take_no_more_room_than_a_few(self):
        counter = EpochCounter()
        for run in range(300):
            assert counter.begin(str(run), 0) == run

        assert counter._path.stat().st_size < 10_000

    def test_no_place_for_the_count_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

        with pytest.raises(PublishError, match="temporary"):
            EpochCounter()
