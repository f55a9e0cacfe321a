"""The task graph as a whole: every task once, every file once."""

from collections.abc import Iterator

import luigi

from gcn_luigi.stages.seal import SealedFile
from gcn_luigi.targets import PublishedFile
from gcn_luigi.tasks.base import RegionTask


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


def sealed_files(root: RegionTask) -> list[SealedFile]:
    """Return the files that `root` stands on, with size and digest as published."""
    return [_sealed(task, target) for task in upstream(root) for target in luigi.task.flatten(task.output())]


def _sealed(task: RegionTask, target: PublishedFile) -> SealedFile:
    record = target.record()
    path = target.path.relative_to(task.layout.root).as_posix()
    return SealedFile(path, record["size"], record["sha256"])
