"""Progress of a build: which tasks are done, which run and how far they are, and how long the rest may take."""

import html
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import luigi

from gcn_luigi.io.publish.timings import read_times
from gcn_luigi.tasks.base import RegionTask

# Luigi's words for a task that waits for a worker or for others.
_WAITING = "PENDING"


@dataclass(frozen=True)
class Running:
    """A running task: its name, the completed fraction (0 to 1; None until the task reports it), its last message."""

    name: str
    share: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Progress:
    """The progress of a build at one moment.

    `counts` are tasks by Luigi status (DONE, RUNNING, PENDING, FAILED). `seconds_left` is how long the rest may take;
    None if nothing is known about it.
    """

    counts: dict[str, int]
    running: tuple[Running, ...]
    seconds_left: float | None = None


class Observer:
    """Observes a build with `workers` workers repeatedly.

    The build has a `scheduler`, a `history` of every (task, status) that was reported, oldest first, and the ids of the
    tasks that are `running` now.
    """

    def __init__(self, build: Any, workers: int) -> None:
        self._build, self._workers = build, workers
        self._took: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._ended: set[str] = set()
        self._asked: set[str] = set()

    def look(self, *, asks: bool = True) -> Progress:
        """Return the progress of the build now; without `asks` running tasks are only named.

        With `asks`, the scheduler is asked for their last reports; if the scheduler is gone, this takes a minute.
        """
        last = {task.task_id: (task, status) for task, status in self._build.history()}
        ids = set(self._build.running())
        statuses = {task_id: "RUNNING" if task_id in ids else status for task_id, (_, status) in last.items()}
        self._clock({title(last[task_id][0]): status for task_id, status in statuses.items()})
        ask = self._ask if asks else lambda task: Running(title(task))
        running = sorted((ask(last[task_id][0]) for task_id in ids if task_id in last), key=lambda one: one.name)
        waiting = [last[task_id][0] for task_id, status in statuses.items() if status == _WAITING]
        return Progress(dict(Counter(statuses.values())), tuple(running), self._left(waiting, running))

    def _clock(self, statuses: Mapping[str, str]) -> None:
        """Record when tasks begin, and how long finished tasks took."""
        now = time.monotonic()
        for name, status in statuses.items():
            if status == "RUNNING":
                self._began.setdefault(name, now)
            elif status == "DONE" and name in self._began and name not in self._ended:
                self._ended.add(name)
                self._took[name] = now - self._began[name]

    def _ask(self, task: Any) -> Running:
        """Return the last report of a running task."""
        share, message = None, ""
        # An error in the display must never end a build.
        with suppress(luigi.rpc.RPCError, KeyError, TypeError):
            percent = self._build.scheduler.get_task_progress_percentage(task.task_id)["progressPercentage"]
            share = None if percent is None else percent / 100
            message = html.unescape(self._build.scheduler.get_task_status_message(task.task_id)["statusMessage"] or "")
        return Running(title(task), share, message)

    def _left(self, waiting: Sequence[Any], running: Sequence[Running]) -> float | None:
        for task in waiting:
            # The times of earlier builds are read once.
            if isinstance(task, RegionTask) and task.name not in self._asked:
                self._asked.add(task.name)
                self._took = {**read_times(task.paths, [task.name]), **self._took}
        return seconds_left([title(task) for task in waiting], running, self._took, self._workers)


def seconds_left(
    waiting: Sequence[str], running: Sequence[Running], took: Mapping[str, float], workers: int
) -> float | None:
    """Return how long the rest of a build may take, from earlier times of each task or of others of its family.

    `waiting` names the tasks that have not begun. `took` gives seconds by task name, from this build or an earlier one.
    The result is None if no task of any remaining family has ever been timed.
    """
    families: dict[str, list[float]] = defaultdict(list)
    for name, seconds in took.items():
        families[_family(name)].append(seconds)
    wanted = [*((name, 1.0) for name in waiting), *((one.name, 1.0 - (one.share or 0.0)) for one in running)]
    known = {name: took.get(name, fmean(families[_family(name)])) for name, _ in wanted if families.get(_family(name))}
    if wanted and not known:
        return None
    # Families without any time get the median of the known times: a guess that holds until one of their tasks ends.
    middle = sorted(known.values())[len(known) // 2] if known else 0.0
    return sum(known.get(name, middle) * share for name, share in wanted) / max(min(workers, len(wanted)), 1)


def title(task: Any) -> str:
    """Return a task's name, or its family if it has no name."""
    return str(getattr(task, "name", None) or task.get_task_family())


def _family(name: str) -> str:
    return name.partition("(")[0]
