"""Luigi's worker, made to share a scheduler with other runs and to give heavy tasks to a cluster."""

import json
from collections.abc import Mapping
from typing import Any

import luigi

from gcn_luigi.engine.engines import Engine
from gcn_luigi.luigi_host.worker import worker_context
from gcn_luigi.operate.threads import TaskThread
from gcn_luigi.tasks.base import MADE, share_look
from gcn_luigi.tasks.dependencies import Snapshot


class Worker(luigi.worker.Worker):
    """Luigi's worker for several runs at once: it waits for files that another run makes, and knows which it made.

    It also reports to the scheduler where the page of each finished task is, including tasks that it found finished.
    With an `engine`, threads wait for the heavy tasks, which the engine makes; as many are in flight as it has slots.
    """

    def __init__(self, *args: Any, engine: Engine | None = None, **kwargs: Any) -> None:
        self._engine = engine
        # Light tasks that the scheduler gave out while all local processes were busy, oldest first.
        self._held: list[Any] = []
        super().__init__(*args, **kwargs)
        self._context = worker_context()
        # Luigi uses the method of the program; a queue must come from the method that starts the processes.
        self._task_result_queue = self._context.Queue()
        self.made: set[str] = set()
        self.made_elsewhere: set[str] = set()

    @property
    def worker_processes(self) -> int:
        """How many tasks may be in flight: local processes and the slots of the engine."""
        if self._engine is None:
            return self._n_local
        return self._n_local + self._engine.slots() + len(self._held)

    @worker_processes.setter
    def worker_processes(self, count: int) -> None:
        self._n_local = count

    def _create_task_process(self, task: luigi.Task) -> Any:
        process = super()._create_task_process(task)
        if self._engine is not None and getattr(task, "is_heavy", False):
            return TaskThread.instead_of(process, self._engine)
        process._Popen = self._context.Process._Popen  # noqa: SLF001  multiprocessing has no public way to choose
        return process if self._engine is None else _Held(process, self._held)

    def _handle_next_task(self) -> None:
        self._start_held()
        super()._handle_next_task()
        self._start_held()

    def _start_held(self) -> None:
        """Start light tasks as far as local processes are free; the slots of a cluster are not for them."""
        busy = sum(isinstance(one, _Held) and one.is_alive() for one in self._running_tasks.values())
        while self._held and busy < self._n_local:
            self._held.pop(0).start()
            busy += 1

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


class _Held:
    """A process that its worker starts once there is room for it; otherwise it is what it holds."""

    def __init__(self, process: Any, held: list[Any]) -> None:
        self._process, self._queue = process, held

    def start(self) -> None:
        """Wait for room."""
        self._queue.append(self._process)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)
