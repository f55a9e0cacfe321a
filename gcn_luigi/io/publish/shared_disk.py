"""Try on several machines at once what a build assumes of a disk that they share.

Every machine calls `try_shared_disk` with the same directory. The first by name leads: it takes a lock and publishes
files, and the others look at what they see of it.
"""

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gcn_luigi.errors import ConfigError

_PLACE = ".gcn-shared-disk"
_PATIENCE_S = 120.0
_PAUSE_S = 0.02
_ROUNDS = 5
_T = TypeVar("_T")


@dataclass(frozen=True)
class SharedDisk:
    """What one machine saw of a disk.

    Attributes
    ----------
    machines : tuple of str
        Names of all machines, sorted; the first led.
    locks_hold : bool or None
        Whether a lock that the leader held was refused here; None on the leader itself.
    lag_s : float
        Longest time until a file that the leader published was seen here with its new content, in seconds; 0 on the
        leader. The difference of the clocks is taken out, as far as the times of files tell it.
    clock_s : float
        By how much the clock of this machine is ahead of the times that the disk gives to files, in seconds.
    n_first : int
        How many machines believe that they created one and the same file first; it must be 1.
    """

    machines: tuple[str, ...]
    locks_hold: bool | None
    lag_s: float
    clock_s: float
    n_first: int


def try_shared_disk(directory: Path, count: int, name: str = "") -> SharedDisk:
    """Try `directory` together with as many other machines as make `count`; `name` is by default that of this machine.

    Nothing is left in the directory. Raises ConfigError if the others do not come, or what one machine has written is
    not seen by another, for two minutes.
    """
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    place = directory / _PLACE
    place.mkdir(parents=True, exist_ok=True)
    _publish(place / f"here.{name}", name)
    machines = _wait_for_all(place, "here", count)
    is_first = name == machines[0]
    clock = time.time() - (place / f"here.{name}").stat().st_mtime
    _publish(place / f"clock.{name}", repr(clock))
    _wait_for_all(place, "clock", count)
    others = float((place / f"clock.{machines[0]}").read_text())
    lag = _lead(place, machines) if is_first else _follow(place, name, clock - others)
    holds = None if is_first else (place / f"refused.{name}").exists()
    with suppress(FileExistsError):
        os.close(os.open(place / "only", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        _publish(place / f"first.{name}", name)
    _publish(place / f"tried.{name}", name)
    _wait_for_all(place, "tried", count)
    n_first = len(_names(place, "first"))
    _publish(place / f"done.{name}", name)
    if is_first:
        _wait_for_all(place, "done", count)
        shutil.rmtree(place)
    return SharedDisk(machines, holds, lag, clock, n_first)


def _lead(place: Path, machines: Sequence[str]) -> float:
    """Hold a lock until all others have tried it, then publish one file several times."""
    with _opened(place / "lock") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _publish(place / "locked", "")
        _wait_for_all(place, "asked", len(machines) - 1)
    for number in range(_ROUNDS):
        _publish(place / "news", f"{number} {time.time()!r}")
        _wait_for_all(place, f"read{number}", len(machines) - 1)
    return 0.0


def _follow(place: Path, name: str, ahead: float) -> float:
    """Try the lock, then look for each edition of the file; return the longest time until one was seen."""
    _wait_for(lambda: (place / "locked").exists() or None, place / "locked", lambda: "a file is not seen")
    with _opened(place / "lock") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _publish(place / f"refused.{name}", name)
    _publish(place / f"asked.{name}", name)
    lags = []
    for number in range(_ROUNDS):
        written = _wait_for_edition(place / "news", number)
        lags.append(max(time.time() - ahead - written, 0.0))
        _publish(place / f"read{number}.{name}", name)
    return max(lags)


def _wait_for_edition(path: Path, number: int) -> float:
    """Return when the edition of that number was written, once it is seen."""

    def written() -> float | None:
        with suppress(OSError):
            seen, _, when = path.read_text().partition(" ")
            if seen == str(number):
                return float(when)
        return None

    return _wait_for(written, path, lambda: "a file is not seen")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)


def _publish(path: Path, text: str) -> None:
    """Write a file as a build does: under another name, synced, then renamed."""
    draft = path.with_name(f"draft.{path.name}.{os.getpid()}")
    with draft.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def _names(place: Path, what: str) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in place.iterdir() if path.name.startswith(f"{what}."))


def _wait_for_all(place: Path, what: str, count: int) -> tuple[str, ...]:
    """Return the names of the machines that have written a file of that kind, once all have."""

    def all_names() -> tuple[str, ...] | None:
        found = _names(place, what)
        return tuple(found) if len(found) >= count else None

    def told() -> str:
        found = _names(place, what)
        return f"only {len(found)} of {count} machines are seen ({', '.join(found)})"

    return _wait_for(all_names, place / what, told)


def _wait_for(ask: Callable[[], _T | None], where: Path, told: Callable[[], str]) -> _T:
    """Return the first answer of `ask` that is not None; raise ConfigError with what `told` returns if none comes."""
    deadline = time.monotonic() + _PATIENCE_S
    while (answer := ask()) is None:
        if time.monotonic() > deadline:
            raise ConfigError(
                f"{told()} after {_PATIENCE_S:.0f} s",
                where=str(where),
                fix="start the command on all machines within two minutes, with the same number and a directory that "
                f"all of them share; remove {where.parent} if an earlier try has left it",
            )
        time.sleep(_PAUSE_S)
    return answer
