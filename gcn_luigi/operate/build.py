"""One build of a graph and its progress: which tasks are done, which run, which failed and why."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import luigi
from luigi.execution_summary import LuigiStatusCode

from gcn_luigi.engine.engines import Engine
from gcn_luigi.errors import SchedulerError
from gcn_luigi.luigi_host.memory_limit import explain_killed
from gcn_luigi.luigi_host.trust import is_loopback
from gcn_luigi.luigi_host.worker import start_server, use_forkserver
from gcn_luigi.operate.progress import Observer, Progress, title
from gcn_luigi.operate.worker import Worker
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream

_EXIT_CODES = {
    LuigiStatusCode.SUCCESS: 0,
    LuigiStatusCode.SUCCESS_WITH_RETRY: 0,
    LuigiStatusCode.MISSING_EXT: 20,
    LuigiStatusCode.NOT_RUN: 25,
    LuigiStatusCode.FAILED: 30,
    LuigiStatusCode.SCHEDULING_FAILED: 35,
    LuigiStatusCode.FAILED_AND_SCHEDULING_FAILED: 35,
}
_NOT_RUN = _EXIT_CODES[LuigiStatusCode.NOT_RUN]
_POLL_S = 0.5
_RETRY_S = 5
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class BuildResult:
    """How a build ended.

    `exit_code` is 0, or the code that luigi.cfg's ``[retcode]`` gives. `built` names the tasks whose files this run
    made, `built_elsewhere` those that another run on the same scheduler finished in the meantime. `failures` holds the
    error message of each failed task, by name. `lost_scheduler` is True if the central scheduler ended and the build
    continued with one in this process.
    """

    exit_code: int
    built: tuple[str, ...]
    failures: dict[str, str] = field(default_factory=dict)
    built_elsewhere: tuple[str, ...] = ()
    lost_scheduler: bool = False


class _Factory:
    """Gives Luigi a scheduler and a worker and keeps both, so that they can be asked later."""

    def __init__(self, engine: Engine | None) -> None:
        self.scheduler: Any = None
        self.worker: Any = None
        self._engine = engine

    def create_local_scheduler(self) -> Any:
        self.scheduler = luigi.scheduler.Scheduler(prune_on_get_work=True, record_task_history=False)
        return self.scheduler

    def create_remote_scheduler(self, url: str) -> Any:
        self.scheduler = luigi.rpc.RemoteScheduler(url)
        if is_loopback(url):
            # A scheduler on this machine that is gone for ten seconds does not come back; Luigi asks for a minute.
            self.scheduler._rpc_retry_wait = min(self.scheduler._rpc_retry_wait, _RETRY_S)  # noqa: SLF001
        return self.scheduler

    def create_worker(self, scheduler: Any, worker_processes: int, assistant: bool = False) -> Any:  # noqa: FBT001, FBT002  Luigi's signature
        self.worker = Worker(
            scheduler=scheduler, worker_processes=worker_processes, assistant=assistant, engine=self._engine
        )
        return self.worker

    def history(self) -> list[tuple[Any, str]]:
        """Return every (task, status) the worker reported, oldest first, as Luigi's own summary reads it."""
        return [(task, status) for task, status, _ in list(self.worker._add_task_history)]  # noqa: SLF001

    def running(self) -> list[str]:
        """Return the ids of the tasks that run now; if none does, of the tasks that another run is making."""
        return list(self.worker._running_tasks) or self.worker.running_elsewhere()  # noqa: SLF001

    def made(self) -> tuple[str, ...]:
        """Return the names of the tasks whose files this run made, sorted."""
        return () if self.worker is None else self._names(self.worker.made)

    def made_elsewhere(self) -> tuple[str, ...]:
        """Return the names of the tasks that another run finished, as far as this run saw it, sorted."""
        return () if self.worker is None else self._names(self.worker.made_elsewhere - self.worker.made)

    def _names(self, task_ids: set[str]) -> tuple[str, ...]:
        known = {task.task_id: task for task, _ in self.history()}
        return tuple(sorted(title(known[task_id]) for task_id in task_ids if task_id in known))


def build(
    tasks: Sequence[luigi.Task],
    *,
    workers: int,
    address: str | None,
    watch: Callable[[Progress], None] | None = None,
    goes_on: bool = False,
    engine: Engine | None = None,
) -> BuildResult:
    """Build `tasks` and all that they require in `workers` processes; wait for what another run is making.

    The central scheduler is at `address`; None keeps the scheduler in this process. `watch` is called twice a second
    with the progress of the build. If the central scheduler ends, the build continues with one in this process if
    `goes_on` is True, and otherwise raises SchedulerError. The nodes of `engine` make the heavy tasks.
    """
    for root in tasks:
        if isinstance(root, RegionTask):
            # An error in the graph is raised here; Luigi would only log it.
            tuple(upstream(root))
    # The calling program decides how to log; Luigi would install its own handlers.
    luigi.configuration.get_config().set("core", "no_configure_logging", "true")
    use_forkserver()
    start_server()
    factory = _Factory(engine)
    try:
        with _watching(factory, workers if engine is None else max(workers, engine.slots()), watch):
            run = luigi.build(
                tasks,
                worker_scheduler_factory=factory,
                workers=workers,
                detailed_summary=True,
                local_scheduler=address is None,
                **({} if address is None else {"scheduler_url": address}),
            )
        code, failures = _EXIT_CODES[run.status], _failures(factory)
    except luigi.rpc.RPCError as error:
        # The scheduler may have ended with the run that started it, which has finished what this run waited for.
        if not all(task.complete() for task in tasks):
            if goes_on:
                rest = build(tasks, workers=workers, address=None, watch=watch, engine=engine)
                built = tuple(sorted({*factory.made(), *rest.built}))
                return replace(rest, built=built, built_elsewhere=factory.made_elsewhere(), lost_scheduler=True)
            raise SchedulerError(
                "the scheduler stopped answering",
                where=str(address),
                fix="run again: finished files are kept; `gcn run --local-scheduler` needs no central scheduler",
            ) from error
        code, failures = 0, {}
    # Which tasks the scheduler gave out does not show which files exist.
    if failures and code in {0, _NOT_RUN}:
        code = _EXIT_CODES[LuigiStatusCode.FAILED]
    elif code == _NOT_RUN and all(task.complete() for task in tasks):
        code = 0
    return BuildResult(code, factory.made(), failures, factory.made_elsewhere())


def _failures(factory: _Factory) -> dict[str, str]:
    """Return the error message of each failed task, including tasks of another run that this run waited for."""
    last = {task.task_id: (task, status) for task, status in factory.history()}
    failed = [task for task, status in last.values() if status in ("FAILED", "UNKNOWN", "DISABLED")]
    failed += factory.worker.failed_elsewhere().values()
    found = {}
    for task in failed:
        entry = factory.scheduler.fetch_error(task.task_id)
        found[title(task)] = explain_killed(_plain(str(entry.get("error") or "")), task)
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
        # The thread may be waiting for a scheduler that is gone; the display is not worth a longer wait.
        thread.join(_PATIENCE_S)
        if factory.worker is not None:
            watch(observer.look(asks=False))
