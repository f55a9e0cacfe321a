"""How long tasks took: one small file per task; nothing depends on it."""

import math
from collections.abc import Iterable
from contextlib import suppress

from gcn_luigi.errors import PublishError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.safe_names import check_links


def write_time(paths: DatasetPaths, task: str, seconds: float) -> None:
    """Keep how long a task, such as ``gcn.ChipShard(train, 0, 4)``, took; a disk that refuses does not stop it."""
    path = paths.time(task)
    with suppress(OSError, PublishError):
        check_links(paths.root, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never through a link that somebody put there.
        path.unlink(missing_ok=True)
        path.write_text(f"{seconds:.3f}\n", encoding="utf-8")


def read_times(paths: DatasetPaths, tasks: Iterable[str]) -> dict[str, float]:
    """Return how long tasks took when they last made something, in seconds; those that are not known are left out."""
    found = {}
    for task in tasks:
        with suppress(OSError, ValueError):
            text = paths.time(task).read_text(encoding="utf-8")
            # Cut off by a kill, a number would be another number.
            seconds = float(text) if text.endswith("\n") else math.nan
            if math.isfinite(seconds) and seconds >= 0:
                found[task] = seconds
    return found
