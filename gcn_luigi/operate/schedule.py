"""What a build would do now, task by task, and how long it would take."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import luigi

from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.explain import State, explain
from gcn_luigi.tasks.graph import upstream

# A worker process is born, asks whether everything is there, and reports: measured as 0.1 to 0.3 s.
_START_S = 0.2


class Action(StrEnum):
    """What a build does with a task."""

    KEEP = "keep"
    BUILD = "build"
    REBUILD = "rebuild"
    # Made from something that is built: again only if that turns out otherwise than before.
    LOOK = "look again"


_ACTIONS = {
    State.CURRENT: Action.KEEP,
    State.ABSENT: Action.BUILD,
    State.DAMAGED: Action.REBUILD,
    State.STALE: Action.REBUILD,
    State.WAITING: Action.LOOK,
}


@dataclass(frozen=True)
class Step:
    """One task of a build to come.

    Attributes
    ----------
    task : RegionTask
        The task.
    action : Action
        What happens to it.
    reasons : tuple of str
        Why; none for a task that is kept.
    """

    task: RegionTask
    action: Action
    reasons: tuple[str, ...]


def look_ahead(root: RegionTask) -> tuple[Step, ...]:
    """Return what a build of `root` would do, requirements first; nothing is changed."""
    snapshot = Snapshot()
    verdicts = ((task, explain(task, snapshot)) for task in (*upstream(root), root))
    return tuple(Step(task, _ACTIONS[verdict.state], verdict.reasons) for task, verdict in verdicts)


def makespan(steps: Sequence[Step], seconds: Mapping[str, float], workers: int) -> float:
    """Return how long a build takes, in seconds, if each task takes what is expected of it.

    Tasks start as soon as what they require is there and a worker is free, as Luigi's do, those that come first in
    `steps` first. A task that is only looked at counts in full: this is the longest that the build should take.

    Parameters
    ----------
    steps : sequence of Step
        From `look_ahead`.
    seconds : mapping
        By name of a task, for one process.
    workers : int
        Processes that work at once.
    """
    waiting = [step.task for step in steps if step.action is not Action.KEEP]
    names = {task.name for task in waiting}
    needs = {task.name: {one.name for one in luigi.task.flatten(task.requires())} & names for task in waiting}
    running: list[tuple[float, str]] = []
    done: set[str] = set()
    now = 0.0
    while waiting or running:
        for task in [task for task in waiting if needs[task.name] <= done][: workers - len(running)]:
            waiting.remove(task)
            heapq.heappush(running, (now + _START_S + seconds.get(task.name, 0.0), task.name))
        now, name = heapq.heappop(running)
        done.add(name)
    return now
