"""Worker processes: started clean, quiet, and never outliving their parent."""

import ctypes
import functools
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Self

from gcn_luigi.errors import ConfigError

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.5
# Time to remove a temporary file; then the process ends in the middle of whatever it does.
_GRACE_S = 10.0
_TOLD_TO_STOP = 128 + signal.SIGTERM
# Longest path of a socket: 108 bytes on Linux and 104 elsewhere, including the final zero.
_MOST_SOCKET_BYTES = 103
# What multiprocessing adds to the temporary directory.
_SOCKET_NAME = "/pymp-01234567/listener-01234567"
_SHORT_PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  a private directory is made there for this user


def use_forkserver() -> None:
    """Make Luigi start its workers from a clean server process, unless the program chose a method itself.

    A plain fork copies open GDAL datasets with a shared file offset, so children read wrong pixels without any error.
    It also copies locks of other threads, on which children wait for ever.
    """
    if multiprocessing.get_start_method(allow_none=True) is None:
        multiprocessing.set_start_method("forkserver")
    _preload()


# Imported when a function first needs them, since most commands never do; tasks need all of them.
_IMPORTED_ON_USE = (
    "gcn_luigi.io.inputs.scan",
    "gcn_luigi.stages.layers.aligned_band",
    "gcn_luigi.stages.layers.confidence",
    "gcn_luigi.stages.layers.cube_tiles",
    "gcn_luigi.stages.layers.derived",
    "gcn_luigi.stages.layers.label",
    "gcn_luigi.stages.layers.mosaics",
    "gcn_luigi.stages.layers.tile_quality",
    "gcn_luigi.stages.partitions",
    "gcn_luigi.stages.shards.partition_files",
    "gcn_luigi.stages.shards.shard",
    "gcn_luigi.stages.evaluation.autocorrelation",
    "gcn_luigi.stages.evaluation.strata",
    "gcn_luigi.stages.evaluation.training_distances",
    "gcn_luigi.stages.metadata.write",
    "gcn_luigi.stages.dataset.data_card",
    "gcn_luigi.stages.dataset.manifest",
    "gcn_luigi.stages.dataset.summary",
    "gcn_luigi.report.graph_picture",
    "gcn_luigi.report.grids.page",
    "gcn_luigi.report.quality.page",
    "pyarrow",
    "scipy.ndimage",
    "scipy.sparse.csgraph",
    "scipy.spatial",
)


def _preload(*modules: str) -> None:
    if sys.platform != "darwin":
        # The server imports the libraries once, so that no task has to wait for them. On macOS a process that has
        # loaded system frameworks must not fork, so there every task imports them.
        own = ["gcn_luigi.tasks", "gcn_luigi.luigi_host.forkserver_hook"]
        multiprocessing.set_forkserver_preload([*own, *_IMPORTED_ON_USE, *modules])


@functools.lru_cache(maxsize=1)
def clean_context() -> ForkServerContext:
    """Return how a program that is not ours, such as Dask's worker, starts processes for tasks: from a clean server."""
    use_short_sockets()
    # The server inherits it. Arrow's own pool reserves a whole gigabyte of address space when it is first used, for
    # which a task's memory limit may have no room.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _preload(*_of_main())
    _start_forkserver()
    return multiprocessing.get_context("forkserver")


def _of_main() -> list[str]:
    """Return the modules that each process needs because it imports the program's main module again.

    For a Dask worker that is all of Dask, whether it was started as a module or by the script `dask`.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return [spec.name.partition(".")[0]]
    found = {getattr(value, "__module__", None) for value in vars(main).values()}
    return sorted(name for name in found if isinstance(name, str) and name in sys.modules and name != "__main__")


def worker_context() -> ForkServerContext | SpawnContext:
    """Return how a build starts its workers: by the fork server, or spawned if the program chose that."""
    if multiprocessing.get_start_method() == "spawn":
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("forkserver")


@functools.lru_cache(maxsize=1)
def use_short_sockets() -> None:
    """Put the sockets of worker processes into another directory if the path of TMPDIR is too long for them.

    Raises ConfigError if there is no other directory.
    """
    if _fits_socket(tempfile.gettempdir()):
        return
    given = (os.environ.get("XDG_RUNTIME_DIR", ""), *_SHORT_PLACES)
    places = [place for place in given if place and _fits_socket(place) and os.access(place, os.W_OK | os.X_OK)]
    place = next((place for place in places if Path(place).is_dir()), None)
    if place is None:
        raise ConfigError(
            f"the path is longer than {_MOST_SOCKET_BYTES - len(_SOCKET_NAME)} bytes: too long for the sockets through "
            "which worker processes are started",
            where=f"TMPDIR={tempfile.gettempdir()}",
            fix="set TMPDIR to a shorter path, such as /tmp",
        )
    before = tempfile.tempdir
    tempfile.tempdir = place
    try:
        # This makes a directory that only this user may enter, and removes it when the process ends.
        util.get_temp_dir()
    finally:
        tempfile.tempdir = before


def _fits_socket(directory: str) -> bool:
    return len(os.fsencode(directory)) + len(_SOCKET_NAME) <= _MOST_SOCKET_BYTES


def start_server() -> None:
    """Start the fork server with Ctrl-C blocked; workers inherit this, so a starting worker prints no traceback.

    Ctrl-C is only blocked, not ignored: this process receives such an interrupt right afterwards.
    """
    if worker_context().get_start_method() == "forkserver":
        _start_forkserver()


def _start_forkserver() -> None:
    # This comes first, because starting the tracker would unblock the signal.
    resource_tracker.ensure_running()
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)


class ChildContext:
    """The context of a task in its worker process, named in luigi.cfg. Luigi passes the process, which is not used."""

    def __init__(self, process: object) -> None:
        del process
        self._is_child = multiprocessing.parent_process() is not None

    def __enter__(self) -> Self:
        """Tie the process to its parent and log as the parent does."""
        if self._is_child:
            try:
                _end_with_parent()
            except KeyboardInterrupt:
                # The parent died while this process started.
                sys.exit(_TOLD_TO_STOP)
        if os.environ.get("GCN_QUIET_WORKERS") == "1":
            # `gcn run` shows failures itself; without a handler Python would print them to the terminal.
            logging.getLogger("luigi-interface").addHandler(logging.NullHandler())
            if self._is_child:
                # HDF5 closes a file a second time when Python frees it; the failure was already reported.
                sys.excepthook = sys.unraisablehook = log_ignored
        else:
            logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End without a traceback when the process has to stop: the parent reports why."""
        if not self._is_child:
            return
        try:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        except KeyboardInterrupt:
            sys.exit(_TOLD_TO_STOP)
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            sys.exit(_TOLD_TO_STOP)


def log_ignored(*what: object) -> None:
    """Log what Python would print; the parent reports to the user."""
    logging.getLogger("luigi-interface").debug("ignored: %s", what)


def _end_with_parent() -> None:
    # By default SIGTERM leaves temporary files behind, and a Python handler would wait for C code that may be stuck.
    # So a thread receives it and asks the task to stop.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # Ctrl-C reaches every process of a terminal. The parent handles it; two interrupts would cut the clean-up short.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.default_int_handler)
    if sys.platform == "linux":
        # To the kernel, the parent is the fork server.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(threading.get_ident(),), name="gcn-parent", daemon=True).start()


def _watch(task: int) -> None:
    # Watch the process that started the task; the fork server outlives it as long as one of its children works.
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        if _is_told_to_stop():
            break
    signal.pthread_kill(task, signal.SIGUSR1)
    threading.Event().wait(_GRACE_S)
    os._exit(_TOLD_TO_STOP)


def _is_told_to_stop() -> bool:
    """Wait for SIGTERM, which is blocked, for `_LOOK_S` seconds at most; return whether it came."""
    if hasattr(signal, "sigtimedwait"):
        heard = signal.sigtimedwait({signal.SIGTERM}, _LOOK_S)
        # After a stop (Ctrl-Z) that outlasts the wait, Python returns what happens to be in memory.
        return heard is not None and heard.si_signo == signal.SIGTERM
    # macOS has no wait that ends.
    time.sleep(_LOOK_S)
    return signal.SIGTERM in signal.sigpending()
