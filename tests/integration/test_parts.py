"""A dataset built in parts, by runs that know nothing of each other."""

import pytest

import gcn_luigi
from gcn_luigi.read.validate import validate


@pytest.fixture
def run(gcn, tiny, tmp_path):
    """Return a function that runs the command for the tiny region with more options."""

    def run(*options):
        places = ("--config-dir", tiny.config, "--data-root", tiny.sources, "--output", tmp_path)
        return gcn("run", tiny.region, *places, "--local-scheduler", "--workers", "1", *options)

    return run


@pytest.mark.long
def test_parts_in_any_order_and_a_run_that_closes_give_the_same_dataset(run, small_output, tmp_path):
    code, out, err = run("--task", "ChipShard(train, 1)")
    shards = tmp_path / "tiny/shards"
    assert code == 0, err
    assert f"parts of {tmp_path / 'tiny'}" in out
    assert [path.name for path in shards.glob("*.h5")] == ["train-00001-of-00002.h5"]
    assert not (tmp_path / "tiny/dataset.json").exists()

    # Again, and others: what is there stays.
    before = (shards / "train-00001-of-00002.h5").stat()
    code, out, _ = run("--task", "ChipShard(train, 1)", "--task", "ChipShard(dev)")
    assert code == 0
    assert "done: 1 tasks built" in out
    assert (shards / "train-00001-of-00002.h5").stat().st_ino == before.st_ino

    code, out, _ = run()
    assert code == 0
    assert (shards / "train-00001-of-00002.h5").stat().st_ino == before.st_ino
    assert list(validate(tmp_path / "tiny")) == []
    one, whole = gcn_luigi.open_dataset(tmp_path / "tiny"), gcn_luigi.open_dataset(small_output)
    assert one.data_digest == whole.data_digest


def test_a_name_that_fits_no_task_starts_nothing(run, tmp_path):
    code, _, err = run("--task", "ChipShard(train, 9)")

    assert code == 1
    assert "no task of this region fits 'ChipShard(train, 9)'" in err
    assert not (tmp_path / "tiny").exists()
