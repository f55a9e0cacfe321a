"""Where the page comes from: tasks, files with their digests, versions. Handed over, since the page knows no tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gcn_luigi.io.publish.sidecar import Record
from gcn_luigi.report.graph_picture import TaskTime
from gcn_luigi.report.tables import NONE, Cell, Table, number

_SHARDS = "shards/"
_HEAD = ("file", "#bytes", "SHA-256", "fingerprint")


@dataclass(frozen=True)
class Provenance:
    """What made a dataset, as far as its files do not say it.

    Attributes
    ----------
    tasks : tuple of TaskTime
        All tasks of the dataset.
    records : mapping
        By path in the dataset: what the sidecar of each file that the page is made from says; None where it is gone.
    versions : mapping
        Of the libraries that took part, by name.
    """

    tasks: tuple[TaskTime, ...] = ()
    records: Mapping[str, Record | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def file_table(provenance: Provenance) -> Table:
    """Return size, digest and fingerprint of the files the page is made from, but for shards."""
    return Table("Files this page is made from", _HEAD, _rows(provenance, are_shards=False))


def shard_table(provenance: Provenance) -> Table:
    """Return size, digest and fingerprint of every shard."""
    return Table("Shards, in the directory shards", _HEAD, _rows(provenance, are_shards=True))


def version_line(provenance: Provenance) -> str:
    """Return the versions of the libraries in one line; empty where none is known."""
    return ", ".join(f"{name} {version}" for name, version in provenance.versions.items())


def _rows(provenance: Provenance, *, are_shards: bool) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (path.removeprefix(_SHARDS), NONE, NONE, NONE)
        if record is None
        else (path.removeprefix(_SHARDS), number(record.size), record.sha256, record.fingerprint)
        for path, record in sorted(provenance.records.items())
        if path.startswith(_SHARDS) == are_shards
    )
