"""What a task may hold: refused before, bounded meanwhile, told plainly afterwards."""

import contextlib
import multiprocessing
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import luigi
import numpy as np
import psutil
import pyarrow as pa
import pytest
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError, ResourceError
from gcn_luigi.luigi_host import memory_limit as memory
from gcn_luigi.luigi_host.memory_limit import MB, allowed_bytes, explain_killed, share_mb, within_memory

GB = 1_000_000_000


class _Task(luigi.Task):
    """A task of a known size, and of which one setting could be lowered."""

    memory_mb = luigi.IntParameter(default=0)
    needed = luigi.IntParameter(default=0)
    how = luigi.Parameter(default="numpy")
    said = luigi.Parameter(default="")
    name = "test.Task(1)"

    def memory_needed(self):
        return self.needed

    def memory_advice(self, limit):
        return ["lower threads (now 8) to 3"] if limit >= 0 else []

    def output(self):
        return luigi.LocalTarget(self.said)

    def run(self):
        with within_memory(self):
            HOW[self.how]()
        with self.output().open("w") as out:
            out.write(str(resource.getrlimit(resource.RLIMIT_DATA)))

    def on_failure(self, exception):
        is_free = resource.getrlimit(resource.RLIMIT_DATA) == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        return f"{type(exception).__name__} {is_free} {exception}"


def _in_threads():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: np.ones(GB, np.uint8), range(4)))


def _many_threads():
    release = threading.Event()
    np.ones(300_000_000, np.uint8)
    threads = []
    try:
        for _ in range(1000):
            threads.append(threading.Thread(target=release.wait, daemon=True))
            threads[-1].start()
    finally:
        release.set()


def _dressed():
    blocks = [np.ones(300_000_000, np.uint8)]
    try:
        blocks.append(np.ones(GB, np.uint8))
    except MemoryError as error:
        raise InputError("cannot be read", where="tile.tif", fix="copy it again") from error


HOW = {
    "numpy": lambda: np.ones(2 * GB, np.uint8),
    "threads": _in_threads,
    "new threads": _many_threads,
    "arrow": lambda: pa.allocate_buffer(2 * GB),
    "dressed": _dressed,
    "small": lambda: np.ones(GB // 10, np.uint8),
    "defect": lambda: int("half"),
}


def _run_in_worker(tmp_path, how, **parameters):
    """Run a task in a process of Luigi; return what it said."""
    said = tmp_path / "said"
    task = _Task(how=how, said=str(said), **parameters)
    context = multiprocessing.get_context("forkserver")
    results = context.SimpleQueue()
    child = context.Process(target=_as_luigi_does, args=(task, results))
    child.start()
    status = results.get()
    child.join()
    return status, said.read_text() if said.exists() else ""


def _as_luigi_does(task, results):
    class _Process(luigi.worker.TaskProcess):
        pass

    queue = []

    class _Queue:
        put = staticmethod(queue.append)

    process = _Process(task, "worker", _Queue, None, use_multiprocessing=True)
    process._forward_attributes = contextlib.nullcontext
    # What Luigi's process is to itself, after a start by any method.
    multiprocessing.process._current_process = process
    process.run()
    results.put((queue[0][1], queue[0][2]))


@pytest.mark.fault
@pytest.mark.parametrize("how", ["numpy", "threads", "arrow", "new threads", "dressed"])
def test_in_a_worker_what_does_not_fit_fails_and_is_told(tmp_path, how):
    (status, error), _ = _run_in_worker(tmp_path, how, memory_mb=600)

    assert status == "FAILED"
    # The limit is lifted before anything is said.
    assert error.startswith("ResourceError True the task ran out of memory: its limit is 600 MB, and it held ")
    assert "  where: test.Task(1)\n" in error
    assert "lower threads (now 8) to 3, or lower `gcn run --workers`" in error
    assert "raise `gcn run --memory` ([gcn] memory_mb, now 600)" in error


def test_in_a_worker_what_fits_runs_and_the_limit_is_lifted_afterwards(tmp_path):
    (status, error), said = _run_in_worker(tmp_path, "small", memory_mb=600)

    assert status == "DONE", error
    assert said == str((resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_other_errors_stay_as_they_are(tmp_path):
    (status, error), _ = _run_in_worker(tmp_path, "defect", memory_mb=600)

    assert (status, error) == ("FAILED", "ValueError True invalid literal for int() with base 10: 'half'")


def test_in_the_programs_own_process_no_limit_is_set():
    before = resource.getrlimit(resource.RLIMIT_DATA), pa.default_memory_pool().backend_name
    with within_memory(_Task(memory_mb=4000)):
        inside = resource.getrlimit(resource.RLIMIT_DATA), pa.default_memory_pool().backend_name

    assert inside == before


@pytest.mark.parametrize("mb", [0, 900])
def test_what_can_only_fail_is_refused_before_it_starts(mb, monkeypatch):
    # What the process of the tests holds already depends on the tests before.
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(rss=500_000_000))
    task = _Task(memory_mb=mb, needed=10**15)
    with pytest.raises(ResourceError, match="needs about 1000000500 MB") as failure, within_memory(task):
        pytest.fail("started")

    assert failure.value.where == "test.Task(1)"
    assert ("now 900)" if mb else "now not set)") in failure.value.fix


def _raised(error, monkeypatch, peak):
    monkeypatch.setattr(memory, "_peak", lambda: peak)
    # As much as machines have: the process of the tests must not be refused.
    with pytest.raises(type(error)) as failure, within_memory(_Task(memory_mb=10_000)):
        raise error
    return failure.value


@pytest.mark.parametrize(
    "text",
    [
        "Out of memory allocating 4096 bytes",
        "std::bad_alloc",
        "Cannot allocate 1200 bytes",
        "Can't synchronously write data (memory allocation failed for chunk)",
        "can't start new thread",
        "Error -4 while compressing data: not enough memory",
    ],
)
@pytest.mark.parametrize("kind", [RuntimeError, RasterioIOError])
def test_what_libraries_say_of_failed_allocations_is_understood(monkeypatch, kind, text):
    monkeypatch.setattr(memory, "_peak", lambda: 9_000_000_000)
    with pytest.raises(ResourceError, match="ran out of memory") as failure, within_memory(_Task(memory_mb=10_000)):
        raise kind(text)

    assert text in failure.value.what


def test_a_damaged_file_that_claims_an_absurd_size_is_no_want_of_memory(monkeypatch):
    error = InputError("cannot be read", where="tile.tif", fix="copy it again")
    error.__cause__ = RasterioIOError("Cannot allocate 912345678912345 bytes")

    assert _raised(error, monkeypatch, peak=300_000_000) is error


def test_a_file_that_cannot_be_read_for_want_of_memory_is_not_called_damaged(monkeypatch):
    monkeypatch.setattr(memory, "_peak", lambda: 9_000_000_000)
    error = InputError("cannot be read", where="tile.tif", fix="copy it again")
    error.__cause__ = RasterioIOError("Out of memory allocating 4096 bytes")
    with pytest.raises(ResourceError, match="Out of memory"), within_memory(_Task(memory_mb=10_000)):
        raise error


def test_a_killed_worker_is_explained():
    said = explain_killed("Task x died unexpectedly with exit code -9", _Task())

    assert "exit code -9: it was killed from outside, most often by the kernel because memory ran out\n" in said
    assert "  where: test.Task(1)\n" in said
    assert "lower threads (now 8) to 3" in said
    assert "gcn run --workers" in said


def test_a_library_that_gave_up_is_explained():
    assert "SIGABRT: a library aborted" in explain_killed("Task x died unexpectedly with exit code -6", _Task())


@pytest.mark.parametrize("said", ["no such file", "Task x died unexpectedly with exit code -15"])
def test_other_failures_are_reported_as_they_are(said):
    assert explain_killed(said, _Task()) == said


def _root(tmp_path, groups, **files):
    """Return a directory with what the kernel says of control groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_without_groups_the_machine_is_the_limit_less_a_reserve(tmp_path):
    total = psutil.virtual_memory().total

    assert allowed_bytes(_root(tmp_path, "")) == total - min(max(total // 8, 256 * MB), 2000 * MB)


def test_the_limit_of_a_group_or_of_one_around_it_counts(tmp_path):
    mount = "sys/fs/cgroup"
    files = {f"{mount}/job/step/memory.max": "max\n", f"{mount}/job/memory.max": "1000000000\n"}
    root = _root(tmp_path, "7:pids:/other\n0::/job/step\n", **files)

    assert allowed_bytes(root) == 744 * MB
    (root / f"{mount}/job/step/memory.max").write_text("900000000\n")
    assert allowed_bytes(root) == 644 * MB


def test_in_a_container_that_shows_the_hosts_names_the_mounted_root_counts(tmp_path):
    root = _root(tmp_path, "0::/../docker/1f3a\n", **{"sys/fs/cgroup/memory.max": "1000000000\n"})

    assert allowed_bytes(root) == 744 * MB


def test_workers_share_what_is_allowed(tmp_path):
    root = _root(tmp_path, "0::/job\n", **{"sys/fs/cgroup/job/memory.max": "8000000000\n"})

    # An eighth is kept back.
    assert [share_mb(workers, root) for workers in (1, 2, 7)] == [7000, 3500, 1000]


def test_a_group_that_allows_nothing_leaves_no_negative_share(tmp_path):
    root = _root(tmp_path, "0::/job\n", **{"sys/fs/cgroup/job/memory.max": "1000\n"})

    assert allowed_bytes(root) == 0
    assert share_mb(4, root) == 1


@pytest.mark.parametrize("kind", [resource.RLIMIT_DATA, resource.RLIMIT_AS])
def test_limits_of_the_shell_count(monkeypatch, kind):
    free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: (5 * MB, free[1]) if asked == kind else free)

    with pytest.raises(ResourceError, match="may have only 5 MB"), within_memory(_Task(needed=1)):
        pytest.fail("started")
