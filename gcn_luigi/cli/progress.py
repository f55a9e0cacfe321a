"""How a build is shown: a live bar in a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from gcn_luigi.tasks.build import Progress as BuildProgress

Watch = Callable[["BuildProgress"], None]


@contextmanager
def watching() -> Iterator[Watch]:
    """Yield a function that shows a moment of a build."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("scheduling", total=None)

        def watch(moment: "BuildProgress") -> None:
            running = ", ".join(moment.running) or "waiting"
            bar.update(shown, description=running[:60], completed=_done(moment), total=_total(moment))

        yield watch


def _plain_lines() -> Watch:
    last = [-1]

    def watch(moment: "BuildProgress") -> None:
        done = _done(moment)
        if done != last[0]:
            last[0] = done
            click.echo(f"{done} of {_total(moment)} tasks; running: {', '.join(moment.running) or 'none'}", err=True)

    return watch


def _done(moment: "BuildProgress") -> int:
    return moment.counts.get("DONE", 0)


def _total(moment: "BuildProgress") -> int:
    return sum(moment.counts.values())
