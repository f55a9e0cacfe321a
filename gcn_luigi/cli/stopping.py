"""Ctrl-C: what is said, and that a second one does not cut the tidying up short."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from gcn_luigi.tasks.base import RegionTask

# As a shell says of a command that Ctrl-C ended.
STOPPED = 128 + signal.SIGINT
_PATIENCE = b"stopping: processes are being ended and half files removed; once more ends at once\n"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with what there is to say about it."""


class Interrupts:
    """Hears Ctrl-C once: the second is answered with patience, the third ends the process as it is.

    Whatever the process started ends with it even then.
    """

    def __init__(self) -> None:
        self._heard = 0

    def __enter__(self) -> Self:
        """Listen, unless the process was told to be deaf."""
        self._before = signal.getsignal(signal.SIGINT)
        self._listens = self._before is not signal.SIG_IGN and threading.current_thread() is threading.main_thread()
        if self._listens:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave things as they were; a process that was stopped ends without hearing another one."""
        if self._listens:
            signal.signal(signal.SIGINT, signal.SIG_IGN if self._heard else self._before)

    def _hear(self, *_: object) -> None:
        self._heard += 1
        if self._heard == 1:
            raise KeyboardInterrupt
        if self._heard > 2:
            os._exit(STOPPED)
        os.write(2, _PATIENCE)


@contextmanager
def telling_what_is_kept(root: "RegionTask") -> Iterator[None]:
    """Say on Ctrl-C how many finished files of a dataset there are, and how to go on.

    Parameters
    ----------
    root : RegionTask
        The dataset that is built.

    Raises
    ------
    Stopped
        On Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        from gcn_luigi.tasks.graph import made_files  # noqa: PLC0415

        files = (*made_files(root), *root.targets())
        kept = sum(target.path.is_file() and target.record() is not None for target in files)
        raise Stopped(
            f"stopped; {kept} finished files are kept; run the same command again to go on: {root.paths.root}"
        ) from None
