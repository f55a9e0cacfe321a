"""Tasks of a region's graph that are chosen by name, as `gcn status --json` lists them."""

import re
from collections.abc import Sequence

from gcn_luigi.errors import ConfigError, few
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dataset import Dataset
from gcn_luigi.tasks.graph import upstream

_NAME = re.compile(r"\s*(?:gcn\.)?(?P<family>\w+)\s*(?:\((?P<values>[^()]*)\))?\s*")


def chosen_tasks(root: Dataset, names: Sequence[str], part: tuple[int, int] | None = None) -> list[RegionTask]:
    """Return the tasks of a graph, or made on request beside it, that fit one of `names`, requirements first.

    A name is a family and its first parameters: ``ChipShard(train, 7)`` is the eighth train shard whatever the number
    of shards, ``ChipShard(dev)`` are all dev shards, and ``ChipShard`` all shards. With ``part = (i, n)`` only every
    n-th of them is returned, from the i-th on, counted from 0; there may be none. Raises ConfigError if a name fits no
    task.
    """
    tasks = (*upstream(root), *root.extras(), root)
    chosen: dict[str, RegionTask] = {}
    for name in names:
        found = {task.task_id: task for task in tasks if _fits(task.name, name)}
        if not found:
            raise ConfigError(
                f"no task of this region fits {name!r}; {_alike([task.name for task in tasks], name)}",
                where="--task",
                fix="give a name that `gcn status --json` lists, such as 'ChipShard(train, 0)'",
            )
        chosen |= found
    first, step = part or (0, 1)
    return [task for task in tasks if task.task_id in chosen][first::step]


def _fits(name: str, asked: str) -> bool:
    wanted = _parts(asked)
    if wanted is None:
        return False
    family, values = _parts(name) or ("", [])
    return wanted[0] == family and values[: len(wanted[1])] == wanted[1]


def _parts(name: str) -> tuple[str, list[str]] | None:
    """Return family and parameters; None if it is no task's name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    values = [value.strip() for value in (found["values"] or "").split(",")]
    return found["family"], [value for value in values if value]


def _alike(names: Sequence[str], asked: str) -> str:
    """Return what is there instead: tasks of the same family, or the families."""
    family = (_parts(asked) or ("", []))[0]
    same = [name for name in names if family and _fits(name, family)]
    if same:
        return f"there are {few(same)}"
    return f"its kinds of tasks are {few(sorted({name.partition('(')[0] for name in names}))}"
