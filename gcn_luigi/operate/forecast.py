"""What a build would do, give, weigh and take: its tasks with the reasons, chips, bytes of all files, seconds.

Most sizes are known: mosaics, label, distance, grid and catalog are there when a plan counts chips, and shards are
weighed by a trial. What is made after the shards is small, but for the index and the quality page, whose sizes were
fitted to finished datasets.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.timings import read_times
from gcn_luigi.stages import Say
from gcn_luigi.stages.dataset.warnings import dataset_warnings
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.layers.tile_quality import checked_bands
from gcn_luigi.stages.plan import Plan, Trial, build_trial, plan_dataset
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dataset import QualityReport
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.graph import State, explain, upstream
from gcn_luigi.tasks.inventory import TileQuality
from gcn_luigi.tasks.partitions import PartitionCatalog
from gcn_luigi.tasks.rasters import YearStack
from gcn_luigi.tasks.shards import ChipShard

# What a build does with a task by its state. What was made from something that is built now is looked at again: it is
# made again only if that turns out otherwise than before.
KEEP, BUILD, REBUILD, LOOK = "keep", "build", "rebuild", "look again"
_ACTIONS = {
    State.CURRENT: KEEP,
    State.ABSENT: BUILD,
    State.DAMAGED: REBUILD,
    State.STALE: REBUILD,
    State.WAITING: LOOK,
}
# Seconds: to start a worker process, which asks whether everything is there and reports (measured as 0.1 to 0.3); of
# the tasks after the shards, on one core; of the quality page; of a chip in the index.
_START_S, _TASK_S, _PAGE_S, _INDEX_S = 0.2, 0.5, 5.0, 1e-4
# Bytes: of an index without a chip, and of a chip in it. An empty GeoPackage has 24 pages of 4096 bytes.
_MAP_BYTES, _MAP_CHIP_BYTES = 98_304, 370
_TABLE_BYTES, _TABLE_CHIP_BYTES = 23_000, 30
# Of the quality page: its text and figures, a pixel of the maps, and a pixel of the chips that are shown.
_PAGE_BYTES, _RELIEF_PIXEL_BYTES, _CHIP_PIXEL_BYTES = 600_000, 2.8, 22
# Longer sides are decimated to this, as in gcn_luigi.report.pictures.
_LONGEST_MAP, _LONGEST_CHIP = 1000, 256
# Of the manifest and of its sidecar, and of each file that they list.
_MANIFEST_BYTES, _LISTED_BYTES, _STATED_BYTES = 1_500, 240, 150
_STATISTICS_BYTES, _BAND_BYTES = 2_000, 720
# Of a mosaic of one band and year: it lists the tiles.
_VRT_BYTES, _VRT_TILE_BYTES = 1_300, 330
_SMALL_BYTES = {".json": 5_500, ".qml": 2_000, ".md": 1_100, ".txt": 220}
_FILE_BYTES, _SIDECAR_BYTES = 20_000, 1_500


@dataclass(frozen=True)
class PlannedTask:
    """One task of a build to come: what happens to it, and why; there is no reason for a task that is kept."""

    task: RegionTask
    action: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """What a build would come to; `trial` and `seconds` are None where no trial was made.

    `other_bytes` is the weight of all files but the shards.
    """

    tasks: tuple[PlannedTask, ...]
    plan: Plan
    trial: Trial | None
    other_bytes: int
    seconds: float | None
    warnings: tuple[str, ...] = ()

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
            "raw_bytes": {"chips": plan.chips_bytes, "windows": plan.windows_bytes},
            "advised_layout": plan.advised,
            "shard_bytes": None if trial is None else trial.shard_bytes,
            "other_bytes": self.other_bytes,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "trial": None if trial is None else {"n_chips": trial.n_chips, "n_partitions": trial.n_partitions},
        }


def tasks_to_prepare(root: RegionTask, *, is_exact: bool) -> list[RegionTask]:
    """Return the tasks whose files a forecast reads; before an exact one the tiles are checked as before a build."""
    settings = root.configured.settings
    stacks = [root.clone(YearStack, year=year) for year in settings.years] if is_exact else []
    tiles = [root.clone(TileQuality, band=band.name) for band in checked_bands(settings)] if is_exact else []
    return [root.clone(PartitionCatalog), *stacks, *tiles]


def forecast(
    root: RegionTask, prepared: RegionTask, scratch: Path, say: Say, *, workers: int, is_exact: bool
) -> Forecast:
    """Say what a build of `root` by so many processes at once would come to; the dataset is only read.

    `prepared` is the dataset, or one elsewhere with the same configuration, of which `tasks_to_prepare` is built;
    `scratch` a directory for the trial. An exact forecast counts chips from all bands and tries some, another one
    counts them from the label alone. Raises InputError where a source cannot be read.
    """
    region = root.configured
    plan = plan_dataset(region, prepared.paths, is_exact=is_exact, say=say)
    tasks = look_ahead(root)
    warnings = tuple(dataset_warnings(region.settings, prepared.paths))
    others = other_bytes(tasks, prepared, plan.chips)
    if not is_exact:
        return Forecast(tasks, plan, None, others, None, warnings)
    trial = build_trial(region, prepared.paths, plan, scratch, say)
    names = [planned.task.name for planned in tasks]
    known = {**read_times(prepared.paths, names), **read_times(root.paths, names)}
    seconds = {planned.task.name: _seconds(planned.task, plan, trial, known) for planned in tasks}
    return Forecast(tasks, plan, trial, others, makespan(tasks, seconds, workers), warnings)


def look_ahead(root: RegionTask) -> tuple[PlannedTask, ...]:
    """Return what a build of `root` would do, requirements first; nothing is changed."""
    snapshot = Snapshot()
    found = ((task, explain(task, snapshot)) for task in (*upstream(root), root))
    return tuple(PlannedTask(task, _ACTIONS[status.state], status.reasons) for task, status in found)


def makespan(tasks: Sequence[PlannedTask], seconds: Mapping[str, float], workers: int) -> float:
    """Return how many seconds a build takes at most, if each task takes what is expected of it in one process.

    Tasks start as soon as what they require is there and a worker is free, as Luigi's do, those that come first in
    `tasks` first. A task that is only looked at counts in full.
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
    """Return what a task should take: by the trial, as it took before, or as such tasks do."""
    if isinstance(task, ChipShard):
        return trial.shard_seconds[task.split][task.number]
    return known.get(task.name, _PAGE_S if isinstance(task, QualityReport) else _TASK_S + _INDEX_S * plan.chips)


def other_bytes(tasks: Sequence[PlannedTask], prepared: RegionTask, n_chips: int) -> int:
    """Return what all files but the shards will weigh with `n_chips` in all splits, their sidecars included.

    The bytes are known where a file is there and stays, or was made for the plan in `prepared`; else estimated.
    """
    guessed = _guessed_sizes(prepared, n_chips, sum(len(planned.task.targets()) for planned in tasks))
    mosaic = _VRT_BYTES + _VRT_TILE_BYTES * len(read_inventory(prepared.paths).windows)
    total = 0
    for planned in tasks:
        paths = planned.task.paths
        known = _known_at(planned, prepared.paths)
        for target in planned.task.targets():
            for path in (target.path, paths.sidecar(target.path)):
                if path == target.path and isinstance(planned.task, ChipShard):
                    continue
                place = path.relative_to(paths.root)
                made = None if known is None else known / place
                if made is not None and made.is_file():
                    total += made.stat().st_size
                elif place in guessed:
                    total += guessed[place]
                elif place.suffix == ".vrt":
                    total += mosaic
                elif place.parts[0] == ".gcn":
                    total += _SIDECAR_BYTES
                else:
                    total += _SMALL_BYTES.get(place.suffix, _FILE_BYTES)
    return total


def _known_at(planned: PlannedTask, prepared: DatasetPaths) -> Path | None:
    """Return where the files of a task are as the build will leave them: kept, or made for the plan."""
    root = planned.task.paths.root
    if planned.action == KEEP:
        return root
    # A file that is made again may weigh something else than before.
    return None if prepared.root == root else prepared.root


def _guessed_sizes(prepared: RegionTask, n_chips: int, n_files: int) -> dict[Path, int]:
    """Return the bytes of the files whose size follows from numbers, by path below the dataset."""
    paths, settings, lattice = prepared.paths, prepared.configured.settings, read_inventory(prepared.paths).lattice
    factor = max(max(lattice.shape) / _LONGEST_MAP, 1.0)
    map_pixels = round(lattice.height / factor) * round(lattice.width / factor)
    shown = min(settings.chips.size, _LONGEST_CHIP) ** 2
    sizes = {
        paths.index: _TABLE_BYTES + _TABLE_CHIP_BYTES * n_chips,
        paths.index_map: _MAP_BYTES + _MAP_CHIP_BYTES * n_chips,
        paths.report: round(_PAGE_BYTES + _RELIEF_PIXEL_BYTES * map_pixels + _CHIP_PIXEL_BYTES * shown),
        paths.sidecar(paths.report): _STATED_BYTES * n_files,
        paths.dataset: _MANIFEST_BYTES + _LISTED_BYTES * n_files,
        paths.sidecar(paths.dataset): _STATED_BYTES * n_files,
        paths.statistics: _STATISTICS_BYTES + _BAND_BYTES * len(settings.schema_bands),
    }
    return {path.relative_to(paths.root): size for path, size in sizes.items()}
