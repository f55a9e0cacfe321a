"""What changes while a task works, held at the worst moment."""

from contextlib import contextmanager
from queue import SimpleQueue
from unittest.mock import Mock

import luigi
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.publish.atomic import atomic_write
from gcn_luigi.stages.layers import mosaics
from gcn_luigi.tasks import OpticalMosaic
from gcn_luigi.tasks.base import RegionTask
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny


@pytest.fixture
def place(tmp_path):
    """Return a region, its configuration file and the task that joins its first year."""
    tiny = make_tiny(tmp_path)
    root = dataset("tiny", tmp_path / "out", tiny.sources, tiny.config)
    task = root.clone(OpticalMosaic, year=2004)
    build_inline(task)
    for target in task.targets():
        target.path.unlink()
    return tiny.config / "tiny.toml", task


def test_settings_that_change_and_change_back_while_a_file_is_made_publish_nothing(place, monkeypatch):
    path, task = place
    ours = path.read_text(encoding="utf-8")
    theirs = ours.replace("lowest-id", "highest-id").replace("nodata = -32768", "nodata = -32767")
    assert theirs != ours
    write_mosaic = mosaics.write_mosaic

    @contextmanager
    def changed_by_now(final):
        with atomic_write(final) as draft:
            path.write_text(theirs, encoding="utf-8")
            yield draft

    def changed_back_afterwards(region, *others):
        assert region.settings.bands[0].nodata == -32767
        write_mosaic(region, *others)
        path.write_text(ours, encoding="utf-8")

    monkeypatch.setattr("gcn_luigi.tasks.target.atomic_write", changed_by_now)
    monkeypatch.setattr("gcn_luigi.stages.layers.mosaics.write_mosaic", changed_back_afterwards)
    with pytest.raises(InputError, match="changed back"):
        task.run()

    assert not task.targets()[0].path.exists()
    monkeypatch.undo()
    # The task object is not spoilt by it.
    task.run()
    assert task.complete()


@pytest.mark.parametrize("harm", ["what it required", "what it made"])
def test_a_task_whose_files_turn_stale_under_luigi_says_so_in_three_lines(place, monkeypatch, harm):
    _, task = place
    if harm == "what it required":
        task.requires()[0].output().path.unlink()
    else:
        monkeypatch.setattr(OpticalMosaic, "complete", lambda _: False)
    told, results = [], SimpleQueue()
    monkeypatch.setattr(task, "on_failure", lambda error: told.append(RegionTask.on_failure(task, error)) or told[-1])
    process = luigi.worker.TaskProcess(task, "worker", results, Mock())
    process.check_complete_on_run = True

    process.run()

    assert results.get()[1] == "FAILED"
    (told,) = told

    what, where, fix = told.splitlines()
    assert "changed during the run" in what
    assert where == "  where: gcn.OpticalMosaic(2004)"
    assert fix.startswith("  fix: ")
