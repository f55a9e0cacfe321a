"""What this machine, or the control group that the process runs in, allows of memory."""

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

MB = 1_000_000
_ROOT = Path("/")
# Where each version of control groups is mounted, and its files: the limit, and what counts kills.
_VERSIONS = {
    "2": (("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory.max", "memory.events"),
    "1": (("sys/fs/cgroup/memory",), "memory.limit_in_bytes", "memory.oom_control"),
}
# Left for the command itself, the fork server, the scheduler and the system's cache of files.
_RESERVE_SHARE = 8
_RESERVE = (256 * MB, 2_000 * MB)


def allowed_bytes(root: Path = _ROOT) -> int:
    """Return the bytes that all processes of a build may hold together, less a reserve.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are; another one for tests.

    Returns
    -------
    int
        The least of the machine's memory and the limits of the control group, version 1 or 2, and of those around it;
        less an eighth, at least 256 and at most 2000 MB.
    """
    limits = [int(psutil.virtual_memory().total), *(_number(group / name) for group, name, _ in _groups(root))]
    most = min(limit for limit in limits if limit is not None)
    return max(most - min(max(most // _RESERVE_SHARE, _RESERVE[0]), _RESERVE[1]), 0)


def own_limit() -> int | None:
    """Return the bytes that limits of the shell (``ulimit -v``, ``ulimit -d``) allow this process, if any."""
    soft = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return min((limit for limit in soft if limit != resource.RLIM_INFINITY), default=None)


def share_mb(workers: int, root: Path = _ROOT) -> int:
    """Return the million bytes that each of `workers` processes may hold; at least 1."""
    return max(allowed_bytes(root) // workers // MB, 1)


def oom_kills(root: Path = _ROOT) -> int:
    """Return how often the kernel has ended a process of this control group, or else of this machine, for memory."""
    files = [group / name for group, _, name in _groups(root)]
    for path in (*files, root / "proc/vmstat"):
        count = _field(path, "oom_kill")
        if count is not None:
            return count
    return 0


def _groups(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the directories of this process's group and of those around it, innermost first."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mounts, limit, events = _VERSIONS["1" if controllers else "2"]
        # Inside a container a group may be named as the host sees it: what is mounted is then its root.
        parts = [part for part in Path(group).parts[1:] if part != ".."]
        for mount in mounts:
            for depth in range(len(parts), -1, -1):
                yield root.joinpath(mount, *parts[:depth]), limit, events


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _field(path: Path, name: str) -> int | None:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None
