"""Time builds whose work grows with the number of slots: `python -m benchmarks.weak_scaling`.

The same number of tasks for each slot is built through the engine of `gcn run --dask`: two `dask worker` commands of
this machine stand for two nodes, and share the slots. With ideal scaling a build takes as long with 64 slots as with
one. The tasks sleep, so that the cores of this machine do not limit them. Then real shards of the demo are made with
one and two slots. The start of the cluster, and of the first process on each node, is told apart.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import luigi
import psutil

from benchmarks.sleeping import Sleeping
from gcn_luigi.engine.engines import Engine, engine_on
from gcn_luigi.engine.place import place_of
from gcn_luigi.operate.build import build
from gcn_luigi.synthetic import make_demo
from gcn_luigi.tasks import ChipShard, Dataset
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream

_REGION = "demo"
_NODES = 2
# Shards for each slot. Their chips overlap more than those of the demo, so that a shard takes longer than its start.
_SHARDS_EACH = 2
_STEP = 8
_PATIENCE_S = 120.0
_COLUMNS = ("work", "slots", "tasks", "start", "seconds", "of 1 slot", "own", "nodes")
_LEGEND = """\
start: s until the nodes were there and each had made its first tasks. seconds: of the build after that.
of 1 slot: share of the speed for each slot that one slot has; 1 is ideal.
own, nodes: ms of processor time for each task in the submitting process, and on the nodes while they wait as well."""


@dataclass(frozen=True)
class _Row:
    work: str
    slots: int
    tasks: int
    start: float
    seconds: float
    own: float
    nodes: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each number of slots, as often as asked, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="*", default=[1, 2, 4, 8, 64])
    parser.add_argument("--seconds", type=float, default=60.0, help="that a task sleeps")
    parser.add_argument("--waves", type=int, default=1, help="tasks for each slot")
    parser.add_argument("--shards", type=int, nargs="*", default=[1, 2], help="numbers of slots for real shards")
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gcn-scaling-") as made:
        directory = Path(made)
        _prepare(directory, _SHARDS_EACH * max(options.shards, default=0))
        print("".join(f"{name:>12}" for name in _COLUMNS))
        for _ in range(options.repeat):
            _print(_measure(directory, slots, options.waves, options.seconds) for slots in options.slots)
            _print(_measure(directory, slots, _SHARDS_EACH, None) for slots in options.shards)
    print(_LEGEND)


def _print(rows: Iterator[_Row]) -> None:
    first: _Row | None = None
    for row in rows:
        first = first or row
        share = first.seconds / row.seconds * row.tasks / first.tasks * first.slots / row.slots
        spent = (f"{1e3 * one / row.tasks:.0f}ms" for one in (row.own, row.nodes))
        texts = (row.work, row.slots, row.tasks, f"{row.start:.1f}s", f"{row.seconds:.1f}s", f"{share:.2f}", *spent)
        print("".join(f"{text:>12}" for text in texts), flush=True)


def _prepare(directory: Path, n_shards: int) -> None:
    """Write the demo's settings; with shards, also its sources and all that a shard needs."""
    text = (files("gcn_luigi") / "demo.toml").read_text(encoding="utf-8")
    text = text.replace("../output/demo-input", "../input")
    text = re.sub(r"(?m)^n_train = \d+$", f"n_train = {max(1, n_shards)}", text)
    text = re.sub(r"(?m)^step = \d+$", f"step = {_STEP}", text)
    (directory / "config").mkdir()
    (directory / "config" / f"{_REGION}.toml").write_text(text, encoding="utf-8")
    if n_shards:
        make_demo(directory / "input")
        for task in upstream(_shards(directory, "")[0]):
            task.make_here()


def _measure(directory: Path, slots: int, waves: int, seconds: float | None) -> _Row:
    """Measure builds of tasks that sleep for `seconds`, or of real shards if it is None."""
    began = time.perf_counter()
    with _cluster(directory, slots) as (address, engine, nodes):
        # Each slot makes something, so that each node has loaded what tasks need.
        _build([_sleeping(directory, address, number, 0.0) for number in range(2 * slots)], engine)
        start = time.perf_counter() - began
        count = slots * waves
        if seconds is None:
            shutil.rmtree(directory / "out" / _REGION / "shards", ignore_errors=True)
            tasks: list[RegionTask] = [*_shards(directory, address)[:count]]
        else:
            tasks = [_sleeping(directory, address, number, seconds) for number in range(count)]
        before = time.perf_counter(), time.process_time(), _processor_time(nodes)
        _build(tasks, engine)
        after = time.perf_counter(), time.process_time(), _processor_time(nodes)
    shutil.rmtree(directory / "out" / _REGION / "asleep")
    spent = (then - now for now, then in zip(before, after, strict=True))
    return _Row("shards" if seconds is None else f"{seconds:g} s", slots, len(tasks), start, *spent)


def _build(tasks: Sequence[RegionTask], engine: Engine) -> None:
    result = build(tasks, workers=1, address=None, engine=engine)
    if result.exit_code or len(result.built) != len(tasks):
        raise RuntimeError(f"{len(result.built)} of {len(tasks)} tasks were built: {result.failures}")


def _options(directory: Path, address: str) -> dict[str, str]:
    luigi.task_register.Register.clear_instance_cache()
    return {
        "region": _REGION,
        "output_root": str(directory / "out"),
        "config_dir": str(directory / "config"),
        "dask": address,
    }


def _sleeping(directory: Path, address: str, number: int, seconds: float) -> Sleeping:
    return Sleeping(number=number, seconds=seconds, **_options(directory, address))


def _shards(directory: Path, address: str) -> list[ChipShard]:
    root = Dataset(**_options(directory, address))
    return [task for task in upstream(root) if isinstance(task, ChipShard) and task.split == "train"]


@contextmanager
def _cluster(directory: Path, slots: int) -> Iterator[tuple[str, Engine, list[psutil.Process]]]:
    """Run a scheduler and two nodes, or one for one slot, for a block; yield its file, the engine and the nodes."""
    file = directory / "scheduler.json"
    file.unlink(missing_ok=True)
    where = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
    n_nodes, nodes = min(_NODES, slots), []
    with ExitStack() as open_:
        open_.enter_context(_command("scheduler", *where, "--port", "0", "--scheduler-file", str(file)))
        _wait(file.exists)
        for number in range(n_nodes):
            threads = slots // n_nodes + (number < slots % n_nodes)
            share = ("--nthreads", str(threads), "--memory-limit", "0", "--no-nanny")
            nodes.append(open_.enter_context(_command("worker", *where, *share, "--scheduler-file", str(file))))
        engine = open_.enter_context(engine_on(place_of(str(file), is_trusted=False)))
        _wait(lambda: engine.slots() == slots)
        yield str(file), engine, nodes


@contextmanager
def _command(*words: str) -> Iterator[psutil.Process]:
    # Nodes load the sleeping task, which is not part of the package.
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    dask = str(Path(sys.executable).with_name("dask"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([dask, *words], env=variables, **quiet) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def _processor_time(nodes: Sequence[psutil.Process]) -> float:
    """Return the seconds that nodes, and all processes that they started, have computed."""
    alive = [process for node in nodes for process in (node, *node.children(recursive=True))]
    return sum(sum(process.cpu_times()[:4]) for process in alive)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the cluster does not start")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
