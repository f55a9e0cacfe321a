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


def look_at_required(tasks: Iterable[Any], directory: Path, *, is_settled: bool) -> Snapshot:
    """Return a look at what `tasks` themselves have published, for a task that requires them and is about to run.

    Luigi gives out a task when those that it requires are done, so what lies further upstream was looked at before. If
    it changes meanwhile, nothing is published from it, or the dataset is not sealed. If `is_settled`, the settings are
    those with which all these tasks were scheduled: then their files were current when Luigi called them done, and only
    whether they still are as they were published is asked.

    Where machines share `directory`, files that another machine has published may not be seen here for some seconds,
    and older ones of the same names may be seen in their place. Then this asks whether they are current, waits for
    them, and after a bounded time returns the last look as it is.
    """
    wanted, waits, deadline = list(tasks), file_system_of(directory).is_shared, time.monotonic() + _PATIENCE_S
    while True:
        snapshot = Snapshot()
        asks_whole = is_settled and not waits
        snapshot.whole.update({
            task.task_id: task.is_whole(snapshot) if asks_whole else task.is_published(snapshot) for task in wanted
        })  # fmt: skip
        if all(snapshot.whole.values()) or not waits or time.monotonic() > deadline:
            return snapshot
        time.sleep(_PAUSE_S)
        for place in {target.path.parent for task in wanted for target in task.targets()}:
            # Reading a directory makes the system ask for it anew.
            with suppress(OSError):
                list(place.iterdir())
