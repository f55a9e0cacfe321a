"""How long tasks took: one small file per task; nothing depends on it."""

import math
from collections.abc import Iterable
from contextlib import suppress

from gcn_luigi.errors import PublishError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.safe_names import check_links


def write_time(paths: DatasetPaths, task: str, seconds: float) -> None:
    """Record how long a task, such as ``gcn.ChipShard(train, 0, 4)``, took. Errors of the disk are ignored."""
    path = paths.time(task)
    with suppress(OSError, PublishError):
        check_links(paths.root, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never write through a link that somebody put there.
        path.unlink(missing_ok=True)
        path.write_text(f"{seconds:.3f}\n", encoding="utf-8")


def read_times(paths: DatasetPaths, tasks: Iterable[str]) -> dict[str, float]:
    """Return how long each task took when it last made a file, in seconds. Unknown tasks are left out."""
    found = {}
    for task in tasks:
        with suppress(OSError, ValueError):
            text = paths.time(task).read_text(encoding="utf-8")
            # If a kill cut off the text, the number would be wrong.
            seconds = float(text) if text.endswith("\n") else math.nan
            if math.isfinite(seconds) and seconds >= 0:
                found[task] = seconds
    return found
