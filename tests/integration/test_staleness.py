"""What is rebuilt after a change, and what is not."""

import shutil

import pytest

from tests.integration.builds import build_inline, dataset, small_config

SUMMARY = {
    "gcn.DatasetMetadata",
    "gcn.StacCatalog",
    "gcn.ChipIndex",
    "gcn.BandStatistics",
    "gcn.LayerStyles",
    "gcn.QualityReport",
    "gcn.DatasetCard",
    "gcn.Dataset",
    "gcn.StrataTables",
    "gcn.TrainingDistances",
}
SHARDS = {"gcn.ChipShard", *SUMMARY}


@pytest.fixture(scope="module")
def built(small_world, tmp_path_factory):
    output = tmp_path_factory.mktemp("stale")
    build_inline(dataset("small", output, small_world, small_config(output / "config", "small")))
    return output


@pytest.fixture
def copied(built, tmp_path_factory):
    """Return a copy that a test may change, as deep in the tree: stacks point to the sources by relative paths."""
    output = tmp_path_factory.mktemp("copy")
    shutil.copytree(built / "small", output / "small")
    return output


def _families(names):
    return {name.split("(")[0] for name in names}


def test_a_second_build_does_nothing(built, small_world):
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()}

    ran = build_inline(dataset("small", built, small_world, built / "config"))

    assert ran == []
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()} == before


def test_a_copy_is_current_once_its_bytes_were_compared(copied, built, small_world):
    stamps = list((copied / "small/.gcn").rglob("*.json"))
    assert build_inline(dataset("small", copied, small_world, built / "config")) == []

    # The sidecars say now when the copies were last changed.
    for sidecar in stamps:
        path = copied / "small" / sidecar.relative_to(copied / "small/.gcn").with_suffix("")
        assert sidecar.stat().st_mtime_ns == path.stat().st_ctime_ns


@pytest.mark.parametrize("name", ["label.tif", "stacks/2008.vrt", "shards/train-00000-of-00002.h5", "dataset.json"])
def test_a_lost_cut_or_changed_file_is_made_again_with_the_same_bytes(copied, built, small_world, name):
    path = copied / "small" / name
    whole = path.read_bytes()

    flipped = bytes([whole[0] ^ 1]) + whole[1:]
    for damage in (path.unlink, lambda: path.write_bytes(whole[:-1]), lambda: path.write_bytes(flipped)):
        damage()
        ran = build_inline(dataset("small", copied, small_world, built / "config"))
        assert len(ran) == 1
        assert path.read_bytes() == whole


def test_a_failed_task_leaves_no_file_and_the_next_build_goes_on(built, small_world, tmp_path, monkeypatch):
    output = tmp_path / "output"
    root = dataset("small", output, small_world, built / "config")
    with monkeypatch.context() as patched:
        patched.setattr("gcn_luigi.stages.shards.shard.build_shard", _fail_half_way)
        with pytest.raises(RuntimeError, match="half way"):
            build_inline(root)

    assert list((output / "small" / "shards").iterdir()) == []
    ran = _families(build_inline(dataset("small", output, small_world, built / "config")))
    assert ran == {"gcn.GridComparison", "gcn.TileQuality", *SHARDS}
    mine, theirs = (sorted((directory / "small" / "shards").iterdir()) for directory in (output, built))
    assert [path.name for path in mine] == [path.name for path in theirs]
    assert [path.read_bytes() for path in mine] == [path.read_bytes() for path in theirs]


def _fail_half_way(request, out, say):
    del request, say
    out.write_bytes(b"half a shard")
    raise RuntimeError("half way")
