"""One dataset, whatever builds it: workers, schedulers, threads, order of tasks."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import luigi

from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream
from tests.faults.arena import LOCAL, Arena
from tests.faults.figures import Figures
from tests.integration.commands import LOOPBACK, LUIGI_CFG, luigi_command, luigid


def same_bytes(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Build in as many ways, and compare all bytes."""
    figures = Figures()
    for _ in range(count):
        output = arena.fresh()
        way = rng.choice(("shuffled", "shuffled", "gcn run", "luigi", "luigi with luigid"))
        what = way
        if way == "shuffled":
            what = "tasks in random order"
            for task in shuffled(arena.task(output), rng):
                task.run()
        else:
            workers, threads = rng.choice((1, 2, 4)), rng.choice((1, 3))
            what = f"{way}, workers {workers}, threads {threads}"
            _command(arena, output, way, workers, threads, figures)
        figures.builds += 1
        figures.faults[what] += 1
        arena.equals(output, figures, what)
        arena.drop(output)
    return figures


def shuffled(root: RegionTask, rng: random.Random) -> Iterator[RegionTask]:
    """Yield every task after what it requires, and else in random order."""
    waiting = [*upstream(root), root]
    done: set[str] = set()
    while waiting:
        ready = [task for task in waiting if all(one.task_id in done for one in luigi.task.flatten(task.requires()))]
        task = rng.choice(ready)
        waiting.remove(task)
        yield task
        done.add(task.task_id)


def _command(arena: Arena, output: Path, way: str, workers: int, threads: int, figures: Figures) -> None:
    variables = {"LUIGI_CONFIG_PATH": str(_settings(arena.root, threads))}
    if way == "gcn run":
        command = (*arena.run(output), "--workers", str(workers))
        ended = arena.ends(arena.commands.start(*command, **variables), figures, way)
    else:
        # The last of two options counts.
        command = (*luigi_command("gcn.Dataset", arena.tiny, output), "--workers", str(workers))
        if way == "luigi":
            ended = arena.ends(arena.commands.start(*command, LOCAL, **variables), figures, way)
        else:
            with luigid(arena.commands) as port:
                where = ("--scheduler-host", LOOPBACK, "--scheduler-port", str(port))
                ended = arena.ends(arena.commands.start(*command, *where, **variables), figures, way)
    if ended is not None and ended.code:
        figures.problem("refused again", f"{way}: exit {ended.code}: {ended.text[-800:]}")


def _settings(root: Path, threads: int) -> Path:
    """Return the shipped settings with a number of threads."""
    path = root / f"luigi-{threads}.cfg"
    if not path.exists():
        shutil.copyfile(LUIGI_CFG, path.with_suffix(".new"))
        with path.with_suffix(".new").open("a", encoding="utf-8") as stream:
            stream.write(f"\n[gcn]\nthreads = {threads}\n")
        path.with_suffix(".new").rename(path)
    return path
