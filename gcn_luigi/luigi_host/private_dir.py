"""Directories that nobody else can write in."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from gcn_luigi.errors import SchedulerError

_FIX = "remove it or choose another --output; `gcn run --local-scheduler` does without it"


def open_to_others(path: Path) -> str:
    """Return how other users can replace what lies at or in `path`; the empty text where they cannot.

    Root and the user are trusted, and so is the group of a group-writable directory: whoever shares a group shares
    its directories. A sticky directory (such as /tmp) lets nobody replace what is another's.
    """
    status = path.stat()
    if status.st_uid not in {0, os.geteuid()}:
        return "belongs to another user"
    is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return "is writable by every user" if status.st_mode & stat.S_IWOTH and not is_sticky else ""


def private_directory(path: Path) -> int:
    """Make a directory that only the user can look into, or close the one that is there.

    Parameters
    ----------
    path : Path
        The directory; its parents are made as well.

    Returns
    -------
    int
        A descriptor of the directory, for the caller to close: what is done through it is done in this directory,
        whatever its path leads to meanwhile.

    Raises
    ------
    SchedulerError
        It is a link, no directory or another user's, or another user can put another in its place.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a link" if path.is_symlink() else error.strerror
        raise _not_private(path, str(why)) from error
    try:
        _check_private(path, handle)
        os.fchmod(handle, 0o700)
    except BaseException:
        os.close(handle)
        raise
    return handle


def remove_within(handle: int, name: str) -> None:
    """Remove a file of an open directory if it is there; a link is removed, not followed."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=handle)


def create_within(handle: int, name: str) -> int:
    """Return a descriptor of a new, empty file of an open directory in place of an old one; no link is followed."""
    remove_within(handle, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=handle)


def _check_private(path: Path, handle: int) -> None:
    if os.fstat(handle).st_uid != os.geteuid():
        raise _not_private(path, "it belongs to another user")
    above = path.parent.resolve()
    for place in (above, *above.parents):
        if _lets_others_in(place):
            raise _not_private(path, f"{place} is writable by every user")


def _lets_others_in(directory: Path) -> bool:
    mode = directory.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _not_private(path: Path, why: str) -> SchedulerError:
    return SchedulerError(f"the scheduler's directory cannot be made private: {why}", where=str(path), fix=_FIX)
