"""Cost against work: partitions, bands, workers, shards. Every build in a fresh process."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import machine, ours
from benchmarks.place import REGION, luigi_settings
from benchmarks.region import Ground, repeated, write_config
from benchmarks.rows import Row
from benchmarks.timing import ratio_of
from gcn_luigi.io.index import read_geoparquet, write_geoparquet
from gcn_luigi.io.layout import Layout

CORES = 2
_ROUNDS = 5
_LAYOUT = "windows" if ours.HAS_LAYOUTS else "chips"
# Chips that are written one by one overlap: only each pixel once lets the longest list fit on a disk.
_STEP = 32 if ours.HAS_LAYOUTS else 128
_SHARDS = 8
_MOST_MB, _MOST_GROWTH = 400.0, 1.1


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite; what is drawn lies in the samples."""
    plan = ground.plan
    what = f"layout {_LAYOUT}, {ours.DEFAULT_CODEC}, step {_STEP}"
    by_count = _curve(ground, plan.curve_partitions, lambda n: _built(ground.listed(n, "curve"), 1))
    by_bands = _curve(ground, plan.curve_bands, lambda n: _built(ground.widened(plan.band_partitions, n), 1))
    by_shards = _curve(ground, plan.curve_shards, lambda n: _built(ground.listed(plan.shard_partitions, "shards"), n))
    by_workers = _curve(ground, (1, 2), _through_luigi(ground))
    shutil.rmtree(_graph(ground).root.parent)
    first, last = plan.curve_partitions[0], plan.curve_partitions[-1]
    peak = statistics.median(by_count["peak_mb"][-1])
    return [
        _row("curve-partitions", f"time a partition, {last} partitions, {what}", f"{first} partitions", by_count, plan.curve_partitions, _MOST_GROWTH),
        _row("curve-memory", f"peak memory, {last} partitions, {what}", f"{first} partitions", {**by_count, "seconds": by_count["peak_mb"]}, (1,) * len(plan.curve_partitions), _MOST_GROWTH, "MB"),
        Row("peak-memory", f"peak memory of a build of {last} partitions", "400 MB", "MB", peak, _MOST_MB, peak / _MOST_MB, peak / _MOST_MB, peak / _MOST_MB, 1.0, at_most=True),
        _row("curve-bands", f"time a band, {plan.curve_bands[-1]} bands, {what}", f"{plan.curve_bands[0]} bands", by_bands, plan.curve_bands, None),
        _row("curve-shards", f"time for {plan.shard_partitions} partitions in {plan.curve_shards[-1]} shards, {what}", f"{plan.curve_shards[0]} shard", by_shards, (1,) * len(plan.curve_shards), None),
        _row("curve-workers", f"time through Luigi, 2 workers, {_SHARDS} shards", "1 worker", by_workers, (1, 1), None),
    ]  # fmt: skip


def _curve(ground: Ground, values: Iterable[int], measure: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Measure every value in turns; return samples by value."""
    values = list(values)
    rounds = min(_ROUNDS, ground.plan.rounds)
    found = [[measure(value) for value in values] for _ in range(rounds)]
    return {
        "x": values,
        "seconds": [[turn[k]["seconds"] for turn in found] for k in range(len(values))],
        "peak_mb": [[turn[k]["peak_mb"] for turn in found] for k in range(len(values))],
    }


def _row(
    key: str, what: str, reference: str, curve: dict[str, Any], work: tuple[int, ...], most: float | None, unit: str = "s"
) -> Row:  # fmt: skip
    """Compare the last point of a curve with the first, both divided by their work."""
    firsts, lasts = ([value / amount for value in curve["seconds"][k]] for k, amount in ((0, work[0]), (-1, work[-1])))
    ratio = ratio_of([b / a for a, b in zip(firsts, lasts, strict=True)])
    numbers = (statistics.median(lasts), statistics.median(firsts), ratio.median, ratio.low, ratio.high, most)
    return Row(key, what, reference, unit, *numbers, at_most=True, samples={"curve": {**curve, "work": list(work)}})


def _built(place: Layout, shards: int) -> dict[str, Any]:
    return _once("build", str(place.root), _LAYOUT, str(_STEP), str(shards))


def _once(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.once", *arguments]
    os.sync()
    done = subprocess.run(command, env=machine.limited_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a build failed: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _graph(ground: Ground) -> Layout:
    return Layout(ground.directory / "luigi" / REGION)


def _through_luigi(ground: Ground) -> Callable[[int], dict[str, Any]]:
    """Lay a copy of what the graph built, with a longer catalog; return what builds its shards with some workers."""
    plan, copy = ground.plan, _graph(ground)
    shutil.rmtree(copy.root.parent, ignore_errors=True)
    # Published files never change in place: a link is a copy.
    shutil.copytree(ground.base.root, copy.root, copy_function=os.link)
    config = write_config(ground.directory / "config-luigi", ours.shards_toml(_SHARDS))
    count = plan.luigi_windows_partitions if ours.HAS_LAYOUTS else plan.luigi_chips_partitions
    with luigi_settings():
        from gcn_luigi.tasks import PartitionCatalog  # noqa: PLC0415

        task = PartitionCatalog(
            region=REGION, output_root=str(copy.root.parent), config_dir=str(config), data_root=str(ground.sources)
        )
        with task.output()[0].staged() as draft:
            write_geoparquet(draft, repeated(read_geoparquet(ground.base.catalog), count, ground.settings.years))
    where = (str(copy.root.parent), str(config), str(ground.sources), str(_SHARDS))
    return lambda workers: _once("luigi", *where, str(workers))
