"""One build of a graph, watched: what is done, what runs, what failed and why."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import luigi
from luigi.execution_summary import LuigiStatusCode

from gcn_luigi.errors import SchedulerError
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream
from gcn_luigi.tasks.machine import oom_kills
from gcn_luigi.tasks.memory import explained
from gcn_luigi.tasks.process import start_server, use_forkserver
from gcn_luigi.tasks.progress import Observer, Progress, title

_EXIT_CODES = {
    LuigiStatusCode.SUCCESS: 0,
    LuigiStatusCode.SUCCESS_WITH_RETRY: 0,
    LuigiStatusCode.MISSING_EXT: 20,
    LuigiStatusCode.NOT_RUN: 25,
    LuigiStatusCode.FAILED: 30,
    LuigiStatusCode.SCHEDULING_FAILED: 35,
    LuigiStatusCode.FAILED_AND_SCHEDULING_FAILED: 35,
}
_POLL_S = 0.5
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class BuildResult:
    """How a build ended.

    Attributes
    ----------
    exit_code : int
        0, or the code that luigi.cfg's ``[retcode]`` gives.
    built : tuple of str
        Names of the tasks that ran to their end.
    failures : dict of str
        What each failed task said, by name.
    summary : str
        Luigi's own summary.
    """

    exit_code: int
    built: tuple[str, ...]
    failures: dict[str, str] = field(default_factory=dict)
    summary: str = ""


class LinkingWorker(luigi.worker.Worker):
    """A worker that tells the scheduler where the page of each finished task is, also of those it found finished."""

    def _add_task(self, *args: Any, **kwargs: Any) -> None:
        address = getattr(self._scheduled_tasks.get(kwargs["task_id"]), "page_address", None)
        if kwargs["status"] == "DONE" and address is not None:
            kwargs["tracking_url"] = address
        super()._add_task(*args, **kwargs)


class _Factory:
    """Hands Luigi a scheduler and a worker and keeps them, so that they can be asked."""

    def __init__(self) -> None:
        self.scheduler: Any = None
        self.worker: Any = None

    def create_local_scheduler(self) -> Any:
        self.scheduler = luigi.scheduler.Scheduler(prune_on_get_work=True, record_task_history=False)
        return self.scheduler

    def create_remote_scheduler(self, url: str) -> Any:
        self.scheduler = luigi.rpc.RemoteScheduler(url)
        return self.scheduler

    def create_worker(self, scheduler: Any, worker_processes: int, assistant: bool = False) -> Any:  # noqa: FBT001, FBT002  Luigi's signature
        self.worker = LinkingWorker(scheduler=scheduler, worker_processes=worker_processes, assistant=assistant)
        return self.worker

    def history(self) -> list[tuple[Any, str]]:
        """Return every (task, status) the worker reported, oldest first, as Luigi's own summary reads it."""
        return [(task, status) for task, status, _ in list(self.worker._add_task_history)]  # noqa: SLF001

    def running(self) -> list[str]:
        """Return the ids of the tasks that run now."""
        return list(self.worker._running_tasks)  # noqa: SLF001


def build(
    tasks: Sequence[luigi.Task], *, workers: int, address: str | None, watch: Callable[[Progress], None] | None = None
) -> BuildResult:
    """Build `tasks` and all they require.

    Parameters
    ----------
    tasks : sequence of luigi.Task
        Roots of the graph.
    workers : int
        Processes.
    address : str or None
        Of the central scheduler; None keeps the scheduler in this process.
    watch : callable or None
        Told twice a second how far the build is.

    Returns
    -------
    BuildResult
        Exit code, tasks built, failures.

    Raises
    ------
    SchedulerError
        The central scheduler stopped answering.
    """
    use_forkserver()
    start_server()
    # How a program logs is its own affair; Luigi would install handlers.
    luigi.configuration.get_config().set("core", "no_configure_logging", "true")
    factory = _Factory()
    options: dict[str, Any] = {"local_scheduler": address is None}
    if address is not None:
        options["scheduler_url"] = address
    before, kills = _states(tasks), oom_kills()
    with _watching(factory, workers, watch), _scheduler_may_vanish(address):
        run = luigi.build(tasks, worker_scheduler_factory=factory, workers=workers, detailed_summary=True, **options)
    built = _built(factory, before, _states(tasks))
    return BuildResult(_EXIT_CODES[run.status], built, _failures(factory, oom_kills() - kills), run.summary_text)


@contextmanager
def _scheduler_may_vanish(address: str | None) -> Iterator[None]:
    try:
        yield
    except luigi.rpc.RPCError as error:
        raise SchedulerError(
            "the scheduler stopped answering",
            where=str(address),
            fix="run again: what was built is kept; `gcn run --local-scheduler` does without it",
        ) from error


def _states(tasks: Sequence[luigi.Task]) -> dict[str, list[tuple[int, int] | None]]:
    """Return which files of each task are there, so that a new one can be told from an old one, by the task's id."""
    known = [task for root in tasks if isinstance(root, RegionTask) for task in (*upstream(root), root)]
    return {task.task_id: [_state(target.path) for target in task.targets()] for task in known}


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


def _built(factory: _Factory, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tasks that made a file; others ran and found theirs current."""
    done = {task.task_id: task for task, status in factory.history() if status == "DONE"}
    return tuple(sorted(title(task) for task_id, task in done.items() if before.get(task_id) != after.get(task_id)))


def _failures(factory: _Factory, kills: int) -> dict[str, str]:
    """Return what each failed task said; `kills` is how often the kernel ended a process for memory meanwhile."""
    last = {task.task_id: (task, status) for task, status in factory.history()}
    failed = [task for task, status in last.values() if status in ("FAILED", "UNKNOWN", "DISABLED")]
    found = {}
    for task in failed:
        entry = factory.scheduler.fetch_error(task.task_id)
        found[title(task)] = explained(_plain(str(entry.get("error") or "")), task, kills)
    return dict(sorted(found.items()))


def _plain(error: str) -> str:
    """Return the text of an error; Luigi sends it as a JSON string."""
    try:
        return str(json.loads(error))
    except ValueError:
        return error or "no reason given"


@contextmanager
def _watching(factory: _Factory, workers: int, watch: Callable[[Progress], None] | None) -> Iterator[None]:
    if watch is None:
        yield
        return
    stop, observer = threading.Event(), Observer(factory, workers)

    def poll() -> None:
        while not stop.wait(_POLL_S):
            if factory.worker is not None:
                watch(observer.look())

    thread = threading.Thread(target=poll, name="gcn-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # It may be waiting for a scheduler that is gone; what it shows is not worth that.
        thread.join(_PATIENCE_S)
        if factory.worker is not None:
            watch(observer.look(asks=False))
