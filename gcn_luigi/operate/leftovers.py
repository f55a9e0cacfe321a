"""Find damaged and leftover files in a dataset's directory, and remove them safely."""

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from gcn_luigi.io.publish.atomic import dead_temporaries, digest, is_temporary, remove_dead_temporaries
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dataset import Dataset
from gcn_luigi.tasks.graph import made_files
from gcn_luigi.tasks.target import PublishedFile

# Hashing releases Python's lock; more threads would only make a disk seek.
_THREADS = 2


@dataclass(frozen=True)
class Leftover:
    """One leftover file, and what it is."""

    path: Path
    why: str


@dataclass(frozen=True)
class Leftovers:
    """Files that this package made and nobody changed; and files that look like ours but are kept, with the reason."""

    removable: tuple[Leftover, ...]
    kept: tuple[Leftover, ...]


def invalidate_damaged(root: RegionTask) -> list[Path]:
    """Read all published files of a dataset, remove the sidecar of each whose bytes changed, and return these files.

    A file without a sidecar counts as absent, so the next build rebuilds it.
    """
    targets = list(made_files(root))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="gcn-digest") as threads:
        sound = list(threads.map(_is_sound, targets))
    damaged = [target for target, is_sound in zip(targets, sound, strict=True) if not is_sound]
    for target in damaged:
        target.sidecar.unlink(missing_ok=True)
    return [target.path for target in damaged]


def sweep_temporaries(root: RegionTask) -> list[Path]:
    """Remove the temporary files that killed builds left anywhere in a dataset's directory; return them."""
    return [temporary for place in _directories(root.paths.root) for temporary in remove_dead_temporaries(place)]


def find_leftovers(root: Dataset, *, everything: bool = False) -> Leftovers:
    """Find files of a dataset's directory that may be removed, sorted by path, without changing anything.

    The result has only files with a sidecar from this package whose bytes are still the published ones, and temporary
    files whose writers have died. Links are never followed. Files that are made on request are kept. With `everything`
    the result also has the files of the dataset itself.
    """
    directory = root.paths.root
    wanted = {target.path for target in made_files(root)}
    wanted |= {target.path for task in root.extras() for target in task.targets()}
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
            why = "part of the dataset" if path in wanted else "not part of the dataset with the present settings"
            removable.append(Leftover(path, why))
        removable.append(Leftover(sidecar, "its sidecar"))
    if everything:
        removable += [Leftover(path, "made on request") for path in _partitions(root)]
        removable += [Leftover(path, "how long a task took") for path in _files(root.paths.times)]
    for place in _directories(directory):
        removable += [Leftover(path, "temporary file of a killed build") for path in dead_temporaries(place)]
    return Leftovers(*(tuple(sorted(found, key=attrgetter("path"))) for found in (removable, kept)))


def remove_leftovers(root: RegionTask, leftovers: Leftovers) -> int:
    """Remove what was found, then empty directories; return how many files were removed.

    A file is only removed if its directory really is inside the dataset's directory.
    """
    directory = root.paths.root
    removed = len(sweep_temporaries(root))
    for leftover in leftovers.removable:
        path = leftover.path
        if path.parent.resolve().is_relative_to(directory) and (path.is_file() or path.is_symlink()):
            path.unlink()
            removed += 1
    for place in reversed(_directories(directory)):
        if place != directory and not any(place.iterdir()):
            place.rmdir()
    return removed


def _partitions(root: RegionTask) -> Iterator[Path]:
    """Yield the partitions that were written on request and have not changed since."""
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


def _directories(root: Path) -> list[Path]:
    """Return `root` and all directories below it, sorted; links are not followed, and `root` may be absent."""
    return [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]


def _is_sound(target: PublishedFile) -> bool:
    record = target.record()
    # A file that was never published, or is known to be lost, need not be read.
    return record is None or not target.path.is_file() or target.is_intact(record, deep=True)
