"""The memory of a task: checked before it starts, limited while it works, and explained when it is not enough."""

import errno
import multiprocessing
import re
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import luigi
import psutil

from gcn_luigi.errors import GcnLuigiError, ResourceError

MB = 1_000_000
_ON_NODE = "give each task on a node more memory: raise `memory` or lower `cores` of its job, or of its Dask worker"
# The name of a process that makes one task and does nothing else, as Luigi's own task processes do.
TASK_PROCESS = "gcn-task"
_ROOT = Path("/")
# An eighth, within these limits, is left for the command itself, the fork server, the scheduler and the file cache.
_LEAST_RESERVE, _MOST_RESERVE = 256 * MB, 2_000 * MB
# Address space that libraries reserve but hardly use, mainly for thread stacks; the kernel's limit counts it.
_UNTOUCHED = 256 * MB
# Words in the messages of libraries about a failed allocation or thread start, if they raise no MemoryError.
_WORDS = ("out of memory", "not enough memory", "alloc", "new thread")
_DIED = re.compile(r"died unexpectedly with exit code (-\d+)")
_GAVE_UP = {-number: number.name for number in (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV)}


def allowed_bytes(root: Path = _ROOT) -> int:
    """Return the bytes that all processes of a build may hold together, less a reserve.

    This is the machine's memory, or less if the control group (version 2) or a group above it has a limit. `root`
    contains ``proc`` and ``sys``.
    """
    most = min([int(psutil.virtual_memory().total), *_group_limits(root)])
    return max(most - min(max(most // 8, _LEAST_RESERVE), _MOST_RESERVE), 0)


def share_mb(workers: int, root: Path = _ROOT) -> int:
    """Return how many million bytes each of `workers` processes may hold; at least 1."""
    return max(allowed_bytes(root) // workers // MB, 1)


def _group_limits(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers:
            continue
        # Inside a container a group may have the name that the host uses; the mounted directory is then its root.
        parts = [part for part in Path(group).parts[1:] if part != ".."]
        for depth in range(len(parts) + 1):
            limit = _text(root.joinpath("sys/fs/cgroup", *parts[:depth], "memory.max")).strip()
            if limit.isdigit():
                yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


@contextmanager
def within_memory(task: Any) -> Iterator[None]:
    """Run a block, the `make` of a RegionTask, with the memory that the task may have.

    In a worker process of Luigi, which does nothing else, allocations beyond this limit fail. A program that runs the
    task in its own process keeps its own limits. Raises ResourceError, which names what to lower, if the task needs
    more memory with its settings, or if memory ran out.
    """
    limit = _limit(task)
    needed = task.memory_needed()
    resident = psutil.Process().memory_info().rss
    if needed and resident + needed > limit:
        raise ResourceError(
            f"the task needs about {_mb(resident + needed)} MB of memory, but may have only {_mb(limit)} MB",
            where=task.name,
            fix=_advice(task, limit - resident, resident + needed),
        )
    try:
        with _bounded(limit):
            yield
    except Exception as error:
        sign = _sign(error, limit)
        if sign is None:
            raise
        held = _peak()
        raise ResourceError(
            f"the task ran out of memory: its limit is {_mb(limit)} MB, and it held {_mb(held)} MB when this failed: "
            f"{sign}",
            where=task.name,
            fix=_advice(task, limit - resident, max(resident + needed, 2 * held)),
        ) from error


def explain_killed(error: str, task: Any) -> str:
    """Return Luigi's message about a failed task; if its process was killed, with the reason and what to lower."""
    died = _DIED.search(error)
    if died is None or not hasattr(task, "memory_advice"):
        return error
    explained = death(int(died[1]), task)
    return error if explained is None else str(explained)


def death(code: int, task: Any, node: str = "") -> ResourceError | None:
    """Return the error of a task whose process, on `node` or here, ended with a code of lack of memory; else None."""
    if code == -signal.SIGKILL:
        how = "it was killed from outside, most often by the kernel because memory ran out"
    elif code in _GAVE_UP:
        how = f"it ended with {_GAVE_UP[code]}: a library aborted, as some do when memory runs out"
    else:
        return None
    where = f"{task.name} (on node {node})" if node else task.name
    fix = ", or ".join((*task.memory_advice(0), _ON_NODE)) if node else _advice(task, 0, 0)
    return ResourceError(f"its process ended with exit code {code}: {how}", where=where, fix=fix)


def _limit(task: Any) -> int:
    """Return the bytes that the task's process may hold, by its parameter or the machine and by the shell's limits."""
    most = task.memory_mb * MB if task.memory_mb else allowed_bytes()
    soft = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return int(min([most, *(limit for limit in soft if limit != resource.RLIM_INFINITY)]))


@contextmanager
def _bounded(limit: int) -> Iterator[None]:
    """In a worker process on Linux, make allocations beyond `limit` bytes fail during a block."""
    if sys.platform != "linux" or not _is_own_process():
        yield
        return
    import pyarrow as pa  # noqa: PLC0415

    # Arrow's own pool reserves a whole gigabyte of address space at once.
    pa.set_memory_pool(pa.system_memory_pool())
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    now = psutil.Process().memory_info()
    most = now.data + max(limit - now.rss, 0) + _UNTOUCHED
    least = min([most, *(other for other in (soft, hard) if other != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (least, hard))
    try:
        yield
    finally:
        # The code after the block, such as the message, must not fail as well.
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _is_own_process() -> bool:
    process = multiprocessing.current_process()
    return process.name == TASK_PROCESS or isinstance(process, luigi.worker.TaskProcess)


def _sign(error: BaseException, limit: int) -> str | None:
    """Return the message that shows that memory ran out, or None.

    Allocations also fail for a damaged file that claims an absurd size, and for a limit on threads. So an error other
    than MemoryError counts only if the process has held half of its memory.
    """
    held_much = 2 * _peak() >= limit
    link: BaseException | None = error
    while link is not None:
        failed = isinstance(link, MemoryError) or (isinstance(link, OSError) and link.errno == errno.ENOMEM)
        says_so = held_much and any(word in str(link).lower() for word in _WORDS)
        if says_so or (failed and (held_much or not isinstance(error, GcnLuigiError))):
            return (str(link).strip().splitlines() or [type(link).__name__])[0]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return None


def _peak() -> int:
    """Return the largest number of bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _advice(task: Any, room: int, needed: int) -> str:
    """Return what to lower for `room` bytes without the libraries, or what to raise for `needed` bytes (0: unknown)."""
    if multiprocessing.current_process().name == TASK_PROCESS:
        return ", or ".join(
            (*task.memory_advice(room), f"{_ON_NODE} ({_mb(needed)} MB are needed)" if needed else _ON_NODE)
        )
    machine = allowed_bytes()
    workers = "lower `gcn run --workers`: each process then has more memory"
    if 0 < needed <= machine:
        workers = f"lower `gcn run --workers`: this machine has enough memory for {machine // needed}"
    now = f"now {task.memory_mb}" if task.memory_mb else "now not set"
    to = f" to {_mb(needed)}" if needed else ""
    more = f"raise `gcn run --memory` ([gcn] memory_mb, {now}){to} if the machine has more"
    return ", or ".join((*task.memory_advice(room), workers, more))


def _mb(size: int) -> int:
    return -(-size // MB)
