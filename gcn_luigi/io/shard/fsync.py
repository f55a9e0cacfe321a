"""Written data sent to the disk while more is being written, so that the last sync has little left to wait for."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

# Bytes written between two syncs: long enough for a disk to be busy, short enough to leave little for the end.
_PART = 64_000_000


class Writeback:
    """Syncs a growing file from a thread of its own; a context manager.

    It changes nothing of what the file holds, and promises nothing: whoever publishes the file syncs it, as ever.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="gcn-sync")
        self._running: Future[None] | None = None
        self._unsynced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A sync that failed is told by the one that publishes.
        self._lane.shutdown()
        os.close(self._handle)

    def wrote(self, count: int) -> None:
        """Say that `count` bytes more were written."""
        self._unsynced += count
        if self._unsynced >= _PART and (self._running is None or self._running.done()):
            # macOS has no fdatasync.
            self._running = self._lane.submit(getattr(os, "fdatasync", os.fsync), self._handle)
            self._unsynced = 0
