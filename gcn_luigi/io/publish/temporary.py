"""Drafts: hidden files and directories that a writer holds, and the ones that a dead writer left behind."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Eight hexadecimal digits between two dots, then the final name.
_TOKEN = "[0-9a-f]" * 8
_LOCK = ".lock"


@contextmanager
def claimed(final: Path) -> Iterator[Path]:
    """Yield a hidden sibling of `final` to write, held by a lock as long as this process lives.

    The lock tells a draft that is being written from one whose writer was killed: the kernel lets go of it with the
    process, on any machine that shares the directory. Whatever lies beside the draft under its token (a journal,
    a side file of a driver) is removed with it.

    Parameters
    ----------
    final : Path
        The name to publish under. Drafts that dead writers left for it are removed first.

    Yields
    ------
    Path
        The draft; it keeps the suffixes of `final`, because drivers look at them.
    """
    sweep(final.parent, final.name)
    token, lock = _locked(final)
    try:
        yield final.with_name(f".{token}.{final.name}")
    finally:
        _remove(final.parent, token)
        if lock is not None:
            os.close(lock)


def sweep(directory: Path, name: str = "") -> list[Path]:
    """Remove the drafts in `directory` whose writers are dead.

    Parameters
    ----------
    directory : Path
        One directory; those below it are left alone.
    name : str
        Final name they were meant for; empty for all.

    Returns
    -------
    list of Path
        What was removed, the locks left out.
    """
    removed = []
    for token in _dead(directory, name):
        # What the file system will not let go of stays for another day.
        with suppress(OSError):
            removed += _remove(directory, token)
    return removed


def dead_drafts(directory: Path) -> list[Path]:
    """Return what `sweep` would remove, or the lock where there is nothing else; nothing is changed."""
    found = []
    for token in _dead(directory, ""):
        paths = sorted(directory.glob(f".{token}.*"))
        found += [path for path in paths if not path.name.endswith(_LOCK)] or paths
    return found


def _dead(directory: Path, name: str) -> Iterator[str]:
    """Yield the tokens whose writers are dead, each while its lock is held."""
    for lock in _locks(directory, name):
        # Links are none of ours, and a lock that cannot be opened is not ours to judge.
        with suppress(OSError):
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _is_free(handle):
                    yield lock.name[1:9]
            finally:
                os.close(handle)


def is_draft(path: Path) -> bool:
    """Return whether a file is a draft, a lock of one, or what a driver lays beside it."""
    name = path.name
    return len(name) > 10 and name[0] == name[9] == "." and all(digit in "0123456789abcdef" for digit in name[1:9])


def _locks(directory: Path, name: str) -> list[Path]:
    # Not by a pattern of `name`: it may hold any character.
    return [path for path in directory.glob(f".{_TOKEN}.*{_LOCK}") if not name or path.name[10:].startswith(name)]


def _locked(final: Path) -> tuple[str, int | None]:
    while True:
        token = secrets.token_hex(4)
        lock = final.with_name(f".{token}.{final.name}{_LOCK}")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Somebody sweeps and was faster.
            os.close(handle)
            continue
        except OSError:
            # A file system without locks: its drafts are never taken for dead.
            os.close(handle)
            lock.unlink(missing_ok=True)
            return token, None
        if os.fstat(handle).st_nlink:
            return token, handle
        os.close(handle)


def _is_free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(directory: Path, token: str) -> list[Path]:
    """Remove all files under a token, the lock last."""
    paths = sorted(directory.glob(f".{token}.*"), key=lambda path: path.name.endswith(_LOCK))
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [path for path in paths if not path.name.endswith(_LOCK)]
