"""Choose the files of a dataset that a reader needs, and pack them: equal datasets give equal bytes."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gcn_luigi.errors import ConfigError, ShardError, few
from gcn_luigi.io.publish.atomic import atomic_write, digest, sync
from gcn_luigi.io.publish.manifest import CHECKSUMS, ManifestEntry, is_data
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.read.checks.files import listed
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import validate

TAR = ".tar"

# Rasters of the whole region and what only a further build needs. Virtual rasters point at tiles that stay behind.
_LEFT_OUT_ROOMS = ("aligned/", "cubes/", "mosaics/", "partitions/", "stacks/", "tile_quality/")
_LEFT_OUT_KINDS = (".tif", ".vrt")
# What only tells a build that shards are current.
_LEFT_OUT_NAMES = frozenset({"catalog_without_folds.parquet"})
# What people call archives of other kinds. A directory of such a name would be taken for one.
_OTHER_ARCHIVES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".xz", ".zip", ".zst"})
_CHUNK = 1 << 20
_MOST_NAMED = 3

Say = Callable[[str, float], None]


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Attributes
    ----------
    files : tuple of ManifestEntry
        All files but the list of checksums, sorted by path.
    left_out : int
        Number of files of the dataset that were left behind.
    digest, data_digest : str
        Those of the dataset, which are also those of the archive.
    """

    files: tuple[ManifestEntry, ...]
    left_out: int
    digest: str
    data_digest: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def files_to_pack(dataset: Dataset, *, with_pages: bool) -> list[ManifestEntry]:
    """Return the files that a reader needs, sorted by path, with their published sizes and digests.

    These are the shards and tables, and every text and description. Rasters of the whole region, virtual rasters and
    records of the build are left out, and so are the styles of layers that are left out.

    Parameters
    ----------
    dataset : Dataset
        A finished dataset.
    with_pages : bool
        Also return the quality page, and the page of grid sizes if it was made.

    Raises
    ------
    ShardError
        The quality page is wanted, but was not made or is not as it was made.
    """
    files = listed(dataset)
    chosen = {name: file for name, file in files.items() if is_data(name) or not _is_left_out(name)}
    shown = {name.removesuffix(".gpkg") for name in chosen if name.endswith(".gpkg")}
    packed = [file for name, file in chosen.items() if not name.endswith(".qml") or name.removesuffix(".qml") in shown]
    manifest = dataset.paths.dataset
    packed.append(ManifestEntry(manifest.name, manifest.stat().st_size, digest(manifest)))
    return sorted([*packed, *(_pages(dataset) if with_pages else ())])


def pack(directory: Path, out: Path, say: Say, *, with_pages: bool = False) -> Packed:
    """Write what a reader needs of a dataset to `out`, and the checksums of all files next to it.

    If the name of `out` ends in ``.tar``, it becomes a tar file whose one directory has the name of the region, without
    owners and times; otherwise a directory. Every byte is compared with ``dataset.json`` while it is copied. `gcn
    validate` of the result gives the digests of the whole dataset.

    Parameters
    ----------
    directory : Path
        A finished dataset. It is validated first.
    out : Path
        Must not exist. Until it is complete, it has a temporary name.
    say : callable
        Called with a text and the share that is done, 0 to 1.
    with_pages : bool
        See `files_to_pack`.

    Raises
    ------
    ConfigError
        `out` exists, is inside the dataset, or is named like another kind of archive.
    ShardError
        The dataset is not sound, or changed while it was packed. Nothing is written.
    PublishError
        The file system refuses the archive.
    """
    say("checking the dataset", 0.0)
    root = Path(directory).resolve()
    check_free(out, root)
    problems = list(validate(root))
    if problems:
        raise ShardError(
            f"the dataset is not sound, so nothing was packed: {few(problems, _MOST_NAMED)}",
            where=str(root),
            fix="rebuild the damaged files: gcn run --deep REGION",
        )
    dataset = Dataset(root)
    files = files_to_pack(dataset, with_pages=with_pages)
    with atomic_write(out) as temporary:
        if out.suffix == TAR:
            _write_tar(root, files, temporary, str(dataset.description["region"]), say)
        else:
            _write_directory(root, files, temporary, say)
    left_out = listed(dataset).keys() - {file.path for file in files}
    return Packed(tuple(files), len(left_out), dataset.digest, dataset.data_digest)


def check_free(out: Path, root: Path) -> None:
    """Raise ConfigError if `out` exists, is inside the dataset in `root`, or is named like another kind of archive."""
    if out.suffix != TAR and out.suffix.lower() in _OTHER_ARCHIVES:
        raise ConfigError(
            f"{out.suffix} is no kind of archive that is written",
            where=str(out),
            fix=f"use a name ending in {TAR} for a tar file, or one without an ending for a directory; shards are "
            "already compressed",
        )
    if out.exists() or out.is_symlink():
        raise ConfigError("something already exists there", where=str(out), fix="name a new file or directory")
    if out.resolve().is_relative_to(root):
        raise ConfigError(
            "the archive would be inside the dataset that it holds", where=str(out), fix="name a place outside it"
        )


def checksums(files: Sequence[ManifestEntry]) -> str:
    """Return the list of SHA-256 that `sha256sum --check` reads: one line per file, sorted by path."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files))


def _add_to_tar(tar: tarfile.TarFile, name: str, size: int, stream: Any) -> None:
    """Add a file without owner, time and rights of its own, so that equal files give equal tar files."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, stream)


def _is_left_out(name: str) -> bool:
    return name in _LEFT_OUT_NAMES or name.startswith(_LEFT_OUT_ROOMS) or name.endswith(_LEFT_OUT_KINDS)


def _pages(dataset: Dataset) -> Iterator[ManifestEntry]:
    """Yield the pages that are there and as they were made: only their sidecars describe them."""
    for page in (dataset.paths.report, dataset.paths.grids):
        record = read_record(dataset.paths.sidecar(page))
        entry = None if record is None else ManifestEntry(page.name, record.size, record.sha256)
        if entry is not None and page.is_file() and digest(page) == entry.sha256:
            yield entry
        elif page == dataset.paths.report:
            raise ShardError(
                "there is no quality page, or it is not as it was made",
                where=str(page),
                fix="make it with gcn run REGION, or pack the dataset without pages",
            )


def _write_tar(root: Path, files: Sequence[ManifestEntry], out: Path, top: str, say: Say) -> None:
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for file, stream in _opened(root, files, say):
            _add_to_tar(tar, f"{top}/{file.path}", file.size, stream)
        text = checksums(files).encode()
        _add_to_tar(tar, f"{top}/{CHECKSUMS}", len(text), io.BytesIO(text))


def _write_directory(root: Path, files: Sequence[ManifestEntry], out: Path, say: Say) -> None:
    out.mkdir()
    for file, stream in _opened(root, files, say):
        path = out / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            while chunk := stream.read(_CHUNK):
                target.write(chunk)
        sync(path)
    (out / CHECKSUMS).write_text(checksums(files), encoding="utf-8")
    sync(out / CHECKSUMS)


def _opened(root: Path, files: Sequence[ManifestEntry], say: Say) -> Iterator[tuple[ManifestEntry, "_Published"]]:
    """Yield each file with a stream of its bytes, and check afterwards that all of them were the published ones."""
    total, done = max(sum(file.size for file in files), 1), 0
    for file in files:
        say(f"packing {file.path}", done / total)
        with (root / file.path).open("rb") as source:
            stream = _Published(source, file, root / file.path)
            yield file, stream
            stream.check()
        done += file.size
    say("packed", 1.0)


class _Published(io.RawIOBase):
    """A stream of the bytes of a file that raises ShardError if they are not those that were published."""

    def __init__(self, source: IO[bytes], file: ManifestEntry, path: Path) -> None:
        super().__init__()
        self._source, self._file, self._path = source, file, path
        self._hash, self._n_read = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._source.read(len(buffer))
        if len(chunk) < len(buffer) and self._n_read + len(chunk) < self._file.size:
            raise self._changed()
        self._hash.update(chunk)
        self._n_read += len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def check(self) -> None:
        """Raise ShardError if the bytes that were read are not all bytes of the file, or not the published ones."""
        if self._source.read(1) or self._hash.hexdigest() != self._file.sha256:
            raise self._changed()

    def _changed(self) -> ShardError:
        return ShardError(
            "its bytes changed while it was packed, so nothing was written",
            where=str(self._path),
            fix="let other builds and programs finish with this dataset, and pack it again",
        )
