"""Cost against work: partitions, bands, workers, shards. Every build in a fresh process."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import machine, ours
from benchmarks.place import REGION, luigi_settings
from benchmarks.region import Ground, repeated, write_config
from benchmarks.rows import Row
from benchmarks.timing import ratio_of
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_geoparquet, write_geoparquet

CORES = 2
# One takes four minutes.
_ROUNDS = 1
_LAYOUT, _STEP = "windows", 32
_SHARDS = 8
_MOST_MB, _MOST_GROWTH = 400.0, 1.1


@dataclass(frozen=True)
class _Curve:
    """One quantity against work: samples at each value, and the work that each value stands for."""

    across: tuple[int, ...]
    samples: list[list[float]]
    work: tuple[int, ...]

    def row(self, head: dict[str, Any], most: float | None = None) -> Row:
        """Compare the last point with the first, both divided by their work."""
        first, last = ([value / self.work[k] for value in self.samples[k]] for k in (0, -1))
        ratio = ratio_of([b / a for a, b in zip(first, last, strict=True)])
        numbers = {"ratio": ratio.median, "low": ratio.low, "high": ratio.high, "target": most, "at_most": True}
        middle = {"ours": statistics.median(last), "theirs": statistics.median(first)}
        curve = {"x": list(self.across), "samples": self.samples, "work": list(self.work)}
        return Row(**head, **middle, **numbers, samples={"curve": curve})


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite; what is drawn lies in the samples."""
    return [*_by_partitions(ground), _by_bands(ground), _by_shards(ground), _by_workers(ground)]


def _by_partitions(ground: Ground) -> list[Row]:
    across = ground.plan.curve_partitions
    found = _measured(ground, across, lambda n: _built(ground.listed(n, "curve"), 1))
    what = f"{across[-1]} partitions, layout {_LAYOUT}, {ours.DEFAULT_CODEC}, step {_STEP}"
    once = (1,) * len(across)
    time, memory = (_Curve(across, found[name], work) for name, work in (("seconds", across), ("peak_mb", once)))
    reference = f"{across[0]} partitions"
    peak = statistics.median(found["peak_mb"][-1])
    share = dict.fromkeys(("ratio", "low", "high"), peak / _MOST_MB)
    head = {"key": "peak-memory", "what": f"peak memory of a build, {what}", "reference": f"{_MOST_MB:.0f} MB"}
    return [
        time.row({"key": "curve-partitions", "what": f"time per partition, {what}", "reference": reference,
                  "unit": "s"}, _MOST_GROWTH),
        memory.row({"key": "curve-memory", "what": f"peak memory, {what}", "reference": reference, "unit": "MB"},
                   _MOST_GROWTH),
        Row(**head, unit="MB", ours=peak, theirs=_MOST_MB, **share, target=1.0, at_most=True),
    ]  # fmt: skip


def _by_bands(ground: Ground) -> Row:
    across, count = ground.plan.curve_bands, ground.plan.band_partitions
    found = _measured(ground, across, lambda n: _built(ground.widened(count, n), 1))
    head = {"key": "curve-bands", "what": f"time per band, {across[-1]} bands", "reference": f"{across[0]} bands"}
    return _Curve(across, found["seconds"], across).row({**head, "unit": "s"})


def _by_shards(ground: Ground) -> Row:
    across, count = ground.plan.curve_shards, ground.plan.shard_partitions
    found = _measured(ground, across, lambda n: _built(ground.listed(count, "shards"), n))
    what = f"time for {count} partitions, {across[-1]} shards"
    head = {"key": "curve-shards", "what": what, "reference": f"{across[0]} shard", "unit": "s"}
    return _Curve(across, found["seconds"], (1,) * len(across)).row(head)


def _by_workers(ground: Ground) -> Row:
    across = (1, 2)
    found = _measured(ground, across, _through_luigi(ground))
    shutil.rmtree(_graph(ground).root.parent)
    what = f"time through Luigi, {_SHARDS} shards, 2 workers"
    head = {"key": "curve-workers", "what": what, "reference": "1 worker", "unit": "s"}
    return _Curve(across, found["seconds"], (1, 1)).row(head)


def _measured(
    ground: Ground, values: tuple[int, ...], measure: Callable[[int], dict[str, Any]]
) -> dict[str, list[list[float]]]:
    """Measure every value in turns; return seconds and peak memory, sample by sample, of each value."""
    rounds = min(_ROUNDS, ground.plan.rounds)
    found = [[measure(value) for value in values] for _ in range(rounds)]
    return {name: [[turn[k][name] for turn in found] for k in range(len(values))] for name in ("seconds", "peak_mb")}


def _built(place: DatasetPaths, shards: int) -> dict[str, Any]:
    return _once("build", str(place.root), _LAYOUT, str(_STEP), str(shards))


def _once(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.once", *arguments]
    os.sync()
    done = subprocess.run(command, env=machine.limited_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a build failed: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _graph(ground: Ground) -> DatasetPaths:
    return DatasetPaths(ground.directory / "luigi" / REGION)


def _through_luigi(ground: Ground) -> Callable[[int], dict[str, Any]]:
    """Lay a copy of what the graph built, with a longer catalog; return what builds its shards with some workers."""
    plan, copy = ground.plan, _graph(ground)
    shutil.rmtree(copy.root.parent, ignore_errors=True)
    # Published files never change in place: a link is a copy.
    shutil.copytree(ground.base.root, copy.root, copy_function=os.link)
    config = write_config(ground.directory / "config-luigi", ours.shards_toml(_SHARDS))
    count = plan.luigi_partitions
    with luigi_settings():
        from gcn_luigi.tasks import PartitionCatalog  # noqa: PLC0415

        task = PartitionCatalog(
            region=REGION, output_root=str(copy.root.parent), config_dir=str(config), data_root=str(ground.sources)
        )
        with task.output()[0].atomic_write() as temporary:
            write_geoparquet(temporary, repeated(read_geoparquet(ground.base.catalog), count, ground.settings.years))
    where = (str(copy.root.parent), str(config), str(ground.sources), str(_SHARDS))
    return lambda workers: _once("luigi", *where, str(workers))
