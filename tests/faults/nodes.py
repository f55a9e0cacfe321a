"""Nodes of a Dask cluster that are lost in the middle of a build, and nodes that come back and still write."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil

from gcn_luigi.io.publish.atomic import is_temporary
from tests.faults.arena import LOCAL, Arena, kill_all, named
from tests.faults.figures import Figures
from tests.integration.commands import LOOPBACK, Running, holds_a_draft, left_after, wait_for

# A node that says nothing for so long is given up; Dask looks as often, so this takes up to twice as long.
_GIVEN_UP_S = 5
_GIVEN_UP = "failed to heartbeat"
_NODES = 2
_ATTEMPTS = 3
# Of the time of an undisturbed build; with a cluster, the nodes make the first file after some seconds.
_SHARE = 0.4
_SETTLED_S = 30.0
_PATIENCE_S = 60.0
_QUIET = ("--dashboard-address", f"{LOOPBACK}:0")
_ROUTES = {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]", "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]"}
_SCHEDULER = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{_GIVEN_UP_S}s", **_ROUTES}


@dataclass
class _Cluster:
    """A Dask scheduler and the commands that play its nodes: each has a process group of its own."""

    arena: Arena
    scheduler: Running
    file: Path
    nodes: list[Running] = field(default_factory=list)

    def boot(self, threads: int, *options: str) -> Running:
        """Start another node."""
        where = ("--scheduler-file", self.file, "--host", LOOPBACK)
        command = ("dask", "worker", *where, "--nthreads", str(threads), *_QUIET, *options)
        self.nodes.append(self.arena.commands.start(*command, **_ROUTES))
        return self.nodes[-1]

    def drop(self, figures: Figures, what: str) -> None:
        """End all nodes, then the scheduler; nothing of them may live on."""
        for one in (*self.nodes, self.scheduler):
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGTERM)
            if left := left_after(_SETTLED_S, one.processes):
                figures.problem("orphan", f"{what}: {len(left)} processes of a node live on: {one.text()[-400:]}")
                kill_all(one)
            one.process.wait(_PATIENCE_S)


def lost(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Lose nodes in the middle of a build on a Dask cluster, for good or for a while; then run undisturbed without."""
    figures = Figures()
    if find_spec("distributed") is None:
        figures.note("lost nodes: Dask is not installed (pip install 'gcn-luigi[dask]'), so nothing was tried")
        return figures
    figures.note("lost nodes: process groups of one machine, which share its disk and its clock")
    kinds: list[str] = []
    for _ in range(count):
        kinds = kinds or rng.sample(sorted(_LOSSES), len(_LOSSES))
        kind = kinds.pop()
        wanted = figures.faults[kind] + 1
        # A build may end before its moment has come.
        for _ in range(_ATTEMPTS):
            _lost(arena, rng, figures, kind)
            if figures.faults[kind] >= wanted:
                break
    return figures


def _lost(arena: Arena, rng: random.Random, figures: Figures, kind: str) -> None:
    output = arena.fresh()
    with _cluster(arena, figures, kind) as cluster:
        for _ in range(_NODES):
            cluster.boot(rng.choice((1, 2)), "--no-nanny")
        running = arena.start(output, LOCAL, "--dask", str(cluster.file))
        if _LOSSES[kind](running, cluster, rng):
            figures.faults[kind] += 1
        ended = arena.ends(running, figures, kind)
        arena.honest(ended, output, figures, kind)
        if ended is not None and ended.code:
            # Fewer nodes are lost than Dask allows for one task.
            figures.problem("refused again", f"{kind}: exit {ended.code}: {ended.text[-800:]}")
        # A node that came back may still write, and then removes its draft.
        left = [node for node in cluster.nodes if left_after(_SETTLED_S, lambda one=node: _writers(one))]
        if left:
            figures.problem("hang", f"{kind}: a node still writes after the build: {left[0].text()[-400:]}")
        names = [path.name for path in output.rglob("*") if is_temporary(path)]
        if ended is not None and not ended.code and names:
            figures.problem("temporary file", f"{kind}: {named(names)}")
    arena.mends(output, figures, kind)
    arena.drop(output)


@contextmanager
def _cluster(arena: Arena, figures: Figures, what: str) -> Iterator[_Cluster]:
    """Run a scheduler for a block, and see that the nodes end with it."""
    file = arena.fresh() / "scheduler.json"
    where = ("--host", LOOPBACK, "--port", "0", "--scheduler-file", file)
    cluster = _Cluster(arena, arena.commands.start("dask", "scheduler", *where, *_QUIET, **_SCHEDULER), file)
    wait_for(file.exists)
    try:
        yield cluster
    finally:
        cluster.drop(figures, what)
        arena.drop(file.parent)


def _writers(node: Running) -> list[psutil.Process]:
    """Return the processes of a node that hold a draft open: they make a file, and have published nothing yet."""
    return [process for process in node.processes() if holds_a_draft(process)]


def _at_any_moment(running: Running, cluster: _Cluster, rng: random.Random) -> Running | None:
    """Wait until a random moment of the build; return a node, or None if the build has ended."""
    wait_for(lambda: running.process.poll() is not None or any(map(_children, cluster.nodes)))
    _sleep(running, rng.uniform(0.0, _SHARE * cluster.arena.seconds))
    return None if running.process.poll() is not None else rng.choice(cluster.nodes)


def _while_it_writes(running: Running, cluster: _Cluster, rng: random.Random) -> Running | None:
    """Wait until a node writes a file, from a random moment on; return it, or None if the build ended before."""
    _at_any_moment(running, cluster, rng)
    found: list[Running] = []

    def is_found() -> bool:
        found.extend(node for node in cluster.nodes if _writers(node))
        return bool(found) or running.process.poll() is not None

    wait_for(is_found, pause=0.01)
    return found[0] if found else None


def _children(node: Running) -> list[psutil.Process]:
    return [process for process in node.processes() if process.pid != node.process.pid]


def _sleep(running: Running, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while running.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def _kill(node: Running) -> None:
    os.killpg(node.process.pid, signal.SIGKILL)


def _stop(node: Running, cluster: _Cluster, rng: random.Random) -> bool:
    """Stop a node until the scheduler has given it up, and perhaps longer; return whether it wrote and was given up."""
    os.killpg(node.process.pid, signal.SIGSTOP)
    wrote = bool(_writers(node))
    wait_for(lambda: _GIVEN_UP in cluster.scheduler.text())
    time.sleep(rng.uniform(0.0, 5.0))
    return wrote


def _killed_at_any_moment(running: Running, cluster: _Cluster, rng: random.Random) -> bool:
    node = _at_any_moment(running, cluster, rng)
    if node is None:
        return False
    _kill(node)
    if rng.random() < 0.5:
        cluster.boot(1)
    return True


def _killed_while_it_writes(running: Running, cluster: _Cluster, rng: random.Random) -> bool:
    node = _while_it_writes(running, cluster, rng)
    if node is None:
        return False
    _kill(node)
    return True


def _all_killed(running: Running, cluster: _Cluster, rng: random.Random) -> bool:
    """Kill all nodes at once; later another one comes."""
    if _while_it_writes(running, cluster, rng) is None:
        return False
    for node in cluster.nodes:
        _kill(node)
    _sleep(running, rng.uniform(0.0, 3.0))
    cluster.boot(2)
    return True


def _stopped(running: Running, cluster: _Cluster, rng: random.Random, *, writes_first: bool = False) -> bool:
    """Stop a node until it is given up; then all of it goes on.

    If `writes_first`, what it was making is published before the node itself hears that it was given up.
    """
    node = _while_it_writes(running, cluster, rng)
    if node is None:
        return False
    is_given_up = _stop(node, cluster, rng)
    if writes_first:
        for process in _children(node):
            process.send_signal(signal.SIGCONT)
        left_after(_PATIENCE_S, lambda: _writers(node))
    os.killpg(node.process.pid, signal.SIGCONT)
    return is_given_up


_LOSSES: dict[str, Callable[[Running, _Cluster, random.Random], bool]] = {
    "node killed at any moment": _killed_at_any_moment,
    "node killed while it writes": _killed_while_it_writes,
    "all nodes killed, then another comes": _all_killed,
    "node stopped until given up, then back": _stopped,
    "node stopped until given up, then back and writes": partial(_stopped, writes_first=True),
}
