"""`gcn status`, `gcn why`, `gcn clean` and `gcn run --deep` on a finished dataset."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner

from gcn_luigi.cli import cli
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.atomic import temporary_sibling
from gcn_luigi.operate.leftovers import invalidate_damaged
from gcn_luigi.tasks import PartitionFiles
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config
from tests.integration.commands import Tiny, state_of

SHARD = "shards/train-00000-of-00002.h5"


@pytest.fixture(scope="module")
def world(tiny_root, tmp_path_factory):
    """Return a copy of the tiny region, and the directory that also holds its finished dataset."""
    root = shutil.copytree(tiny_root, tmp_path_factory.mktemp("status") / "tiny")
    return Tiny(root / "input", root / "config"), root


@pytest.fixture
def copied(world, tmp_path_factory):
    """Return the region with a configuration of its own, and a copy of the finished dataset beside the first one."""
    tiny, root = world
    place = tmp_path_factory.mktemp("copied")
    output = root / place.name
    shutil.copytree(root / "out", output)
    yield Tiny(tiny.sources, write_config(place / "config", tiny), tiny.region), output
    shutil.rmtree(output)


@pytest.fixture
def gcn(copied):
    """Return a function that runs a command about the copied dataset and gives its output."""
    tiny, _ = copied

    def run(*arguments, code=0):
        where = ("--config-dir", tiny.config, "--data-root", tiny.sources)
        result = CliRunner().invoke(cli, [*map(str, (*arguments, *where))])
        assert result.exit_code == code, result.output
        if isinstance(result.exception, Exception):
            raise result.exception
        return result.output

    return run


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _status(gcn, output):
    return {row["name"]: row for row in json.loads(gcn("status", "tiny", "--output", output, "--json"))}


def test_all_is_current_in_a_finished_dataset(gcn, copied):
    _, output = copied
    before = state_of(output)

    assert {row["state"] for row in _status(gcn, output).values()} == {"current"}
    said = gcn("status", "tiny", "--output", output)

    assert "gcn.ChipShard         3 current\n" in said
    assert said.endswith(f"26 of 26 tasks are current: {output}/tiny\n")
    assert state_of(output) == before


def test_a_changed_setting_is_named_and_what_waits_for_it(gcn, copied):
    tiny, output = copied
    write_config(tiny.config, tiny, {"label.min_votes": 6})

    rows = _status(gcn, output)
    said = gcn("why", output / "tiny" / SHARD)

    assert rows["gcn.ClassLabel()"]["state"] == "stale"
    said_of_label = [f"{name}: setting label.min_votes was 4, is now 6" for name in ("label.tif", "label.json")]
    assert rows["gcn.ClassLabel()"]["reasons"] == said_of_label
    assert rows["gcn.ChipShard(train, 0, 2)"]["state"] == "waiting"
    assert rows["gcn.DistanceRaster()"]["state"] == "current"
    assert "gcn.ChipShard(train, 0, 2): waiting\n" in said
    assert "    gcn.ClassLabel(): stale\n      label.tif: setting label.min_votes was 4, is now 6\n" in said
    # Once, though the catalog and both stacks wait for it.
    assert said.count("gcn.ClassLabel(): stale") == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    ("harm", "state", "said"),
    [
        (lambda path, _: path.unlink(), "absent", "is gone"),
        (
            lambda path, _: path.write_bytes(path.read_bytes()[:-1]),
            "damaged",
            "its bytes have changed since it was published",
        ),
        (lambda _, sidecar: sidecar.unlink(), "absent", "its sidecar is missing or damaged"),
        (
            lambda _, sidecar: sidecar.write_bytes(sidecar.read_bytes()[:-2]),
            "absent",
            "its sidecar is missing or damaged",
        ),
        (lambda path, sidecar: (path.unlink(), sidecar.unlink()), "absent", "not made yet"),
    ],
    ids=["lost", "cut", "sidecar lost", "sidecar cut", "both lost"],
)
def test_harm_to_a_file_is_told(gcn, copied, harm, state, said):
    _, output = copied
    harm(output / "tiny" / SHARD, output / "tiny/.gcn" / f"{SHARD}.json")

    row = _status(gcn, output)["gcn.ChipShard(train, 0, 2)"]
    assert row["state"] == state
    assert said in row["reasons"][0]
    assert said in gcn("why", output / "tiny" / SHARD)


def test_a_touched_tile_is_named(gcn, copied):
    tiny, output = copied
    tile = tiny.sources / "optical/0123/made_0123_ndsi.tif"
    status = tile.stat()
    os.utime(tile, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    try:
        said = gcn("why", output / "tiny/mosaics/optical_ndsi_2004.vrt")
    finally:
        os.utime(tile, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert "optical_ndsi_2004.vrt: source optical/0123/made_0123_ndsi.tif was touched\n" in said
    assert "optical_ndsi_2008.vrt" not in said.split("gcn.TileInventory")[1]


@pytest.mark.parametrize("name", ["tiny/shards/train-00007-of-00008.h5", "elsewhere/a.h5"])
def test_a_file_that_no_task_makes_is_refused_by_name(gcn, copied, name):
    _, output = copied
    with pytest.raises(ConfigError) as caught:
        gcn("why", output / name, code=1)

    assert name in caught.value.where


def test_why_of_the_directory_is_why_of_the_dataset(gcn, copied):
    _, output = copied

    assert gcn("why", output / "tiny") == "gcn.Dataset(): current\n"


def test_why_of_a_region_is_why_of_its_dataset_by_name_or_by_file(gcn, copied):
    tiny, output = copied

    assert gcn("why", "tiny", "--output", output) == "gcn.Dataset(): current\n"
    toml = tiny.config / "tiny.toml"
    assert gcn("why", toml, "--output", output) == "gcn.Dataset(): current\n"


class TestClean:
    """Only what this package made, and nobody changed, goes."""

    def test_a_finished_dataset_has_nothing_to_remove(self, gcn, copied):
        _, output = copied

        assert gcn("clean", "tiny", "--output", output) == "nothing to remove\n"

    def test_shards_of_an_earlier_configuration_are_listed_and_go_when_told(self, gcn, copied):
        tiny, output = copied
        write_config(tiny.config, tiny, {"shards.n_train": 3})
        (output / "tiny/shards/notes.txt").write_text("mine")
        before = state_of(output)

        listed = gcn("clean", "tiny", "--output", output)
        assert state_of(output) == before
        gone = gcn("clean", "tiny", "--output", output, "--yes")

        stems = [f"train-0000{number}-of-00002" for number in range(2)]
        old = {path for stem in stems for path in (f"tiny/shards/{stem}.h5", f"tiny/stac/{stem}.json")}
        assert before.keys() - state_of(output).keys() == old
        assert not list((output / "tiny/.gcn/shards").glob("train-*-of-00002.h5.json"))
        assert all(f"{output}/{name}: not part of the dataset with the present settings" in listed for name in old)
        assert "would remove 8 files" in listed
        assert "removed: 8 files" in gone

    def test_json_says_what_would_go_and_what_went(self, gcn, copied):
        tiny, output = copied
        write_config(tiny.config, tiny, {"shards.n_train": 3})
        (output / "tiny" / SHARD).write_bytes(b"my own")

        listed = json.loads(gcn("clean", "tiny", "--output", output, "--json"))
        gone = json.loads(gcn("clean", "tiny", "--output", output, "--json", "--yes"))

        assert listed["dataset"] == str(output / "tiny")
        assert [item["path"] for item in listed["kept"]] == [str(output / "tiny" / SHARD)]
        assert listed["bytes"] > 0
        assert listed["removed"] is None
        assert gone["removed"] == len(listed["removable"]) == 6

    def test_a_file_that_somebody_changed_is_kept(self, gcn, copied):
        tiny, output = copied
        write_config(tiny.config, tiny, {"shards.n_train": 3})
        (output / "tiny" / SHARD).write_bytes(b"my own")

        said = gcn("clean", "tiny", "--output", output, "--yes")

        assert f"kept: {output}/tiny/{SHARD}: changed since it was made" in said
        assert (output / "tiny" / SHARD).read_bytes() == b"my own"

    @pytest.mark.fault
    def test_a_link_is_never_followed(self, gcn, copied, tmp_path):
        _, output = copied
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/train-00000-of-00002.h5").write_bytes((output / "tiny" / SHARD).read_bytes())
        shutil.rmtree(output / "tiny/shards")
        (output / "tiny/shards").symlink_to(tmp_path / "mine")

        gcn("clean", "tiny", "--output", output, "--all", "--yes")

        assert (tmp_path / "mine/train-00000-of-00002.h5").exists()

    def test_everything_of_ours_goes_and_nothing_else(self, gcn, copied):
        tiny, output = copied
        root = dataset("tiny", output, tiny.sources, tiny.config)
        build_inline(root.clone(PartitionFiles))
        (output / "tiny/notes.txt").write_text("mine")

        assert "nothing to remove" in gcn("clean", "tiny", "--output", output)
        gcn("clean", "tiny", "--output", output, "--all", "--yes")

        assert [path.relative_to(output).as_posix() for path in output.rglob("*")] == ["tiny", "tiny/notes.txt"]

    def test_the_page_of_grid_sizes_stays_until_everything_goes(self, gcn, copied):
        _, output = copied
        page = output / "tiny/grids.html"
        assert gcn("grids", "tiny", "--output", output).splitlines()[-1] == str(page)

        assert "nothing to remove" in gcn("clean", "tiny", "--output", output)
        assert page.is_file()
        gcn("clean", "tiny", "--output", output, "--all", "--yes")
        assert not page.exists()

    @pytest.mark.fault
    def test_a_temporary_file_in_use_stays(self, gcn, copied):
        _, output = copied
        with temporary_sibling(output / "tiny" / SHARD) as temporary:
            temporary.write_text("half")
            assert gcn("clean", "tiny", "--output", output, "--yes") == "nothing to remove\n"
            assert temporary.exists()


@pytest.mark.fault
def test_bits_that_a_disk_lost_are_found_by_a_deep_look_and_just_these_files_are_made_anew(copied):
    tiny, output = copied
    root = dataset("tiny", output, tiny.sources, tiny.config)
    assert build_inline(root) == []
    harmed = [output / "tiny" / name for name in (SHARD, "label.tif", "index.parquet")]
    whole = [path.read_bytes() for path in harmed]
    for path in harmed:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
        # The inode says nothing, as after a disk's own failure.
        sidecar = root.paths.sidecar(path)
        os.utime(sidecar, ns=(path.stat().st_ctime_ns, path.stat().st_ctime_ns))
    assert build_inline(root) == []

    assert sorted(invalidate_damaged(root)) == sorted(harmed)
    ran = build_inline(root)

    assert ran == ["gcn.ClassLabel()", "gcn.ChipShard(train, 0, 2)", "gcn.ChipIndex()"]
    assert [path.read_bytes() for path in harmed] == whole
