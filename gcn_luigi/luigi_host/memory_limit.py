"""The memory of a task: looked at before it starts, bounded while it works, and told plainly when it is not enough."""

import errno
import multiprocessing
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import luigi
import psutil
import pyarrow as pa

from gcn_luigi.errors import GcnLuigiError, ResourceError
from gcn_luigi.luigi_host.cgroup import MB, allowed_bytes, own_limit

# Address space that libraries reserve and hardly touch, above all stacks of threads: the kernel's limit counts it.
_UNTOUCHED = 256 * MB
# How the libraries below say that an allocation failed, where they do not raise MemoryError.
_SAYS_SO = re.compile(
    r"out of memory|bad_alloc|(?:can\s?not|can't|could not|unable to) allocate|allocation failed|not enough memory"
    r"|can't start new thread",
    re.IGNORECASE,
)
_DIED = re.compile(r"died unexpectedly with exit code (-\d+)")
_GAVE_UP = {"-6": "SIGABRT", "-7": "SIGBUS", "-11": "SIGSEGV"}


class Task(Protocol):
    """What is asked of a task here; `gcn_luigi.tasks.base.RegionTask` has it."""

    memory_mb: Any

    @property
    def name(self) -> str:
        """Family and parameters."""

    def memory_needed(self) -> int:
        """Return the bytes that it may need, or 0."""

    def lighter(self, limit: int) -> list[str]:
        """Return what could be lowered to fit `limit` bytes."""


@contextmanager
def within_memory(task: Task) -> Iterator[None]:
    """Run a block with the memory that `task` may have.

    In a worker process of Luigi, which does nothing else, allocations beyond it fail. A program that runs the task in
    its own process keeps its own limits.

    Parameters
    ----------
    task : Task
        Whose ``make`` the block is.

    Raises
    ------
    ResourceError
        By the settings the task needs more, or memory ran out; the message names what to lower.
    """
    limit = _limit(task)
    needed = task.memory_needed()
    resident = psutil.Process().memory_info().rss
    if needed and resident + needed > limit:
        raise ResourceError(
            f"needs about {_mb(resident + needed)} MB of memory, and may have {_mb(limit)} MB",
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
            f"ran out of memory: it may have {_mb(limit)} MB and held {_mb(held)} MB when this failed: {sign}",
            where=task.name,
            fix=_advice(task, limit - resident, max(resident + needed, 2 * held)),
        ) from error


def explained(error: str, task: Any, kills: int) -> str:
    """Return what a failed task said, with the reason and what to lower where its process was killed.

    Parameters
    ----------
    error : str
        From Luigi.
    task : luigi.Task
        That failed.
    kills : int
        How often the kernel ended a process for memory while the build ran.
    """
    died = _DIED.search(error)
    if died is None or not hasattr(task, "lighter"):
        return error
    if died[1] == "-9":
        how = "the kernel killed it, for want of memory" if kills > 0 else "it was killed from outside"
        doubt = "" if kills > 0 else ": most often by the kernel, for want of memory"
    elif died[1] in _GAVE_UP:
        how, doubt = f"it ended with {_GAVE_UP[died[1]]}", ": a library gave up, as some do when memory runs out"
    else:
        return error
    what = f"its process ended with exit code {died[1]}: {how}{doubt}"
    return str(ResourceError(what, where=task.name, fix=_advice(task, 0, 0)))


def _limit(task: Task) -> int:
    own = own_limit()
    most = task.memory_mb * MB if task.memory_mb else allowed_bytes()
    return int(most if own is None else min(most, own))


def _bounded(limit: int) -> AbstractContextManager[None]:
    is_worker = isinstance(multiprocessing.current_process(), luigi.worker.TaskProcess)
    return _data_limit(limit) if is_worker and sys.platform == "linux" else nullcontext()


@contextmanager
def _data_limit(limit: int) -> Iterator[None]:
    # Arrow's own pool takes a whole gigabyte of address space at once.
    pa.set_memory_pool(pa.system_memory_pool())
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    now = psutil.Process().memory_info()
    most = now.data + max(limit - now.rss, 0) + _UNTOUCHED
    least = min([most, *(other for other in (soft, hard) if other != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (least, hard))
    try:
        yield
    finally:
        # What comes after, such as the message, must not fail as well.
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _sign(error: BaseException, limit: int) -> str | None:
    """Return what shows that memory ran out, or None.

    A damaged file that claims an absurd size lets allocations fail as well, and so does a limit on threads: what is
    not MemoryError itself counts only where the process has held half of its memory.
    """
    held_much = 2 * _peak() >= limit
    link: BaseException | None = error
    while link is not None:
        failed = isinstance(link, MemoryError) or (isinstance(link, OSError) and link.errno == errno.ENOMEM)
        if failed and (held_much or not isinstance(error, GcnLuigiError)):
            return _line(link)
        if held_much and _SAYS_SO.search(str(link)):
            return _line(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return None


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _peak() -> int:
    """Return the most bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _advice(task: Task, room: int, needed: int) -> str:
    """Say what to lower to fit `room` bytes beside the libraries, or what to raise for `needed` bytes; 0: not known."""
    lower = task.lighter(room)
    machine = allowed_bytes()
    workers = "lower `gcn run --workers`: each process then has more"
    if 0 < needed <= machine:
        workers = f"lower `gcn run --workers`: {machine // needed} fit this machine"
    now = f"now {task.memory_mb}" if task.memory_mb else "now not set"
    to = f" to {_mb(needed)}" if needed else ""
    return ", or ".join((*lower, workers, f"raise `gcn run --memory` ([gcn] memory_mb, {now}){to} where there is more"))


def _mb(size: int) -> int:
    return -(-size // MB)
