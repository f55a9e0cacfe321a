"""Contestants take turns (A B C A B C ...), so that what else the machine does falls on all alike."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Contestant:
    """One program of a race.

    Attributes
    ----------
    name : str
        Unique in its race.
    run : callable
        Does the work that is timed; returns how many units were done: chips, bytes. A program in a process of its
        own times itself and returns a `Sample`.
    before, after : callable
        Not timed: what must be there for each run, and cleaning up.
    """

    name: str
    run: Callable[[], "float | Sample"]
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Sample:
    """One run: units done, wall seconds, and processor seconds where they are known."""

    units: float
    seconds: float
    cpu_seconds: float | None

    @property
    def rate(self) -> float:
        """Units a second of wall clock."""
        return self.units / self.seconds


@dataclass(frozen=True)
class Ratio:
    """How many times faster one contestant was: median over rounds, and quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Race:
    """The samples of all contestants, round by round."""

    samples: dict[str, list[Sample]]

    def rate(self, name: str) -> float:
        """Return the median rate of a contestant."""
        return statistics.median(sample.rate for sample in self.samples[name])

    def ratio(self, ours: str, reference: str) -> Ratio:
        """Return the median over rounds of the ratio of two rates of the same round."""
        pairs = zip(self.samples[ours], self.samples[reference], strict=True)
        return ratio_of([a.rate / b.rate for a, b in pairs])

    def plain(self, *names: str) -> dict[str, list[dict[str, Any]]]:
        """Return the samples of `names` for JSON."""
        return {name: [asdict(sample) for sample in self.samples[name]] for name in names}


def ratio_of(values: Sequence[float]) -> Ratio:
    """Return median and quartiles; both quartiles are the value itself where there is one only."""
    if len(values) == 1:
        return Ratio(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(median, low, high)


def race(contestants: Sequence[Contestant], rounds: int, *, warm_up: bool = True) -> Race:
    """Let all contestants run in turns.

    Parameters
    ----------
    contestants : sequence of Contestant
        With unique names.
    rounds : int
        Samples of each.
    warm_up : bool
        Whether a first round is thrown away.

    Returns
    -------
    Race
        `rounds` samples of each contestant.
    """
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for number in range(-1 if warm_up else 0, rounds):
        for contestant in contestants:
            sample = _timed(contestant)
            if number >= 0:
                samples[contestant.name].append(sample)
    return Race(samples)


def _timed(contestant: Contestant) -> Sample:
    contestant.before()
    # Neither the garbage nor the unwritten pages of the one before are this one's affair.
    gc.collect()
    os.sync()
    wall, cpu = time.perf_counter(), time.process_time()
    done = contestant.run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    contestant.after()
    return done if isinstance(done, Sample) else Sample(done, wall, cpu)
