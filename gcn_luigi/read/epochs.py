"""Which epoch a pass over a stream is, agreed on by all processes that hold a copy of the stream.

Torch's worker processes have copies of a dataset, made once or for every pass, and the original is never iterated. So
the count is kept in a small file, under a lock: whoever begins a pass looks there.
"""

import fcntl
import json
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

from gcn_luigi.errors import PublishError

# Passes whose workers may still be starting: more than anyone runs at once.
_MOST_RECENT = 64


class EpochCounter:
    """Counts passes over a stream from 0 on; copies and pickles share the count while the first one lives.

    Raises
    ------
    PublishError
        There is no place for a temporary file.
    """

    def __init__(self) -> None:
        try:
            handle, path = tempfile.mkstemp(prefix="gcn-epoch-")
        except OSError as error:
            raise PublishError(
                f"no temporary file can be written: {error.strerror}",
                where="ChipStream, which counts epochs there for worker processes",
                fix="let TMPDIR name a directory that can be written to",
            ) from error
        os.close(handle)
        self._path, self._own = Path(path), {"next": 0, "recent": []}
        # A forked worker has the finaliser as well, and must leave the file to its owner.
        weakref.finalize(self, _remove, self._path, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        # A look at the file brings this copy up to date: the next one may live without it.
        _ = self.next
        return self.__dict__

    def set(self, epoch: int) -> None:
        """Let the next pass be of `epoch`, in every process."""
        self._exchange(lambda state: state.update(next=epoch, recent=[]))

    @property
    def next(self) -> int:
        """The epoch of the next pass."""
        return int(self._exchange(lambda state: state["next"]))

    def begin(self, run: str | None = None, worker: int = 0) -> int:
        """Begin a pass and return its epoch, the same for all workers of a run.

        `run` names a pass that several workers share; None where this process makes the pass alone. A worker that
        begins a run for the second time begins another pass: the run was given the name of an earlier one.
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
            # On another machine, or after the first copy ended: counted for this copy alone.
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
