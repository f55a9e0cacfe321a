"""Count the epochs of a stream, consistently in all processes that have a copy of the stream.

Torch's worker processes have copies of a dataset, made once or for every pass, and the original is never iterated. So
the count is kept in a small file with a lock. Every process that begins a pass reads it there.
"""

import fcntl
import json
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

from gcn_luigi.errors import PublishError

# Number of passes whose workers may still be starting: more than anyone runs at the same time.
_MOST_RECENT = 64


class EpochCounter:
    """Count passes over a stream, from 0. Copies and pickles share the count as long as the original exists.

    Raises
    ------
    PublishError
        No temporary file can be written.
    """

    def __init__(self) -> None:
        try:
            handle, path = tempfile.mkstemp(prefix="gcn-epoch-")
        except OSError as error:
            raise PublishError(
                f"no temporary file can be written: {error.strerror}",
                where="ChipStream, which counts epochs in this file for worker processes",
                fix="set TMPDIR to a writable directory",
            ) from error
        os.close(handle)
        self._path, self._own = Path(path), {"next": 0, "recent": []}
        # A forked worker has the finaliser as well, but only the owner may remove the file.
        weakref.finalize(self, _remove, self._path, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        # Reading the file updates this copy, because the next copy may exist without the file.
        _ = self.next
        return self.__dict__

    def set(self, epoch: int) -> None:
        """Make the next pass that of `epoch`, in every process."""
        self._exchange(lambda state: state.update(next=epoch, recent=[]))

    @property
    def next(self) -> int:
        """The epoch of the next pass."""
        return int(self._exchange(lambda state: state["next"]))

    def begin(self, run: str | None = None, worker: int = 0) -> int:
        """Begin a pass and return its epoch, which is the same for all workers of a run.

        `run` is the name of a pass that several workers share, or None if this process makes the pass alone. If a
        worker begins a run for the second time, this is another pass: a new run has the name of an earlier one.
        """

        def advance(state: dict[str, Any]) -> int:
            for known in reversed(state["recent"]):
                if run is not None and known["run"] == run and worker not in known["workers"]:
                    known["workers"].append(worker)
                    return int(known["epoch"])
            epoch = int(state["next"])
            state["next"] = epoch + 1
            if run is not None:
                state["recent"] = [
                    *state["recent"][1 - _MOST_RECENT :],
                    {"run": run, "epoch": epoch, "workers": [worker]},
                ]
            return epoch

        return int(self._exchange(advance))

    def _exchange(self, change: Any) -> Any:
        try:
            file = self._path.open("r+", encoding="ascii")
        except OSError:
            # On another machine, or after the original was deleted, this copy counts alone.
            return change(self._own)
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            state = json.loads(content) if content else {"next": 0, "recent": []}
            found = change(state)
            self._own = state
            file.seek(0)
            file.truncate()
            file.write(json.dumps(state))
        return found


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:
        path.unlink(missing_ok=True)
