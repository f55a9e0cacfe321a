"""`gcn run`: build a region and show how far it is."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.progress import watching
from gcn_luigi.config import load_region

if TYPE_CHECKING:
    from gcn_luigi.config import Region
    from gcn_luigi.tasks.build import BuildResult


_PATH = click.Path(path_type=Path)


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `gcn run` and `gcn demo` share."""
    for option in (
        click.option("--local-scheduler", is_flag=True, help="Do without the scheduler's web page."),
        click.option(
            "--port",
            default=8082,
            show_default=True,
            type=click.IntRange(0, 65535),
            help="Scheduler's port on this machine; 0 takes any.",
        ),
        click.option("--workers", "-w", default=2, show_default=True, type=click.IntRange(1), help="Processes."),
        click.option("--output", "-o", default="output", show_default=True, type=_PATH, help="Datasets go below it."),
    ):
        command = option(command)
    return command


def region_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument and options that name a region, its settings and its sources."""
    for option in (
        click.option("--data-root", type=_PATH, help="Sources, in place of the TOML file's data_root."),
        click.option("--config-dir", default="config", show_default=True, type=_PATH, help="Where REGION.toml lies."),
        click.argument("region"),
    ):
        command = option(command)
    return command


def region_file(region: str, config_dir: Path) -> Path:
    """Return the TOML file that REGION means: itself, or the one of that name."""
    return Path(region) if region.endswith(".toml") else config_dir / f"{region}.toml"


def task_parameters(region: "Region", path: Path, output: Path, data_root: Path | None) -> dict[str, str]:
    """Return the parameters of a region's tasks; all paths absolute, for tasks run in other processes."""
    return {
        "region": region.settings.region,
        "output_root": str(output.resolve()),
        "config_dir": str(path.resolve().parent),
        "data_root": str(region.root) if data_root is not None else "",
    }


@click.command()
@region_options
@shared_options
@click.option("--deep", is_flag=True, help="First read every finished file, and make those anew whose bytes changed.")
def run(*, region: str, config_dir: Path, data_root: Path | None, output: Path, **options: Any) -> None:
    """Build the dataset of REGION: a name in the config directory, or a TOML file.

    Nothing is built twice: run it again after a failure, or after a change, and only what is missing is made. A
    finished file that somebody wrote to is made anew. Bits that a disk lost by itself are found by --deep.

    \b
    Example:
      gcn run columbia --workers 2
    """  # noqa: D301  click reads the control character
    build_region(region_file(region, config_dir), output, data_root, **build_options(**options))


def build_options(*, workers: int, port: int, local_scheduler: bool, deep: bool = False) -> dict[str, Any]:
    """Return what `shared_options` parsed as arguments of `build_region`."""
    return {"workers": workers, "port": None if local_scheduler else port, "deep": deep}


def build_region(
    path: Path, output: Path, data_root: Path | None, *, workers: int, port: int | None, deep: bool = False
) -> None:
    """Build the region that `path` configures and leave with Luigi's exit code if that fails.

    Parameters
    ----------
    path : Path
        The TOML file.
    output : Path
        Datasets go below it.
    data_root : Path or None
        In place of the file's own.
    workers : int
        Processes.
    port : int or None
        Of the scheduler on this machine; None keeps it in this process.
    deep : bool
        Compare the bytes of all finished files with their digests first.
    """
    region = load_region(path, data_root)
    region.check_sources()
    # A bad configuration is told before Luigi is even loaded.
    configure_luigi()
    from gcn_luigi.tasks import Dataset  # noqa: PLC0415
    from gcn_luigi.tasks.build import build  # noqa: PLC0415
    from gcn_luigi.tasks.central import central_scheduler  # noqa: PLC0415
    from gcn_luigi.tasks.repair import sweep_drafts, void_damaged  # noqa: PLC0415

    root = Dataset(**task_parameters(region, path, output, data_root))
    sweep_drafts(root)
    if deep:
        for damaged in void_damaged(root):
            click.echo(f"damaged, will be made anew: {damaged}", err=True)
    scheduler: AbstractContextManager[str | None] = nullcontext()
    if port is not None:
        scheduler = central_scheduler(port, output.resolve() / ".scheduler", _luigi_cfg())
    with scheduler as address:
        if address is not None:
            click.echo(
                f"graph, while this runs: {address}/static/visualiser/index.html#tab=graph&taskId={root.task_id}"
            )
        with watching() as watch:
            result = build([root], workers=workers, address=address, watch=watch)
    _tell(result, root.layout.root)


def tell_failures(result: "BuildResult") -> None:
    """Say which tasks failed, and what each said."""
    for name, error in result.failures.items():
        click.echo(f"failed: {name}\n{error.strip()}\n", err=True)


def _tell(result: "BuildResult", directory: Path) -> None:
    tell_failures(result)
    if result.exit_code:
        click.echo(f"not finished: {len(result.built)} tasks built. {_advice(result)}", err=True)
        sys.exit(result.exit_code)
    built = f"{len(result.built)} tasks built" if result.built else "nothing to build, all is up to date"
    click.echo(f"done: {built}\ndataset: {directory}\nreport:  {directory / 'report.html'}")


def _advice(result: "BuildResult") -> str:
    if result.failures:
        return "Mend what is named above and run again."
    return (
        "The scheduler granted nothing more: another run builds the same dataset, or was killed within the last two "
        "minutes. Wait, then run again."
    )


def _luigi_cfg() -> Path:
    return Path(str(files("gcn_luigi") / "luigi.cfg")).resolve()


def configure_luigi() -> None:
    """Give Luigi its settings, before it is imported."""
    # Set before Luigi is imported, and inherited by its workers.
    if "LUIGI_CONFIG_PATH" not in os.environ and not Path("luigi.cfg").is_file():
        os.environ["LUIGI_CONFIG_PATH"] = str(_luigi_cfg())
    os.environ["GCN_QUIET_WORKERS"] = "1"
    # The scheduler is on this machine, whatever proxy leads out of it.
    direct = {os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")} - {""}
    os.environ["no_proxy"] = ",".join(sorted({*direct, "127.0.0.1"}))
    logging.getLogger("luigi-interface").addHandler(logging.NullHandler())
    logging.getLogger("luigi").addHandler(logging.NullHandler())
