"""Options that send the heavy tasks of a build to a cluster."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.terminal import notices

if TYPE_CHECKING:
    from gcn_luigi.engine.engines import Engine
    from gcn_luigi.engine.place import Place


def cluster_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a cluster."""
    for option in (
        click.option(
            "--slurm-options",
            default="",
            metavar="NAME=VALUE,...",
            help="What a job asks for: partition, account, walltime, cores, memory, interface, log_directory; and as "
            "jobs, how many there may be at most. Section [slurm] of luigi.cfg has the same names.",
        ),
        click.option("--slurm", is_flag=True, help="Make the heavy tasks in jobs of SLURM that this command submits."),
        click.option(
            "--dask",
            metavar="ADDRESS|FILE|local[:N]",
            help="Make the heavy tasks on a Dask cluster: the address of its scheduler, its scheduler file, or local "
            "for N workers of this machine.",
        ),
    ):
        command = option(command)
    return command


def cluster_place(options: dict[str, Any], configured: str, output: Path, workers: int) -> "Place | None":
    """Return where the options, or [gcn] dask of luigi.cfg, say that the heavy tasks run; None for this process."""
    from gcn_luigi.engine.place import place_of, slurm_place  # noqa: PLC0415
    from gcn_luigi.luigi_host.cfg_files import section  # noqa: PLC0415

    given = options.get("dask")
    if options.get("slurm"):
        if given:
            raise click.UsageError("--dask and --slurm exclude each other: give one of them")
        return slurm_place(options["slurm_options"], section("slurm"), output.resolve() / ".slurm")
    if options.get("slurm_options"):
        raise click.UsageError("--slurm-options needs --slurm")
    text = given or configured
    return place_of(text, is_trusted=options["trust_network"], workers=workers) if text else None


@contextmanager
def cluster_engine(place: "Place | None", memory_mb: int | None) -> "Iterator[Engine | None]":
    """Start or join the cluster at `place` for a block; yield None if there is none."""
    if place is None:
        yield None
        return
    from gcn_luigi.engine.engines import engine_on  # noqa: PLC0415

    with engine_on(place, memory_mb=memory_mb or 0, notice=notices()) as engine:
        # What matters of a lost node or job is told by the build. Dask would add a traceback for each connection, also
        # while it closes.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        yield engine
