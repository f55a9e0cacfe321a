"""Sidecars against what they stand for: to the byte what was written, and true of their files."""

from collections.abc import Iterator, Mapping

from gcn_luigi.io.layout import Layout
from gcn_luigi.io.seal import SealedFile
from gcn_luigi.io.sidecar import read_record
from gcn_luigi.read.checks.files import Looking

_SUFFIX = ".json"


def sidecar_problems(looking: Looking, files: Mapping[str, SealedFile]) -> Iterator[str]:
    """Yield what is wrong with the sidecars, and with files that only a sidecar speaks of.

    Parameters
    ----------
    looking : Looking
        Which files are asked for: a sidecar is looked at with its file.
    files : mapping
        Those of ``dataset.json``, by path. Their bytes are compared elsewhere, here only what both say of them.
    """
    layout = looking.layout
    for name, sidecar in _sidecars(layout):
        path = layout.sidecar(layout.root / name)
        if not looking.wants(name, sidecar):
            continue
        record = read_record(path)
        if record is None:
            yield f"{sidecar}: its text is not what was written"
            continue
        if name == layout.report.name:
            # Compared already.
            continue
        said = SealedFile(name, record.size, record.sha256)
        if name in files:
            if said != files[name]:
                yield f"{sidecar}: says another size or digest of {name} than dataset.json"
        elif not (layout.root / name).is_file():
            yield f"{name}: missing, though {sidecar} says that it was published; delete that if it was on purpose"
        else:
            problem = looking.problem(said)
            if problem is not None:
                # Nothing else speaks of this file: it may be the sidecar that changed.
                yield f"{problem}; so says {sidecar}"


def without_sidecar(layout: Layout, files: Mapping[str, SealedFile]) -> list[str]:
    """Return the files of ``dataset.json``, and itself, that have no sidecar: a copy may leave ``.gcn`` out."""
    names = (*sorted(files), layout.dataset.name)
    return [name for name in names if not layout.sidecar(layout.root / name).is_file()]


def _sidecars(layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield each sidecar's file and itself, both relative to the dataset."""
    home = layout.sidecar(layout.dataset).parent
    for path in sorted(home.rglob(f"*{_SUFFIX}")):
        # What starts with a dot is the draft of an interrupted build.
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(home).as_posix().removesuffix(_SUFFIX)
            yield name, path.relative_to(layout.root).as_posix()
