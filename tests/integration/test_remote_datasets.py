"""A dataset in a store gives the same as on disk, with few requests, or an error; never other pixels."""

import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

import matplotlib.text
import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, ShardError, StoreError
from gcn_luigi.io.objects.ranges import joined
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.stages.dataset.convert import convert_dataset
from tests.contracts.fences import blocks
from tests.stores import KEY, SECRET, s3, serving, upload

pytest.importorskip("obstore")

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module", params=["chips", "windows", "none"])
def stored(request, tiny_output, tmp_path_factory):
    """Return the directory of a dataset in either layout, also without compression."""
    if request.param == "chips":
        return tiny_output / "tiny"
    target = tmp_path_factory.mktemp("converted") / "tiny"
    layout, codec = {"windows": ("windows", None), "none": ("chips", "none")}[request.param]
    convert_dataset(tiny_output / "tiny", target, layout, codec, lambda *_: None)
    return target


@pytest.fixture
def server(stored):
    with serving(stored.parent) as running:
        yield running


@pytest.fixture
def plain(tiny_output):
    """Return a server of a copy of the dataset with the layout chips, which tests may change."""
    with serving(tiny_output) as running:
        yield running


@pytest.fixture
def changeable(tiny_output, tmp_path):
    shutil.copytree(tiny_output / "tiny", tmp_path / "tiny")
    with serving(tmp_path) as running:
        yield running


def opened(server, **how):
    return gcn_luigi.open_dataset(f"{server.url}/tiny", **how)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


class TestSame:
    def test_tables_and_facts_are_those_on_disk(self, stored, server):
        here, there = gcn_luigi.open_dataset(stored), opened(server)

        assert (there.digest, there.data_digest, there.bands) == (here.digest, here.data_digest, here.bands)
        assert (there.lattice, there.statistics, there.splits) == (here.lattice, here.statistics, here.splits)
        assert there.chip_table.equals(here.chip_table)
        assert there.chip_boxes.equals(here.chip_boxes)
        assert there.partition_table.equals(here.partition_table)
        assert there.chip_features.equals(here.chip_features)
        assert repr(there) == repr(here)
        # Each file is fetched once; the index a second time for its shapes, and a byte of dataset.json for a shard.
        names = [name for name, _, size in server.asked if not name.endswith(".h5") and size > 1]
        assert {name for name in names if names.count(name) > 1} == {"tiny/index.parquet"}
        assert names.count("tiny/index.parquet") == 2

    def test_a_notebook_shows_it_without_fetching_pixels(self, plain):
        there = opened(plain)
        page = there._repr_html_()

        assert "No chip is shown, because the dataset is in a store" in page
        assert "supraglacial debris" in page
        # Only names and roles of bands are read from a shard.
        asked = [name for name, *_ in plain.asked if name.endswith(".h5")]
        there.bands  # noqa: B018  they are known already
        assert [name for name, *_ in plain.asked if name.endswith(".h5")] == asked
        assert len(set(asked)) == 1

    def test_figures_are_drawn_as_on_disk(self, plain, tiny_output):
        here, there = gcn_luigi.open_dataset(tiny_output / "tiny"), opened(plain)
        name = here.chip_table["chip_id"].iloc[4]

        ours, theirs = (dataset.plot(name).axes[0].images[0].get_array() for dataset in (here, there))
        np.testing.assert_array_equal(ours, theirs)
        texts = " ".join(text.get_text() for text in there.map().findobj(matplotlib.text.Text))
        assert "Without a relief, because the dataset is in a store" in texts
        assert "train: " in texts

    @pytest.mark.parametrize("threads", [1, 3])
    def test_batches_chips_and_orders_are_those_on_disk(self, stored, server, threads):
        here = gcn_luigi.open_dataset(stored).chips("train")
        there = opened(server).chips("train", threads=threads)
        order = here.order(seed=4)

        np.testing.assert_array_equal(there.order(seed=4, group=3), here.order(seed=4, group=3))
        for one, other in zip(here.batches(16, order), there.batches(16, order), strict=True):
            assert_same(one, other)
        assert_same(there.batch([5, 1, 5, -1, 1]), here.batch([5, 1, 5, -1, 1]))
        assert_same(there[7], here[7])
        there.close()
        assert_same(there.batch([3]), here.batch([3]))

    def test_several_threads_use_one_reader(self, stored, server):
        here, there = gcn_luigi.open_dataset(stored).chips("train"), opened(server).chips("train")
        orders = [here.order(seed=seed)[:24] for seed in range(6)]

        with ThreadPoolExecutor(3) as pool:
            for order, found in zip(orders, pool.map(there.batch, orders), strict=True):
                assert_same(found, here.batch(order))

    def test_all_in_memory_is_the_same(self, stored, server):
        here, there = gcn_luigi.open_dataset(stored).chips("dev"), opened(server).chips("dev").preload()
        count = len(server.asked)

        assert_same(there.batch(range(len(there))), here.batch(range(len(here))))
        assert len(server.asked) == count

    def test_selections_series_xarray_and_exports_are_the_same(self, stored, server, tmp_path):
        here, there = gcn_luigi.open_dataset(stored), opened(server)
        how = {"years": 2004, "where": "share_ice > 0.01"}
        ids = here.chip_table["chip_id"].to_numpy(str)

        chosen = here.chips("train", **how)
        assert_same(there.chips("train", **how).batch(range(len(chosen))), chosen.batch(range(len(chosen))))
        place = here.chip_table.query("split == 'train'")["partition"].iloc[0]
        one, other = (made.chips("train").series(place) for made in (here, there))
        np.testing.assert_array_equal(one.image, other.image)
        assert there.to_xarray(ids[:3].tolist(), masked=True).equals(here.to_xarray(ids[:3].tolist(), masked=True))
        for name, made in (("here", here), ("there", there)):
            export(made, tmp_path / name, Request(Selection(partitions=(place,)), "partitions"), lambda *_: None)
        for path in sorted((tmp_path / "here").glob("*.tif")):
            assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()


class TestFew:
    @pytest.fixture
    def long(self, tiny_output, tmp_path, monkeypatch):
        """Return a server of shards that are long by comparison with what is read beside what is needed."""
        convert_dataset(tiny_output / "tiny", tmp_path / "tiny", "chips", "none", lambda *_: None)
        monkeypatch.setattr("gcn_luigi.io.shard.object._END", 30_000)
        monkeypatch.setattr("gcn_luigi.io.shard.object.joined", partial(joined, gap=5000))
        with serving(tmp_path) as running:
            yield running

    def test_a_batch_of_neighbours_takes_few_requests_and_no_whole_shard(self, long):
        reader = opened(long).chips("train")
        size = (long.root / "tiny/shards" / reader._store._shards._names[0]).stat().st_size
        reader.batch([0])
        opening = [size for name, _, size in long.asked if name.endswith(".h5")]
        # Opening it, and three arrays of one chip.
        assert len(opening) <= 8
        assert sum(opening) < size / 2
        long.asked.clear()

        batch = reader.batch(range(10, 26))

        # At most one request for each array, whose chips lie one after the other.
        assert len(long.asked) <= 3
        needed = sum(batch[name].nbytes for name in ("image", "label", "flags"))
        assert needed <= long.bytes_of(".h5") <= needed + 10_000

    def test_the_next_batch_is_asked_for_before_it_is_needed(self, plain):
        reader = opened(plain).chips("train")
        batches = reader.batches(8, ahead=1)
        next(batches)
        batches.close()
        reader.close()

        # Nothing is asked for twice.
        ranges = [(name, start) for name, start, _ in plain.asked if name.endswith(".h5")]
        assert len(ranges) == len({*ranges})


def _sum(reader):
    return int(reader.batch(range(12))["image"].astype(np.int64).sum())


class TestProcesses:
    def test_a_spawned_process_reads_what_it_was_sent(self, plain):
        reader = opened(plain).chips("train")
        wanted = _sum(reader)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(_sum, (reader,)) == wanted

    def test_a_forked_process_reads_beside_its_parent(self, plain):
        reader = opened(plain).chips("train", threads=2)
        wanted = _sum(reader)
        child = os.fork()
        if child == 0:
            os._exit(0 if _sum(reader) == wanted else 1)

        assert _sum(reader) == wanted
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_a_copy_holds_no_secret(self, tiny_output, monkeypatch):
        with s3(monkeypatch) as client:
            upload(client, tiny_output / "tiny", "bucket", "tiny")
            copy = pickle.dumps(gcn_luigi.open_dataset("s3://bucket/tiny").chips("train"))

        assert KEY.encode() not in copy
        assert SECRET.encode() not in copy

    @pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
    def test_workers_of_torch_read_all_chips_once(self, plain, tiny_output, context):
        pytest.importorskip("torch", reason="torch is not installed")
        loading = import_module("torch.utils.data").DataLoader
        torch = import_module("gcn_luigi.read.torch")
        here, there = gcn_luigi.open_dataset(tiny_output / "tiny").chips("dev"), opened(plain).chips("dev")
        there.batch([0])
        sets = (
            loading(
                torch.ChipDataset(there), 8, collate_fn=torch.collate, num_workers=2, multiprocessing_context=context
            ),
            loading(torch.ChipStream(there, 8), None, num_workers=2, multiprocessing_context=context),
        )
        for loader in sets:
            found = list(loader)
            positions = np.concatenate([batch["position"].numpy() for batch in found])
            images = np.concatenate([batch["image"].numpy() for batch in found])
            assert sorted(positions) == list(range(len(here)))
            np.testing.assert_array_equal(images, here.batch(positions)["image"])


class TestCache:
    def test_whole_shards_are_fetched_once(self, stored, server, tmp_path):
        here = gcn_luigi.open_dataset(stored).chips("train")
        for _ in range(2):
            there = opened(server, cache=tmp_path / "cache").chips("train")
            assert_same(there.batch(range(len(there))), here.batch(range(len(here))))
            there.close()

        asked = [name for name, _, _ in server.asked]
        assert asked.count("tiny/dataset.json") == 2
        assert max(asked.count(name) for name in asked if name.endswith((".h5", ".parquet"))) == 1

    def test_a_damaged_copy_is_noticed_and_the_way_out_is_told(self, plain, tmp_path):
        opened(plain, cache=tmp_path / "cache").chips("train").batch([0])
        for path in (tmp_path / "cache").glob("*.h5"):
            content = bytearray(path.read_bytes())
            content[-300] ^= 1
            path.write_bytes(content)

        with pytest.raises(ShardError, match="cannot be read") as caught:
            opened(plain, cache=tmp_path / "cache").chips("train").batch([0])

        assert f"delete {tmp_path / 'cache'}" in caught.value.fix

    def test_a_dataset_on_this_machine_needs_none(self, tiny_output, tmp_path):
        with pytest.raises(ConfigError, match="needs no cache"):
            gcn_luigi.open_dataset(tiny_output / "tiny", cache=tmp_path)


class TestWrong:
    def test_a_place_without_a_dataset_is_told(self, plain):
        with pytest.raises(ShardError, match="no finished dataset here") as caught:
            gcn_luigi.open_dataset(f"{plain.url}/elsewhere")

        assert caught.value.where == f"{plain.url}/elsewhere/dataset.json"

    def test_an_empty_file_in_its_place_is_told(self, changeable):
        (changeable.root / "tiny/dataset.json").write_bytes(b"")

        with pytest.raises(ShardError, match="not what was written"):
            opened(changeable)

    def test_a_shard_that_was_replaced_meanwhile_gives_no_pixels(self, changeable):
        reader = opened(changeable).chips("train")
        before = reader.batch([0])
        path = changeable.root / "tiny/shards" / reader._store._shards._names[0]
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)

        with pytest.raises(ShardError, match="changed while the dataset is being read"):
            reader.batch(range(len(reader)))
        # Opened again, it is sound: the bytes are those that dataset.json lists.
        assert_same(opened(changeable).chips("train").batch([0]), before)

    def test_a_shard_of_a_later_build_is_noticed_when_it_is_opened(self, changeable):
        reader = opened(changeable).chips("train")
        # The same bytes, but written again: the new dataset could have shards of the same sizes.
        path = changeable.root / "tiny/dataset.json"
        os.utime(path, (1e9, 1e9))

        with pytest.raises(ShardError, match="changed while the dataset is being read") as caught:
            reader.batch([0])

        assert caught.value.where.endswith("tiny/dataset.json")

    def test_a_shard_of_another_size_is_told(self, changeable):
        for path in (changeable.root / "tiny/shards").iterdir():
            os.truncate(path, path.stat().st_size - 7)

        with pytest.raises(ShardError, match=r"has \d+ bytes, but dataset.json lists"):
            opened(changeable).chips("train").batch([0])

    @pytest.mark.parametrize("place", ["pixels", "columns"])
    def test_a_flipped_bit_is_noticed(self, changeable, place):
        reader = opened(changeable).chips("train")
        path = changeable.root / "tiny/shards" / reader._store._shards._names[0]
        with gcn_luigi.open_dataset(changeable.root / "tiny").shards.open(path.name) as shard:
            offset = int(shard.arrays["image"].offsets[0]) + 50
        content = bytearray(path.read_bytes())
        content[offset if place == "pixels" else -500] ^= 1
        path.write_bytes(content)

        with pytest.raises(ShardError, match="cannot be read") as caught:
            reader.batch(range(len(reader)))

        assert f"{changeable.url}/tiny/shards/{path.name}" in caught.value.where
        assert "copy this shard to the store again" in caught.value.fix

    def test_a_table_that_changed_is_told(self, changeable):
        made = opened(changeable)
        with (changeable.root / "tiny/index.parquet").open("ab") as file:
            file.write(b"x")

        with pytest.raises(ShardError, match="SHA-256 differs"):
            _ = made.chip_table

    @pytest.mark.parametrize("fault", ["cut", "503", "403"])
    def test_a_network_that_fails_in_the_middle_gives_an_error_and_then_goes_on(self, plain, fault):
        reader = opened(plain).chips("train")
        wanted = {name: np.array(values) for name, values in reader.batch(range(20)).items()}
        plain.fault = fault

        with pytest.raises(StoreError):
            reader.batch(range(20))
        plain.fault = ""
        assert_same(reader.batch(range(20)), wanted)

    def test_what_needs_paths_is_refused(self, plain):
        with pytest.raises(ConfigError, match="needs the files of the dataset on this machine") as caught:
            _ = opened(plain).paths

        assert caught.value.where == f"{plain.url}/tiny"
        assert "copy it first: wget" in caught.value.fix


def test_the_example_of_the_page_runs(tiny_output, tmp_path, monkeypatch):
    shown = [block.text for block in blocks(DOCS / "howto/remote.md") if block.kind == "python"]
    assert len(shown) == 2
    with s3(monkeypatch) as client:
        upload(client, tiny_output / "tiny", "my-bucket", "southern")
        known = {}
        text = "\n".join([shown[0], "kept = batch", shown[1]]).replace("/scratch/me/chips", str(tmp_path / "cache"))
        exec(compile(text, "remote.md", "exec"), known)  # noqa: S102  our own page

        assert known["kept"]["image"].ndim == 4
        assert len(known["dataset"].chips("dev").batch([0, 1])["label"]) == 2
    assert [path.suffix for path in (tmp_path / "cache").iterdir() if path.suffix == ".h5"] == [".h5"]


def test_the_same_comes_from_s3(tiny_output, monkeypatch):
    here = gcn_luigi.open_dataset(tiny_output / "tiny")
    with s3(monkeypatch) as client:
        upload(client, tiny_output / "tiny", "bucket", "some/where/tiny")
        there = gcn_luigi.open_dataset("s3://bucket/some/where/tiny")
        order = here.chips("train").order(seed=1)

        assert there.digest == here.digest
        assert_same(there.chips("train").batch(order), here.chips("train").batch(order))
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            gcn_luigi.open_dataset("s3://bucket/some/where/tiny")

    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)
