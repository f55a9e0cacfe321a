"""A watched build: exit code, what was built, what failed and why."""

import threading
from pathlib import Path

import luigi
import pytest

from gcn_luigi.errors import InputError, SchedulerError
from gcn_luigi.operate.build import build
from gcn_luigi.tasks import Dataset
from gcn_luigi.tasks.base import RegionTask


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Run tasks in this process: what is tested here is the telling, not the workers."""
    settings = luigi.configuration.get_config()
    before = settings.get("worker", "force_multiprocessing", "false")
    settings.set("worker", "force_multiprocessing", "false")
    luigi.task_register.Register.clear_instance_cache()
    monkeypatch.setattr("gcn_luigi.operate.build._POLL_S", 0.01)
    yield
    settings.set("worker", "force_multiprocessing", before)


class _Made(RegionTask):
    """A task with one file and no region."""

    task_namespace = "test"
    number = luigi.IntParameter()

    def parts(self, path, snapshot=None):
        del path, snapshot
        return {"number": self.number}

    def output(self):
        return self.publishes(self.paths.root / f"{self.number}.txt")[0]

    def make(self):
        with self.output().atomic_write() as temporary:
            temporary.write_text("made")


class _Chain(_Made):
    def requires(self):
        return self.clone(_Made, number=self.number + 1)


class _Refused(_Made):
    def make(self):
        raise InputError("the tile is blue", where="tiles/0124", fix="take a green one")


class _Broken(_Made):
    def make(self):
        raise RuntimeError("half way")


class _AfterRefused(_Made):
    def requires(self):
        return self.clone(_Refused)


class _AfterMissing(_Made):
    def requires(self):
        return self.clone(_Missing)


class _Missing(_Made):
    # So Luigi knows a source that nothing here can make.
    run = None


class _Unknowable(_Made):
    def complete(self):
        raise InputError("no rights", where="tiles", fix="ask for them")


def _task(family, tmp_path, number=1):
    return family(region="made", output_root=str(tmp_path), number=number)


def test_what_was_built_is_named_and_nothing_is_built_twice(tmp_path):
    first = build([_task(_Chain, tmp_path)], workers=1, address=None)
    second = build([_task(_Chain, tmp_path)], workers=1, address=None)

    assert (first.exit_code, first.built, first.failures) == (0, ("test._Chain(1)", "test._Made(2)"), {})
    assert (second.exit_code, second.built) == (0, ())


def test_a_task_that_only_waited_for_a_lost_file_is_not_called_built(tmp_path):
    build([_task(_Chain, tmp_path)], workers=1, address=None)
    (tmp_path / "made/2.txt").unlink()

    again = build([_task(_Chain, tmp_path)], workers=1, address=None)

    assert again.built == ("test._Made(2)",)
    assert (tmp_path / "made/2.txt").read_text() == "made"


def test_a_deliberate_failure_is_told_without_its_traceback(tmp_path):
    result = build([_task(_AfterRefused, tmp_path)], workers=1, address=None)

    assert result.exit_code == 30
    assert result.built == ()
    assert result.failures == {
        "test._Refused(1)": "the tile is blue\n  where: tiles/0124\n  fix:   take a green one",
    }


def test_a_defect_is_told_with_its_traceback(tmp_path):
    result = build([_task(_Broken, tmp_path)], workers=1, address=None)

    assert result.exit_code == 30
    (error,) = result.failures.values()
    assert error.startswith("Runtime error:\nTraceback")
    assert "RuntimeError: half way" in error


@pytest.mark.parametrize(("family", "code"), [(_AfterMissing, 20), (_Unknowable, 35)])
def test_other_ends_have_luigis_codes(tmp_path, family, code):
    assert build([_task(family, tmp_path)], workers=1, address=None).exit_code == code


def test_the_watcher_is_told_the_beginning_and_the_end(tmp_path):
    moments = []

    build([_task(_Chain, tmp_path)], workers=1, address=None, watch=moments.append)

    assert moments[-1].counts == {"DONE": 2}
    assert moments[-1].running == ()
    assert moments[-1].seconds_left == 0
    assert [thread.name for thread in threading.enumerate() if thread.name == "gcn-progress"] == []


def test_the_watcher_ends_with_a_build_that_fails_to_start(tmp_path, monkeypatch):
    monkeypatch.setattr("luigi.build", _raise_interrupt)

    with pytest.raises(KeyboardInterrupt):
        build([_task(_Made, tmp_path)], workers=1, address=None, watch=lambda _: None)

    assert [thread.name for thread in threading.enumerate() if thread.name == "gcn-progress"] == []


def _raise_interrupt(*_args, **_options):
    raise KeyboardInterrupt


def test_a_scheduler_that_vanished_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setattr("luigi.rpc.RemoteScheduler._fetch", _no_answer)

    with pytest.raises(SchedulerError) as failure:
        build([_task(_Made, tmp_path)], workers=1, address="http://127.0.0.1:9")

    assert "stopped answering" in failure.value.what
    assert failure.value.where == "http://127.0.0.1:9"


def _no_answer(*_):
    raise luigi.rpc.RPCError("Errors (3 attempts)")


def test_an_impossible_region_is_refused_before_luigi_starts(tmp_path):
    root = Dataset(region="nowhere", output_root=str(tmp_path), config_dir=str(Path(__file__).parent))

    with pytest.raises(ValueError, match="no configuration for region nowhere"):
        build([root], workers=1, address=None)


def test_a_worker_that_the_scheduler_forgot_goes_on(tmp_path, monkeypatch):
    """A machine that slept is silent for longer than the scheduler waits, and the scheduler gives its tasks away."""
    pruned, get_work = [], luigi.scheduler.Scheduler.get_work

    def forgetting(self, *, worker, **more):
        done = self.task_list(status="DONE", upstream_status="", limit=False)
        if done and not pruned:
            pruned.append(worker)
            self._state.inactivate_workers([worker])
        return get_work(self, worker=worker, **more)

    monkeypatch.setattr(luigi.scheduler.Scheduler, "get_work", forgetting)

    result = build([_task(_Chain, tmp_path)], workers=1, address=None)

    assert pruned
    assert (result.exit_code, result.failures) == (0, {})
    assert _task(_Chain, tmp_path).complete()


def test_a_scheduler_that_lost_all_tasks_is_told_them_again(tmp_path, monkeypatch):
    lost, get_work = [], luigi.scheduler.Scheduler.get_work

    def forgetting(self, *, worker, **more):
        done = self.task_list(status="DONE", upstream_status="", limit=False)
        if done and not lost:
            lost.append(worker)
            self._state.inactivate_workers([worker])
            self._state.inactivate_tasks([task.id for task in self._state.get_active_tasks()])
        return get_work(self, worker=worker, **more)

    monkeypatch.setattr(luigi.scheduler.Scheduler, "get_work", forgetting)

    result = build([_task(_Chain, tmp_path)], workers=1, address=None)

    assert lost
    assert (result.exit_code, result.failures) == (0, {})
