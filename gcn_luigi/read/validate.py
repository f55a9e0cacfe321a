"""Check whether a dataset is complete and undamaged, without its sources and without changing anything."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gcn_luigi.errors import GcnLuigiError, ShardError, few
from gcn_luigi.io.publish.manifest import CHECKSUMS, ManifestEntry
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
    """Yield one sentence for each problem, and nothing for a sound dataset.

    These checks are made:

    * ``dataset.json`` against its own digest, and each file that it lists by size and SHA-256;
    * each shard's format, split, shapes and column lengths;
    * each row of the index against the columns and georeference of its shard;
    * the split and year of each chip's partition against the catalog;
    * that chip ids are unique;
    * partitions that were written as GeoTIFFs by size and SHA-256 in ``partitions.csv``;
    * the quality page against its sidecar;
    * that all files were made from the same states of their sources, according to their sidecars.

    If files are damaged, they are named, and the contents of files are not compared.

    If a part of a dataset was passed on without ``.gcn``, files that chips are not read from may be missing; `absent`
    names them.

    Parameters
    ----------
    directory : Path
        The directory of ``dataset.json``.
    deep : bool
        Also verify the checksum of every chunk of every shard, and name damaged chips, even in damaged shards. Also
        check the bytes of each sidecar, compare it with ``dataset.json`` and, for files that only a sidecar describes,
        such as stacks made on request, with the file.
    only : iterable of str or Path, or None
        Check only these files, given relative to the dataset, and only by checks that concern one file.
        ``dataset.json`` is always read. None checks all files, and the index against the shards.

    Yields
    ------
    str
        What is wrong, and where.

    Raises
    ------
    ShardError
        There is no finished dataset.
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
    # All files may be undamaged but made from different states of a source.
    yield from state_problems(checker, files)
    if deep:
        yield from sidecar_problems(checker, files)
        for path in _shards(paths, files if dataset is not None else None):
            if checker.wants(path.relative_to(paths.root).as_posix()):
                yield from chunk_problems(path)
    # The content of a damaged file gives no further information.
    if dataset is not None and not found and checker.wants_all:
        yield from _read_through(dataset, files)


def unlisted(directory: Path) -> Iterator[str]:
    """Yield one sentence for each directory of a sound dataset that has files which are not part of the dataset.

    Such files do no harm: they are shards of an earlier configuration, leftovers of an interrupted build, or stacks
    made on request.

    Parameters
    ----------
    directory : Path
        The directory of ``dataset.json``.

    Yields
    ------
    str
        The directory, and the first such files in it.

    Raises
    ------
    ShardError
        There is no finished dataset.
    """
    dataset = Dataset(directory)
    root, records = dataset.paths.root, dataset.paths.sidecar(dataset.paths.dataset).parent
    names = (*listed(dataset), *(said.path for said in listed_partitions(dataset.paths)))
    unlisted_ones = (dataset.paths.dataset, dataset.paths.report, dataset.paths.partition_list)
    known = {*unlisted_ones, root / CHECKSUMS, *(root / name for name in names)}
    if has_grid_page(FileChecker(dataset.paths, None)):
        known.add(dataset.paths.grids)
    others: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path not in known and not path.is_relative_to(records):
            others.setdefault(path.parent.relative_to(root).as_posix(), []).append(path.name)
    for place, found in others.items():
        yield f"{place}: not part of the dataset: {few(found, _MOST_NAMED)}"


def absent(directory: Path) -> Iterator[str]:
    """Yield a sentence with missing files if a part of a dataset was passed on without ``.gcn``.

    Shards, index, catalog and statistics are never named here: if one of them is missing, `validate` reports a problem.
    Raise ShardError if there is no finished dataset.
    """
    dataset = Dataset(directory)
    names = left_out_of(dataset)
    if names:
        told = few(names, _MOST_NAMED)
        missing = f"{len(names)} of {len(listed(dataset))} files"
        yield f"a part of the dataset: without {missing}, such as {told}"


def unrecorded(directory: Path) -> Iterator[str]:
    """Yield a sentence if files of a dataset have no sidecar. A build would rebuild them; reading does not need it.

    Parameters
    ----------
    directory : Path
        The directory of ``dataset.json``.

    Yields
    ------
    str
        The first of these files, and how many more there are.

    Raises
    ------
    ShardError
        There is no finished dataset.
    """
    dataset = Dataset(directory)
    names = without_sidecar(dataset.paths, listed(dataset))
    # A part that was passed on has no sidecars at all, and `absent` reports it already.
    if names and not left_out_of(dataset):
        yield f".gcn: without a sidecar: {few(names, _MOST_NAMED)}"


def _shards(paths: DatasetPaths, files: dict[str, ManifestEntry] | None) -> list[Path]:
    """Return the shards that exist: those in the list, or all shards if the list is lost."""
    if files is None:
        return sorted(paths.shards.glob("[!.]*.h5"))
    listed_paths = sorted(paths.root / name for name in files)
    return [path for path in listed_paths if path.parent == paths.shards and path.is_file()]


def _read_through(dataset: Dataset, files: dict[str, ManifestEntry]) -> Iterator[str]:
    names = [Path(name).name for name in files if name.startswith("shards/")]
    try:
        yield from index_problems(dataset, names)
    except (GcnLuigiError, OSError, KeyError, TypeError, ValueError) as error:
        yield f"the dataset cannot be read to the end: {error}"
