"""Names and links that would lead out of a directory."""

import csv
import json
import shutil

import geopandas as gpd
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, GcnLuigiError, InputError, PublishError, ShardError
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import manifest_text
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.safe_names import check_links, inside
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.stages.shards.partition_files import partition_files_are_there
from gcn_luigi.tasks.target import PublishedFile

EVIL = ("../x.h5", "../../etc/passwd", "/etc/passwd", "a/../../x", "..", ".", "", "a\\..\\x", "x\0.h5", "a//b", "./x")


@pytest.fixture
def region(tmp_path):
    root = tmp_path / "output/tiny"
    root.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    return DatasetPaths(root)


def publish(paths, path):
    target = PublishedFile(path, paths.sidecar(path), dict)
    with target.atomic_write() as temporary:
        temporary.write_text("made")
    return target


@pytest.mark.parametrize("name", EVIL)
def test_a_listed_file_outside_the_dataset_is_refused(tmp_path, name):
    with pytest.raises(ShardError) as failure:
        inside(tmp_path, name, where=tmp_path / "dataset.json")
    assert failure.value.where == str(tmp_path / "dataset.json")


def test_a_listed_file_within_the_dataset_is_found(tmp_path):
    assert inside(tmp_path, "shards/a-00000-of-00001.h5", where=tmp_path) == tmp_path / "shards/a-00000-of-00001.h5"
    assert inside(tmp_path, "..hidden/x..y", where=tmp_path) == tmp_path / "..hidden/x..y"


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "..", "x\n", "é", "x" * 129, "a b", "$(x)"])
def test_a_name_that_is_no_name_reaches_no_path(region, name):
    for make in (
        lambda: region.partition(name, 2004),
        lambda: region.tile_quality(name),
        lambda: region.shard(name, 0, 1),
    ):
        with pytest.raises(InputError, match="cannot be part of a file name"):
            make()


@pytest.mark.parametrize("place", ["shards", "mosaics", "partitions", "tile_quality", ".gcn", ".gcn/shards"])
def test_a_directory_that_is_a_link_out_of_the_region_is_not_written_through(region, tmp_path, place):
    link = region.root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    name = place.removeprefix(".gcn").strip("/") or "shards"

    with pytest.raises(PublishError) as failure:
        publish(region, region.root / name / "file.h5")

    assert failure.value.where == str(link)
    assert "leads out of" in failure.value.what
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_region_that_is_a_link_out_of_the_output_is_not_written_through(tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "output/tiny").symlink_to(tmp_path / "elsewhere")
    paths = DatasetPaths(tmp_path / "output/tiny")

    with pytest.raises(PublishError, match="leads out of"):
        publish(paths, paths.label)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_links_that_stay_inside_and_a_linked_output_are_fine(tmp_path):
    (tmp_path / "disk/tiny/many").mkdir(parents=True)
    (tmp_path / "output").symlink_to(tmp_path / "disk")
    paths = DatasetPaths(tmp_path / "output/tiny")
    (paths.root / "shards").symlink_to("many")

    target = publish(paths, paths.shard("train", 0, 1))

    assert target.exists()
    assert (tmp_path / "disk/tiny/many/train-00000-of-00001.h5").is_file()


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(region, tmp_path):
    (tmp_path / "elsewhere/kept").write_text("kept")
    region.label.symlink_to(tmp_path / "elsewhere/kept")

    publish(region, region.label)

    assert (tmp_path / "elsewhere/kept").read_text() == "kept"
    assert not region.label.is_symlink()


def test_nothing_is_made_by_looking(region):
    check_links(region.root, region.shard("train", 0, 1))

    assert list(region.root.iterdir()) == []


@pytest.mark.parametrize("name", ["../label.tif", "/etc/passwd", ".."])
def test_partition_files_are_looked_for_beside_their_list_alone(region, name):
    region.partition_list.parent.mkdir()
    region.label.write_text("x")
    with region.partition_list.open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "size"), (name, 1)])

    with pytest.raises(ShardError, match="cannot be a file of this dataset"):
        partition_files_are_there(region.partition_list)


@pytest.fixture
def dataset(small_output, tmp_path):
    return shutil.copytree(small_output, tmp_path / "copy")


def rewrite_manifest(dataset, described):
    """Write the manifest of a dataset anew, as whoever means harm can: a digest is no signature."""
    for entry in described["files"]:
        path = dataset / entry["path"]
        if entry["path"] == "index.parquet":
            entry.update(size=path.stat().st_size, sha256=digest(path))
    (dataset / "dataset.json").write_text(manifest_text(described))


@pytest.mark.parametrize("name", ["../stolen.h5", "/dev/zero"])
def test_an_index_that_names_a_shard_elsewhere_is_not_followed(dataset, name):
    index = gpd.read_parquet(dataset / "index.parquet")
    shutil.copyfile(dataset / "shards" / index["shard"].iloc[0], dataset / "stolen.h5")
    index["shard"] = name
    index.to_parquet(dataset / "index.parquet")
    described = json.loads((dataset / "dataset.json").read_text())
    rewrite_manifest(dataset, described)

    opened = gcn_luigi.open_dataset(dataset)

    with pytest.raises(ShardError, match="cannot be a file of this dataset"):
        _ = opened.bands
    with pytest.raises(ShardError, match="cannot be a file of this dataset"):
        opened.chips("train")


@pytest.mark.parametrize("name", ["../stolen.json", "/etc/hostname"])
def test_converting_copies_nothing_from_or_to_elsewhere(dataset, tmp_path, name):
    described = json.loads((dataset / "dataset.json").read_text())
    described["files"].append({"path": name, "size": 1, "sha256": "0"})
    rewrite_manifest(dataset, described)
    (tmp_path / "stolen.json").write_text("{}")
    before = sorted(tmp_path.iterdir())

    with pytest.raises(ShardError, match="outside the dataset"):
        convert_dataset(dataset, tmp_path / "made", None, None, lambda *_: None)

    assert sorted(tmp_path.iterdir()) == before


def test_converting_onto_a_link_that_leads_nowhere_is_refused(dataset, tmp_path):
    (tmp_path / "made").symlink_to(tmp_path / "nowhere")

    with pytest.raises(ConfigError, match="something already exists"):
        convert_dataset(dataset, tmp_path / "made", None, None, lambda *_: None)

    assert not (tmp_path / "nowhere").exists()
    assert issubclass(ConfigError, GcnLuigiError)
