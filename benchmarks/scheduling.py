"""Time what a graph of many tasks costs in addition to its work: `python -m benchmarks.scheduling`.

Two small made-up regions with as many years (18) and tiles (200) as those of Alaska are built once. Then their shards
are divided into so many files that the graph has thousands of tasks, all of them to be made anew. Measured are the
first scheduling, with the central scheduler in a process of its own, and then a run whose shards hold nothing, with as
many in flight as a cluster of 1, 8 or 64 slots takes; what its nodes would do is not counted. A graph of as many tasks
without files shows what Luigi itself takes. Each number of tasks is measured in a process of its own.
"""

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import luigi

from gcn_luigi.operate.luigid import central_scheduler
from gcn_luigi.operate.worker import Worker
from gcn_luigi.synthetic import WorldSettings, make_world, write_world
from gcn_luigi.tasks import ChipShard, Dataset
from gcn_luigi.tasks.base import share_look
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.graph import upstream

_YEARS = tuple(range(1999, 2017))
_TILES = (10, 20)
_SHAPE = (640, 1280)
_REGIONS = ("southern", "northern")
# What a task costs if every task looks at all files anew; a few are enough to tell.
_FEW = 20
_COLUMNS = ("tasks", "slots", "scheduled", "alone", "each", "ours", "Luigi", "luigid", "memory", "of luigid")
_LEGEND = """\
scheduled: s until the first task can start. alone: ms for a task that looks at all files itself.
each: ms from one task to the next. ours, Luigi: ms of processor time for each task in the submitting process.
luigid: ms of processor time for each task in the central scheduler.
memory: MB of the submitting process, and of the central scheduler."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the regions, measure graphs of each number of tasks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[500, 2000], help="numbers of train shards")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8, 64], help="how many are made at a time")
    parser.add_argument("--directory", type=Path, help="where the regions are, or are made, instead of a temporary one")
    options = parser.parse_args(arguments)
    with _directory(options.directory) as directory:
        if not (directory / "config" / f"{_REGIONS[-1]}.toml").exists():
            _make_regions(directory)
        print("".join(f"{name:>14}" for name in _COLUMNS))
        for number in options.tasks:
            command = [sys.executable, "-c", "from benchmarks.scheduling import measure; measure()"]
            subprocess.run([*command, str(directory), str(number), *map(str, options.slots)], check=True)
    print(_LEGEND)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="gcn-scheduling-") as made:
        yield Path(made)


def _make_regions(directory: Path) -> None:
    write_world(make_world(WorldSettings(shape=_SHAPE, tiles=_TILES, years=_YEARS)), directory / "input")
    text = (files("gcn_luigi") / "demo.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^years = .*$", f"years = {list(_YEARS)}", text).replace("../output/demo-input", "../input")
    (directory / "config").mkdir()
    for region in _REGIONS:
        named = text.replace('region = "demo"', f'region = "{region}"')
        (directory / "config" / f"{region}.toml").write_text(named, encoding="utf-8")
    for root in _roots(directory):
        for task in upstream(root):
            task.make_here()


def _roots(directory: Path) -> list[Dataset]:
    luigi.task_register.Register.clear_instance_cache()
    # An address that is never called: the worker's own engine stands for the cluster.
    place = {
        "output_root": str(directory / "out"),
        "config_dir": str(directory / "config"),
        "dask": "tcp://127.0.0.1:9",
    }
    return [Dataset(region=region, **place) for region in _REGIONS]


def measure() -> None:
    """Measure one number of tasks and print its rows; the arguments are directory, number, and numbers of slots."""
    directory, number, *slots = Path(sys.argv[1]), *map(int, sys.argv[2:])
    for region in _REGIONS:
        toml = directory / "config" / f"{region}.toml"
        each = number // len(_REGIONS)
        toml.write_text(re.sub(r"(?m)^n_train = \d+$", f"n_train = {each}", toml.read_text()), encoding="utf-8")
    settings = luigi.configuration.get_config()
    settings.set("core", "no_configure_logging", "true")
    logging.getLogger("luigi-interface").setLevel(logging.WARNING)

    _forget_shards(directory)
    alone = _timed(lambda: [shard.complete() for shard in _shards(directory)[:_FEW]]) / _FEW
    for count in slots:
        _forget_shards(directory)
        with _luigid(directory) as (address, pid):
            scheduled, n_tasks = _schedule(address, _roots(directory))
            whole = _run(address, pid, share_look(_shards(directory), Snapshot()), _Nothing(count, _make_nothing))
            memory = _memory("self"), _memory(str(pid))
        if not all(shard.is_published() for shard in _shards(directory)):
            raise RuntimeError("the run did not make all shards")
        with _luigid(directory) as (address, pid):
            plain = [_Plain(number=place) for place in range(number)]
            luigis = _run(address, pid, plain, _Nothing(count, _Plain.make))
        row = (
            str(n_tasks),
            str(count),
            f"{scheduled:.1f}s",
            *(f"{1e3 * one:.1f}ms" for one in (alone, whole.wall, whole.own - luigis.own, luigis.own, whole.scheduler)),
            *(f"{one:.0f}MB" for one in memory),
        )
        print("".join(f"{text:>14}" for text in row), flush=True)


def _schedule(address: str, roots: Sequence[Dataset]) -> tuple[float, int]:
    """Return the seconds until the first task can start, and how many there are to make."""
    worker = Worker(scheduler=luigi.rpc.RemoteScheduler(address))
    return _timed(lambda: [worker.add(root) for root in roots]), len(worker.waiting())


def _forget_shards(directory: Path) -> None:
    for region in _REGIONS:
        shutil.rmtree(directory / "out" / region / "shards", ignore_errors=True)


def _shards(directory: Path) -> list[ChipShard]:
    tasks = (task for root in _roots(directory) for task in upstream(root))
    return [task for task in tasks if isinstance(task, ChipShard) and task.split == "train"]


class _Plain(luigi.Task):  # type: ignore[misc]
    """A task of Luigi without files."""

    number: luigi.Parameter[int] = luigi.IntParameter()
    is_heavy = True
    engine: Any = None
    made: set[int] = set()  # noqa: RUF012  its instances are copied, and share it

    def complete(self) -> bool:
        return self.number in self.made

    def run(self) -> None:
        self.engine.make(self)

    def make(self) -> None:
        self.made.add(self.number)


@dataclass
class _Nothing:
    """An engine of some slots whose nodes take no time."""

    count: int
    work: Callable[[Any], None]
    spent: list[float] = field(default_factory=list)

    def make(self, task: Any) -> None:
        began = time.thread_time()
        self.work(task)
        self.spent.append(time.thread_time() - began)

    def slots(self) -> int:
        return self.count

    def cancel(self, task: Any) -> None:
        del task


def _make_nothing(shard: ChipShard) -> None:
    with shard.output().atomic_write() as temporary:
        temporary.write_bytes(b"nothing")


@dataclass(frozen=True)
class _Spent:
    """Seconds for each task: on the wall clock, and of processor time in the submitting process and in luigid."""

    wall: float
    own: float
    scheduler: float


def _run(address: str, pid: int, tasks: Sequence[luigi.Task], engine: _Nothing) -> _Spent:
    _Plain.made.clear()
    with Worker(scheduler=luigi.rpc.RemoteScheduler(address), engine=engine) as worker:
        for task in tasks:
            worker.add(task)
        before = time.perf_counter(), time.process_time(), _processor_time(pid)
        worker.run()
    after = time.perf_counter(), time.process_time() - sum(engine.spent), _processor_time(pid)
    return _Spent(*((end - start) / len(tasks) for start, end in zip(before, after, strict=True)))


@contextmanager
def _luigid(directory: Path) -> Iterator[tuple[str, int]]:
    state = directory / "scheduler"
    shutil.rmtree(state, ignore_errors=True)
    with central_scheduler(0, state, directory / "luigi.cfg") as address:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        (pid,) = (child for child in children if b"--state-path" in Path(f"/proc/{child}/cmdline").read_bytes())
        yield address, int(pid)


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: str) -> float:
    """Return the largest resident memory of a process, in MB."""
    (line,) = (line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
