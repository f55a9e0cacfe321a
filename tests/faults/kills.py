"""Processes killed or told to stop, at any moment of a build."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.faults.arena import LOCAL, Arena
from tests.faults.figures import Figures
from tests.integration.commands import LOOPBACK, LUIGI_CFG, Running, free_port, luigi_command, reachable, wait_for

# Of one job, at least.
_KILLS = 8
# A build is disturbed this often before it may end: each time it goes on from where it was.
_ROUNDS = (5, 9)
_SIGNAL_ROUNDS = (3, 6)
_PAUSE_S = (0.0, 0.6)
_OWN_SCHEDULER = ("--port", "0")
# Luigi asks a lost scheduler for a minute before it gives up: no error, but slow.
_SCHEDULER_SHARE = 0.12


def kills(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Kill -9 workers, their server, the parent or its scheduler, again and again; then run undisturbed."""
    figures = Figures()
    for _ in range(count):
        wanted = figures.faults.total() + _KILLS
        while figures.faults.total() < wanted:
            output = arena.fresh()
            for _ in range(rng.randint(*_ROUNDS)):
                _killed(arena, rng, output, figures)
                if (output / arena.tiny.region / "dataset.json").exists():
                    break
            arena.mends(output, figures, "kills")
            arena.drop(output)
    return figures


def signals(arena: Arena, rng: random.Random, count: int) -> Figures:
    """SIGTERM to parent or worker, Ctrl-C once or twice; then run undisturbed."""
    figures = Figures()
    for _ in range(count):
        output = arena.fresh()
        for _ in range(rng.randint(*_SIGNAL_ROUNDS)):
            kind = rng.choice(sorted(_STOPS))
            running = arena.start(output, *rng.choice([(LOCAL,), _OWN_SCHEDULER]))
            _sleep(running, rng.uniform(0.2, arena.seconds))
            _STOPS[kind](running, rng)
            figures.faults[kind] += 1
            ended = arena.ends(running, figures, kind)
            arena.honest(ended, output, figures, kind)
        arena.mends(output, figures, "signals")
        arena.drop(output)
    return figures


def _killed(arena: Arena, rng: random.Random, output: Path, figures: Figures) -> None:
    """Kill something, perhaps several times in one run, and check how the run ends."""
    way = rng.choice(["gcn run", "gcn run, own luigid", "luigi", "luigi, luigid"])
    kinds = ["worker"] * 4 + ["parent"] * 3 + ["fork server"]
    if "luigid" in way and rng.random() < _SCHEDULER_SHARE:
        kinds = ["luigid"]
    with _started(arena, output, way) as (running, scheduler):
        done = []
        deadline = time.monotonic() + 2 * arena.seconds
        # Each round goes on where the last one was stopped, so that all of the build is reached.
        _sleep(running, rng.uniform(0.2, 0.4 * arena.seconds))
        while running.process.poll() is None and time.monotonic() < deadline:
            kind = rng.choice(kinds)
            victims = victims_of(running, kind) or (scheduler.processes() if scheduler and kind == "luigid" else [])
            if victims and _kill(rng.choice(victims)):
                done.append(kind)
                figures.faults[f"{kind} killed"] += 1
                if kind in {"parent", "luigid"} or rng.random() < 0.3:
                    break
            _sleep(running, rng.uniform(*_PAUSE_S))
        what = f"{way}, killed: {', '.join(done) or 'nothing in time'}"
        arena.honest(arena.ends(running, figures, what), output, figures, what)


@contextmanager
def _started(arena: Arena, output: Path, way: str) -> Iterator[tuple[Running, Running | None]]:
    """Start a build one way; yield it and the scheduler beside it, which is ended afterwards."""
    if way.startswith("gcn run"):
        yield arena.start(output, *(_OWN_SCHEDULER if "luigid" in way else (LOCAL,))), None
        return
    scheduler, where = None, (LOCAL,)
    settings = {"LUIGI_CONFIG_PATH": str(LUIGI_CFG)}
    if "luigid" in way:
        port, state = str(free_port()), output / ".state"
        place = ("--address", LOOPBACK, "--port", port, "--state-path", state)
        scheduler = arena.commands.start("luigid", *place, **settings)
        wait_for(lambda: reachable(int(port)))
        where = ("--scheduler-host", LOOPBACK, "--scheduler-port", port)
    try:
        command = luigi_command("gcn.Dataset", arena.tiny, output)
        yield arena.commands.start(*command, *where, **settings), scheduler
    finally:
        if scheduler is not None:
            scheduler.process.kill()
            scheduler.process.wait()


def victims_of(running: Running, kind: str) -> list[psutil.Process]:
    """Return the living processes of a command that play the part of `kind`."""
    if kind == "worker":
        return running.workers()
    if kind == "parent":
        return [process for process in running.processes() if process.pid == running.process.pid]
    needle = {"fork server": "multiprocessing.forkserver", "luigid": "luigid"}[kind]
    found = [process for process in running.processes() if needle in _line(process)]
    # Workers are forks of their server and show the same line.
    return [process for process in found if _parent_id(process) == running.process.pid]


def _sleep(running: Running, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while running.process.poll() is None and time.monotonic() < deadline:
        time.sleep(min(0.05, seconds))


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _parent_id(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _terminate_parent(running: Running, _rng: random.Random) -> None:
    running.process.send_signal(signal.SIGTERM)


def _terminate_worker(running: Running, rng: random.Random) -> None:
    for worker in running.workers():
        if rng.random() < 0.7:
            try:
                worker.terminate()
            except psutil.NoSuchProcess:
                continue


def _interrupt(running: Running, _rng: random.Random) -> None:
    try:
        running.interrupt()
    except ProcessLookupError:
        return


def _interrupt_twice(running: Running, rng: random.Random) -> None:
    _interrupt(running, rng)
    time.sleep(rng.choice([0.0, 0.02, 0.2, 1.0]))
    _interrupt(running, rng)


_STOPS: dict[str, Callable[[Running, random.Random], None]] = {
    "SIGTERM to the parent": _terminate_parent,
    "SIGTERM to workers": _terminate_worker,
    "Ctrl-C": _interrupt,
    "Ctrl-C twice": _interrupt_twice,
}
