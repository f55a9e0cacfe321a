"""Scheduling a graph looks at each file once, and a later question looks anew."""

import collections
import shutil
import threading

import luigi
import pytest

from gcn_luigi.io.publish.filesystems import FileSystem
from gcn_luigi.operate.worker import Worker
from gcn_luigi.tasks import BandStatistics, ChipShard
from gcn_luigi.tasks.awaited import are_complete
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream
from gcn_luigi.tasks.target import PublishedFile
from tests.integration.builds import build_inline, dataset


@pytest.fixture(scope="module")
def output(tiny, tmp_path_factory):
    """Return the directory of a finished dataset."""
    place = tmp_path_factory.mktemp("one-look")
    build_inline(dataset(tiny.region, place, tiny.sources, tiny.config))
    return place


@pytest.fixture
def root(tiny, output):
    """Return the root task of a finished dataset whose shards were lost."""
    root = dataset(tiny.region, output, tiny.sources, tiny.config)
    shutil.rmtree(root.paths.shards, ignore_errors=True)
    return root


@pytest.fixture
def looks(monkeypatch):
    """Return how often each published file was compared with its sidecar."""
    found = collections.Counter()
    is_intact = PublishedFile.is_intact

    def counted(target, record, **options):
        found[target.path] += 1
        return is_intact(target, record, **options)

    monkeypatch.setattr(PublishedFile, "is_intact", counted)
    return found


def _shards(root):
    return [task for task in upstream(root) if isinstance(task, ChipShard)]


def test_a_graph_is_scheduled_from_one_look_at_its_files(root, looks):
    worker = Worker(scheduler=luigi.scheduler.Scheduler())
    assert worker.add(root)
    assert len(worker.waiting()) > len(_shards(root)) > 1
    assert set(looks.values()) == {1}


def test_a_task_that_runs_looks_at_what_it_requires_and_at_its_own_file(root, looks):
    """Luigi asks before and after: not for all upstream files, which were looked at when the task was scheduled."""
    shard = _shards(root)[0]
    required = [target.path for task in shard.requires() for target in task.targets()]

    assert all(task.complete() for task in shard.deps())
    assert sorted(looks.elements()) == sorted(required)
    shard.run()
    looks.clear()
    assert shard.complete()
    assert list(looks.elements()) == [shard.output().path]
    # Any later question is about everything again.
    assert shard.complete()
    assert len(looks) > len(required)


def _scheduled(root):
    """Return the statistics as Luigi has scheduled them, once all shards are made."""
    worker = Worker(scheduler=luigi.scheduler.Scheduler())
    assert worker.add(root)
    tasks = worker.waiting().values()
    for shard in _shards(root):
        shard.run()
    return next(task for task in tasks if isinstance(task, BandStatistics))


@pytest.fixture
def asked(monkeypatch):
    """Return the files whose fingerprints were computed."""
    found = []
    fingerprint = RegionTask.fingerprint
    monkeypatch.setattr(
        RegionTask, "fingerprint", lambda task, *arguments: (found.append(task), fingerprint(task, *arguments))[1]
    )
    return found


def test_with_unchanged_settings_nothing_is_asked_about_what_required_files_were_made_from(root, asked):
    statistics = _scheduled(root)
    asked.clear()

    assert all(shard.complete() for shard in statistics.deps())
    assert asked == []


@pytest.mark.parametrize("harm", ["lost", "touched", "without sidecar"])
def test_a_required_file_that_is_no_longer_as_it_was_published_is_noticed(root, harm):
    statistics = _scheduled(root)
    target = _shards(root)[0].output()
    if harm == "lost":
        target.path.unlink()
    elif harm == "touched":
        target.path.write_bytes(target.path.read_bytes()[:-1] + b"?")
    else:
        target.sidecar.unlink()

    assert [shard.complete() for shard in statistics.deps()].count(False) == 1


def test_settings_that_changed_since_are_noticed(root):
    statistics = _scheduled(root)
    path = statistics.config_path
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text.replace("step = ", "step = 1"), encoding="utf-8")
        assert text != path.read_text(encoding="utf-8")
        assert not any(shard.complete() for shard in statistics.deps())
    finally:
        path.write_text(text, encoding="utf-8")


@pytest.mark.usefixtures("shared")
def test_on_a_shared_disk_older_files_of_the_same_names_are_not_taken_for_new_ones(root, asked):
    statistics = _scheduled(root)
    asked.clear()

    assert all(shard.complete() for shard in statistics.deps())
    assert {type(task) for task in asked} == {ChipShard}


def test_every_later_question_is_answered_anew(root):
    statistics = next(task for task in upstream(root) if isinstance(task, BandStatistics))
    assert not statistics.complete()
    shards = statistics.deps()
    assert not any(shard.complete() for shard in shards)
    for shard in shards:
        shard.run()
    # The answers of before have been given once; the same tasks now look at what is there now.
    assert all(shard.complete() for shard in shards)
    assert all(shard.complete() for shard in statistics.deps())
    shards[0].targets()[0].path.unlink()
    assert [shard.complete() for shard in statistics.deps()].count(False) == 1


def test_a_look_is_passed_on_once(root):
    statistics = next(task for task in upstream(root) if isinstance(task, BandStatistics))
    assert not statistics.complete()
    statistics.deps()
    for shard in _shards(root):
        shard.run()
    assert all(shard.complete() for shard in statistics.deps())


def test_two_regions_do_not_answer_for_each_other(root, tiny, tmp_path):
    """Tasks of two regions have the same name, but not the same files."""
    other = dataset(tiny.region, tmp_path / "other", tiny.sources, tiny.config)
    assert [task.name for task in upstream(other)] == [task.name for task in upstream(root)]
    assert not other.complete()
    snapshot = other._seen
    shard = _shards(root)[0]
    shard.run()
    assert shard.is_complete_upstream(snapshot)


@pytest.fixture
def shared(monkeypatch):
    """Let the file system be one that machines share, with a short patience with it."""
    monkeypatch.setattr("gcn_luigi.tasks.awaited.file_system_of", lambda _: FileSystem("nfs4"))
    monkeypatch.setattr("gcn_luigi.tasks.awaited._PAUSE_S", 0.05)


@pytest.mark.usefixtures("shared")
def test_a_file_that_another_machine_has_published_is_waited_for(root):
    statistics = next(task for task in upstream(root) if isinstance(task, BandStatistics))
    for shard in _shards(root):
        shard.run()
    late = root.paths.shards.rename(root.paths.root / "not-seen-yet")
    shown = threading.Timer(0.5, late.rename, [root.paths.shards])
    shown.start()

    # What `deps` does when Luigi is about to run the task.
    assert all(shard.complete() for shard in statistics.deps())
    shown.join()


@pytest.mark.usefixtures("shared")
def test_a_file_that_another_machine_publishes_once_more_is_waited_for(root):
    """Where locks hold on one machine alone, the sidecar of the other one may be missing for a moment."""
    shard = _shards(root)[0]
    assert all(required.complete() for required in shard.deps())
    make, timers = shard.make_here, []

    def make_as_the_other_does() -> None:
        make()
        (target,) = shard.targets()
        late = target.sidecar.rename(target.sidecar.with_name("not-seen-yet"))
        timers.append(threading.Timer(0.5, late.rename, [target.sidecar]))
        timers[0].start()

    shard.make_here = make_as_the_other_does
    shard.run()

    # What Luigi asks when a task has run.
    assert shard.complete()
    timers[0].join()


@pytest.mark.usefixtures("shared")
def test_a_dataset_that_another_machine_completes_is_waited_for(root):
    build_inline(root)
    late = root.paths.report.rename(root.paths.root / "not-seen-yet")
    shown = threading.Timer(0.5, late.rename, [root.paths.report])
    shown.start()

    assert are_complete([root], root.paths.root)
    shown.join()


@pytest.mark.usefixtures("shared")
def test_a_file_that_does_not_come_is_not_waited_for_for_ever(root, monkeypatch):
    monkeypatch.setattr("gcn_luigi.tasks.awaited._PATIENCE_S", 0.2)
    statistics = next(task for task in upstream(root) if isinstance(task, BandStatistics))

    assert not any(shard.complete() for shard in statistics.deps())


@pytest.mark.usefixtures("shared")
def test_scheduling_waits_for_nothing(root, monkeypatch):
    monkeypatch.setattr("gcn_luigi.tasks.awaited.time.sleep", lambda _: pytest.fail("it waits"))

    assert Worker(scheduler=luigi.scheduler.Scheduler()).add(root)
