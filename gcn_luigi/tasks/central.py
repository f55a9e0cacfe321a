"""The central scheduler, for this machine only."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from gcn_luigi.errors import SchedulerError

LOOPBACK = "127.0.0.1"
_PATIENCE_S = 30.0
# It ends with its parent, however that ends (1 is PR_SET_PDEATHSIG, 15 is SIGTERM; Linux only).
_LUIGID = """
import ctypes, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
from luigi.cmdline import luigid
luigid()
"""


def answers(port: int) -> bool:
    """Return whether a Luigi scheduler answers on the loopback `port`."""
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/api/resource_list", timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError, ValueError):
        return False


def free_port(wanted: int) -> int:
    """Return `wanted`, or another free port if something that is no scheduler holds it (or it is 0)."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def central_scheduler(port: int, state: Path, config: Path) -> Iterator[str]:
    """Yield the address of a scheduler on `port`: the one that answers there, or a new one that ends with the block.

    Parameters
    ----------
    port : int
        Preferred port; 0 takes any.
    state : Path
        Directory for its state and log, made private to the user.
    config : Path
        The luigi.cfg it is started with.

    Yields
    ------
    str
        ``http://127.0.0.1:8082`` or so.

    Raises
    ------
    SchedulerError
        The scheduler did not come up; the message names its log.
    """
    if port and answers(port):
        yield f"http://{LOOPBACK}:{port}"
        return
    port = free_port(port)
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    log = state / "luigid.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603  our own interpreter, fixed arguments
            [sys.executable, "-c", _LUIGID, *_arguments(port, state)],
            env={**os.environ, "LUIGI_CONFIG_PATH": str(config)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_up(process, port, log)
            yield f"http://{LOOPBACK}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _arguments(port: int, state: Path) -> list[str]:
    return ["--address", LOOPBACK, "--port", str(port), "--state-path", str(state / "scheduler-state")]


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(port):
            return
        time.sleep(0.1)
    raise SchedulerError(
        "the scheduler did not start",
        where=str(log),
        fix="read the log; `gcn run --local-scheduler` does without the web page",
    )
