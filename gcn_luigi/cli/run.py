"""`gcn run`: build a region and show how far it is."""

import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.luigi_setup import configure_luigi
from gcn_luigi.cli.options import (
    BuildOptions,
    build_options,
    region_file,
    region_options,
    shared_options,
    task_parameters,
)
from gcn_luigi.cli.stopping import telling_what_is_kept
from gcn_luigi.cli.terminal import watching
from gcn_luigi.config import load_region
from gcn_luigi.io.shard.codecs import check_codec
from gcn_luigi.luigi_host.cfg_files import shipped_cfg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcn_luigi.operate.build import BuildResult

# As Luigi's own code for tasks that were not run.
_NOT_RUN = 25


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
    build_region(region_file(region, config_dir), output, data_root, build_options(**options))


def build_region(path: Path, output: Path, data_root: Path | None, options: BuildOptions) -> None:
    """Build the region that `path` configures and leave with Luigi's exit code if that fails.

    Parameters
    ----------
    path : Path
        The TOML file.
    output : Path
        Datasets go below it.
    data_root : Path or None
        In place of the file's own.
    options : BuildOptions
        Processes, memory, scheduler.

    Raises
    ------
    ConfigError, SchedulerError
        A setting cannot be used; or the scheduler does not answer, or is not to be trusted.
    """
    region = load_region(path, data_root)
    region.check_sources()
    check_codec(region.settings.shards.codec)
    # A bad configuration is told before Luigi is even loaded.
    configure_luigi()
    from gcn_luigi.luigi_host.memory_limit import share_mb  # noqa: PLC0415
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.operate.luigid import central_scheduler, running_scheduler  # noqa: PLC0415
    from gcn_luigi.operate.repair import sweep_drafts, void_damaged  # noqa: PLC0415
    from gcn_luigi.report.served.server import serve_pages  # noqa: PLC0415
    from gcn_luigi.stages.dataset.warnings import dataset_warnings  # noqa: PLC0415
    from gcn_luigi.tasks import Dataset  # noqa: PLC0415

    memory_mb = share_mb(options.workers) if options.memory_mb is None else options.memory_mb
    root = Dataset(**task_parameters(region, path, output, data_root), memory_mb=memory_mb)
    sweep_drafts(root)
    if options.deep:
        for damaged in void_damaged(root):
            click.echo(f"damaged, will be made anew: {damaged}", err=True)
    scheduler: AbstractContextManager[str | None] = nullcontext()
    if options.scheduler_url is not None:
        scheduler = nullcontext(running_scheduler(options.scheduler_url, is_trusted=options.is_trusted))
    elif options.port is not None:
        scheduler = central_scheduler(options.port, output.resolve() / ".scheduler", shipped_cfg())
    with telling_what_is_kept(root), scheduler as address, ExitStack() as open_:
        if address is not None:
            pages = open_.enter_context(serve_pages({root.region: root.paths}))
            root = root.clone(Dataset, pages_url=pages)
            click.echo(
                f"graph, while this runs: {address}/static/visualiser/index.html#tab=graph&taskId={root.task_id}"
            )
        with watching() as watch:
            # A scheduler that was named is meant; one that another run started here may end with that run.
            goes_on = options.scheduler_url is None
            result = build([root], workers=options.workers, address=address, watch=watch, goes_on=goes_on)
    if result.exit_code == 0 and not root.complete():
        click.echo(
            "not finished: sources or settings changed meanwhile, or another run builds this dataset with settings of "
            "its own. Let it end, then run again.",
            err=True,
        )
        sys.exit(_NOT_RUN)
    if not result.exit_code:
        tell_warnings(dataset_warnings(region.settings, root.paths))
    _tell(result, root.paths.root)


def tell_warnings(warnings: "Iterable[str]") -> None:
    """Say what a person should know about a dataset, one line each."""
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def tell_failures(result: "BuildResult") -> None:
    """Say which tasks failed, and what each said."""
    for name, error in result.failures.items():
        click.echo(f"failed: {name}\n{error.strip()}\n", err=True)


def _tell(result: "BuildResult", directory: Path) -> None:
    tell_failures(result)
    if result.exit_code:
        click.echo(f"not finished: {len(result.built)} tasks built. {_advice(result)}", err=True)
        sys.exit(result.exit_code)
    if result.lost_scheduler:
        click.echo("the scheduler ended meanwhile; the rest was built without its page", err=True)
    built = f"{len(result.built)} tasks built" if result.built else "nothing to build, all is up to date"
    if result.built_elsewhere:
        built = f"{len(result.built)} tasks built, {len(result.built_elsewhere)} more by another run"
    click.echo(f"done: {built}\ndataset: {directory}\nreport:  {directory / 'report.html'}")


def _advice(result: "BuildResult") -> str:
    if result.failures:
        return "Mend what is named above and run again."
    return (
        "The scheduler granted nothing more: something else it runs takes all it may run at once, or another run on it "
        "stopped here. Run again."
    )
