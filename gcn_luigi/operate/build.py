"""One build of a graph and its progress: which tasks are done, which run, which failed and why."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import luigi
from luigi.execution_summary import LuigiStatusCode

from gcn_luigi.errors import SchedulerError
from gcn_luigi.luigi_host.memory_limit import explain_killed
from gcn_luigi.luigi_host.trust import is_loopback
from gcn_luigi.luigi_host.worker import start_server, use_forkserver, worker_context
from gcn_luigi.operate.progress import Observer, Progress, title
from gcn_luigi.tasks.base import MADE, RegionTask, share_look
from gcn_luigi.tasks.dependencies import Snapshot
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


class Worker(luigi.worker.Worker):
    """Luigi's worker for several runs at once: it waits for files that another run makes, and knows which it made.

    It also reports to the scheduler where the page of each finished task is, including tasks that it found finished.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._context = worker_context()
        # Luigi uses the method of the program; a queue must come from the method that starts the processes.
        self._task_result_queue = self._context.Queue()
        self.made: set[str] = set()
        self.made_elsewhere: set[str] = set()

    def _create_task_process(self, task: luigi.Task) -> Any:
        process = super()._create_task_process(task)
        process._Popen = self._context.Process._Popen  # noqa: SLF001  multiprocessing has no public way to choose
        return process

    def _add_task(self, *args: Any, **kwargs: Any) -> None:
        task_id = kwargs["task_id"]
        if kwargs["status"] == "DONE":
            address = getattr(self._scheduled_tasks.get(task_id), "page_address", None)
            if address is not None:
                kwargs["tracking_url"] = address
            if kwargs.get("expl") == json.dumps(MADE):
                self.made.add(task_id)
        super()._add_task(*args, **kwargs)

    def _keep_alive(self, get_work_response: Any) -> bool:
        """Return whether to ask again although the scheduler gave no task: while another run makes what is needed.

        Luigi would stop here, and report tasks as unfinished that the other run is about to finish.
        """
        is_freed = self._see_what_others_did()
        # In any case: after the machine slept, both may be true.
        is_back = self._return_if_forgotten()
        return is_freed or is_back or bool(get_work_response.running_tasks) or super()._keep_alive(get_work_response)

    def _return_if_forgotten(self) -> bool:
        """Tell the scheduler again which tasks to make if it has forgotten this worker; return whether it had.

        A scheduler forgets a worker that it did not hear of for some time ([scheduler] worker_disconnect_delay), for
        example because the machine slept. It then has no work for it, and Luigi would end with unfinished tasks.
        """
        waiting = self.waiting()
        if not waiting:
            return False
        known = self._scheduler.task_list(status="", upstream_status="", limit=False)
        # Nobody is ever asked to run a task that has no `run`.
        wanted = {task_id: task for task_id, task in waiting.items() if task.run is not None}
        forgotten = [task for task_id, task in wanted.items() if self._is_forgotten(known.get(task_id))]
        for task in share_look(forgotten, Snapshot()):
            self.add(task)
        return bool(forgotten)

    def _is_forgotten(self, known: Mapping[str, Any] | None) -> bool:
        return known is None or (known["status"] == "PENDING" and self._id not in known["workers"])

    def waiting(self) -> dict[str, Any]:
        """Return the tasks that are known and neither done nor failed, by id."""
        last = {task.task_id: (task, status) for task, status, _ in list(self._add_task_history)}
        return {task_id: task for task_id, (task, status) in last.items() if status == "PENDING"}

    def running_elsewhere(self) -> list[str]:
        """Return the ids of the tasks that this run waits for while another run makes them."""
        if self._running_tasks or not self._get_work_response_history:
            return []
        return [task["task_id"] for task in self._get_work_response_history[-1]["running_tasks"]]

    def failed_elsewhere(self) -> dict[str, Any]:
        """Return the tasks, by id, that this run waits for in vain because they failed in another run."""
        waiting = self.waiting()
        failed = self._scheduler.task_list(status="FAILED", upstream_status="", limit=False) if waiting else {}
        return {task_id: waiting[task_id] for task_id in waiting.keys() & failed.keys()}

    def _see_what_others_did(self) -> bool:
        """Remember which tasks other runs finished; return whether a task is free again because its run was killed."""
        waiting = self.waiting()
        if not waiting:
            return False
        done = self._scheduler.task_list(status="DONE", upstream_status="", limit=False)
        for task_id in sorted(waiting.keys() & done.keys()):
            self.made_elsewhere.add(task_id)
            self._add_task_history.append((waiting[task_id], "DONE", True))
        # The scheduler calls these tasks failed, but has no error message for them.
        killed = [name for name in self.failed_elsewhere() if not self._scheduler.fetch_error(name)["error"]]
        for task_id in killed:
            self._scheduler.forgive_failures(task_id=task_id)
        return bool(killed)


class _Factory:
    """Gives Luigi a scheduler and a worker and keeps both, so that they can be asked later."""

    def __init__(self) -> None:
        self.scheduler: Any = None
        self.worker: Any = None

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
        self.worker = Worker(scheduler=scheduler, worker_processes=worker_processes, assistant=assistant)
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
) -> BuildResult:
    """Build `tasks` and all that they require in `workers` processes; wait for what another run is making.

    The central scheduler is at `address`; None keeps the scheduler in this process. `watch` is called twice a second
    with the progress of the build. If the central scheduler ends, the build continues with one in this process if
    `goes_on` is True, and otherwise raises SchedulerError.
    """
    for root in tasks:
        if isinstance(root, RegionTask):
            # An error in the graph is raised here; Luigi would only log it.
            tuple(upstream(root))
    # The calling program decides how to log; Luigi would install its own handlers.
    luigi.configuration.get_config().set("core", "no_configure_logging", "true")
    use_forkserver()
    start_server()
    factory = _Factory()
    try:
        with _watching(factory, workers, watch):
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
                rest = build(tasks, workers=workers, address=None, watch=watch)
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
