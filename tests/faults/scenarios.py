"""The list of scenarios. Each is a function of an arena, a generator of random numbers and a count."""

import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import clock, damage, disk, inputs, kills, same_bytes, together
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
    """Return all scenarios, those of optional modules last."""
    return (
        Scenario("kills", kills.kills, jobs=18, quick_jobs=1),
        Scenario("signals", kills.signals, jobs=6, quick_jobs=0),
        Scenario("disk full", disk.full, jobs=4, quick_jobs=1, count=2),
        Scenario("read-only output", disk.read_only, jobs=1, quick_jobs=0),
        Scenario("damaged outputs", damage.damaged, jobs=8, quick_jobs=1, count=40, quick_count=8),
        Scenario("two builds at once", together.two_builds, jobs=3, quick_jobs=0),
        Scenario("clock jumps", clock.jumps, jobs=2, quick_jobs=0),
        Scenario("strange times", clock.strange_times, jobs=1, quick_jobs=0),
        Scenario("inputs changed meanwhile", inputs.changed, jobs=10, quick_jobs=0),
        Scenario("same bytes", same_bytes.same_bytes, jobs=8, quick_jobs=1),
        *_optional(),
    )


def _optional() -> tuple[Scenario, ...]:
    """Return the scenarios of modules that may not be there: their place is here."""
    found = []
    for name, module, function, count in (
        # fuzz.fuzz(arena, rng, count): mutated sources; flips.flips(arena, rng, count): flipped bits and --deep.
        ("fuzz", "tests.faults.fuzz", "fuzz", 25),
        ("bit flips", "tests.faults.flips", "flips", 20),
    ):
        if importlib.util.find_spec(module) is not None:
            chosen = getattr(importlib.import_module(module), function)
            found.append(Scenario(name, chosen, jobs=4, quick_jobs=1, count=count, quick_count=2))
    return tuple(found)
