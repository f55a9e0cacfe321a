"""A dataset with train, dev, test and folds, through the whole graph."""

import json

import pandas as pd
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.io.tables import write_geoparquet
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset, once_per_run
from tests.integration.changes import write_config


@pytest.fixture(scope="module")
def three(tmp_path_factory, tiny):
    """Return the made-up region with a test split and folds."""

    asked = {"split.test_share": 0.2, "split.folds": 3, "split.block_partitions": 1, "split.dev_share": 0.2}

    def make(directory):
        config = write_config(directory / "config", tiny, asked)
        build_inline(dataset(tiny.region, directory / "output", tiny.sources, config))

    return gcn_luigi.open_dataset(once_per_run(tmp_path_factory, "three", make) / "output" / tiny.region)


def test_the_dataset_is_sound_and_has_three_splits(three):
    assert three.splits == ("train", "dev", "test")
    assert list(validate(three.paths.root, deep=True)) == []
    assert repr(three).endswith(": 2 train, 1 dev and 1 test shards>")
    counts = three.chip_table["split"].value_counts()
    assert {split: len(three.chips(split)) for split in three.splits} == counts.to_dict()
    assert set(three.statistics["chips"]) == set(three.splits)
    assert three.statistics["test"]["classes"]["pixels"]["none"] > 0
    assert f"{counts['train']} train, {counts['dev']} dev and {counts['test']} test chips" in (
        three.paths.readme.read_text()
    )


def test_no_two_splits_share_a_pixel(three):
    audit = json.loads(three.paths.split_audit.read_text())

    assert [pair["splits"] for pair in audit["pairs"]] == [["train", "dev"], ["train", "test"], ["dev", "test"]]
    assert [pair["shared_pixels"] for pair in audit["pairs"]] == [0, 0, 0]
    assert all(pair["least_distance_px"] >= three.partition_table["height"].max() for pair in audit["pairs"])
    assert audit["n_test"] > 0


def test_the_fold_is_a_column_of_catalog_and_index_and_test_is_in_none(three):
    catalog, index = three.partition_table, three.chip_table

    assert (str(catalog["fold"].dtype), str(index["fold"].dtype)) == ("Int64", "Int64")
    is_in_fold = catalog["split"].isin(["train", "dev"]) & catalog["used"]
    assert catalog.loc[is_in_fold, "fold"].isin([0, 1, 2]).all()
    assert catalog.loc[~is_in_fold, "fold"].isna().all()
    by_partition = catalog.set_index("partition")["fold"]
    expected = by_partition.reindex(index["partition"]).reset_index(drop=True)
    pd.testing.assert_series_equal(index["fold"], expected, check_names=False)
    listed = pd.read_csv(three.paths.folds_csv, dtype={"partition": "str", "role": "str"})
    pd.testing.assert_frame_equal(listed, three.fold_table)


def test_the_catalog_that_shards_are_made_from_has_the_bytes_of_a_catalog_without_folds(three, tmp_path):
    found, written = three.paths.unfolded_catalog, tmp_path / "catalog.parquet"

    write_geoparquet(written, three.partition_table.drop(columns="fold"))

    assert found.read_bytes() == written.read_bytes()
    sidecar = three.paths.sidecar(three.paths.shards / "train-00000-of-00002.h5")
    reads = read_record(sidecar).parts["reads"]
    assert reads["catalog.parquet"] == digest(found)
    assert found.name not in reads


def test_a_fold_is_read_as_train_and_dev_without_the_chips_in_its_buffer(three):
    index = three.chip_table
    for fold in range(three.n_folds):
        roles = three.fold_table[three.fold_table["fold"] == fold].set_index("partition")["role"]
        of_chips = index["partition"].map(roles)
        train, held_out = three.chips("train", fold=fold), three.chips("dev", fold=fold)
        assert train.ids(range(len(train))) == index.loc[of_chips == "train", "chip_id"].tolist()
        assert held_out.ids(range(len(held_out))) == index.loc[of_chips == "held out", "chip_id"].tolist()


@pytest.mark.parametrize(
    ("split", "fold", "said"),
    [("test", 1, "test belongs to no fold"), ("train", 3, "there is no fold 3: the dataset has folds 0 to 2")],
)
def test_what_is_in_no_fold_is_refused(three, split, fold, said):
    with pytest.raises(ConfigError, match=said):
        three.chips(split, fold=fold)


def test_folds_are_refused_where_there_are_none(small_output):
    made = gcn_luigi.open_dataset(small_output)

    assert (made.splits, made.n_folds, made.fold_table) == (("train", "dev"), 0, None)
    with pytest.raises(ConfigError, match="the dataset was built without folds"):
        made.chips("train", fold=0)
    with pytest.raises(ConfigError, match="there is no split 'test': this dataset has train and dev"):
        made.chips("test")


def test_check_split_proves_every_pair_and_every_fold(gcn, three):
    code, out, err = gcn("check-split", three.paths.root, "--json")
    limited = gcn("check-split", three.paths.root, "--min-distance", 1e6)

    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [pair["shared_pixels"] for pair in found["pairs"]] == [0, 0, 0]
    assert [(fold["fold"], fold["shared_pixels"], fold["n_duplicates"]) for fold in found["folds"]] == [
        (fold, 0, 0) for fold in range(3)
    ]
    audit = json.loads(three.paths.split_audit.read_text())
    for measured, planned in zip(found["folds"], audit["folds"], strict=True):
        assert measured["least_distance_m"] >= planned["least_distance_m"]
        assert measured["n_held_out"] == len(three.chips("dev", fold=measured["fold"]))
    assert limited[0] == 1
    assert "leak: fold 2: " in limited[2]


def test_a_leak_of_a_fold_is_found(gcn, three, monkeypatch):
    table = three.fold_table.copy()
    # Everything that fold 1 holds out or leaves out is trained on as well.
    more = table[(table["fold"] == 1) & (table["role"] != "train")].assign(role="train")
    monkeypatch.setattr("gcn_luigi.read.dataset.Dataset.fold_table", pd.concat([table, more]))

    code, _, err = gcn("check-split", three.paths.root)

    assert code == 1
    assert "leak: fold 1: " in err
    assert "fold 0" not in err
