"""Wait for files that another machine has published and a shared file system does not show yet."""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gcn_luigi.io.publish.filesystems import file_system_of
from gcn_luigi.tasks.dependencies import Snapshot

# NFS asks its server anew after a minute at most (acdirmax); other systems lag less.
_PATIENCE_S = 90.0
_PAUSE_S = 1.0


def look_when_complete(tasks: Iterable[Any], directory: Path) -> Snapshot:
    """Return a look at the files of `tasks`; where machines share `directory`, wait until it shows them complete.

    The scheduler gives out a task when those that it requires are done. Another machine may have done them, and what it
    has published may not be seen here for some seconds. After a bounded time the last look is returned as it is.
    """
    snapshot = Snapshot()
    if not file_system_of(directory).is_shared:
        return snapshot
    wanted, deadline = list(tasks), time.monotonic() + _PATIENCE_S
    while not all(task.is_complete_upstream(snapshot) for task in wanted) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        for place in {target.path.parent for task in wanted for target in task.targets()}:
            # Reading a directory makes the system ask for it anew.
            with suppress(OSError):
                list(place.iterdir())
        snapshot = Snapshot()
    return snapshot
