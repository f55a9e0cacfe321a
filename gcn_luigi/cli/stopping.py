"""What Ctrl-C does to a command: it says what is kept, and leaves nothing unfinished behind."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcn_luigi.tasks.base import RegionTask

# The exit code that a shell reports for a command that Ctrl-C ended.
STOPPED = 128 + signal.SIGINT
_PATIENCE = b"stopping: ending processes and removing unfinished files; press Ctrl-C again to end at once\n"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with a message for the user."""


@contextmanager
def interrupts() -> Iterator[None]:
    """Stop at the first Ctrl-C; the second one prints a request to wait, and the third ends the process at once.

    Even then all processes that this one started end with it. A process that was started to ignore Ctrl-C keeps
    ignoring it, and a process that is stopping ignores further ones at the end.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = 0

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 1:
            raise KeyboardInterrupt
        if heard > 2:
            os._exit(STOPPED)
        os.write(2, _PATIENCE)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN if heard else before)


@contextmanager
def say_what_is_kept(root: "RegionTask") -> Iterator[None]:
    """On Ctrl-C raise Stopped, which says how many finished files of the dataset are kept, and how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        from gcn_luigi.tasks.graph import made_files  # noqa: PLC0415

        kept = sum(target.path.is_file() and target.record() is not None for target in made_files(root))
        raise Stopped(
            f"stopped; {kept} finished files are kept; run the same command again to continue: {root.paths.root}"
        ) from None
