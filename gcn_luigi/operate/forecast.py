"""What a build would do, give, weigh and take, all together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gcn_luigi.io.publish.timings import read_times
from gcn_luigi.operate.file_sizes import other_bytes
from gcn_luigi.operate.schedule import Step, look_ahead, makespan
from gcn_luigi.stages import Say
from gcn_luigi.stages.dataset.warnings import dataset_warnings
from gcn_luigi.stages.layers.tile_quality import checked_bands
from gcn_luigi.stages.plan import Plan, plan_dataset
from gcn_luigi.stages.trial_build import Probe, probe_shards
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dataset import QualityReport
from gcn_luigi.tasks.inventory import TileQuality
from gcn_luigi.tasks.partitions import PartitionCatalog
from gcn_luigi.tasks.rasters import YearStack
from gcn_luigi.tasks.shards import ChipShard

# Seconds of the tasks after the shards, on one core: fixed, and a chip of the index.
_TASK_S, _PAGE_S, _INDEX_S = 0.5, 5.0, 1e-4


@dataclass(frozen=True)
class Forecast:
    """What a build would come to.

    Attributes
    ----------
    steps : tuple of Step
        Every task and what happens to it.
    plan : Plan
        Chips.
    probe : Probe or None
        What a trial showed; None where none was made.
    other_bytes : int
        Of all files but the shards, from `gcn_luigi.operate.file_sizes.other_bytes`.
    seconds : float or None
        Of the whole build; None without a trial.
    warnings : tuple of str
        From `gcn_luigi.stages.dataset.warnings.dataset_warnings`.
    """

    steps: tuple[Step, ...]
    plan: Plan
    probe: Probe | None
    other_bytes: int
    seconds: float | None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what ``gcn plan --json`` writes."""
        return {
            "tasks": [
                {"name": step.task.name, "action": step.action.value, "reasons": list(step.reasons)}
                for step in self.steps
            ],
            "chips": self.plan.chips,
            "is_exact": self.plan.is_exact,
            "splits": {
                name: {
                    "partitions": split.partitions,
                    "candidates": split.candidates,
                    "chips": split.chips,
                    "rejected": split.rejected,
                    "classes": split.classes,
                }
                for name, split in self.plan.splits.items()
            },
            "raw_bytes": {"chips": self.plan.chips_bytes, "windows": self.plan.windows_bytes},
            "advised_layout": self.plan.advised,
            "shard_bytes": None if self.probe is None else self.probe.shard_bytes,
            "other_bytes": self.other_bytes,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "trial": None
            if self.probe is None
            else {key: value for key, value in asdict(self.probe).items() if key.startswith("n_")},
        }


def preparing(root: RegionTask, *, is_exact: bool) -> list[RegionTask]:
    """Return the tasks whose files a forecast reads; before an exact one the tiles are judged as before a build."""
    settings = root.configured.settings
    stacks = [root.clone(YearStack, year=year) for year in settings.years] if is_exact else []
    tiles = [root.clone(TileQuality, band=band.name) for band in checked_bands(settings)] if is_exact else []
    return [root.clone(PartitionCatalog), *stacks, *tiles]


def is_prepared(root: RegionTask, *, is_exact: bool) -> bool:
    """Return whether the dataset itself has all that a forecast reads, published and current."""
    return all(task.complete() for task in preparing(root, is_exact=is_exact))


def forecast(
    root: RegionTask, prepared: RegionTask, scratch: Path, say: Say, *, workers: int, is_exact: bool
) -> Forecast:
    """Say what a build of `root` would come to.

    Parameters
    ----------
    root : RegionTask
        The dataset; only read.
    prepared : RegionTask
        The dataset, or one elsewhere with the same configuration, of which `preparing` is built.
    scratch : Path
        A directory for the trial.
    say : callable
        Told a line and the share of work done.
    workers : int
        Processes that the machine lets work at once.
    is_exact : bool
        Count chips from all bands, and try some; else from the label alone.

    Returns
    -------
    Forecast
        Tasks, chips, bytes and seconds.

    Raises
    ------
    InputError
        A source cannot be read.
    """
    region = root.configured
    plan = plan_dataset(region, prepared.paths, is_exact=is_exact, say=say)
    steps = look_ahead(root)
    warnings = tuple(dataset_warnings(region.settings, prepared.paths))
    tasks = [step.task for step in steps]
    others = other_bytes(steps, prepared, plan.chips)
    if not is_exact:
        return Forecast(steps, plan, None, others, None, warnings)
    probe = probe_shards(region, prepared.paths, plan, scratch, say)
    names = [task.name for task in tasks]
    known = {**read_times(prepared.paths, names), **read_times(root.paths, names)}
    seconds = {task.name: _seconds(task, plan, probe, known) for task in tasks}
    return Forecast(steps, plan, probe, others, makespan(steps, seconds, workers), warnings)


def _seconds(task: RegionTask, plan: Plan, probe: Probe, known: Mapping[str, float]) -> float:
    """Return what a task should take: by the trial, as it took before, or as such tasks do."""
    if isinstance(task, ChipShard):
        return probe.shard_seconds[task.split][task.number]
    if task.name in known:
        return known[task.name]
    return _PAGE_S if isinstance(task, QualityReport) else _TASK_S + _INDEX_S * plan.chips
