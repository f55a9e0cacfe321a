"""Whole objects in a local directory, named by their digests, which any number of processes may share."""

import fcntl
import hashlib
import os
import re
import tempfile
from pathlib import Path

from gcn_luigi.errors import GcnLuigiError, PublishError, ShardError
from gcn_luigi.io.objects.answers import check_digest
from gcn_luigi.io.objects.store import ObjectStore

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ObjectCache:
    """A directory with copies of objects.

    An object is fetched when it is first needed, into a draft that gets its name when its digest is right. If several
    processes need it, one fetches it and the others wait.

    Parameters
    ----------
    directory : Path
        It is made if it does not exist.

    Raises
    ------
    PublishError
        The directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def file(self, store: ObjectStore, name: str, size: int, sha256: str, *, verify: bool = False) -> Path:
        """Return the copy of an object, which has this size and this digest.

        An earlier copy is known by its size. With `verify`, its digest is compared as well, for files that have no
        checksums of their own. A copy that is not right is fetched again.

        Raises
        ------
        ShardError
            The object is missing or has another digest.
        StoreError
            It cannot be read.
        PublishError
            The copy cannot be written.
        """
        if _SHA256.fullmatch(sha256) is None:
            raise ShardError(
                f"lists no SHA-256 for {name[:80]!r}",
                where=store.address.of("dataset.json"),
                fix="do not use this dataset; get it again from someone you trust",
            )
        path = self.directory / f"{sha256}{Path(name).suffix}"
        if _is_right(path, size, sha256 if verify else None):
            return path
        try:
            # One lock for each of 256 groups, so that few files are added.
            with (self.directory / f".lock-{sha256[:2]}").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_right(path, size, sha256 if verify else None):
                    self._fetch(store, name, sha256, path)
        except GcnLuigiError:
            raise
        except OSError as error:
            raise self._unusable(error) from error
        return path

    def _fetch(self, store: ObjectStore, name: str, sha256: str, path: Path) -> None:
        handle, draft = tempfile.mkstemp(prefix=".draft-", dir=self.directory)
        try:
            sha = hashlib.sha256()
            with os.fdopen(handle, "wb") as file:
                for part in store.parts(name):
                    sha.update(part.data)
                    file.write(part.data)
            check_digest(sha.hexdigest(), sha256, where=store.address.of(name))
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def _unusable(self, error: OSError) -> PublishError:
        return PublishError(
            f"the cache cannot be used: {error.strerror or error}",
            where=str(self.directory),
            fix="name a directory in which you may write, on a disk with enough space",
        )


def _is_right(path: Path, size: int, sha256: str | None) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return sha256 is None or hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
