"""How long the tasks of a dataset took: by family, in total, and along the longest chain of dependent tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from markupsafe import Markup

from gcn_luigi.report.graph_picture import Box, TaskTime, draw_graph, families_of
from gcn_luigi.report.tables import NONE, Bar, Cell, Table, counted, number

_SECONDS, _MINUTES, _HOURS = 100, 100 * 60, 100 * 3600


@dataclass(frozen=True)
class FamilyTime:
    """Times of the tasks of one family: the sum of the `n_timed` known times and the longest task; None without any."""

    n_tasks: int
    n_timed: int
    seconds: float | None
    longest: TaskTime | None


@dataclass(frozen=True)
class Durations:
    """The times on the page: the graph as ``svg``, totals in words, a table, and the tasks of the longest chain.

    `chain` is in the order of the build, and empty if no time is known.
    """

    picture: Markup
    summary: str
    table: Table
    chain: tuple[str, ...]


def make_durations(tasks: Sequence[TaskTime]) -> Durations:
    """Return picture, summary and table of `tasks`; without tasks they say that nothing is known."""
    requires = families_of(tasks)
    families = {name: family_time([task for task in tasks if task.family == name]) for name in requires}
    chain = longest_chain(tasks)
    on_chain = {task.family for task in chain}
    boxes = {name: _box(name, found, is_framed=name in on_chain) for name, found in families.items()}
    summary = _summary(tasks, chain)
    # Our own element; draw_graph has escaped its text.
    picture = Markup(draw_graph(boxes, requires, f"The task graph of this dataset. {summary}"))  # noqa: S704
    return Durations(picture, summary, _table(families), tuple(task.name for task in chain))


def family_time(tasks: Sequence[TaskTime]) -> FamilyTime:
    """Return the times of `tasks`, which are all of one family."""
    timed = [task for task in tasks if task.seconds is not None]
    longest = min(timed, key=lambda task: (-(task.seconds or 0), task.name), default=None)
    return FamilyTime(len(tasks), len(timed), _total(timed) if timed else None, longest)


def longest_chain(tasks: Iterable[TaskTime]) -> list[TaskTime]:
    """Return the chain of tasks, each waiting for the one before, that took longest in total; empty without times.

    No number of workers makes a build shorter than this chain. Tasks with unknown time count as zero. The tasks have no
    cycle.
    """
    known = {task.name: task for task in tasks}
    requires = {name: [one for one in task.requires if one in known] for name, task in known.items()}
    until: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for name in TopologicalSorter(requires).static_order():
        before[name] = min(requires[name], key=lambda one: (-until[one], one), default=None)
        until[name] = (known[name].seconds or 0.0) + max((until[one] for one in requires[name]), default=0.0)
    last = min(until, key=lambda name: (-until[name], name), default=None)
    if last is None or not until[last]:
        return []
    chain: list[TaskTime] = []
    while last is not None:
        chain.append(known[last])
        last = before[last]
    return [task for task in reversed(chain) if task.seconds is not None]


def duration(seconds: float | None) -> str:
    """Return a duration in readable form.

    Examples
    --------
    >>> [duration(value) for value in (None, 0.04, 12.34, 250, 9000)]
    ['\u2013', '0.0 s', '12.3 s', '4.2 min', '2.5 h']
    """
    if seconds is None:
        return NONE
    if seconds < _SECONDS:
        return f"{number(seconds, 1)} s"
    return f"{number(seconds / 60, 1)} min" if seconds < _MINUTES else f"{number(seconds / 3600, 1)} h"


def _total(tasks: Iterable[TaskTime]) -> float:
    return sum(task.seconds for task in tasks if task.seconds is not None)


def _box(name: str, found: FamilyTime, *, is_framed: bool) -> Box:
    count = counted(found.n_tasks, "task")
    if found.longest is None:
        return Box(name, (count, "time not known"))
    if found.n_tasks == 1:
        return Box(name, (count, f"took {duration(found.seconds)}"), is_framed=is_framed)
    lines = (f"{count}, {duration(found.seconds)}", f"longest {duration(found.longest.seconds)}")
    return Box(name, lines, is_framed=is_framed)


def _summary(tasks: Sequence[TaskTime], chain: Sequence[TaskTime]) -> str:
    timed = [task for task in tasks if task.seconds is not None]
    if not timed:
        return "No task has a recorded time."
    total = _total(timed)
    parts = [f"The time of {number(len(timed))} of {number(len(tasks))} tasks is known: {duration(total)} in total."]
    if chain:
        length = _total(chain)
        parts.append(
            f"The longest chain of tasks that wait for one another took {duration(length)}, so parallel workers can "
            f"make a build at most {number(max(total / length, 1.0), 1)} times faster than a single worker."
        )
    return " ".join(parts)


def _table(families: Mapping[str, FamilyTime]) -> Table:
    total = sum(found.seconds or 0.0 for found in families.values()) or 1.0
    rows: list[tuple[Cell, ...]] = []
    for name, found in sorted(families.items(), key=lambda item: (-(item[1].seconds or 0.0), item[0])):
        share = (found.seconds or 0.0) / total
        rows.append(
            (
                name,
                number(found.n_tasks),
                number(found.n_timed),
                NONE if found.seconds is None else Bar(f"{duration(found.seconds)} ({share:.0%})", share),
                NONE if found.longest is None else duration(found.longest.seconds),
                NONE if found.longest is None else found.longest.name,
            )
        )
    head = ("family", "#tasks", "#timed", "#total", "#longest", "longest task")
    return Table("Wall-clock time by family, from the last run of each task that made something", head, tuple(rows))
