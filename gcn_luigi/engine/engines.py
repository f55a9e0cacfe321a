"""What makes a task's files: `Here` this process, or a cluster. The module that knows Dask is imported on request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol

from gcn_luigi.engine.place import LocalPlace, Place, SlurmPlace, place_of
from gcn_luigi.errors import ConfigError


class Engine(Protocol):
    """Makes tasks, several at a time."""

    def make(self, task: Any) -> None:
        """Make the files of a RegionTask; raise what went wrong."""

    def slots(self) -> int:
        """Return how many tasks it makes at the same time, now or as soon as its nodes have come."""

    def cancel(self, task: Any) -> None:
        """Stop making a task."""


class Here:
    """The process that runs a task makes its files."""

    def make(self, task: Any) -> None:
        """Make the files of a RegionTask in this process."""
        task.make_here()

    def slots(self) -> int:
        """Return 1."""
        return 1

    def cancel(self, task: Any) -> None:
        """Do nothing: whoever runs the process ends it."""
        del task


@contextmanager
def engine_on(place: Place, *, memory_mb: int = 0, notice: Callable[[str], None] | None = None) -> Iterator[Engine]:
    """Start or join a cluster for a block; raise ClusterError or ConfigError if that is not possible.

    `memory_mb` limits the memory of each task, in addition to what its node allows. `notice` hears now and then what
    the tasks wait for, such as jobs in a queue.
    """
    needed = ("distributed", "dask_jobqueue") if isinstance(place, SlurmPlace) else ("distributed",)
    for library in needed:
        if find_spec(library) is None:
            raise ConfigError(
                f"{library} is not installed, which runs tasks on a cluster",
                where=place.shown,
                fix="pip install 'gcn-luigi[dask]', here and on the nodes",
            )
    from gcn_luigi.engine.cluster import Cluster  # noqa: PLC0415

    with Cluster.at(place, memory_mb=memory_mb, notice=notice) as cluster:
        yield cluster


@contextmanager
def engine_at(text: str, *, memory_mb: int, is_trusted: bool) -> Iterator[Engine]:
    """Join the running cluster that luigi.cfg names, for one task of the plain `luigi` command."""
    place = place_of(text, is_trusted=is_trusted)
    if isinstance(place, LocalPlace):
        raise ConfigError(
            "each task of the `luigi` command would start a cluster of its own",
            where=f"[gcn] dask = {text}",
            fix=f"use `gcn run --dask {text}`, or start a Dask scheduler and give its address or scheduler file",
        )
    with engine_on(place, memory_mb=memory_mb) as engine:
        yield engine
