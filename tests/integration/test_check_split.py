"""`gcn check-split`: on finished datasets and on files that somebody else made."""

import json

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import box

import gcn_luigi


@pytest.fixture
def files(small_output, tmp_path):
    """Return the footprints of both splits as files of their own."""
    index = gcn_luigi.open_dataset(small_output).chip_boxes
    paths = []
    for split in ("train", "dev"):
        paths.append(tmp_path / f"{split}.gpkg")
        index[index["split"] == split].drop(columns="split").to_file(paths[-1])
    return paths


def test_a_finished_dataset_has_no_leak_and_is_found_by_name_too(gcn, small_output):
    by_place = gcn("check-split", small_output)
    by_name = gcn("check-split", small_output.name, "-o", small_output.parent)

    assert by_place[0] == by_name[0] == 0
    assert "\nno leak" in by_place[1]
    assert by_place[2] == ""
    assert "0 pixels, 0 duplicates" in by_place[1]


def test_json_is_all_that_is_written_and_agrees_with_the_files_of_the_same_chips(gcn, small_output, files):
    code, out, err = gcn("check-split", small_output, "--json")
    code_files, out_files, _ = gcn("check-split", *files, "--json")

    said, of_files = json.loads(out), json.loads(out_files)
    assert (code, code_files, err) == (0, 0, "")
    assert said["leaks"] == []
    assert of_files["shared_glaciers"] is None
    for key in ("n_train", "n_dev", "least_distance_m", "n_duplicates"):
        assert said[key] == of_files[key]


def test_a_distance_below_the_limit_is_a_leak(gcn, small_output):
    distance = json.loads(gcn("check-split", small_output, "--json")[1])["least_distance_m"]

    assert gcn("check-split", small_output, "--min-distance", distance)[0] == 0
    code, _, err = gcn("check-split", small_output, "--min-distance", distance + 1)
    assert code == 1
    assert err.startswith("leak: tiny_train_")


def test_a_limit_that_is_no_number_is_refused_because_every_split_would_pass(gcn, small_output):
    code, _, err = gcn("check-split", small_output, "--min-distance", "nan")

    assert code == 2
    assert "give a number of metres, not nan" in err


def test_shared_glaciers_are_told_and_fail_only_when_asked(gcn, small_output):
    shared = json.loads(gcn("check-split", small_output, "--json")[1])["shared_glaciers"]

    code, out, _ = gcn("check-split", small_output, "--no-shared-glaciers")

    assert code == (1 if shared else 0)
    assert f"shared glaciers: {len(shared)}" in out


def test_a_leak_in_somebodys_files_is_found(gcn, files):
    train, dev = files
    leaked = pd.concat([gpd.read_file(dev), gpd.read_file(train).iloc[:1]], ignore_index=True)
    leaked.to_file(dev)

    code, out, err = gcn("check-split", train, dev)

    assert code == 1
    assert "1 duplicates" in out
    assert "leak: 1 footprints are in both" in err
    assert "pairs of train and dev overlap" in err


def test_one_file_with_a_column_split_is_two(gcn, small_output):
    code, out, _ = gcn("check-split", small_output / "index.parquet", "--json")

    assert code == 0
    assert json.loads(out)["n_dev"] > 0


def _cells(*columns, **more):
    """Return square cells of 960 m in one row."""
    boxes = [box(960 * col, 0, 960 * (col + 1), 960) for col in columns]
    return gpd.GeoDataFrame(more, geometry=boxes, crs="EPSG:3338")


@pytest.mark.parametrize(
    ("dev_at", "said"), [(1, "touch, less than the edge of one chip (960 m)"), (1.5, "are 480 m apart"), (2, "")]
)
def test_splits_that_lie_nearer_than_one_chip_are_warned_of(gcn, tmp_path, dev_at, said):
    _cells(0, dev_at, split=["train", "dev"]).to_file(tmp_path / "split.gpkg")

    code, out, err = gcn("check-split", tmp_path / "split.gpkg")
    found = json.loads(gcn("check-split", tmp_path / "split.gpkg", "--json")[1])

    assert code == 0
    assert f"least distance:  {960 * (dev_at - 1):,.0f} m" in out
    assert (found["edge_m"], len(found["warnings"]), found["leaks"]) == (960.0, bool(said), [])
    assert said in err
    assert ("too close" in out) == bool(said)
    assert ("\nno leak\n" in out) == (not said)


def test_a_dataset_whose_splits_touch_is_warned_of(gcn, small_output, monkeypatch):
    made = gcn_luigi.open_dataset(small_output)
    index = made.chip_table.copy()
    # The chip next to a train chip becomes dev.
    first = index[index["split"] == "train"].iloc[0]
    is_right = (index["left"] == first["right"]) & (index["top"] == first["top"])
    index = index[(index["chip_id"] == first["chip_id"]) | is_right].assign(split=["train", "dev"])
    monkeypatch.setattr("gcn_luigi.read.dataset.Dataset.chip_table", index)

    code, out, err = gcn("check-split", small_output)

    assert code == 0
    assert "least distance:  0 m" in out
    assert f"touch, less than the edge of one chip ({first['right'] - first['left']:,.0f} m)" in err


def test_every_pair_of_three_splits_is_measured(gcn, tmp_path):
    _cells(0, 5, 9, 9, split=["train", "val", "test", "train"]).to_file(tmp_path / "three.gpkg")
    parts = [tmp_path / f"{name}.gpkg" for name in ("train", "dev", "test")]
    for path, at in zip(parts, ((0,), (5,), (9,)), strict=True):
        _cells(*at).to_file(path)

    code, out, err = gcn("check-split", tmp_path / "three.gpkg", "--json")
    apart = gcn("check-split", *parts)

    found = json.loads(out)
    assert (code, err) == (1, "")
    assert [found[f"n_{split}"] for split in ("train", "dev", "test")] == [2, 1, 1]
    assert [(pair["splits"], pair["n_duplicates"]) for pair in found["pairs"]] == [
        (["train", "dev"], 0),
        (["train", "test"], 1),
        (["dev", "test"], 0),
    ]
    assert found["leaks"] == [
        "1 pairs of train and test overlap on 0.922 km2",
        "1 footprints are in both train and test",
    ]
    assert (apart[0], apart[2]) == (0, "")
    assert "dev and test:\nshared:          0.000 km2 in 0 pairs, 0 duplicates\nleast distance:  2,880 m" in apart[1]


def test_other_words_than_those_of_splits_are_told(gcn, tmp_path):
    _cells(0, 5, 9, 12, split=["Training", "validation ", "buffer", None]).to_file(tmp_path / "two.gpkg")

    two = gcn("check-split", tmp_path / "two.gpkg")

    assert two[0] == 0
    assert "1 train, 1 dev" in two[1]
    assert "in neither:      1 without a split, 1 buffer" in two[1]


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (gpd.GeoDataFrame({"a": [1]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:3338"), [], "has no column 'split'"),
        (
            gpd.GeoDataFrame({"split": ["train", "val"]}, geometry=[box(0, 0, 1, 1), box(2, 0, 3, 1)], crs="EPSG:4326"),
            [],
            "lengths cannot be measured",
        ),
        (
            gpd.GeoDataFrame({"split": ["train"]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:3338"),
            [],
            "leak: nothing to compare: 1 train, 0 dev",
        ),
        (
            gpd.GeoDataFrame({"split": ["train"]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:3338"),
            ["--no-shared-glaciers"],
            "--glacier-field",
        ),
    ],
)
def test_what_cannot_be_measured_is_told(gcn, tmp_path, frame, options, said):
    frame.to_file(tmp_path / "split.gpkg")

    code, _, err = gcn("check-split", tmp_path / "split.gpkg", *options)

    assert code in {1, 2}
    assert said in err


def test_a_dataset_that_is_not_there_is_told_in_three_lines(gcn, tmp_path):
    code, out, err = gcn("check-split", tmp_path / "none")

    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 3
