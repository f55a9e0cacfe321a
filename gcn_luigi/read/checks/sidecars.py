"""Sidecars against what they stand for: to the byte what was written, and true of their files."""

from collections.abc import Iterator, Mapping
from typing import Any

from gcn_luigi.errors import few
from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.prepare.disagreements import disagreements
from gcn_luigi.read.checks.files import FileChecker

_SUFFIX = ".json"
_MOST_NAMED = 3


def sidecar_problems(checker: FileChecker, files: Mapping[str, ManifestEntry]) -> Iterator[str]:
    """Yield what is wrong with the sidecars, and with files that only a sidecar speaks of.

    Parameters
    ----------
    checker : Looking
        Which files are asked for: a sidecar is looked at with its file.
    files : mapping
        Those of ``dataset.json``, by path. Their bytes are compared elsewhere, here only what both say of them.
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
            # Compared already.
            continue
        said = ManifestEntry(name, record.size, record.sha256)
        if name in files:
            if said != files[name]:
                yield f"{sidecar}: says another size or digest of {name} than dataset.json"
        elif not (paths.root / name).is_file():
            yield f"{name}: missing, though {sidecar} says that it was published; delete that if it was on purpose"
        else:
            problem = checker.problem(said)
            if problem is not None:
                # Nothing else speaks of this file: it may be the sidecar that changed.
                yield f"{problem}; so says {sidecar}"


def state_problems(checker: FileChecker, files: Mapping[str, ManifestEntry]) -> Iterator[str]:
    """Yield which files of ``dataset.json`` were made from different states of one source, as their sidecars say.

    Parameters
    ----------
    checker : Looking
        Which files are asked for.
    files : mapping
        Those of ``dataset.json``, by path. A sidecar of other bytes says nothing about them.
    """
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
    """Return the files of ``dataset.json``, and itself, that have no sidecar: a copy may leave ``.gcn`` out."""
    names = (*sorted(files), paths.dataset.name)
    return [name for name in names if not paths.sidecar(paths.root / name).is_file()]


def _sidecars(paths: DatasetPaths) -> Iterator[tuple[str, str]]:
    """Yield each sidecar's file and itself, both relative to the dataset."""
    home = paths.sidecar(paths.dataset).parent
    for path in sorted(home.rglob(f"*{_SUFFIX}")):
        # What starts with a dot is the draft of an interrupted build.
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(home).as_posix().removesuffix(_SUFFIX)
            yield name, path.relative_to(paths.root).as_posix()
