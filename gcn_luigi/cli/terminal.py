"""What a command shows while it works: live bars in a terminal, and plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress as Bar
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from gcn_luigi.operate.progress import Progress, Running
    from gcn_luigi.stages import Say

Watch = Callable[["Progress"], None]

_BAR = 24
# After this time without a finished task, the log shows that the build is still working.
_QUIET_S = 60.0
# Least seconds between two lines about the progress of work that is no build. Quick work says nothing.
_LINE_S = 10.0


@contextmanager
def progress_bar() -> Iterator["Say"]:
    """Yield a function that shows a message and the completed fraction: a bar, or now and then a line in a log."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _spoken_now_and_then()
        return
    with Bar(console=console, transient=True) as bar:
        shown = bar.add_task("", total=1.0)
        yield lambda message, share: bar.update(shown, description=message, completed=share)


@contextmanager
def watching(console: Console | None = None) -> Iterator[Watch]:
    """Yield a function that shows the progress of a build on `console`, by default standard error."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines()
        return
    began = time.monotonic()
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda moment: live.update(moment_view(moment, time.monotonic() - began))


def moment_view(moment: "Progress", elapsed: float) -> Group:
    """Return what a terminal shows `elapsed` seconds after a build began: a bar for it, and one per running task."""
    done, total = moment.counts.get("DONE", 0), sum(moment.counts.values())
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
    """Return a duration in readable form.

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


def _spoken_now_and_then() -> "Say":
    """Return a function that writes a message to the log if the last one, or the start, is some seconds ago."""
    last_time = time.monotonic()

    def say(message: str, share: float) -> None:
        nonlocal last_time
        now = time.monotonic()
        if now - last_time >= _LINE_S:
            last_time = now
            click.echo(f"{message} ({share:.0%})", err=True)

    return say


def notices() -> Callable[[str], None] | None:
    """Return a function that writes what a build waits for to a log; None in a terminal, where its tasks show that."""
    if Console(stderr=True).is_terminal:
        return None
    return lambda text: click.echo(text, err=True)


def watch_with(say: "Say") -> Watch:
    """Return a function that shows the progress of a build by `say`."""

    def watch(moment: "Progress") -> None:
        done, total = moment.counts.get("DONE", 0), sum(moment.counts.values())
        running = ", ".join(one.name for one in moment.running) or "none"
        say(f"preparing: {done} of {total} tasks; running: {running}", done / max(total, 1))

    return watch


def _plain_lines() -> Watch:
    last_done, last_time = -1, 0.0

    def watch(moment: "Progress") -> None:
        nonlocal last_done, last_time
        done, now = moment.counts.get("DONE", 0), time.monotonic()
        is_same = done == last_done
        if is_same and now - last_time < _QUIET_S:
            return
        last_done, last_time = done, now
        running = ", ".join(_detailed(one) if is_same else one.name for one in moment.running) or "none"
        left = "" if not moment.seconds_left else f"; about {duration(moment.seconds_left)} left"
        click.echo(f"{done} of {sum(moment.counts.values())} tasks; running: {running}{left}", err=True)

    return watch


def _detailed(one: "Running") -> str:
    return f"{one.name} ({one.message})" if one.message else one.name
