"""How a build is shown: live bars in a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from gcn_luigi.operate.progress import Progress, Running

Watch = Callable[["Progress"], None]

_BAR = 24
# A log says that the build lives, even where nothing ends for long.
_QUIET_S = 60.0


@contextmanager
def watching(console: Console | None = None) -> Iterator[Watch]:
    """Yield a function that shows a moment of a build.

    Parameters
    ----------
    console : Console or None
        Where; None for standard error.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines()
        return
    began = time.monotonic()
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda moment: live.update(moment_view(moment, time.monotonic() - began))


def moment_view(moment: "Progress", elapsed: float) -> Group:
    """Return what a terminal shows: one bar for the build, and one with a line for each task that runs.

    Parameters
    ----------
    moment : Progress
        How far the build is.
    elapsed : float
        Seconds since it began.
    """
    done, total = n_done(moment), n_all(moment)
    whole = Table.grid(padding=(0, 1))
    left = "" if moment.seconds_left is None else f", about {duration(moment.seconds_left)} left"
    whole.add_row(
        ProgressBar(total=max(total, 1), completed=done, width=_BAR),
        Text(f"{done} of {total} tasks, {duration(elapsed)}{left}", style="bold"),
    )
    tasks = Table.grid(padding=(0, 1))
    for one in moment.running:
        share = 0.0 if one.share is None else one.share
        tasks.add_row(ProgressBar(total=1.0, completed=share, width=_BAR), Text(one.name), Text(one.message, "dim"))
    return Group(whole, tasks)


def duration(seconds: float) -> str:
    """Return a length of time for people.

    Examples
    --------
    >>> duration(4.4), duration(75), duration(3700), duration(90000)
    ('4 s', '1:15 min', '1:02 h', '25:00 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _plain_lines() -> Watch:
    told = {"done": -1, "at": 0.0}

    def watch(moment: "Progress") -> None:
        done, now = n_done(moment), time.monotonic()
        if done == told["done"] and now - told["at"] < _QUIET_S:
            return
        lives = done == told["done"]
        told.update(done=done, at=now)
        running = ", ".join(_detailed(one) if lives else one.name for one in moment.running) or "none"
        left = "" if not moment.seconds_left else f"; about {duration(moment.seconds_left)} left"
        click.echo(f"{done} of {n_all(moment)} tasks; running: {running}{left}", err=True)

    return watch


def _detailed(one: "Running") -> str:
    return f"{one.name} ({one.message})" if one.message else one.name


def n_done(moment: "Progress") -> int:
    """Return how many tasks are done."""
    return moment.counts.get("DONE", 0)


def n_all(moment: "Progress") -> int:
    """Return how many tasks the build has."""
    return sum(moment.counts.values())
