"""Files whose bytes are no longer those that were published: found by reading them all, and made void."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gcn_luigi.io.publish.atomic import remove_dead_temporaries
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import made_files
from gcn_luigi.tasks.target import PublishedFile

# Hashing lets go of Python's lock; more threads only make a disk seek.
_THREADS = 2


def void_damaged(root: RegionTask) -> list[Path]:
    """Read all published files of a dataset, and take the sidecar from each whose bytes changed: it counts as absent.

    Parameters
    ----------
    root : RegionTask
        The dataset.

    Returns
    -------
    list of Path
        The damaged files; the next build makes them anew.
    """
    targets = [*made_files(root), *root.targets()]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="gcn-digest") as threads:
        sound = list(threads.map(_is_sound, targets))
    damaged = [target for target, is_sound in zip(targets, sound, strict=True) if not is_sound]
    for target in damaged:
        target.sidecar.unlink(missing_ok=True)
    return [target.path for target in damaged]


def sweep_drafts(root: RegionTask) -> list[Path]:
    """Remove the drafts that killed builds left anywhere in a dataset's directory; return them."""
    return [draft for place in directories(root.paths.root) for draft in remove_dead_temporaries(place)]


def directories(root: Path) -> list[Path]:
    """Return `root` and all directories below it, sorted; links are not followed, and `root` may be absent."""
    return [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]


def _is_sound(target: PublishedFile) -> bool:
    record = target.record()
    # What was never published, or is known to be lost, needs no reading.
    return record is None or not target.path.is_file() or target.is_intact(record, deep=True)
