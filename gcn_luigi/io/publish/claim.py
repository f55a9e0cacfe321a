"""Claims on work: of several runs that build one dataset, one makes a file, and the others wait for it."""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gcn_luigi.io.publish.atomic import LOCK, machine_in
from gcn_luigi.io.publish.filesystems import this_machine

_LOOK_S = 0.5


@contextmanager
def claimed(directory: Path, name: str, say: Callable[[str], None]) -> Iterator[bool]:
    """Hold the claim on what is called `name` for a block, after whoever else holds it has finished or died.

    Yields whether it waited for somebody; `say` hears on which machine that is. The claim is a locked file in
    `directory`, named like a temporary file, so leftovers of killed runs are swept. It reaches as far as the locks of
    the file system: where a machine does not see those of another one, or there are none, or the directory cannot be
    written, nobody waits. Then two runs make the same bytes twice.
    """
    path = directory / f".{hashlib.sha256(name.encode()).hexdigest()[:8]}.claim{LOCK}"
    handle, has_waited = _taken(path, say)
    if handle is None:
        yield has_waited
        return
    try:
        yield has_waited
    finally:
        # As long as it is locked, it is ours.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _close(handle)


def _taken(path: Path, say: Callable[[str], None]) -> tuple[int | None, bool]:
    """Return the handle of the locked file at `path`, None if it cannot be locked, and whether somebody held it."""
    told, has_waited = "", False
    if path.parent.is_symlink():
        # Publishing refuses it, and says so.
        return None, False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:
            # Publishing the file will fail as well, and say why.
            return None, has_waited
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(handle)
            _close(handle)
            if holder and holder != told:
                told = holder
                say(f"waits for another run, which makes this on {holder}")
            has_waited = True
            time.sleep(_LOOK_S)
            continue
        except OSError as error:
            _close(handle)
            if error.errno == errno.ESTALE:
                # Another machine has removed it since it was opened.
                continue
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None, has_waited
        if not _is_at(path, handle):
            # Whoever held it before has removed it.
            _close(handle)
            continue
        with suppress(OSError):
            os.truncate(handle, 0)
            os.pwrite(handle, this_machine().encode(), 0)
        return handle, has_waited


def _close(handle: int) -> None:
    # If another machine has removed the file, closing it may be refused; it is closed then, too.
    with suppress(OSError):
        os.close(handle)


def _holder(handle: int) -> str:
    """Return the name of the machine that holds a claim; empty if it has not said so yet, or has removed the file."""
    try:
        return machine_in(handle).partition(" ")[0]
    except OSError:
        return ""


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False
