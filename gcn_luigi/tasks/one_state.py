"""A dataset is sealed only where all its files were made from one state of every source, and from that of now."""

from gcn_luigi.errors import InputError, few
from gcn_luigi.prepare.disagreements import disagreements
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.explain import explain
from gcn_luigi.tasks.graph import records_of, upstream


def check_one_state(root: RegionTask) -> None:
    """Compare what each file that `root` seals was made from: with the others, and with what there is now.

    A source can change between two tasks that read it. Luigi asks whether all is complete before it starts a task, not
    while it runs, and whoever runs tasks without Luigi need not ask at all.

    Raises
    ------
    InputError
        Two files were made from different states of a source, or one from another state than there is now.
    """
    fix = f"leave the sources alone and run again: gcn run {root.region}; it makes anew what is older"
    records = records_of(root).items()
    for found in disagreements((name, record.parts.get("sources", {})) for name, record in records if record):
        raise InputError(
            f"{found.first} and {found.second} were made from different states of a source; nothing was sealed",
            where=few(found.sources),
            fix=fix,
        )
    snapshot = Snapshot()
    for task in upstream(root):
        if task.in_manifest and not task.is_published(snapshot):
            raise InputError(
                f"{task.name} is no longer what settings and sources give; nothing was sealed",
                where=few(explain(task, snapshot).reasons),
                fix=fix,
            )
