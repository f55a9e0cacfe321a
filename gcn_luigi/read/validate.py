"""Is a dataset whole? All that can be found without its sources, and without changing anything."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gcn_luigi.errors import GcnLuigiError, ShardError, few
from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.read.checks.files import (
    FileChecker,
    has_grid_page,
    left_out_of,
    listed,
    listed_partitions,
    listed_problems,
    partition_problems,
    report_problems,
    sidecar_problems,
    state_problems,
    without_sidecar,
)
from gcn_luigi.read.checks.shards import chunk_problems, index_problems
from gcn_luigi.read.dataset import Dataset

_MOST_NAMED = 3


def validate(directory: Path, *, deep: bool = False, only: Iterable[str | Path] | None = None) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong; nothing for a sound dataset.

    Checked are: ``dataset.json`` by its own digest; each file that it lists by size and SHA-256; each shard's format,
    split, shapes and column lengths; each row of the index against the shard's own columns and georeference; each
    chip's partition against the catalog's split and year; chip ids for being unique. Where partitions were written as
    GeoTIFFs, each of them by size and SHA-256 as ``partitions.csv`` lists it; the quality page as its sidecar says; the
    states in which the files found their sources, as the sidecars say, against each other.
    Files that are damaged are named, and then what is inside them is left alone.

    Of a part that was passed on without ``.gcn``, files that no chip is read from may be missing: `absent` names them.

    Parameters
    ----------
    directory : Path
        Where ``dataset.json`` is.
    deep : bool
        Also read every chunk of every shard through its checksum and name damaged chips, in damaged shards, too; and
        check each sidecar to the byte, against ``dataset.json`` and, for files that stand only there, such as stacks
        made on request, against the file.
    only : iterable of str or Path, or None
        Check these files alone, given relative to the dataset, each by all that speaks of it alone; ``dataset.json``
        is always read. None checks all, and the index against the shards.

    Yields
    ------
    str
        What is wrong and where.

    Raises
    ------
    ShardError
        There is no finished dataset at all.
    """
    paths = DatasetPaths(Path(directory).resolve())
    checker = FileChecker(paths, only)
    dataset: Dataset | None = None
    files: dict[str, ManifestEntry] = {}
    found: list[str] = []
    try:
        dataset = Dataset(paths.root)
    except ShardError as error:
        if not paths.dataset.is_file():
            raise
        yield f"{paths.dataset.name}: {error.what}"
    else:
        files = listed(dataset)
        found += listed_problems(dataset, checker)
    found += [*partition_problems(checker), *report_problems(checker)]
    yield from found
    # Files may all be whole, and show two states of the world.
    yield from state_problems(checker, files)
    if deep:
        yield from sidecar_problems(checker, files)
        for path in _shards(paths, files if dataset is not None else None):
            if checker.wants(path.relative_to(paths.root).as_posix()):
                yield from chunk_problems(path)
    # What is inside a damaged file says nothing more.
    if dataset is not None and not found and checker.wants_all:
        yield from _read_through(dataset, files)


def unlisted(directory: Path) -> Iterator[str]:
    """Yield one sentence for each directory of a sound dataset with files that are not part of it.

    They do no harm: shards of an earlier configuration, what an interrupted build left behind, or stacks made on
    request.

    Parameters
    ----------
    directory : Path
        Where ``dataset.json`` is.

    Yields
    ------
    str
        The directory, how many such files it holds, and the first of them.

    Raises
    ------
    ShardError
        There is no finished dataset at all.
    """
    dataset = Dataset(directory)
    root, records = dataset.paths.root, dataset.paths.sidecar(dataset.paths.dataset).parent
    names = (*listed(dataset), *(said.path for said in listed_partitions(dataset.paths)))
    unlisted_ones = (dataset.paths.dataset, dataset.paths.report, dataset.paths.partition_list)
    known = {*unlisted_ones, *(root / name for name in names)}
    if has_grid_page(FileChecker(dataset.paths, None)):
        known.add(dataset.paths.grids)
    others: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path not in known and not path.is_relative_to(records):
            others.setdefault(path.parent.relative_to(root).as_posix(), []).append(path.name)
    for place, found in others.items():
        yield f"{place}: not part of the dataset: {few(found, _MOST_NAMED)}"


def absent(directory: Path) -> Iterator[str]:
    """Yield a sentence where a part of a dataset was passed on, without ``.gcn``: which files it lacks.

    Shards, index, catalog and statistics are never among them: where one of those is missing, `validate` calls it a
    problem. A ShardError says that there is no finished dataset at all.
    """
    dataset = Dataset(directory)
    names = left_out_of(dataset)
    if names:
        told = few(names, _MOST_NAMED)
        yield f"a part of the dataset: without {len(names)} of {len(listed(dataset))} files, such as {told}"


def unrecorded(directory: Path) -> Iterator[str]:
    """Yield a sentence where files of a dataset have no sidecar: a build would make them again, no reader misses it.

    Parameters
    ----------
    directory : Path
        Where ``dataset.json`` is.

    Yields
    ------
    str
        How many there are, and the first of them.

    Raises
    ------
    ShardError
        There is no finished dataset at all.
    """
    dataset = Dataset(directory)
    names = without_sidecar(dataset.paths, listed(dataset))
    # A part that was passed on has none at all, and is called a part already.
    if names and not left_out_of(dataset):
        yield f".gcn: without a sidecar: {few(names, _MOST_NAMED)}"


def _shards(paths: DatasetPaths, files: dict[str, ManifestEntry] | None) -> list[Path]:
    """Return the shards that are there: those listed, or all where the list is lost."""
    if files is None:
        return sorted(paths.shards.glob("[!.]*.h5"))
    listed_paths = sorted(paths.root / name for name in files)
    return [path for path in listed_paths if path.parent == paths.shards and path.is_file()]


def _read_through(dataset: Dataset, files: dict[str, ManifestEntry]) -> Iterator[str]:
    names = [Path(name).name for name in files if name.startswith("shards/")]
    try:
        yield from index_problems(dataset, names)
    except (GcnLuigiError, OSError, KeyError, TypeError, ValueError) as error:
        yield f"the dataset cannot be read through: {error}"
