"""Open a dataset that was packed as a tar file, without trusting the names in it."""

import errno
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from gcn_luigi.errors import PublishError, ShardError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.read.archive.packing import TAR

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MORE_ROOM = "set TMPDIR to a directory with more space, or unpack the archive yourself"


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """Yield the directory of a dataset: `place` itself, or a temporary directory with the content of a tar file.

    The temporary directory is below TMPDIR and is removed afterwards.

    Raises
    ------
    ShardError
        The tar file is damaged, holds anything but plain files, or does not hold one dataset in one directory.
    PublishError
        There is no room for its content.
    """
    if place.suffix != TAR or not place.is_file():
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="gcn-archive-") as scratch:
        yield _unpack(place, Path(scratch))


def _unpack(archive: Path, scratch: Path) -> Path:
    size, free = archive.stat().st_size, shutil.disk_usage(scratch).free
    if size > free:
        raise PublishError(
            f"unpacking it takes {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free",
            where=str(scratch.parent),
            fix=_MORE_ROOM,
        )
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                _unpack_file(tar, member, archive, scratch)
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"the archive is damaged: {error}", where=str(archive), fix="get a new copy") from error
    tops = [path for path in scratch.iterdir() if DatasetPaths(path).dataset.is_file()]
    if len(tops) != 1 or len(list(scratch.iterdir())) != 1:
        raise _no_dataset("it does not hold exactly one dataset in one directory", archive)
    return tops[0]


def _unpack_file(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, scratch: Path) -> None:
    """Write a file of the archive below `scratch`; directories come with their files, and nothing else may be there."""
    if member.isdir():
        return
    name = PurePosixPath(member.name)
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or name.is_absolute() or ".." in name.parts:
        raise _no_dataset(f"it holds {member.name!r}, which is a link or leads out of its directory", archive)
    if member.issparse():
        # A few bytes of an archive could fill the disk.
        raise _no_dataset(f"it holds {member.name!r}, which has holes", archive)
    path = scratch / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except (FileExistsError, NotADirectoryError) as error:
        raise _no_dataset(f"it holds {member.name!r} twice, or within a file", archive) from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise PublishError(
                f"it cannot be unpacked: {error.strerror}", where=str(scratch.parent), fix=_MORE_ROOM
            ) from error
        raise _no_dataset(f"it holds {member.name!r}, which cannot be unpacked: {error.strerror}", archive) from error


def _no_dataset(what: str, archive: Path) -> ShardError:
    return ShardError(what, where=str(archive), fix="make the archive with gcn publish, or unpack it and look inside")
