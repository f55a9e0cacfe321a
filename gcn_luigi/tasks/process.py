"""Worker processes: started clean, quiet, and never outliving their parent."""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
from typing import Self

_PR_SET_PDEATHSIG = 1


def use_forkserver() -> None:
    """Make Luigi start its workers from a clean server process, unless the program chose a method itself.

    A plain fork copies open GDAL datasets with a shared file offset, from which children read wrong pixels
    without any error, and copies locked OpenMP threads, on which they wait for ever.
    """
    if multiprocessing.get_start_method(allow_none=True) is None:
        multiprocessing.set_start_method("forkserver")
        # The server imports the libraries once; no task waits for that again.
        multiprocessing.set_forkserver_preload(["gcn_luigi.tasks"])


class ChildContext:
    """What surrounds a task in its worker process; named in luigi.cfg.

    Parameters
    ----------
    process : luigi.worker.TaskProcess
        The process; not used, Luigi passes it.
    """

    def __init__(self, process: object) -> None:
        del process

    def __enter__(self) -> Self:
        """Tie the process to its parent and log as the parent does."""
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.environ.get("GCN_QUIET_WORKERS") == "1":
            # `gcn run` shows failures itself; without a handler Python would print them to the terminal.
            logging.getLogger("luigi-interface").addHandler(logging.NullHandler())
        else:
            logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
