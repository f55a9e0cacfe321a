"""What is rebuilt after a change, and what is not."""

import os
import shutil

import pytest

from gcn_luigi.synthetic import make_demo
from tests.integration.builds import build_inline, dataset, small_config

SUMMARY = {"gcn.ChipIndex", "gcn.BandStatistics", "gcn.QualityReport", "gcn.DatasetCard", "gcn.Dataset"}
SHARDS = {"gcn.ChipShard", *SUMMARY}
CATALOG = {"gcn.PartitionCatalog", "gcn.GridComparison", *SHARDS}
STACK = {"gcn.YearStack", *SHARDS}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world") / "input"
    make_demo(root, size="small")
    return root


@pytest.fixture(scope="module")
def built(world, tmp_path_factory):
    output = tmp_path_factory.mktemp("stale")
    build_inline(dataset("small", output, world, small_config(output / "config", "small")))
    return output


@pytest.fixture
def copied(built, tmp_path_factory):
    """Return a copy that a test may change, as deep in the tree: stacks point to the sources by relative paths."""
    output = tmp_path_factory.mktemp("copy")
    shutil.copytree(built / "small", output / "small")
    return output


def _families(names):
    return {name.split("(")[0] for name in names}


def test_a_second_build_does_nothing(built, world):
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()}

    ran = build_inline(dataset("small", built, world, built / "config"))

    assert ran == []
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "rebuilt"),
    [
        (("step = 32", "step = 16"), SHARDS),
        (('codec = "deflate"', 'codec = "none"'), SHARDS),
        (("min_valid_label_share = 0.5", "min_valid_label_share = 0.6"), SHARDS),
        (('mode = "strict"', 'mode = "legacy"'), SHARDS),
        (("train = 2", "train = 3"), SHARDS),
        (("seed = 8", "seed = 9"), CATALOG),
        (("max_gap = 5", "max_gap = 6"), CATALOG),
        (("threshold = 3", "threshold = 4"), {"gcn.ClassLabel", *CATALOG, *STACK}),
        (("max_m = 10000", "max_m = 9000"), {"gcn.DistanceRaster", *STACK}),
        (('precedence = "lowest-id"', 'precedence = "highest-id"'), None),
    ],
)
def test_a_changed_setting_rebuilds_what_depends_on_it(copied, world, tmp_path, change, rebuilt):
    root = dataset("small", copied, world, small_config(tmp_path, "small", change))

    ran = _families(build_inline(root))

    assert ran == rebuilt if rebuilt is not None else {"gcn.OpticalMosaic", "gcn.TopoMosaic"} <= ran


def test_a_touched_tile_rebuilds_what_is_made_of_tiles(copied, built, world):
    tile = next((world / "optical").rglob("*_nbr.tif"))
    status = tile.stat()
    os.utime(tile, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    ran = _families(build_inline(dataset("small", copied, world, built / "config")))
    os.utime(tile, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert {"gcn.TileInventory", "gcn.OpticalMosaic", "gcn.YearStack", "gcn.ChipShard", "gcn.Dataset"} <= ran


@pytest.mark.parametrize("name", ["label.tif", "stacks/2008.vrt", "shards/train-00000-of-00002.h5", "dataset.json"])
def test_a_lost_or_cut_file_is_made_again_with_the_same_bytes(copied, built, world, name):
    path = copied / "small" / name
    whole = path.read_bytes()

    for damage in (path.unlink, lambda: path.write_bytes(whole[: len(whole) // 2])):
        damage()
        ran = build_inline(dataset("small", copied, world, built / "config"))
        assert len(ran) == 1
        assert path.read_bytes() == whole


def test_a_failed_task_leaves_no_file_and_the_next_build_goes_on(built, world, tmp_path, monkeypatch):
    output = tmp_path / "output"
    root = dataset("small", output, world, built / "config")
    with monkeypatch.context() as patched:
        patched.setattr("gcn_luigi.tasks.shards.build_shard", _fail_half_way)
        with pytest.raises(RuntimeError, match="half way"):
            build_inline(root)

    assert list((output / "small" / "shards").iterdir()) == []
    ran = _families(build_inline(dataset("small", output, world, built / "config")))
    assert ran == {"gcn.GridComparison", "gcn.TileQuality", *SHARDS}
    mine, theirs = (sorted((directory / "small" / "shards").iterdir()) for directory in (output, built))
    assert [path.name for path in mine] == [path.name for path in theirs]
    assert [path.read_bytes() for path in mine] == [path.read_bytes() for path in theirs]


def _fail_half_way(request, out, say):
    del request, say
    out.write_bytes(b"half a shard")
    raise RuntimeError("half way")
