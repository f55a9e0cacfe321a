"""The central scheduler, for this machine only."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from gcn_luigi.errors import SchedulerError
from gcn_luigi.luigi_host.private_dir import create_within, private_directory, remove_within
from gcn_luigi.luigi_host.trust import check_address, is_loopback, is_own

LOOPBACK = "127.0.0.1"
_PATIENCE_S = 30.0
_RIVAL_S = 3.0
_STATE = "scheduler-state"
_LOG = "luigid.log"
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
    return _is_scheduler(f"http://{LOOPBACK}:{port}")


def running_scheduler(url: str, *, is_trusted: bool) -> str:
    """Return the address of a scheduler that runs already.

    Parameters
    ----------
    url : str
        ``http://127.0.0.1:8082`` or so.
    is_trusted : bool
        Whether it may be on another machine; see `gcn_luigi.luigi_host.trust.check_address`.

    Raises
    ------
    ConfigError
        This is no address.
    SchedulerError
        It is on another machine and not trusted, which is found before anything is sent there; or none answers.
    """
    check_address(url, is_trusted=is_trusted)
    address = url.rstrip("/")
    if not _is_scheduler(address):
        raise SchedulerError(
            "no Luigi scheduler answers",
            where=address,
            fix="start luigid, or the tunnel to it; without --scheduler-url `gcn run` starts its own",
        )
    return address


def _is_scheduler(address: str) -> bool:
    # A proxy knows nothing of this machine's loopback.
    opener = build_opener(ProxyHandler({})) if is_loopback(address) else build_opener()
    try:
        with opener.open(f"{address}/api/resource_list", timeout=5) as reply:
            content = json.load(reply)
    except (OSError, HTTPException, ValueError):
        return False
    return isinstance(content, dict) and "response" in content


def free_port(wanted: int) -> int:
    """Return `wanted`, or another free port if something that is no scheduler holds it (or it is 0)."""
    with socket.socket() as probe:
        # As the scheduler itself does: connections of an earlier one that linger do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
        The scheduler did not come up, the message names its log; or `state` cannot be made private.
    """
    if port and is_own(port) and answers(port):
        yield f"http://{LOOPBACK}:{port}"
        return
    port = free_port(port)
    log, descriptor = _fresh(state)
    with os.fdopen(descriptor, "wb") as stream:
        process = subprocess.Popen(  # noqa: S603  our own interpreter, fixed arguments
            [sys.executable, "-c", _LUIGID, *_arguments(port, state)],
            env={**os.environ, "LUIGI_CONFIG_PATH": str(config)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal is for us: asked after its end, it would be waited for a minute.
            process_group=0,
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
    return ["--address", LOOPBACK, "--port", str(port), "--state-path", str(state / _STATE)]


def _fresh(state: Path) -> tuple[Path, int]:
    """Make the directory private and empty of an earlier scheduler's state; return the log's path and descriptor.

    What is done stands in the files, not in that state; there, tasks of a killed run would look like running. And
    it is a pickle, which runs whatever somebody put into it.
    """
    handle = private_directory(state)
    try:
        remove_within(handle, _STATE)
        return state / _LOG, create_within(handle, _LOG)
    except OSError as error:
        raise SchedulerError(
            f"the scheduler's directory cannot be cleared: {error.strerror}",
            where=str(state),
            fix="remove it or choose another --output; `gcn run --local-scheduler` does without it",
        ) from error
    finally:
        os.close(handle)


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        if answers(port) and (not has_ended or is_own(port)):
            # Where ours has ended, another run of ours took the port at the same moment: its scheduler serves both.
            return
        if has_ended:
            deadline = min(deadline, time.monotonic() + _RIVAL_S)
        time.sleep(0.1)
    raise SchedulerError(
        "the scheduler did not start",
        where=str(log),
        fix="read the log; `gcn run --local-scheduler` does without the web page",
    )
