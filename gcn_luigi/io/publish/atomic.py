"""Atomic writes: afterwards a file is complete and synced under its name, or it does not exist.

A file or directory is first written under a temporary name: a hidden sibling of the final name, which begins with eight
hexadecimal digits between two dots. It is locked as long as its writer lives, and its lock names the machine of the
writer.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gcn_luigi.errors import GcnLuigiError, PublishError
from gcn_luigi.io.publish.filesystems import file_system_of, is_elsewhere, this_machine

# The errors with which a file system refuses a file. Any other error belongs to the writer.
_REFUSED = "ENOSPC EDQUOT EFBIG EROFS EACCES EPERM ENOTDIR EISDIR EEXIST"
_REFUSALS = frozenset(getattr(errno, name) for name in _REFUSED.split())
# The messages of SQLite and of the system for a full disk.
_FULL = ("disk is full", os.strerror(errno.ENOSPC))
_PROBE_BYTES = 1 << 18
_TOKEN = "[0-9a-f]" * 8
_TEMPORARY = re.compile(rf"\.{_TOKEN}\..+", re.DOTALL)
# The suffix of locks.
LOCK = ".lock"
# No file takes as long to write; and clocks of machines that share a disk do not differ as much.
_FORSAKEN_S = 86_400
# Bytes of the name of a machine that are read.
_MOST_NAME = 400


@contextmanager
def atomic_write(final: Path) -> Iterator[Path]:
    """Yield a temporary path to write (see `temporary_sibling`), and move it onto `final` if the block succeeds.

    An older file of that name is replaced in one step. Data and directory are synced, so that the file survives a power
    cut.

    Raises
    ------
    PublishError
        The file system refuses the file: there is no space, permissions are missing, or a directory has the name.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with temporary_sibling(final) as temporary, _refusals_of(temporary):
            yield temporary
            sync(temporary)
            temporary.replace(final)
            sync(final.parent)
    except OSError as error:
        if not _is_refusal(error, final):
            raise
        raise PublishError(
            f"could not be written: {os.strerror(error.errno or 0)}",
            where=str(final),
            fix="check the free space and permissions of the output directory, then run again; nothing was lost",
        ) from error


@contextmanager
def temporary_sibling(final: Path) -> Iterator[Path]:
    """Yield the path of a hidden sibling of `final` to write, which is locked as long as this process lives.

    It keeps the suffixes of `final`, because drivers look at them. The lock distinguishes a file that is being written
    from one whose writer was killed: the kernel releases the lock when the process ends. Where machines share a file
    system whose locks hold on one machine alone, a file of another machine is left alone for a day. Leftovers of dead
    writers of `final` are removed first. At the end, all files with the token of the sibling (a journal, a side file of
    a driver) are removed as well.
    """
    remove_dead_temporaries(final.parent, final.name)
    token, lock = _locked(final)
    try:
        yield final.with_name(f".{token}.{final.name}")
    finally:
        _remove(final.parent, token)
        if lock is not None:
            os.close(lock)


def remove_dead_temporaries(directory: Path, name: str = "") -> list[Path]:
    """Remove temporary files of dead writers in `directory` (not below it), and return their paths without the locks.

    `name` is the final name of the files; if it is empty, the files of all names are removed.
    """
    removed = []
    for token in _dead(directory, name):
        # Files that the file system does not let us remove are left for later.
        with suppress(OSError):
            removed += _remove(directory, token)
    return removed


def dead_temporaries(directory: Path) -> list[Path]:
    """Return what `remove_dead_temporaries` would remove; if only a lock is left, the lock."""
    found = []
    for token in _dead(directory, ""):
        paths = sorted(directory.glob(f".{token}.*"))
        found += [path for path in paths if not path.name.endswith(LOCK)] or paths
    return found


def is_temporary(path: Path) -> bool:
    """Return whether a file is a temporary file, its lock, or a file that a driver puts next to it."""
    return _TEMPORARY.fullmatch(path.name) is not None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def machine_in(lock: int) -> str:
    """Return the machine that an open lock names; empty if it names none yet."""
    return os.pread(lock, _MOST_NAME, 0).decode("utf-8", "replace")


def sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        _sync_handle(handle)
    finally:
        os.close(handle)


def _sync_handle(handle: int) -> None:
    # On macOS, fsync leaves the bytes in the cache of the drive.
    whole = getattr(fcntl, "F_FULLFSYNC", None)
    if whole is not None:
        # Not every file system has it, a network's for one.
        with suppress(OSError):
            fcntl.fcntl(handle, whole)
            return
    os.fsync(handle)


@contextmanager
def _refusals_of(temporary: Path) -> Iterator[None]:
    """Convert the different errors by which libraries report a refusal of the file system to the system's own error."""
    try:
        yield
    except GcnLuigiError:
        raise
    # Libraries raise errors of any class.
    except Exception as error:
        number = None
        if not (isinstance(error, OSError) and error.errno in _REFUSALS):
            number = _refusal(str(error), temporary)
        if number is None:
            raise
        raise OSError(number, os.strerror(number)) from error


def _refusal(message: str, temporary: Path) -> int | None:
    if any(words in message for words in _FULL):
        return errno.ENOSPC
    # The message may be unclear, so write some bytes as a test. The file is removed with the temporary files.
    try:
        with temporary.with_name(f"{temporary.name}.probe").open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
    except OSError as refused:
        return refused.errno if refused.errno in _REFUSALS else None
    return None


def _is_refusal(error: OSError, final: Path) -> bool:
    """Return whether the file system refused `final`, and not a file that its writer wanted to read."""
    if error.errno not in _REFUSALS or type(error).__module__ != "builtins":
        return False
    if error.filename is None:
        return True
    named = Path(os.fsdecode(error.filename))
    return named in final.parents or named.parent == final.parent


def _dead(directory: Path, name: str) -> Iterator[str]:
    """Yield the tokens of dead writers, each while its lock is held."""
    # `name` may contain any character, so it is not used as a pattern.
    for lock in list(directory.glob(f".{_TOKEN}.*{LOCK}")):
        if not lock.name[10:].startswith(name):
            continue
        # The program creates no links here, and a lock that cannot be opened gives no information about its writer.
        with suppress(OSError):
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _may_live(handle, directory):
                    yield lock.name[1:9]
            finally:
                os.close(handle)


def _may_live(handle: int, directory: Path) -> bool:
    """Return whether the writer of a lock that is free here may hold it on another machine."""
    machine = machine_in(handle)
    if not is_elsewhere(machine) or file_system_of(directory).locks_everywhere:
        return False
    return time.time() - os.fstat(handle).st_mtime < _FORSAKEN_S


def _locked(final: Path) -> tuple[str, int | None]:
    """Return a new token and the handle of its lock; None on a file system without locks."""
    while True:
        token = secrets.token_hex(4)
        lock = final.with_name(f".{token}.{final.name}{LOCK}")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another process that removes leftovers has taken the lock.
            os.close(handle)
            continue
        except OSError:
            # Without locks, temporary files never count as leftovers.
            os.close(handle)
            lock.unlink(missing_ok=True)
            return token, None
        if os.fstat(handle).st_nlink:
            # On a full disk the lock stays empty and counts as one of this machine.
            with suppress(OSError):
                os.write(handle, this_machine().encode())
            return token, handle
        os.close(handle)


def _remove(directory: Path, token: str) -> list[Path]:
    """Remove all files with a token, the lock last, and return their paths without the lock."""
    paths = sorted(directory.glob(f".{token}.*"), key=lambda path: path.name.endswith(LOCK))
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [path for path in paths if not path.name.endswith(LOCK)]
