"""Batches hold the chips asked for, in the order asked for, and leave alone what is kept of earlier ones."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, InputError, ShardError
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.stages.dataset.convert import convert_dataset

PLANES = ("image", "label", "flags")


@pytest.fixture(scope="module")
def stored(small_output, tmp_path_factory):
    """Return the small dataset in both layouts, by name."""
    windows = tmp_path_factory.mktemp("windows") / "tiny"
    convert_dataset(small_output, windows, "windows", None, lambda *_: None)
    return {"chips": small_output, "windows": windows}


@pytest.fixture(params=["chips", "windows", "preloaded chips", "preloaded windows"])
def reader(request, stored):
    reader = gcn_luigi.open_dataset(stored[request.param.split()[-1]]).chips("train")
    if request.param.startswith("preloaded"):
        reader.preload()
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def plain(small_output):
    """Return all train chips read by plain h5py, shard by shard."""
    parts = {name: [] for name in PLANES}
    for path in sorted((small_output / "shards").glob("train-*.h5")):
        with h5py.File(path) as file:
            for name in PLANES:
                parts[name].append(file[name][...])
    return {name: np.concatenate(values) for name, values in parts.items()}


def assert_same(batch, plain, positions):
    for name in PLANES:
        np.testing.assert_array_equal(batch[name], plain[name][positions])
    assert batch["position"].tolist() == list(positions)


class TestBatch:
    @pytest.mark.parametrize(
        "indices",
        [[0], [3, 1, 2], [5, 5, 5], [-1, 0, -3], range(20), np.arange(30)[::-3], np.array([7, 2], np.uint8)],
        ids=str,
    )
    def test_it_holds_the_chips_asked_for_in_that_order(self, reader, plain, indices):
        wanted = [int(position) % len(reader) for position in indices]

        assert_same(reader.batch(indices), plain, wanted)

    def test_arrays_are_of_the_documented_shapes_and_types(self, reader):
        batch = reader.batch([1, 2, 3])

        assert {name: (batch[name].shape, str(batch[name].dtype)) for name in batch} == {
            "image": ((3, 3, 32, 32), "int16"),
            "label": ((3, 32, 32), "uint8"),
            "flags": ((3, 32, 32), "uint8"),
            "position": ((3,), "int64"),
        }

    def test_nothing_asked_for_is_an_empty_batch(self, reader):
        batch = reader.batch([])

        assert batch["image"].shape == (0, 3, 32, 32)
        assert batch["position"].shape == (0,)

    def test_arrays_of_an_earlier_batch_are_written_to(self, reader, plain):
        first = reader.batch([0, 1])
        kept = {name: first[name] for name in PLANES}

        second = reader.batch([4, 3], out=first)

        assert all(second[name] is kept[name] for name in PLANES)
        assert_same(second, plain, [4, 3])

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda batch: batch | {"image": batch["image"][:1]},
            lambda batch: batch | {"label": batch["label"].astype(np.int8)},
            lambda batch: batch | {"flags": batch["flags"].transpose(0, 2, 1)},
            lambda batch: {name: values for name, values in batch.items() if name != "flags"},
            lambda batch: batch | {"image": batch["image"].tolist()},
        ],
        ids=["fewer", "signed", "turned", "lost", "a list"],
    )
    def test_arrays_that_do_not_fit_are_refused(self, reader, spoil):
        with pytest.raises(InputError, match="not"):
            reader.batch([0, 1], out=spoil(dict(reader.batch([0, 1]))))

    @pytest.mark.parametrize("indices", [[10_000], [0, -10_000], [1.5], [[1, 2]], ["a"], [True, False]], ids=str)
    def test_what_is_no_position_is_refused(self, reader, indices):
        with pytest.raises((IndexError, InputError)):
            reader.batch(indices)

    def test_ids_are_those_of_the_index(self, reader, stored):
        index = gcn_luigi.open_dataset(stored["chips"]).chip_table
        wanted = index.loc[index["split"] == "train", "chip_id"].tolist()

        assert reader.ids([3, 0, -1]) == [wanted[3], wanted[0], wanted[-1]]

    @pytest.mark.parametrize("layout", ["chips", "windows"])
    def test_threads_give_the_same(self, stored, plain, layout):
        reader = gcn_luigi.open_dataset(stored[layout]).chips("train", threads=3, cache_mb=0)
        order = np.random.default_rng(2).permutation(len(reader))

        assert_same(reader.batch(order), plain, order.tolist())
        reader.close()

    def test_several_threads_may_use_one_reader(self, reader, plain):
        order = np.random.default_rng(3).permutation(len(reader))
        parts = np.array_split(order, 24)

        with ThreadPoolExecutor(4) as pool:
            for part, batch in zip(parts, pool.map(reader.batch, parts), strict=True):
                assert_same(batch, plain, part.tolist())


class TestBatches:
    @pytest.mark.parametrize(
        ("size", "drop_last"), [(7, False), (7, True), (1, False), (10_000, False), (10_000, True)]
    )
    def test_every_chip_comes_once_in_batches_of_the_size(self, reader, plain, size, drop_last):
        seen, lengths = [], []
        for batch in reader.batches(size, drop_last=drop_last):
            assert_same(batch, plain, batch["position"].tolist())
            seen += batch["position"].tolist()
            lengths.append(len(batch["position"]))

        n = len(reader)
        assert lengths == [size] * (n // size) + ([n % size] if n % size and not drop_last else [])
        assert seen == list(range(sum(lengths)))

    def test_an_order_is_followed(self, reader, plain):
        order = reader.order(seed=8, epoch=3)

        batches = [dict(batch) for batch in reader.batches(16, order)]

        assert np.concatenate([batch["position"] for batch in batches]).tolist() == order.tolist()
        for batch in batches:
            assert_same(batch, plain, batch["position"].tolist())

    def test_batches_that_are_kept_stay_as_they_are(self, reader, plain):
        kept = list(reader.batches(5, ahead=1))

        for batch in kept:
            assert_same(batch, plain, batch["position"].tolist())

    def test_memory_of_batches_let_go_is_used_again(self, reader):
        places = {batch["image"].__array_interface__["data"][0] for batch in reader.batches(4, drop_last=True)}

        assert len(places) <= 5 < len(reader) // 4

    def test_leaving_early_ends_the_thread(self, reader):
        before = threading.active_count()

        for _ in reader.batches(2):
            break

        assert threading.active_count() == before

    @pytest.mark.parametrize("wrong", [{"size": 0}, {"size": -1}, {"size": 4, "ahead": 0}])
    def test_sizes_below_one_are_refused_at_once(self, reader, wrong):
        with pytest.raises(ConfigError, match="at least 1"):
            reader.batches(**wrong)

    @pytest.mark.fault
    def test_damage_is_told_in_its_turn(self, stored, monkeypatch):
        reader = gcn_luigi.open_dataset(stored["chips"]).chips("train")
        read_row = ShardReader.read_row

        def damaged(self, name, row, out):
            if row == 9 and self.path.name.startswith("train-00000"):
                raise OSError("the checksum of a chunk is wrong: it is damaged")
            read_row(self, name, row, out)

        monkeypatch.setattr(ShardReader, "read_row", damaged)
        seen = []

        with pytest.raises(ShardError, match="damaged"):
            seen.extend(batch["position"][0] for batch in reader.batches(4))

        assert seen == [0, 4]


class TestOrder:
    @pytest.mark.parametrize("group", [None, 1, 3, 1000])
    def test_every_chip_once_and_the_same_each_time(self, reader, group):
        order = reader.order(seed=1, epoch=2, group=group)

        assert sorted(order) == list(range(len(reader)))
        assert order.tolist() == reader.order(seed=1, epoch=2, group=group).tolist()
        assert order.tolist() != reader.order(seed=1, epoch=3, group=group).tolist()

    @pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 0, "epoch": -1}, {"seed": 0, "group": 0}])
    def test_numbers_too_small_are_refused(self, reader, wrong):
        with pytest.raises(ConfigError, match="no order"):
            reader.order(**wrong)


class TestProcesses:
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_process_goes_on_reading(self, reader, plain):
        reader.batch([0, 1])
        child = os.fork()
        if child == 0:
            # Nothing of pytest may run in here.
            try:
                batch = reader.batch([3, 2])
                os._exit(0 if np.array_equal(batch["image"], plain["image"][[3, 2]]) else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert_same(reader.batch([5]), plain, [5])

    @pytest.mark.parametrize("layout", ["chips", "windows"])
    def test_a_spawned_process_reads_what_it_was_sent(self, stored, plain, layout):
        reader = gcn_luigi.open_dataset(stored[layout]).chips("train", threads=2).preload()

        with multiprocessing.get_context("spawn").Pool(1) as pool:
            batch = pool.apply(reader.batch, ([4, 9],))

        assert_same(batch, plain, [4, 9])


class TestPreload:
    def test_what_does_not_fit_in_memory_is_refused_with_what_to_do(self, stored, monkeypatch):
        monkeypatch.setattr("gcn_luigi.read.store.pixels.free_bytes", lambda: 1000)
        reader = gcn_luigi.open_dataset(stored["windows"]).chips("train")

        with pytest.raises(ConfigError, match="do not fit") as caught:
            reader.preload()

        assert "order(group=" in caught.value.fix

    def test_it_says_on_request_how_much_is_read(self, stored, capfd):
        gcn_luigi.open_dataset(stored["windows"]).chips("train").preload(progress=True)

        lines = capfd.readouterr().err.splitlines()
        assert lines[-1] == "reading: 100 %"
        assert len(lines) == len(set(lines)) <= 11

    def test_closing_gives_the_memory_back(self, stored):
        reader = gcn_luigi.open_dataset(stored["windows"]).chips("train").preload()

        reader.close()

        assert reader._store._cache is None
        assert reader[0]["label"].shape == (32, 32)


def test_a_shard_that_the_program_has_open_otherwise_is_read_all_the_same(stored, plain):
    path = next((stored["chips"] / "shards").glob("train-00000-*"))

    with h5py.File(path) as file:
        assert_same(gcn_luigi.open_dataset(stored["chips"]).chips("train").batch([0]), plain, [0])
        assert file["chip"].shape[0] > 0
