"""The central scheduler, for this machine only."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from gcn_luigi.errors import SchedulerError
from gcn_luigi.luigi_host.trust import check_address, is_loopback, is_own, is_writable_by_all

LOOPBACK = "127.0.0.1"
_PATIENCE_S = 30.0
_RIVAL_S = 3.0
_FIX = "remove it or choose another --output; `gcn run --local-scheduler` needs no such directory"
# The scheduler ends with its parent, whose number is the first argument, however that ends (1 is PR_SET_PDEATHSIG, 15
# is SIGTERM; Linux only). The parent may have ended before the kernel was asked for this.
_LUIGID = """
import ctypes, os, sys
parent = int(sys.argv.pop(1))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
if os.getppid() != parent:
    sys.exit(1)
from luigi.cmdline import luigid
luigid()
"""


def answers(port: int) -> bool:
    """Return whether a Luigi scheduler answers on `port` of this machine's loopback."""
    return _is_scheduler(f"http://{LOOPBACK}:{port}")


def running_scheduler(url: str, *, is_trusted: bool) -> str:
    """Return the address of a scheduler that is already running, such as ``http://127.0.0.1:8082``.

    Raises ConfigError or SchedulerError as `check_address` does, before anything is sent there, or SchedulerError if no
    scheduler answers.
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
    # A proxy cannot reach this machine's loopback.
    opener = build_opener(ProxyHandler({})) if is_loopback(address) else build_opener()
    try:
        with opener.open(f"{address}/api/resource_list", timeout=5) as reply:
            content = json.load(reply)
    except HTTPError as error:
        # The error is also the connection.
        error.close()
        return False
    except (OSError, HTTPException, ValueError):
        return False
    return isinstance(content, dict) and "response" in content


def free_port(wanted: int) -> int:
    """Return `wanted`, or another free port if something else uses it or it is 0."""
    with socket.socket() as probe:
        # As the scheduler itself does: lingering connections of an earlier scheduler do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def central_scheduler(port: int, state: Path, config: Path) -> Iterator[str]:
    """Yield the address of a scheduler on `port`: the user's own that answers there, or a new one.

    A new scheduler ends with the block and takes its settings (luigi.cfg) from `config`. It keeps its state and log in
    the directory `state`, which is made private to the user. It takes another port if something else uses `port`, or if
    `port` is 0. Raises SchedulerError if no scheduler can be started.
    """
    if port and is_own(port) and answers(port):
        yield f"http://{LOOPBACK}:{port}"
        return
    port = free_port(port)
    descriptor = _create_log(state)
    log, kept = (state / name for name in _file_names())
    with os.fdopen(descriptor, "wb") as stream:
        options = ["--address", LOOPBACK, "--port", str(port), "--state-path", str(kept)]
        process = subprocess.Popen(  # noqa: S603  our own interpreter, fixed arguments
            [sys.executable, "-c", _LUIGID, str(os.getpid()), *options],
            env={**os.environ, "LUIGI_CONFIG_PATH": str(config)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal must stop only us: if the scheduler ended first, we would wait a minute for it.
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


def private_directory(path: Path) -> int:
    """Make a directory that only the user can enter, or make an existing one private; return a descriptor of it.

    The caller closes it. Work through the descriptor happens in this directory, even if its path changes in the
    meantime. Raises SchedulerError if the path is a link, not a directory or another user's, or if another user could
    replace the directory.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a link" if path.is_symlink() else error.strerror
        raise _not_private(path, str(why)) from error
    why = _open_to_others(path, handle)
    if why:
        os.close(handle)
        raise _not_private(path, why)
    os.fchmod(handle, 0o700)
    return handle


def _open_to_others(path: Path, handle: int) -> str:
    """Return why another user could read or replace the open directory; an empty text if nobody can."""
    if os.fstat(handle).st_uid != os.geteuid():
        return "it belongs to another user"
    above = path.parent.resolve()
    places = (place for place in (above, *above.parents) if is_writable_by_all(place))
    return next((f"{place} is writable by every user" for place in places), "")


def _not_private(path: Path, why: str) -> SchedulerError:
    return SchedulerError(f"the scheduler's directory cannot be made private: {why}", where=str(path), fix=_FIX)


def _file_names() -> tuple[str, str]:
    """Return the names of log and state; machines that share the directory have a scheduler each."""
    machine = re.sub(r"[^\w.-]", "_", socket.gethostname())
    return f"luigid-{machine}.log", f"scheduler-state-{machine}"


def _create_log(state: Path) -> int:
    """Make the directory private, remove an earlier scheduler's files, and return a descriptor of a new log.

    The files of the dataset record what is done, so the old state is not needed; in it, tasks of a killed run would
    seem to be running. It is also a pickle, which runs any code that somebody put into it.
    """
    handle = private_directory(state)
    try:
        for name in _file_names():
            # A link is removed, not followed.
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=handle)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(_file_names()[0], flags, 0o600, dir_fd=handle)
    except OSError as error:
        raise SchedulerError(
            f"the scheduler's directory cannot be cleared: {error.strerror}", where=str(state), fix=_FIX
        ) from error
    finally:
        os.close(handle)


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        if answers(port) and (not has_ended or is_own(port)):
            # If ours has ended, another run of ours took the port at the same moment, and its scheduler serves both.
            return
        if has_ended:
            deadline = min(deadline, time.monotonic() + _RIVAL_S)
        time.sleep(0.1)
    raise SchedulerError(
        "the scheduler did not start",
        where=str(log),
        fix="read the log; `gcn run --local-scheduler` runs without the web page",
    )
