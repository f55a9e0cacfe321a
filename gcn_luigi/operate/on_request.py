"""Tasks that are no part of a dataset's graph, and only built when asked for."""

from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.partitions import GridReport, PartitionFiles
from gcn_luigi.tasks.rasters import StackFiles


def on_request(root: RegionTask) -> tuple[RegionTask, ...]:
    """Return all of them, for the dataset of `root`."""
    return root.clone(PartitionFiles), root.clone(StackFiles), root.clone(GridReport)


def asked_for(root: RegionTask) -> tuple[RegionTask, ...]:
    """Return those that were built for the dataset of `root`: some file of theirs is there, or its sidecar."""
    return tuple(
        task
        for task in on_request(root)
        if any(target.path.is_file() or root.paths.sidecar(target.path).is_file() for target in task.targets())
    )
