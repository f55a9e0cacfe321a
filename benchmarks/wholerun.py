"""The whole run, as a person waits for it: `gcn run` from nothing to the seal, in a process of its own.

It is compared with the published chain and with a script from the same tiles to the chips, and with its own work: what
all tasks took together, divided by the cores. What is above this is waiting.
"""

import itertools
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import chains, competent, decoding, machine
from benchmarks.region import TOML, Ground, write_config
from benchmarks.rows import LeftOut, Row
from benchmarks.wider import wider, wider_settings
from gcn_luigi.config import load_region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.shard import used_partitions
from gcn_luigi.synthetic import make_demo, make_world, write_world
from gcn_luigi.synthetic.write import is_written

CORES = 2
_ROOT = Path(__file__).resolve().parents[1]
_COLUMBIA = _ROOT.parent / "shared" / "data" / "columbia"
# Wall clock over work divided by cores, on the region of a thousand partitions.
_TARGET = 1.25
_FAMILIES = 12


@dataclass(frozen=True)
class _Place:
    """A region to build: its settings and sources, and how many of its partitions the other ways get."""

    key: str
    name: str
    config: Path
    sources: Path
    # Of the published chain and of the script; 0 where these make other chips than the region has.
    sampled: tuple[int, int] = (0, 0)
    target: float | None = None


@dataclass(frozen=True)
class Built:
    """A finished run: seconds of wall clock, chips, and each task's name, end (on the clock) and seconds."""

    wall: float
    chips: int
    tasks: tuple[tuple[str, float, float], ...]

    @property
    def work(self) -> float:
        """Seconds of all tasks together."""
        return sum(seconds for _, _, seconds in self.tasks)


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    return [row for place in _places(ground) for row in _rows_of(ground, place)]


def tables(ground: Ground) -> list[dict[str, Any]]:
    """Return where the wall clock of the largest region went, by the records of the run that `rows` made.

    And how often blocks are decoded, by one more run on the benchmark's own region.
    """
    output = ground.directory / "wholerun" / "largest"
    wall = float((output / "wall").read_text(encoding="utf-8"))
    (directory,) = (path.parent for path in output.glob("*/dataset.json"))
    found = profile(_tasks(DatasetPaths(directory)), wall, CORES)
    shutil.rmtree(output)
    (place,) = (one for one in _places(ground) if one.key == "region")
    record = output.with_name("decoded")
    record.unlink(missing_ok=True)
    _build(place, output, ["-m", "benchmarks.decoding", str(record)])
    shutil.rmtree(output)
    # GDAL reads blocks as small as those of the quick plan.
    return [found, decoding.table(record)] if record.is_file() else [found]


def _places(ground: Ground) -> Iterator[_Place]:
    quick = ground.plan.name == "quick"
    directory = ground.directory / "wholerun"
    demo = ground.directory / "input-demo"
    make_demo(demo, size="small" if quick else "demo")
    yield _Place("demo", "the demo", _ROOT / "gcn_luigi" / "demo.toml", demo)
    if _COLUMBIA.is_dir() and not quick:
        yield _Place("columbia", "the test region (Columbia)", _ROOT / "config" / "columbia.toml", _COLUMBIA)
    few, more = (1, 1) if quick else (0, 0)
    shards = "\n[shards]\nn_train = {}\nn_dev = {}\n"
    own = write_config(directory / "config", shards.format(4, 1)) / TOML.name
    yield _Place("region", "the benchmark's region", own, ground.sources, (few or 1000, more or 1000))
    times = 2 if quick else 3
    sources = ground.directory / "input-wider"
    settings = ground.plan.world
    if not is_written(wider_settings(settings, times), sources):
        write_world(wider(make_world(settings), times), sources)
    config = write_config(directory / "config-wider", shards.format(16, 4)) / TOML.name
    yield _Place("large", "a region nine times as large", config, sources, (few or 40, more or 120), _TARGET)


def _rows_of(ground: Ground, place: _Place) -> Iterator[Row]:
    output = ground.directory / "wholerun" / "largest"
    shutil.rmtree(output, ignore_errors=True)
    built = _build(place, output)
    (directory,) = (path.parent for path in output.glob("*/dataset.json"))
    paths = DatasetPaths(directory)
    places = _partitions(paths, place)
    what = f"`gcn run`, {place.name}: {len(places)} partitions, {built.chips:,} chips"
    share = built.work / CORES
    ratio = built.wall / share
    yield Row(
        f"{place.key}-waiting",
        f"{what} (wall clock)",
        f"the work of its {len(built.tasks)} tasks on {CORES} cores",
        unit="s",
        ours=built.wall,
        theirs=share,
        ratio=ratio,
        low=ratio,
        high=ratio,
        target=place.target,
        at_most=True,
    )
    if not any(place.sampled):
        return
    years = load_region(place.config, place.sources).settings.years
    job = chains.Job(place.sources, ground.directory / "wholerun" / "chain", years, places)
    few, more = place.sampled
    lay, cut = chains.lay_published, chains.cut_published
    # The start of processes must not be multiplied with the time of a sample.
    for processes in (1, CORES) if place.target is None else (1,):
        name = "(a) published chain" + (f", {processes} processes" if processes > 1 else "")
        took = _chain(job, few, lambda sample, stack, processes=processes: cut(sample, stack, processes), lay)
        yield _against(f"{place.key}-published-{processes}", what, name, built, took)
    # To lay the stacks of the largest region once more only for this would take a minute.
    same = _compared(job, directory) if place.target is None else ""
    took = _chain(job, more, chains.cut_script, chains.lay_script)
    yield replace(_against(f"{place.key}-script", what, "(b) script", built, took), same_pixels=same)


def _compared(job: chains.Job, directory: Path) -> str:
    """Compare the chips of a partition with the script's; return what was found equal, or raise RuntimeError."""
    shutil.rmtree(job.scratch, ignore_errors=True)
    stack_of, dataset, place = chains.lay_script(job), Dataset(directory), job.places[0]
    (expected,) = competent.chips_of([place], stack_of, chains.STEP)
    rows = dataset.chip_table[dataset.chip_table["split"] == place.split]
    made = dataset.chips(place.split).batch(np.flatnonzero(rows["partition"].astype(str) == place.partition))
    chains.clean(job)
    if not np.array_equal(made["image"], expected[:, : competent.LABEL]):
        raise RuntimeError(f"partition {place.partition}: pixels differ from the script's")
    return "the nine image bands of every chip of a partition are equal to the script's; labels follow other rules"


@dataclass(frozen=True)
class _Took:
    """What another way takes for all partitions, and how many it was given."""

    chips: int
    seconds: float
    note: str


def _chain(
    job: chains.Job,
    most: int,
    cut: Callable[[chains.Job, Callable[[int], Path]], int],
    lay: Callable[[chains.Job], Callable[[int], Path]],
) -> _Took:
    """Run another way; what it does for each partition, for `most` of these, evenly chosen, and take it for all."""
    shutil.rmtree(job.scratch, ignore_errors=True)
    step = -(-len(job.places) // most)
    sample = replace(job, places=job.places[::step])
    began = time.perf_counter()
    stack_of = lay(job)
    laid = time.perf_counter() - began
    began = time.perf_counter()
    chips = cut(sample, stack_of)
    share = len(job.places) / len(sample.places)
    seconds = laid + (time.perf_counter() - began) * share
    chains.clean(job)
    note = "" if step == 1 else f"; cutting taken from {len(sample.places)} partitions"
    return _Took(round(chips * share), seconds, note)


def _against(key: str, what: str, name: str, built: Built, took: _Took) -> Row:
    ours, theirs = built.chips / built.wall, took.chips / took.seconds
    ratio = ours / theirs
    return Row(key, what, f"{name}{took.note}", ours=ours, theirs=theirs, ratio=ratio, low=ratio, high=ratio)


def _build(place: _Place, output: Path, by: Sequence[str] = ()) -> Built:
    """Build a region from nothing; raise LeftOut with the last line of the command if it fails.

    `by` is given to Python instead of the command `gcn`.
    """
    program = [sys.executable, *by] if by else [str(Path(sys.executable).parent / "gcn")]
    options = ["run", str(place.config), "--output", str(output), "--data-root", str(place.sources)]
    more = ["--workers", str(CORES), "--port", "0"]
    began = time.perf_counter()
    done = subprocess.run(
        [*program, *options, *more],
        cwd=_ROOT,
        env=machine.limited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - began
    if done.returncode:
        raise LeftOut((done.stderr.strip().splitlines() or ["the command failed"])[-1])
    (output / "wall").write_text(f"{wall}\n", encoding="utf-8")
    (directory,) = (path.parent for path in output.glob("*/dataset.json"))
    return Built(wall, len(Dataset(directory).chip_table), _tasks(DatasetPaths(directory)))


def _partitions(paths: DatasetPaths, place: _Place) -> list[Partition]:
    lattice, splits = read_inventory(paths).lattice, load_region(place.config, place.sources).settings.splits
    return [one for split in splits for one in used_partitions(paths.catalog, lattice, split)]


def _tasks(paths: DatasetPaths) -> tuple[tuple[str, float, float], ...]:
    """Return the tasks of a run by its records: when each record was written is when the task ended."""
    found = []
    for path in paths.times.iterdir():
        with suppress(ValueError):
            family, seconds = path.name.split(".")[1].partition("-")[0], float(path.read_text(encoding="utf-8"))
            found.append((family, path.stat().st_mtime, seconds))
    return tuple(sorted(found, key=lambda task: task[1]))


def profile(tasks: Sequence[tuple[str, float, float]], wall: float, cores: int) -> dict[str, Any]:
    """Return a table that says where each second of a run went.

    Each moment belongs in equal parts to the tasks that run in it. A task is alone while no other one runs.

    Parameters
    ----------
    tasks : sequence of tuple
        Family, end on the clock and seconds of each.
    wall : float
        Seconds of the whole command.
    cores : int
        Most tasks at a time.

    Returns
    -------
    dict
        ``title``, ``head`` and ``rows`` of a table.
    """
    edges = sorted({edge for _, end, seconds in tasks for edge in (end - seconds, end)})
    share, alone = dict.fromkeys((name for name, *_ in tasks), 0.0), dict.fromkeys((name for name, *_ in tasks), 0.0)
    idle = 0.0
    for begin, end in itertools.pairwise(edges):
        middle = (begin + end) / 2
        running = [name for name, stop, seconds in tasks if stop - seconds <= middle <= stop]
        if not running:
            idle += end - begin
        for name in running:
            share[name] += (end - begin) / len(running)
            alone[name] += (end - begin) if len(running) == 1 else 0.0
    rows = []
    for name in sorted(share, key=lambda one: -share[one]):
        mine = [seconds for family, _, seconds in tasks if family == name]
        rows.append([name, len(mine), sum(mine), statistics.median(mine), share[name], alone[name]])
    shown, rest = rows[:_FAMILIES], rows[_FAMILIES:]
    if rest:
        shown.append(["others", sum(row[1] for row in rest), sum(row[2] for row in rest), "",
                      sum(row[4] for row in rest), sum(row[5] for row in rest)])  # fmt: skip
    outside = max(wall - (edges[-1] - edges[0]), 0.0)
    shown.append(["between tasks, none running", "", "", "", idle, ""])
    shown.append(["before the first and after the last task", "", "", "", outside, ""])
    work = sum(seconds for *_, seconds in tasks)
    shown.append(["the whole run", len(tasks), work, "", wall, sum(alone.values())])
    head = ["task", "number", "work, s", "median, s", "of the wall clock, s", f"of that alone on {cores} cores, s"]
    rounded = [[round(value, 2) if isinstance(value, float) else value for value in row] for row in shown]
    return {"title": "Where each second of the largest run went", "head": head, "rows": rounded}
