"""The list of scenarios. Each is a function of an arena, a generator of random numbers and a count."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import broken, clock, damage, disk, inputs, kills, nodes, same_bytes, together
from tests.faults.arena import Arena
from tests.faults.figures import Figures

Function = Callable[[Arena, random.Random, int], Figures]


@dataclass(frozen=True)
class Scenario:
    """One kind of harm.

    Attributes
    ----------
    name : str
        As on the page and the command line.
    function : callable
        Does it `count` times and says what was found.
    jobs, quick_jobs : int
        Jobs of the long and the short form; each has its own seed.
    count : int
        What a job is asked for in the long form.
    quick_count : int
        What a job is asked for in the short form.
    """

    name: str
    function: Function
    jobs: int
    quick_jobs: int
    count: int = 1
    quick_count: int = 1


def scenarios() -> tuple[Scenario, ...]:
    """Return all scenarios."""
    return (
        Scenario("kills", kills.kills, jobs=14, quick_jobs=1),
        Scenario("signals", kills.signals, jobs=6, quick_jobs=0),
        Scenario("disk full", disk.full, jobs=4, quick_jobs=1, count=2),
        Scenario("read-only output", disk.read_only, jobs=1, quick_jobs=0),
        Scenario("damaged outputs", damage.damaged, jobs=8, quick_jobs=1, count=40, quick_count=8),
        Scenario("two builds at once", together.two_builds, jobs=3, quick_jobs=0),
        Scenario("node lost", nodes.lost, jobs=4, quick_jobs=1, count=5, quick_count=2),
        Scenario("clock jumps", clock.jumps, jobs=2, quick_jobs=0),
        Scenario("strange times", clock.strange_times, jobs=1, quick_jobs=0),
        Scenario("inputs changed meanwhile", inputs.changed, jobs=10, quick_jobs=0),
        Scenario("same bytes", same_bytes.same_bytes, jobs=8, quick_jobs=1),
        Scenario("flipped bits", broken.flipped, jobs=4, quick_jobs=0, count=250),
        Scenario("broken inputs", broken.fuzzed, jobs=8, quick_jobs=0, count=13),
    )
