"""Runs pytest in a fork of this process, which has the libraries in memory: a run then starts much faster."""

import importlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

# What most tests import. Nothing of the package or of its tests may be among it, because these come from the copy.
_LIBRARIES = (
    "geopandas",
    "h5py",
    "luigi",
    "numpy",
    "pandas",
    "pydantic",
    "pyogrio",
    "pyproj",
    "rasterio",
    "scipy.ndimage",
    "shapely",
)
# A process that only waits uses no processor time, and a busy machine gives little of it.
_TIMES_LONGER = 20
# The exit code if pytest itself could not run.
_NOT_PYTEST = 70
# A mutant may ask for any amount of memory.
_MOST_BYTES = 8 << 30


def preload() -> None:
    """Import the libraries once."""
    for name in _LIBRARIES:
        importlib.import_module(name)


def finished(root: Path, arguments: list[str], environment: dict[str, str], seconds: int) -> int | None:
    """Run pytest in a fork.

    Parameters
    ----------
    root
        The directory to run in. The package and the tests are imported from there.
    arguments
        The command line after `pytest`.
    environment
        Variables to set.
    seconds
        How much processor time it may take. A process that waits is stopped after twenty times as long.

    Returns
    -------
    int or None
        The exit code, negative for a signal, or None if it took too long.
    """
    child = os.fork()
    if child == 0:
        _run(root, arguments, environment, seconds)
    deadline = time.monotonic() + _TIMES_LONGER * seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.02)
    code = os.waitstatus_to_exitcode(status)
    return None if code == -signal.SIGXCPU else code


def _run(root: Path, arguments: list[str], environment: dict[str, str], seconds: int) -> None:
    """Run pytest and end this process."""
    code = _NOT_PYTEST
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        for limit, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, _MOST_BYTES)):
            resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
        os.chdir(root)
        os.environ.update(environment)
        # So far `tests` was imported from the repository.
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        sys.path.insert(0, str(root))
        importlib.invalidate_caches()
        code = int(pytest.main(arguments))
    finally:
        os._exit(code)
