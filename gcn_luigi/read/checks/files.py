"""Compare files with the lists and sidecars that describe them, and two datasets with each other."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gcn_luigi.errors import few
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import DATA_DIGEST, DATA_TABLES, DIGEST, ManifestEntry, is_data
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.prepare.disagreements import disagreements
from gcn_luigi.read.dataset import Dataset

_SUFFIX = ".json"
_MOST_NAMED = 3
_ENTRY = {"path": str, "size": int, "sha256": str}


class FileChecker:
    """The files of a dataset to check: those in `only`, relative to the dataset, or all for None. Each is read once."""

    def __init__(self, paths: DatasetPaths, only: Iterable[str | Path] | None) -> None:
        self.paths = paths
        self._only = None if only is None else {Path(name).as_posix() for name in only}
        self._digests: dict[Path, str] = {}

    @property
    def wants_all(self) -> bool:
        """True if all files are to be checked."""
        return self._only is None

    def wants(self, *names: str) -> bool:
        """Return whether any of these files is to be checked."""
        return self._only is None or not self._only.isdisjoint(names)

    def problems(self, said: ManifestEntry) -> Iterator[str]:
        """Yield the problem of a file; nothing if it is as it was published."""
        path = self.paths.root / said.path
        try:
            size = path.stat().st_size
            if not path.is_file():
                yield f"{said.path}: missing"
            elif size != said.size:
                yield f"{said.path}: {size} bytes instead of {said.size}"
            elif self._digest(path) != said.sha256:
                yield f"{said.path}: its bytes changed (SHA-256 differs)"
        except (FileNotFoundError, NotADirectoryError):
            yield f"{said.path}: missing"
        except OSError as error:
            yield f"{said.path}: cannot be read: {error}"

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = digest(path)
        return self._digests[path]


def listed(dataset: Dataset) -> dict[str, ManifestEntry]:
    """Return the files of ``dataset.json`` by path; empty if its list is not valid."""
    entries = dataset.description.get("files", [])
    is_list = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if not is_list or not all(isinstance(entry.get(key), kind) for entry in entries for key, kind in _ENTRY.items()):
        return {}
    return {entry["path"]: ManifestEntry(entry["path"], entry["size"], entry["sha256"]) for entry in entries}


def listed_problems(dataset: Dataset, checker: FileChecker) -> Iterator[str]:
    """Yield the problems of the files in ``dataset.json``, and of its list of files."""
    files, root = listed(dataset), dataset.paths.root
    if not files and dataset.description.get("files") != []:
        yield "dataset.json: its list of files holds something other than path, size and sha256"
        return
    for name in DATA_TABLES:
        if name not in files:
            yield f"dataset.json: does not list {name}"
    left_out = set(left_out_of(dataset))
    for said in files.values():
        if not (root / said.path).resolve().is_relative_to(root):
            yield f"{said.path}: is outside the dataset"
        elif checker.wants(said.path) and said.path not in left_out:
            yield from checker.problems(said)


def left_out_of(dataset: Dataset) -> list[str]:
    """Return the files that are missing because only a part of a dataset was passed on; none if ``.gcn`` exists.

    Without ``.gcn`` the dataset cannot be built further, so only the files that chips are read from must exist.
    """
    root = dataset.paths.root
    if dataset.paths.sidecar(dataset.paths.dataset).parent.is_dir():
        return []
    return [name for name in sorted(listed(dataset)) if not is_data(name) and not os.path.lexists(root / name)]


def partition_problems(checker: FileChecker) -> Iterator[str]:
    """Yield the problems of partitions that were written on request, compared with their own list."""
    name = checker.paths.partition_list.relative_to(checker.paths.root).as_posix()
    try:
        files = listed_partitions(checker.paths)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        yield f"{name}: cannot be read: {error!r}"
        return
    for said in files:
        if checker.wants(said.path):
            yield from checker.problems(said)


def report_problems(checker: FileChecker) -> Iterator[str]:
    """Yield the problem of the quality page. Only its sidecar describes it, because the page contains times."""
    paths = checker.paths
    record, name = read_record(paths.sidecar(paths.report)), paths.report.name
    if record is not None and checker.wants(name):
        yield from checker.problems(ManifestEntry(name, record.size, record.sha256))


def has_grid_page(checker: FileChecker) -> bool:
    """Return whether the page of grid sizes, made on request, exists and matches its sidecar."""
    page = checker.paths.grids
    record = read_record(checker.paths.sidecar(page))
    return record is not None and not any(checker.problems(ManifestEntry(page.name, record.size, record.sha256)))


def listed_partitions(paths: DatasetPaths) -> list[ManifestEntry]:
    """Return the partition files that were written on request; an empty list if there are none."""
    listing = paths.partition_list
    if not listing.is_file():
        return []
    with listing.open(encoding="utf-8", newline="") as stream:
        return [
            ManifestEntry(f"partitions/{Path(row['file']).name}", int(row["size"]), row["sha256"])
            for row in csv.DictReader(stream)
        ]


def sidecar_problems(checker: FileChecker, files: Mapping[str, ManifestEntry]) -> Iterator[str]:
    """Yield the problems of sidecars, and of files that only a sidecar describes.

    `files` are those of ``dataset.json``. Their bytes are compared elsewhere; here only the sizes and digests in the
    sidecar and in ``dataset.json`` are compared.
    """
    paths = checker.paths
    for name, sidecar in _sidecars(paths):
        path = paths.sidecar(paths.root / name)
        if not checker.wants(name, sidecar):
            continue
        record = read_record(path)
        if record is None:
            yield f"{sidecar}: its text is not what was written"
            continue
        if name == paths.report.name:
            # It was compared already.
            continue
        said = ManifestEntry(name, record.size, record.sha256)
        if name in files:
            if said != files[name]:
                yield f"{sidecar}: gives another size or digest of {name} than dataset.json"
        elif not (paths.root / name).is_file():
            yield f"{name}: missing, but {sidecar} exists; delete the sidecar if you removed the file on purpose"
        else:
            # Nothing else describes this file, so the sidecar may be the one that changed.
            yield from (f"{problem}; according to {sidecar}" for problem in checker.problems(said))


def state_problems(checker: FileChecker, files: Mapping[str, ManifestEntry]) -> Iterator[str]:
    """Yield the files of ``dataset.json`` that, by their sidecars, were made from different states of one source."""
    for found in disagreements(_recorded(checker.paths, files)):
        if checker.wants(found.first, found.second):
            named = few(found.sources, _MOST_NAMED)
            yield f"{found.second}: made from another state of a source than {found.first}: {named}"


def _recorded(paths: DatasetPaths, files: Mapping[str, ManifestEntry]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, _ in _sidecars(paths):
        record = read_record(paths.sidecar(paths.root / name)) if name in files else None
        if record is not None and ManifestEntry(name, record.size, record.sha256) == files[name]:
            sources = record.parts.get("sources")
            if isinstance(sources, Mapping):
                yield name, sources


def without_sidecar(paths: DatasetPaths, files: Mapping[str, ManifestEntry]) -> list[str]:
    """Return the files without a sidecar, among ``dataset.json`` and the files in it: copies may lack ``.gcn``."""
    names = (*sorted(files), paths.dataset.name)
    return [name for name in names if not paths.sidecar(paths.root / name).is_file()]


def _sidecars(paths: DatasetPaths) -> Iterator[tuple[str, str]]:
    """Yield the file of each sidecar, and the sidecar, both relative to the dataset."""
    home = paths.sidecar(paths.dataset).parent
    for path in sorted(home.rglob(f"*{_SUFFIX}")):
        # Names that start with a dot are temporary files of an interrupted build.
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(home).as_posix().removesuffix(_SUFFIX)
            yield name, path.relative_to(paths.root).as_posix()


def differences(one: Dataset, other: Dataset) -> Iterator[str]:
    """Yield one sentence for each file, and each key of ``dataset.json``, in which two datasets differ.

    Nothing is yielded exactly if their digests are equal: then they are equal to the last bit, wherever they are. Two
    datasets that differ may still hold the same chips; then `Dataset.data_digest` is equal. The files themselves are
    not checked; use `gcn_luigi.read.validate` for this.
    """
    if one.digest == other.digest:
        return
    files, others = listed(one), listed(other)
    for name in sorted(files.keys() | others.keys()):
        if name not in others:
            yield f"{name}: only in the first"
        elif name not in files:
            yield f"{name}: only in the second"
        elif files[name] != others[name]:
            yield f"{name}: other bytes"
    for key in sorted((one.description.keys() | other.description.keys()) - {"files", DIGEST, DATA_DIGEST}):
        if one.description.get(key) != other.description.get(key):
            yield f"dataset.json: another {key}"
