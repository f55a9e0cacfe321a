"""A finished dataset is read chip by chip, in any process, and never half."""

import json
import multiprocessing
import operator
import os
import pickle
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import psutil
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError
from gcn_luigi.io.shard.format import write_footer
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.settings import RegionSettings
from tests.reference.building import BUILDING


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


@pytest.fixture
def reader(dataset):
    reader = dataset.chips("train")
    yield reader
    reader.close()


@pytest.fixture
def copied(small_output, tmp_path):
    return shutil.copytree(small_output, tmp_path / "copy")


@pytest.fixture(scope="module")
def stored(small_output):
    """Return all pixels of the train split, read by plain h5py shard by shard."""
    planes = {"image": [], "label": [], "flags": [], "chip_id": []}
    for path in sorted((small_output / "shards").glob("train-*.h5")):
        with h5py.File(path) as file:
            for name, values in planes.items():
                values.extend(file[name][...])
    return planes


def assert_same(chip, stored, row):
    for name in ("image", "label", "flags"):
        np.testing.assert_array_equal(chip[name], stored[name][row])
    assert chip["chip_id"] == stored["chip_id"][row].decode()


class TestReading:
    def test_chips_come_in_the_order_of_the_index_as_they_are_stored(self, dataset, reader, stored):
        index = dataset.chip_table[dataset.chip_table["split"] == "train"]

        chips = list(reader)

        assert len(chips) == len(reader) == len(stored["image"]) > 20
        assert [chip["chip_id"] for chip in chips] == index["chip_id"].tolist()
        for row, chip in enumerate(chips):
            assert_same(chip, stored, row)
        assert (chips[0]["image"].dtype, chips[0]["label"].dtype, chips[0]["flags"].dtype) == ("i2", "u1", "u1")

    def test_positions_count_from_either_end_in_any_order(self, reader, stored):
        n = len(reader)

        for position in (n - 1, 0, -1, -n, n // 2, np.int64(3)):
            assert_same(reader[position], stored, int(position) % n)

    @pytest.mark.parametrize("beyond", [0, 1, 1000])
    def test_there_is_nothing_beyond_either_end(self, reader, beyond):
        with pytest.raises(IndexError, match=f"of {len(reader)}"):
            reader[len(reader) + beyond]
        with pytest.raises(IndexError, match=f"of {len(reader)}"):
            reader[-len(reader) - 1 - beyond]

    def test_a_chip_may_be_changed_without_changing_the_next_reading(self, reader, stored):
        reader[0]["image"][:] = 7

        assert_same(reader[0], stored, 0)

    def test_iterating_twice_gives_the_same(self, reader):
        assert [chip["chip_id"] for chip in reader] == [chip["chip_id"] for chip in reader]

    def test_a_closed_reader_opens_its_shards_again(self, reader, stored):
        reader[0]
        reader.close()
        reader.close()

        assert_same(reader[0], stored, 0)

    def test_closing_lets_go_of_the_files(self, reader):
        process = psutil.Process()
        held = process.num_fds()
        reader[0], reader[-1]
        assert process.num_fds() > held

        reader.close()

        assert process.num_fds() == held


class TestProcesses:
    @pytest.mark.parametrize("used", [False, True])
    def test_a_pickled_reader_reads_the_same(self, reader, stored, used):
        if used:
            reader[0]

        back = pickle.loads(pickle.dumps(reader))  # noqa: S301

        assert len(back) == len(reader)
        assert_same(back[-1], stored, len(reader) - 1)
        back.close()

    def test_a_spawned_process_reads_what_it_was_sent(self, reader, stored):
        reader[0]

        with multiprocessing.get_context("spawn").Pool(1) as pool:
            chip = pool.apply(operator.getitem, (reader, 2))

        assert_same(chip, stored, 2)

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_process_opens_shards_of_its_own(self, reader, stored):
        assert_same(reader[0], stored, 0)
        child = os.fork()
        if child == 0:
            # Nothing of pytest may run in here.
            try:
                same = all(
                    np.array_equal(reader[row]["image"], stored["image"][row]) for row in (0, 1, len(reader) - 1)
                )
                reader.close()
                os._exit(0 if same else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        for row in (1, len(reader) - 1):
            assert_same(reader[row], stored, row)


class TestDataset:
    @pytest.mark.parametrize("name", ["dev", "val", "valid", "validate", "validation"])
    def test_dev_has_synonyms(self, dataset, name):
        expected = dataset.chip_table.loc[dataset.chip_table["split"] == "dev", "chip_id"].tolist()

        with_name = dataset.chips(name)

        assert [chip["chip_id"] for chip in with_name] == expected != []
        with_name.close()

    @pytest.mark.parametrize("name", ["test", "Train", "", "dev "])
    def test_another_split_is_refused_with_those_there_are(self, dataset, name):
        with pytest.raises(ConfigError, match="no split") as caught:
            dataset.chips(name)

        assert repr(name) in caught.value.what
        assert "train" in caught.value.fix
        assert "dev" in caught.value.fix

    def test_showing_it_needs_no_file(self, copied):
        dataset = gcn_luigi.open_dataset(copied)
        reader = dataset.chips("dev")
        counts = {split: len(list(copied.glob(f"shards/{split}-*.h5"))) for split in ("train", "dev")}
        n_chips = len(reader)
        shutil.rmtree(copied)

        assert repr(dataset) == f"<gcn_luigi.Dataset tiny: {counts['train']} train and {counts['dev']} dev shards>"
        assert f"<tr><th>dev shards</th><td>{counts['dev']}</td></tr>" in dataset._repr_html_()
        assert repr(reader) == f"<gcn_luigi.ChipReader: {n_chips} chips of {counts['dev']} shards>"

    def test_a_name_that_would_be_html_is_text(self, copied, monkeypatch):
        dataset = gcn_luigi.open_dataset(copied)
        monkeypatch.setitem(dataset.description, "region", "<script>")

        assert "<script>" not in dataset._repr_html_()

    def test_a_strange_list_of_files_is_shown_nevertheless(self, dataset, monkeypatch):
        for files in (None, [1], {}):
            monkeypatch.setitem(dataset.description, "files", files)

            assert repr(dataset).startswith("<gcn_luigi.Dataset tiny: 0 train and 0 dev shards>")
            assert "0, 0.0 MB" in dataset._repr_html_()

    def test_old_names_warn(self, dataset):
        with pytest.warns(DeprecationWarning, match=r"Dataset\.index is now Dataset\.chip_boxes"):
            assert dataset.index is dataset.chip_boxes
        with pytest.warns(DeprecationWarning, match=r"Dataset\.catalog is now Dataset\.partition_table"):
            assert dataset.catalog is dataset.partition_table
        with pytest.warns(DeprecationWarning, match=r"Dataset\.layout is now Dataset\.paths"):
            assert dataset.layout is dataset.paths
        with pytest.raises(AttributeError, match="'Dataset' object has no attribute 'indices'"):
            _ = dataset.indices

    def test_its_tables_are_those_on_disk(self, dataset, small_output):
        assert dataset.statistics == json.loads((small_output / "statistics.json").read_text(encoding="utf-8"))
        assert dataset.description == json.loads((small_output / "dataset.json").read_text(encoding="utf-8"))
        assert set(dataset.chip_table["partition"]) <= set(dataset.partition_table["partition"])
        assert dataset.chip_boxes.crs == dataset.partition_table.crs
        pd.testing.assert_frame_equal(dataset.chip_table, pd.DataFrame(dataset.chip_boxes.drop(columns="geometry")))

    def test_a_path_may_be_a_text_and_relative(self, small_output, monkeypatch):
        monkeypatch.chdir(small_output.parent)

        relative = gcn_luigi.open_dataset("tiny")
        monkeypatch.chdir("/")

        assert isinstance(relative, Dataset)
        assert relative.chips("dev")[0]["label"].shape == (32, 32)

    @pytest.mark.fault
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (None, "no finished dataset"),
            *[
                (content, "is not what was written")
                for content in (b"", b"{", b"[]", b'"x"', b"null", b"\xff", b"{}\n", b"[" * 100_000, b'{"a": NaN}\n')
            ],
        ],
        ids=lambda value: repr(value)[:12],
    )
    def test_an_unfinished_dataset_is_refused_with_how_to_build_it(self, tmp_path, content, told):
        if content is not None:
            (tmp_path / "dataset.json").write_bytes(content)

        with pytest.raises(ShardError, match=told) as caught:
            gcn_luigi.open_dataset(tmp_path)

        assert caught.value.where == str(tmp_path / "dataset.json")
        assert "gcn run" in caught.value.fix

    @pytest.mark.fault
    def test_no_directory_at_all_is_refused_too(self, tmp_path):
        with pytest.raises(ShardError, match="no finished dataset"):
            gcn_luigi.open_dataset(tmp_path / "nowhere")

    @pytest.mark.fault
    @pytest.mark.parametrize(
        ("lost", "ask"),
        [
            ("index.parquet", operator.attrgetter("chip_table")),
            ("catalog.parquet", operator.attrgetter("partition_table")),
            ("statistics.json", operator.attrgetter("statistics")),
            ("shards/train-00000-of-00002.h5", operator.attrgetter("bands")),
        ],
    )
    def test_a_lost_table_is_named_when_it_is_asked_for(self, copied, lost, ask):
        (copied / lost).unlink()
        dataset = gcn_luigi.open_dataset(copied)

        with pytest.raises(GcnLuigiError) as caught:
            ask(dataset)

        assert caught.value.where == str(copied / lost)

    @pytest.mark.fault
    @pytest.mark.parametrize("damage", ["lost", "empty", "half"])
    def test_a_damaged_shard_is_named_with_the_chip(self, copied, damage):
        shard = copied / "shards" / "train-00001-of-00002.h5"
        content = shard.read_bytes()
        shard.unlink()
        if damage != "lost":
            shard.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
        reader = gcn_luigi.open_dataset(copied).chips("train")

        with pytest.raises(ShardError, match="cannot be read") as caught:
            reader[-1]

        assert reader[0]["chip_id"]
        assert str(shard) in caught.value.where
        assert gcn_luigi.open_dataset(copied).chip_table["chip_id"].iloc[len(reader) - 1] in caught.value.what
        assert "run the build again" in caught.value.fix
        reader.close()

    @pytest.mark.fault
    def test_a_row_that_the_shard_does_not_have_is_named(self, copied):
        dataset = gcn_luigi.open_dataset(copied)
        dataset.chip_table["shard_row"] = 10_000

        with pytest.raises(ShardError, match="row 10000"):
            dataset.chips("train")[0]


class TestImport:
    def loaded(self, statement):
        script = f"import sys; {statement}; sys.stdout.write(' '.join(sys.modules))"
        command = [sys.executable, "-W", "ignore", "-c", script]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return {name.split(".")[0] for name in found}

    def test_the_package_alone_loads_nothing_heavy(self):
        heavy = {
            "luigi",
            "rasterio",
            "osgeo",
            "pyogrio",
            "geopandas",
            "torch",
            "matplotlib",
            "numpy",
            "h5py",
            "pydantic",
            "rich",
            "psutil",
            "pandas",
        }

        assert "gcn_luigi" in self.loaded("import gcn_luigi")
        assert not self.loaded("import gcn_luigi") & heavy

    def test_reading_needs_neither_luigi_nor_rasterio_nor_torch_nor_matplotlib(self):
        assert not self.loaded("import gcn_luigi.read.dataset, gcn_luigi.read.validate") & {
            "luigi", "rasterio", "torch", "matplotlib",
        }  # fmt: skip

    def test_reading_chips_loads_nothing_that_only_building_needs(self, small_output):
        script = (
            f"import gcn_luigi, gcn_luigi.read.normalise; made = gcn_luigi.open_dataset({str(small_output)!r}); "
            "made.chip_table, made.statistics, made.bands, made.lattice; chips = made.chips('train'); "
            "chips[0], chips.batch([0, 1]), next(chips.batches(2)); chips.close()"
        )

        loaded = self.loaded(script)

        assert {"numpy", "h5py", "pyarrow", "pandas", "deflate"} <= loaded
        assert not loaded & set(BUILDING)

    def test_bands_of_a_dataset_are_those_of_its_settings(self, dataset):
        settings = RegionSettings.model_validate({**dataset.description["configuration"], "data_root": "."})

        assert dataset.bands == settings.schema_bands.image

    @pytest.mark.parametrize("wrong", [{"colour": "red"}, {"role": "thermal"}])
    def test_a_dataset_whose_bands_are_described_in_other_words_is_named(self, dataset, monkeypatch, wrong):
        configuration = dataset.description["configuration"]
        bands = [configuration["bands"][0] | wrong, *configuration["bands"][1:]]
        monkeypatch.setitem(dataset.description, "configuration", {**configuration, "bands": bands})
        monkeypatch.delitem(vars(dataset), "bands", raising=False)

        with pytest.raises(ShardError, match="made with settings that this version does not know"):
            _ = dataset.bands

    def test_shapes_without_geopandas_name_what_to_install(self, small_output, monkeypatch):
        monkeypatch.delitem(sys.modules, "gcn_luigi.io.tables", raising=False)
        monkeypatch.setitem(sys.modules, "geopandas", None)
        opened = gcn_luigi.open_dataset(small_output)

        for ask in (operator.attrgetter("partition_table"), operator.attrgetter("chip_boxes")):
            with pytest.raises(ConfigError, match="need geopandas") as caught:
                ask(opened)
            assert "pip install gcn-luigi" in caught.value.fix
        assert len(opened.chip_table) > 0

    def test_its_version_is_told(self):
        assert gcn_luigi.__version__

    def test_opening_and_showing_a_dataset_needs_neither_pandas_nor_a_progress_bar(self, small_output):
        script = f"import gcn_luigi; repr(gcn_luigi.open_dataset({str(small_output)!r}))"

        assert not self.loaded(script) & {
            "pandas",
            "geopandas",
            "pyogrio",
            "pyarrow",
            "rich",
            "psutil",
            "rasterio",
            "luigi",
        }

    def test_what_it_names_is_there(self):
        assert {"Dataset", "GcnLuigiError", "ShardError", "open_dataset", "Flag"} <= set(gcn_luigi.__all__)
        assert set(gcn_luigi.__all__) <= set(dir(gcn_luigi))
        assert all(getattr(gcn_luigi, name) for name in gcn_luigi.__all__)
        assert gcn_luigi.Dataset is Dataset
        with pytest.raises(AttributeError, match="no attribute 'dataset_of'"):
            _ = gcn_luigi.dataset_of

    def test_former_places_of_names_in_the_documentation_are_known(self):
        with pytest.warns(DeprecationWarning, match=r"is now gcn_luigi\.Flag"):
            from gcn_luigi.prepare.nodata import Flag  # noqa: PLC0415

        assert Flag is gcn_luigi.Flag
        with pytest.warns(DeprecationWarning, match=r"is now gcn_luigi\.io\.inputs"):
            from gcn_luigi.io.inventory import Inventory  # noqa: PLC0415

        assert Inventory.__module__ == "gcn_luigi.io.inputs.inventory"
        with pytest.warns(DeprecationWarning, match=r"is now gcn_luigi\.io\.shard\.format\.write_footer"):
            from gcn_luigi.io.shard_tail import write_tail  # noqa: PLC0415

        assert write_tail is write_footer
        with pytest.raises(ImportError):
            from gcn_luigi.prepare.nodata import Mask  # noqa: F401, PLC0415
