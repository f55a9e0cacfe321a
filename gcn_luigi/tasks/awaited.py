"""Wait for files that another machine has published and a shared file system does not show yet."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from gcn_luigi.io.publish.filesystems import file_system_of
from gcn_luigi.tasks.dependencies import Snapshot

# NFS asks its server anew after a minute at most (acdirmax); other systems lag less.
_PATIENCE_S = 90.0
_PAUSE_S = 1.0
_T = TypeVar("_T")


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
    wanted = list(tasks)
    asks_whole = is_settled and not file_system_of(directory).is_shared

    def look() -> Snapshot:
        snapshot = Snapshot()
        snapshot.whole.update({
            task.task_id: task.is_whole(snapshot) if asks_whole else task.is_published(snapshot) for task in wanted
        })  # fmt: skip
        return snapshot

    return _looked(look, lambda snapshot: all(snapshot.whole.values()), wanted, directory)


def look_at_made(task: Any, directory: Path) -> dict[str, bool]:
    """Return whether a task that has just been made is published, by its id; nothing on a disk of one machine.

    Where machines share `directory`, a node may have made the files, or another machine, which sees no claims of this
    one, makes them once more: then this waits for them as `look_at_required` does.
    """
    if not file_system_of(directory).is_shared:
        return {}
    return look_at_required([task], directory, is_settled=False).whole


def are_complete(tasks: Iterable[Any], directory: Path) -> bool:
    """Return whether tasks that were just built are complete.

    Where machines share `directory`, another one may be publishing the same files at this moment: then this waits a
    bounded time for it.
    """
    wanted = list(tasks)
    return _looked(lambda: all(task.complete() for task in wanted), bool, wanted, directory)


def _looked(look: Callable[[], _T], is_enough: Callable[[_T], bool], tasks: Iterable[Any], directory: Path) -> _T:
    """Return the first look that is enough or, after a bounded time or on a disk of one machine, the last one."""
    waits, deadline = file_system_of(directory).is_shared, time.monotonic() + _PATIENCE_S
    while True:
        seen = look()
        if is_enough(seen) or not waits or time.monotonic() > deadline:
            return seen
        time.sleep(_PAUSE_S)
        for place in {target.path.parent for task in tasks for target in task.targets()}:
            # Reading a directory makes the system ask for it anew.
            with suppress(OSError):
                list(place.iterdir())
