"""Forecast of a build: its tasks with the reasons, the number of chips, the bytes of all files, and the time.

Most sizes are known: mosaics, label, distance, grid and catalog exist when a plan counts chips, and a trial gives the
size of the shards. The files made after the shards are small, except for the index and the quality page, whose sizes
were fitted to finished datasets.
"""

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi
import numpy as np

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.timings import read_times
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.partitions.overview import Overview, larger_cells, make_overview
from gcn_luigi.stages import Say
from gcn_luigi.stages.dataset.warnings import dataset_warnings
from gcn_luigi.stages.evaluation.training_distances import MOST_OTHER, MOST_TRAIN
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.layers.scale_advice import ScaleAdvice, scale_advice
from gcn_luigi.stages.plan import Plan, Trial, build_trial, plan_dataset
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dataset import QualityReport
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.graph import State, explain, upstream
from gcn_luigi.tasks.inventory import TileQuality
from gcn_luigi.tasks.partitions import PartitionCatalog
from gcn_luigi.tasks.rasters import YearStack, label_confidence
from gcn_luigi.tasks.shards import ChipShard

# What a build does with a task, by its state. A task whose inputs are built now is looked at again: it is rebuilt only
# if their content differs from before.
KEEP, BUILD, REBUILD, LOOK = "keep", "build", "rebuild", "look again"
_ACTIONS = {
    State.CURRENT: KEEP,
    State.ABSENT: BUILD,
    State.DAMAGED: REBUILD,
    State.STALE: REBUILD,
    State.WAITING: LOOK,
}
# Seconds: to start a worker process, which checks whether everything exists and reports (measured as 0.1 to 0.3); for
# the tasks after the shards, on one core; for the quality page; for a chip in the index.
_START_S, _TASK_S, _PAGE_S, _INDEX_S = 0.2, 0.5, 5.0, 1e-4
# Bytes of an index without chips, and of a chip in it. An empty GeoPackage has 24 pages of 4096 bytes.
_MAP_BYTES, _MAP_CHIP_BYTES = 98_304, 370
_TABLE_BYTES, _TABLE_CHIP_BYTES = 23_000, 30
# Bytes of the quality page: its text and figures, a pixel of the maps, and a pixel of the chips that are shown.
_PAGE_BYTES, _RELIEF_PIXEL_BYTES, _CHIP_PIXEL_BYTES = 600_000, 2.8, 22
# Longer sides are decimated to these lengths, as in gcn_luigi.report.pictures.
_LONGEST_MAP, _LONGEST_CHIP = 1000, 256
# Bytes of the manifest without its list, of a file in this list, and of a file in its sidecar.
_MANIFEST_BYTES, _LISTED_BYTES, _STATED_BYTES = 1_500, 240, 150
_STATISTICS_BYTES, _BAND_BYTES = 2_000, 720
# Features: per column, and two of four bytes per band and chip. Distances: four or five curves in two spaces.
_COLUMN_BYTES, _FEATURE_BYTES, _DISTANCE_BYTES = 900, 8, 15_500
# Bytes of a mosaic of one band and year, and of each tile that it lists.
_VRT_BYTES, _VRT_TILE_BYTES = 1_300, 330
_SMALL_BYTES = {".json": 5_500, ".qml": 2_000, ".md": 1_100, ".txt": 220}
_FILE_BYTES, _SIDECAR_BYTES = 20_000, 1_500


@dataclass(frozen=True)
class PlannedTask:
    """One task of a planned build: what happens to it, and why; a task that is kept has no reasons."""

    task: RegionTask
    action: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """The forecast of a build; `trial` and `seconds` are None if no trial was made.

    `other_bytes` is the size of all files except the shards. `scales` are the bands that need a scale in int16.
    `cells` says which cells are used, and `advice` what would give more chips.
    """

    tasks: tuple[PlannedTask, ...]
    plan: Plan
    trial: Trial | None
    other_bytes: int
    seconds: float | None
    warnings: tuple[str, ...] = ()
    scales: tuple[ScaleAdvice, ...] = ()
    cells: Overview | None = None
    advice: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what ``gcn plan --json`` writes."""
        plan, trial = self.plan, self.trial
        shown = ("partitions", "candidates", "chips", "rejected", "classes")
        return {
            "tasks": [
                {"name": planned.task.name, "action": planned.action, "reasons": list(planned.reasons)}
                for planned in self.tasks
            ],
            "chips": plan.chips,
            "is_exact": plan.is_exact,
            "splits": {name: {key: getattr(split, key) for key in shown} for name, split in plan.splits.items()},
            "cells": None if self.cells is None else self.cells.as_dict(),
            "advice": list(self.advice),
            "raw_bytes": {"chips": plan.chips_bytes, "windows": plan.windows_bytes},
            "advised_layout": plan.advised,
            "advised_scales": {advice.band: advice.scale for advice in self.scales},
            "shard_bytes": None if trial is None else trial.shard_bytes,
            "other_bytes": self.other_bytes,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "trial": None if trial is None else {"n_chips": trial.n_chips, "n_partitions": trial.n_partitions},
        }


def tasks_to_prepare(root: RegionTask, *, is_exact: bool) -> list[RegionTask]:
    """Return the tasks whose files a forecast reads; an exact one also checks the tiles, as a build does."""
    settings = root.configured.settings
    stacks = [root.clone(YearStack, year=year) for year in settings.years] if is_exact else []
    tiles = [root.clone(TileQuality, band=band.name) for band in settings.checked_bands] if is_exact else []
    sure = label_confidence(root) if is_exact else []
    return [root.clone(PartitionCatalog), *stacks, *tiles, *sure]


def forecast(
    root: RegionTask, prepared: RegionTask, scratch: Path, say: Say, *, workers: int, is_exact: bool
) -> Forecast:
    """Forecast a build of `root` with `workers` processes; the dataset is only read.

    `prepared` is the dataset, or one elsewhere with the same settings, in which `tasks_to_prepare` are built. `scratch`
    is a directory for the trial. An exact forecast counts chips from all bands and builds some for trial; otherwise
    chips are counted from the label alone. Raises InputError if a source cannot be read.
    """
    region = root.configured
    plan = plan_dataset(region, prepared.paths, is_exact=is_exact, say=say)
    tasks = look_ahead(root)
    warnings = tuple(dataset_warnings(region.settings, prepared.paths))
    scales = tuple(scale_advice(region, prepared.paths))
    others = other_bytes(tasks, prepared, plan.chips)
    cells, advice = _about_cells(prepared, plan)
    if not is_exact:
        return Forecast(tasks, plan, None, others, None, warnings, scales, cells, advice)
    trial = build_trial(region, prepared.paths, plan, scratch, say)
    names = [planned.task.name for planned in tasks]
    known = {**read_times(prepared.paths, names), **read_times(root.paths, names)}
    seconds = {planned.task.name: _seconds(planned.task, plan, trial, known) for planned in tasks}
    return Forecast(tasks, plan, trial, others, makespan(tasks, seconds, workers), warnings, scales, cells, advice)


def _about_cells(prepared: RegionTask, plan: Plan) -> tuple[Overview, tuple[str, ...]]:
    """Return which cells are used, and advice on their size."""
    settings, paths = prepared.configured.settings, prepared.paths
    audit = json.loads(paths.split_audit.read_text(encoding="utf-8"))
    candidates = sum(split.candidates for split in plan.splits.values())
    advice = tuple(larger_cells(settings, candidates, plan.partitions))
    return make_overview(read_geoparquet(paths.catalog), audit, settings), advice


def look_ahead(root: RegionTask) -> tuple[PlannedTask, ...]:
    """Return what a build of `root` would do, requirements first, without changing anything."""
    snapshot = Snapshot()
    found = ((task, explain(task, snapshot)) for task in (*upstream(root), root))
    return tuple(PlannedTask(task, _ACTIONS[status.state], status.reasons) for task, status in found)


def makespan(tasks: Sequence[PlannedTask], seconds: Mapping[str, float], workers: int) -> float:
    """Return how many seconds a build takes at most, if each task takes its expected time in one process.

    As in Luigi, a task starts as soon as the tasks that it requires are done and a worker is free; tasks that come
    first in `tasks` start first. A task that is only looked at again counts in full.
    """
    waiting = [planned.task for planned in tasks if planned.action != KEEP]
    names = {task.name for task in waiting}
    needs = {task.name: {one.name for one in luigi.task.flatten(task.requires())} & names for task in waiting}
    running: list[tuple[float, str]] = []
    done: set[str] = set()
    now = 0.0
    while waiting or running:
        for task in [task for task in waiting if needs[task.name] <= done][: workers - len(running)]:
            waiting.remove(task)
            heapq.heappush(running, (now + _START_S + seconds.get(task.name, 0.0), task.name))
        now, name = heapq.heappop(running)
        done.add(name)
    return now


def _seconds(task: RegionTask, plan: Plan, trial: Trial, known: Mapping[str, float]) -> float:
    """Return the expected time of a task: from the trial, from its last run, or typical of such tasks."""
    if isinstance(task, ChipShard):
        return trial.shard_seconds[task.split][task.number]
    return known.get(task.name, _PAGE_S if isinstance(task, QualityReport) else _TASK_S + _INDEX_S * plan.chips)


def other_bytes(tasks: Sequence[PlannedTask], prepared: RegionTask, n_chips: int) -> int:
    """Return the size of all files except the shards, with their sidecars, for `n_chips` in all splits.

    The size is known if a file exists and is kept, or was made for the plan in `prepared`; otherwise it is estimated.
    """
    guessed = _guessed_sizes(prepared, n_chips, sum(len(planned.task.targets()) for planned in tasks))
    inventory, dtype = read_inventory(prepared.paths), prepared.configured.settings.stack.dtype
    mosaic = _VRT_BYTES + _VRT_TILE_BYTES * len(inventory.windows)
    raster = inventory.lattice.height * inventory.lattice.width * np.dtype(dtype).itemsize
    total = 0
    for planned in tasks:
        task = planned.task
        if not task.targets():
            # The inventory says which files there are; so far it may only be where the plan was prepared.
            task = task.clone(type(task), output_root=prepared.output_root)
        root, known = task.paths.root, _known_at(planned, prepared.paths)
        for target in task.targets():
            for path in (target.path, task.paths.sidecar(target.path)):
                if path == target.path and isinstance(planned.task, ChipShard):
                    continue
                place = path.relative_to(root)
                made = None if known is None else known / place
                if made is not None and made.is_file():
                    total += made.stat().st_size
                else:
                    total += guessed.get(place) or _usual_size(place, mosaic, raster)
    return total


def _usual_size(place: Path, mosaic: int, raster: int) -> int:
    """Return the size of a file by its name; `mosaic` and `raster` are those of a mosaic as VRT and as pixels."""
    if place.suffix == ".vrt":
        return mosaic
    if place.parts[0] == "mosaics" and place.suffix == ".tif":
        # Before compression, like the chips of a quick plan.
        return raster
    return _SIDECAR_BYTES if place.parts[0] == ".gcn" else _SMALL_BYTES.get(place.suffix, _FILE_BYTES)


def _known_at(planned: PlannedTask, prepared: DatasetPaths) -> Path | None:
    """Return where the files of a task are already as the build will make them: kept, or made for the plan."""
    root = planned.task.paths.root
    if planned.action == KEEP:
        return root
    # A file that is rebuilt may have another size than before.
    return None if prepared.root == root else prepared.root


def _guessed_sizes(prepared: RegionTask, n_chips: int, n_files: int) -> dict[Path, int]:
    """Return the size of the files that can be computed from counts, by path below the dataset."""
    paths, settings, lattice = prepared.paths, prepared.configured.settings, read_inventory(prepared.paths).lattice
    factor = max(max(lattice.shape) / _LONGEST_MAP, 1.0)
    map_pixels = round(lattice.height / factor) * round(lattice.width / factor)
    shown, n_bands = min(settings.chips.size, _LONGEST_CHIP) ** 2, len(settings.schema_bands.image)
    described = min(n_chips, MOST_TRAIN + MOST_OTHER)
    sizes = {
        paths.index: _TABLE_BYTES + _TABLE_CHIP_BYTES * n_chips,
        paths.features: n_bands * 2 * _COLUMN_BYTES + described * (n_bands * _FEATURE_BYTES + _TABLE_CHIP_BYTES),
        paths.distances: _DISTANCE_BYTES,
        paths.index_map: _MAP_BYTES + _MAP_CHIP_BYTES * n_chips,
        paths.report: round(_PAGE_BYTES + _RELIEF_PIXEL_BYTES * map_pixels + _CHIP_PIXEL_BYTES * shown),
        paths.sidecar(paths.report): _STATED_BYTES * n_files,
        paths.dataset: _MANIFEST_BYTES + _LISTED_BYTES * n_files,
        paths.sidecar(paths.dataset): _STATED_BYTES * n_files,
        paths.statistics: _STATISTICS_BYTES + _BAND_BYTES * len(settings.schema_bands),
    }
    return {path.relative_to(paths.root): size for path, size in sizes.items()}
