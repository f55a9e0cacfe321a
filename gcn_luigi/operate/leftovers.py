"""What lies in a dataset's directory and belongs to it no more, and how to remove it safely."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gcn_luigi.io.publish.atomic import dead_temporaries, digest, is_temporary
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.operate.repair import directories, sweep_drafts
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import made_files


@dataclass(frozen=True)
class Leftover:
    """One file that may go.

    Attributes
    ----------
    path : Path
        The file.
    why : str
        What it is.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Leftovers:
    """What was found.

    Attributes
    ----------
    removable : tuple of Leftover
        Files that this package made, unchanged since.
    kept : tuple of Leftover
        Files that look like ours and are not removed, with the reason.
    """

    removable: tuple[Leftover, ...]
    kept: tuple[Leftover, ...]


def find_leftovers(root: RegionTask, on_request: tuple[RegionTask, ...] = (), *, everything: bool = False) -> Leftovers:
    """Find files of a dataset's directory that may go; nothing is changed.

    Only files with a sidecar of ours are found, and only those whose bytes are still the published ones; drafts only
    where their writers are dead. Links are never followed.

    Parameters
    ----------
    root : RegionTask
        The dataset.
    on_request : tuple of RegionTask
        Tasks that are only built when asked for: their files are kept.
    everything : bool
        Find what belongs to the dataset, too.

    Returns
    -------
    Leftovers
        In the order of their paths.
    """
    directory = root.paths.root
    wanted = {target.path for target in (*made_files(root), *root.targets())}
    wanted |= {target.path for task in on_request for target in task.targets()}
    removable, kept = [], []
    records = root.paths.sidecar(root.paths.dataset).parent
    for sidecar in _files(records):
        path = directory / sidecar.relative_to(records).with_suffix("")
        if sidecar.suffix != ".json" or is_temporary(sidecar) or (path in wanted and not everything):
            continue
        record = read_record(sidecar)
        if path.is_file() and (record is None or path.is_symlink() or digest(path) != record.sha256):
            kept.append(Leftover(path, "changed since it was made"))
            continue
        if path.is_file():
            why = "part of the dataset" if path in wanted else "no part of the dataset as it is configured now"
            removable.append(Leftover(path, why))
        removable.append(Leftover(sidecar, "its sidecar"))
    if everything:
        removable += [Leftover(path, "made on request") for path in _partitions(root)]
        removable += [Leftover(path, "how long a task took") for path in _files(root.paths.times)]
    for place in directories(directory):
        removable += [Leftover(path, "draft of a killed build") for path in dead_temporaries(place)]
    return Leftovers(tuple(sorted(removable, key=_path)), tuple(sorted(kept, key=_path)))


def remove_leftovers(root: RegionTask, leftovers: Leftovers) -> int:
    """Remove what was found, then directories that are empty; return how many files went.

    A file is only removed where its directory really lies in the dataset's.
    """
    directory = root.paths.root
    removed = len(sweep_drafts(root))
    for leftover in leftovers.removable:
        path = leftover.path
        if path.parent.resolve().is_relative_to(directory) and (path.is_file() or path.is_symlink()):
            path.unlink()
            removed += 1
    for place in reversed(directories(directory)):
        if place != directory and not any(place.iterdir()):
            place.rmdir()
    return removed


def _path(leftover: Leftover) -> Path:
    return leftover.path


def _partitions(root: RegionTask) -> Iterator[Path]:
    """Yield the partitions that were written on request and are still as they were."""
    listing = root.paths.partition_list
    if not listing.is_file():
        return
    with listing.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            path = listing.with_name(Path(row["file"]).name)
            if path.is_file() and not path.is_symlink() and digest(path) == row["sha256"]:
                yield path


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
