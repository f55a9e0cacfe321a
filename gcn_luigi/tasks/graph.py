"""The task graph as a whole: every task once, every file once."""

from collections.abc import Iterable, Iterator

import luigi

from gcn_luigi.errors import PublishError
from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.sidecar import Record
from gcn_luigi.io.publish.timings import read_times
from gcn_luigi.report.graph_picture import TaskTime
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.target import PublishedFile


def upstream(root: RegionTask) -> Iterator[RegionTask]:
    """Yield every task that `root` requires, directly or not, each once, requirements first."""
    seen: set[str] = set()

    def visit(task: RegionTask) -> Iterator[RegionTask]:
        for required in luigi.task.flatten(task.requires()):
            if required.task_id not in seen:
                seen.add(required.task_id)
                yield from visit(required)
                yield required

    return visit(root)


def made_files(root: RegionTask) -> Iterator[PublishedFile]:
    """Yield every file that `root` stands on, requirements first."""
    for task in upstream(root):
        yield from task.targets()


def records_of(root: RegionTask) -> dict[str, Record | None]:
    """Return what the sidecars of the files that `root` seals say, by path in the dataset."""
    sealed = (task for task in upstream(root) if task.in_manifest)
    return records_by_path(root, (target for task in sealed for target in task.targets()))


def records_by_path(root: RegionTask, targets: Iterable[PublishedFile]) -> dict[str, Record | None]:
    """Return what the sidecars of `targets` say, by path in the dataset of `root`."""
    start = root.paths.root
    return {target.path.relative_to(start).as_posix(): target.record() for target in targets}


def task_times(root: RegionTask) -> tuple[TaskTime, ...]:
    """Return `root` and every task that it requires, requirements first, each with what it took when last run."""
    tasks = (*upstream(root), root)
    seconds = read_times(root.paths, [task.name for task in tasks])
    return tuple(
        TaskTime(
            task.name,
            type(task).__name__,
            tuple(required.name for required in luigi.task.flatten(task.requires())),
            seconds.get(task.name),
        )
        for task in tasks
    )


def manifest_entries(root: RegionTask) -> tuple[list[ManifestEntry], dict[str, str]]:
    """Return the files that `root` seals, with size and digest as published, and their fingerprints.

    Raises
    ------
    PublishError
        A sidecar is gone.
    """
    files, fingerprints = [], {}
    for path, record in records_of(root).items():
        if record is None:
            raise PublishError(
                "its sidecar is gone or damaged",
                where=str(root.paths.root / path),
                fix="run again: the file is made anew; if another build works on this dataset, let it finish first",
            )
        files.append(ManifestEntry(path, record.size, record.sha256))
        fingerprints[path] = record.fingerprint
    return files, fingerprints
