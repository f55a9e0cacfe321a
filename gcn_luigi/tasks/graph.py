"""The task graph as a whole: every task once, every file once, the state of each, and why."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import luigi

from gcn_luigi.prepare.disagreements import source_files
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.target import PublishedFile


class State(StrEnum):
    """The state of a task's files."""

    CURRENT = "current"
    # Never made, or lost.
    ABSENT = "absent"
    # The bytes are not those that were published.
    DAMAGED = "damaged"
    # Intact, but a setting, a source or a file that it reads has changed.
    STALE = "stale"
    # Up to date itself, but an upstream file is missing; checked again once that file is made.
    WAITING = "waiting"


@dataclass(frozen=True)
class TaskStatus:
    """The state of a task, which is the worst state of its files, and reasons about a file or a required task."""

    name: str
    state: State
    reasons: tuple[str, ...]


def upstream(root: RegionTask) -> Iterator[RegionTask]:
    """Yield every task that `root` requires, directly or not, each once, requirements first."""
    seen: set[str] = set()

    def visit(task: RegionTask) -> Iterator[RegionTask]:
        for required in luigi.task.flatten(task.requires()):
            if required.task_id not in seen:
                seen.add(required.task_id)
                yield from visit(required)
                yield required

    return visit(root)


def made_files(root: RegionTask) -> Iterator[PublishedFile]:
    """Yield every file of `root` and of all its upstream tasks, requirements first."""
    for task in (*upstream(root), root):
        yield from task.targets()


def explain(task: RegionTask, snapshot: Snapshot) -> TaskStatus:
    """Return the state of a task's files and the reasons, none for a current task; this changes nothing.

    Share the `snapshot` between calls about one graph, so that each task is asked once.
    """
    states, reasons = [State.CURRENT], []
    for target in task.targets():
        for state, reason in _file(task, target, snapshot):
            states.append(state)
            reasons.append(f"{target.path.relative_to(task.paths.root).as_posix()}: {reason}")
    waits = [
        required.name for required in luigi.task.flatten(task.requires()) if not required.is_complete_upstream(snapshot)
    ]
    if waits:
        reasons += [f"waits for {name}" for name in waits]
        states += [State.WAITING] * (states == [State.CURRENT])
    worst = (State.ABSENT, State.DAMAGED, State.STALE, State.WAITING, State.CURRENT)
    return TaskStatus(task.name, min(states, key=worst.index), tuple(reasons))


def _file(task: RegionTask, target: PublishedFile, snapshot: Snapshot) -> Iterator[tuple[State, str]]:
    record = target.record()
    if not target.path.is_file():
        yield State.ABSENT, "not made yet" if record is None else "the file is gone"
        return
    if record is None:
        yield State.ABSENT, "its sidecar is missing or damaged, so nothing is known about it"
        return
    if not target.is_intact(record):
        yield State.DAMAGED, "its bytes have changed since it was published"
    now = json.loads(json.dumps(task.parts(target.path, snapshot)))
    for reason in differences(record.renewed_parts, now):
        yield State.STALE, reason


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each change in what decides a file's content."""
    for part in sorted(before.keys() | now.keys()):
        old, new = before.get(part), now.get(part)
        if old == new:
            continue
        if part == "code_version":
            yield f"the stage's code changed (version {old} to {new})"
        elif part == "place":
            yield "the sources have moved relative to the file, which names them by relative paths"
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            if part == "sources":
                # Down to single files: a sidecar, a tile, a file that a VRT names.
                old, new = source_files(old), source_files(new)
            for name in sorted(old.keys() | new.keys()):
                if old.get(name) != new.get(name):
                    yield _sentence(part, name, old.get(name), new.get(name))
        else:
            yield f"{part} was {_short(old)}, is now {_short(new)}"


def _sentence(part: str, name: str, old: Any, new: Any) -> str:
    """Return what changed in an entry of a part; for a setting, the keys, down to those of a band."""
    match part:
        case "settings":
            leaves = _leaves(name, old, new)
            said = "setting " + "; ".join(f"{key} was {_short(was)}, is now {_short(now)}" for key, was, now in leaves)
        case "sources" if old is None or new is None:
            said = f"source {name} is {'gone' if new is None else 'new'}"
        case "sources" if old[0] != new[0]:
            said = f"source {name} changed ({old[0]} to {new[0]} bytes)"
        case "sources":
            said = f"source {name} was touched"
        case "inventory" if name.startswith("band:"):
            said = f"the inventory lists other files of band {name.removeprefix('band:')}"
        case "inventory":
            said = f"the inventory changed ({name})"
        case "reads" | "files" if old is None:
            said = f"{name} is now also read"
        case "reads" | "files":
            said = f"{name} no longer exists" if new is None else f"{name} was rebuilt with other content"
        case _:
            said = f"{part} {name} was {_short(old)}, is now {_short(new)}"
    return said


def _leaves(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(row, dict) for row in (*old, *new)):
        named = [{row.get("name", str(index)): row for index, row in enumerate(rows)} for rows in (old, new)]
        old, new = named
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield from _leaves(f"{name}.{key}", old.get(key), new.get(key))
    else:
        yield name, old, new


def _short(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
