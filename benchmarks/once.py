"""One build in a fresh process, since only there the peak of memory is its own.

``python -m benchmarks.once build PLACE LAYOUT STEP SHARDS`` builds all shards of a place one after the other;
``python -m benchmarks.once luigi DIRECTORY CONFIG SOURCES SHARDS WORKERS`` builds them as a task graph.
Both print JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, ours
from benchmarks.place import REGION, luigi_settings, settings_of
from gcn_luigi.io.publish.paths import DatasetPaths


def main() -> None:
    """Do what the arguments say."""
    machine.pin(1 if sys.argv[1] == "build" else 2)
    done = _build(*sys.argv[2:]) if sys.argv[1] == "build" else _luigi(*sys.argv[2:])
    sys.stdout.write(json.dumps(done) + "\n")


def _build(place: str, kind: str, step: str, shards: str) -> dict[str, Any]:
    paths, total = DatasetPaths(Path(place)), int(shards)
    settings = ours.variant(settings_of(paths), kind, step=int(step))
    start = time.perf_counter()
    for number in range(total):
        ours.build(paths, settings, paths.shard("train", number, total), number=number, total=total)
    seconds = time.perf_counter() - start
    for number in range(total):
        paths.shard("train", number, total).unlink()
    return {"seconds": seconds, "peak_mb": machine.peak_mb()}


def _luigi(directory: str, config: str, sources: str, shards: str, workers: str) -> dict[str, Any]:
    with luigi_settings():
        from gcn_luigi.operate.build import build  # noqa: PLC0415
        from gcn_luigi.tasks import ChipShard  # noqa: PLC0415

        where = {"region": REGION, "output_root": directory, "config_dir": config, "data_root": sources}
        tasks = [ChipShard(**where, split="train", number=k, total=int(shards)) for k in range(int(shards))]
        for task in tasks:
            task.output().path.unlink(missing_ok=True)
            task.output().sidecar.unlink(missing_ok=True)
        start = time.perf_counter()
        result = build(tasks, workers=int(workers), address=None)
        seconds = time.perf_counter() - start
    if len(result.built) != int(shards):
        raise RuntimeError(f"built {result.built}, failed {result.failures}")
    return {"seconds": seconds, "peak_mb": machine.peak_mb()}


if __name__ == "__main__":
    main()
