"""Publishing a file: whole and durable under its name, or not there at all."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from gcn_luigi.errors import GcnLuigiError, PublishError
from gcn_luigi.io.publish.temporary import claimed

# What a file system answers when it will not take a file; anything else is the writer's own error.
_REFUSED = "ENOSPC EDQUOT EFBIG EROFS EACCES EPERM ENOTDIR EISDIR EEXIST"
_REFUSALS = frozenset(getattr(errno, name) for name in _REFUSED.split())
# As SQLite says it, and as the system does.
_FULL = ("disk is full", os.strerror(errno.ENOSPC))
_PROBE = 1 << 18


@contextmanager
def atomic_write(final: Path) -> Iterator[Path]:
    """Yield a hidden sibling path to write (see `claimed`); move it onto `final` if the block succeeds.

    Data and directory are synced, so that a published file survives a power cut.

    Parameters
    ----------
    final : Path
        The name to publish under; an older file there is replaced in one step.

    Yields
    ------
    Path
        The draft.

    Raises
    ------
    PublishError
        The file system refuses: no space, no rights, name taken by a directory.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with claimed(final) as draft, _Refusals(draft):
            yield draft
            _sync(draft)
            draft.replace(final)
            _sync(final.parent)
    except OSError as error:
        if not _is_refusal(error, final):
            raise
        raise PublishError(
            f"could not be written: {os.strerror(error.errno or 0)}",
            where=str(final),
            fix="check free space and rights of the output directory, then run again; nothing was lost",
        ) from error


class _Refusals:
    """Turns the many words that libraries have for a refusal of the file system into the system's own error.

    Parameters
    ----------
    draft : Path
        What the block writes.
    """

    def __init__(self, draft: Path) -> None:
        self._draft = draft

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, GcnLuigiError):
            return
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            return
        number = self._refused(str(error))
        if number is not None:
            raise OSError(number, os.strerror(number)) from error

    def _refused(self, told: str) -> int | None:
        if any(words in told for words in _FULL):
            return errno.ENOSPC
        # It may say anything, or only that writing failed: so write something ourselves. It goes with the draft.
        try:
            with self._draft.with_name(f"{self._draft.name}.probe").open("wb") as stream:
                stream.write(bytes(_PROBE))
        except OSError as refused:
            return refused.errno if refused.errno in _REFUSALS else None
        return None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_refusal(error: OSError, final: Path) -> bool:
    """Return whether the file system refuses `final`, rather than something that its writer wanted to read."""
    if error.errno not in _REFUSALS or type(error).__module__ != "builtins":
        return False
    if error.filename is None:
        return True
    named = Path(os.fsdecode(error.filename))
    return named in final.parents or named.parent == final.parent


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
