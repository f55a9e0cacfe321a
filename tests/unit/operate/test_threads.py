"""A thread that Luigi's worker takes for a process, and light tasks that wait for a local process."""

import queue
import threading

import luigi
import pytest

from gcn_luigi.engine.engines import Here
from gcn_luigi.errors import InputError
from gcn_luigi.operate.build import build
from gcn_luigi.operate.threads import TaskThread
from gcn_luigi.tasks.base import RegionTask


class _Engine:
    """Makes tasks in the thread that asks, and remembers which."""

    def __init__(self, slots=3):
        self._slots, self.made, self.threads, self.cancelled = slots, [], set(), []
        self.most, self._now, self._lock = 0, 0, threading.Lock()
        self.gate = threading.Event()
        self.gate.set()
        # Set by a test that wants to see tasks made two at a time.
        self.pairs = None

    def make(self, task):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.threads.add(threading.current_thread().name)
        assert self.gate.wait(10)
        if self.pairs is not None:
            self.pairs.wait(10)
        task.make_here()
        self.made.append(task.number)
        with self._lock:
            self._now -= 1

    def slots(self):
        return self._slots

    def cancel(self, task):
        self.cancelled.append(task.number)
        self.gate.set()


class _Heavy(RegionTask):
    task_namespace = "test-threads"
    is_heavy = True
    number = luigi.IntParameter()
    resources = {"io": 1}  # noqa: RUF012

    def parts(self, path, snapshot=None):
        del path, snapshot
        return {"number": self.number}

    def output(self):
        return self.publishes(self.paths.root / f"{self.number}.txt")[0]

    def make(self):
        if self.number == 13:
            raise InputError("thirteen", where="here", fix="count again")
        with self.output().atomic_write() as temporary:
            temporary.write_text("made")


@pytest.fixture(autouse=True)
def _clear():
    luigi.task_register.Register.clear_instance_cache()


def _tasks(tmp_path, numbers, **others):
    return [_Heavy(region="one", number=number, output_root=str(tmp_path), **others) for number in numbers]


def test_heavy_tasks_go_to_the_engine_as_many_as_it_has_slots(tmp_path):
    engine = _Engine(slots=3)
    engine.pairs = threading.Barrier(2)
    tasks = _tasks(tmp_path, range(8), dask="local")

    result = build(tasks, workers=1, address=None, engine=engine)

    assert result.exit_code == 0
    assert sorted(engine.made) == list(range(8))
    assert len(result.built) == 8
    # The slots, and one that is ready when a slot gets free.
    assert 1 < engine.most <= 4
    assert threading.main_thread().name not in engine.threads


def test_an_error_of_the_engine_is_that_of_the_task(tmp_path):
    result = build(_tasks(tmp_path, [13], dask="local"), workers=1, address=None, engine=_Engine())

    assert result.exit_code == 30
    assert list(result.failures.values()) == ["thirteen\n  where: here\n  fix:   count again"]


def test_the_limit_of_one_machine_is_none_of_a_cluster(tmp_path):
    (here,), (there,) = _tasks(tmp_path, [1]), _tasks(tmp_path, [2], dask="local")

    assert here.process_resources() == {"io": 1}
    assert there.process_resources() == {}


def test_without_a_cluster_the_process_makes_it_itself(tmp_path):
    (task,) = _tasks(tmp_path, [1])

    with task._engine() as engine:
        assert isinstance(engine, Here)
    task.run()

    assert task.is_published()


def test_a_thread_answers_as_a_process_does(tmp_path):
    engine, results = _Engine(), queue.SimpleQueue()
    engine.gate.clear()
    (task,) = _tasks(tmp_path, [5], dask="local")
    process = luigi.worker.TaskProcess(task, "worker", results, _Silent())
    thread = TaskThread.instead_of(process, engine)

    assert (thread.is_alive(), thread.exitcode, thread.pid) == (False, None, None)

    thread.start()
    assert thread.is_alive()
    assert thread.exitcode is None
    thread.terminate()
    thread.join(10)

    assert engine.cancelled == [5]
    assert (thread.is_alive(), thread.exitcode) == (False, 0)
    assert results.get(timeout=5)[1] == "DONE"
    # The task that others hold knows nothing of the engine.
    assert task.engine is None


class _Silent:
    update_tracking_url = update_status_message = update_progress_percentage = staticmethod(lambda _: None)
    decrease_running_resources = scheduler_messages = None
