"""A task that a cluster makes, as Luigi's worker sees it: a thread that waits, where others are processes that work."""

import copy
import threading
from contextlib import suppress
from typing import Any, Self

import luigi

from gcn_luigi.engine.engines import Engine


class TaskThread(luigi.worker.TaskProcess):
    """What Luigi's worker starts, asks and ends like a process; in it runs Luigi's own protocol of a task.

    So the submitting machine needs no process for each task that a cluster makes.
    """

    def __init__(self, engine: Engine, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._engine = engine
        self._thread = threading.Thread(target=self._work, name=f"gcn-{self.task.task_id}", daemon=True)
        self._is_ended = False

    @classmethod
    def instead_of(cls, process: luigi.worker.TaskProcess, engine: Engine) -> Self:
        """Return a thread that does what `process`, which has not been started, would do."""
        # Threads must not share what a task remembers of its last look at the files, or whom it reports to.
        task = copy.copy(process.task)
        task.engine = engine
        thread = cls(
            engine,
            task,
            process.worker_id,
            process.result_queue,
            process.status_reporter,
            use_multiprocessing=True,
            check_unfulfilled_deps=process.check_unfulfilled_deps,
            check_complete_on_run=process.check_complete_on_run,
            task_completion_cache=process.task_completion_cache,
        )
        thread.worker_timeout, thread.timeout_time = process.worker_timeout, process.timeout_time
        return thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread."""
        self._thread.join(timeout)

    @property
    def exitcode(self) -> int | None:
        """0 once the thread has ended: it has then reported how the task ended."""
        return 0 if self._is_ended else None

    @property
    def pid(self) -> None:
        """None: it has no process."""
        return

    def terminate(self) -> None:
        """Ask the cluster to stop making the task."""
        self._engine.cancel(self.task)

    def _work(self) -> None:
        try:
            # Luigi closes the queue of the results when a run is stopped, before its last tasks end.
            with suppress(ValueError):
                self.run()
        finally:
            self._is_ended = True
