"""Time what a graph of many tasks costs beside its work: `python -m benchmarks.scheduling [--tasks 500 2000]`.

A small made-up region with as many years (18) and tiles (200) as a part of Alaska is built once. Then its shards are
divided into so many files that the graph has thousands of tasks, all of them to be made anew. Measured are the first
scheduling, and then a run whose shards hold nothing: what remains is the time that Luigi and this package need for each
task. Each number of tasks is measured in a process of its own.
"""

import argparse
import logging
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest import mock

import luigi

from gcn_luigi.operate.worker import Worker
from gcn_luigi.synthetic import WorldSettings, make_world, write_world
from gcn_luigi.tasks import ChipShard, Dataset
from gcn_luigi.tasks.base import RegionTask, share_look
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.graph import upstream

_YEARS = tuple(range(1999, 2017))
_TILES = (10, 20)
_SHAPE = (640, 1280)
_REGION = "alaska"
# What a task costs if every task looks at all files anew; a few are enough to tell.
_FEW = 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the region, measure graphs of each number of tasks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[500, 2000], help="numbers of train shards")
    parser.add_argument("--directory", type=Path, help="where the region is, or is made, instead of a temporary one")
    options = parser.parse_args(arguments)
    with _directory(options.directory) as directory:
        if not (directory / "config" / f"{_REGION}.toml").exists():
            _make_region(directory)
        print(f"{'tasks':>6} {'scheduled':>10} {'alone':>9} {'ours':>9} {'Luigi':>9} {'memory':>8}")
        for number in options.tasks:
            command = [sys.executable, "-c", "from benchmarks.scheduling import measure; measure()"]
            subprocess.run([*command, str(directory), str(number)], check=True)
    print(
        "scheduled: s until the first task could start. alone: ms for a task that looks at all files itself.\n"
        "ours, Luigi: ms for each task while it runs. memory: MB of the process, with the scheduler in it."
    )


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="gcn-scheduling-") as made:
        yield Path(made)


def _make_region(directory: Path) -> None:
    write_world(make_world(WorldSettings(shape=_SHAPE, tiles=_TILES, years=_YEARS)), directory / "input")
    text = (files("gcn_luigi") / "demo.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^years = .*$", f"years = {list(_YEARS)}", text)
    text = text.replace("../output/demo-input", "../input").replace('region = "demo"', f'region = "{_REGION}"')
    (directory / "config").mkdir()
    (directory / "config" / f"{_REGION}.toml").write_text(text, encoding="utf-8")
    for task in upstream(_root(directory)):
        task.run()


def _root(directory: Path) -> Dataset:
    luigi.task_register.Register.clear_instance_cache()
    return Dataset(region=_REGION, output_root=str(directory / "out"), config_dir=str(directory / "config"))


def measure() -> None:
    """Measure one number of tasks and print its row; directory and number are the arguments of the process."""
    directory, number = Path(sys.argv[1]), int(sys.argv[2])
    toml = directory / "config" / f"{_REGION}.toml"
    toml.write_text(re.sub(r"(?m)^n_train = \d+$", f"n_train = {number}", toml.read_text()), encoding="utf-8")
    shutil.rmtree(directory / "out" / _REGION / "shards", ignore_errors=True)

    alone = _timed(lambda: [shard.complete() for shard in _shards(_root(directory))[:_FEW]]) / _FEW
    worker = Worker(scheduler=luigi.scheduler.Scheduler(record_task_history=False))
    root = _root(directory)
    scheduled = _timed(lambda: worker.add(root))
    n_tasks = len(worker.waiting())
    whole, luigis = _run(_shards(_root(directory)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    ours = (whole - luigis) / number
    print(
        f"{n_tasks:6} {scheduled:9.1f}s {1e3 * alone:7.0f}ms {1e3 * ours:7.1f}ms {1e3 * luigis / number:7.1f}ms "
        f"{memory:6.0f}MB",
        flush=True,
    )


def _shards(root: Dataset) -> list[ChipShard]:
    return [task for task in upstream(root) if isinstance(task, ChipShard) and task.split == "train"]


def _run(shards: Sequence[RegionTask]) -> tuple[float, float]:
    """Return the seconds of a run whose shards hold nothing, and how many of them its scheduler took."""
    spent: list[float] = []

    class Timed(luigi.scheduler.Scheduler):  # type: ignore[misc]
        """A scheduler that counts how long it is asked."""

        def add_task(self, *args: Any, **kwargs: Any) -> Any:
            return _counted(spent, lambda: super(Timed, self).add_task(*args, **kwargs))

        def get_work(self, *args: Any, **kwargs: Any) -> Any:
            return _counted(spent, lambda: super(Timed, self).get_work(*args, **kwargs))

    settings = luigi.configuration.get_config()
    settings.set("worker", "force_multiprocessing", "false")
    settings.set("core", "no_configure_logging", "true")
    logging.getLogger("luigi-interface").setLevel(logging.WARNING)
    with mock.patch.object(ChipShard, "make", _make_nothing):
        worker = Worker(scheduler=Timed(record_task_history=False))
        for shard in share_look(shards, Snapshot()):
            worker.add(shard)
        spent.clear()
        whole = _timed(worker.run)
    if not all(shard.is_published() for shard in shards):
        raise RuntimeError("the run did not make all shards")
    return whole, sum(spent)


def _make_nothing(shard: ChipShard) -> None:
    with shard.output().atomic_write() as temporary:
        temporary.write_bytes(b"nothing")


def _counted(spent: list[float], ask: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    try:
        return ask()
    finally:
        spent.append(time.perf_counter() - began)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
