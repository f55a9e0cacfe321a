"""`gcn report` and `gcn grids`: the quality page of a dataset, and the page that compares grid sizes."""

import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.options import dataset_task, output_option, region_file, region_options
from gcn_luigi.cli.run import NOT_RUN, exit_if_failed
from gcn_luigi.cli.stopping import say_what_is_kept
from gcn_luigi.errors import InputError


@click.command()
@region_options
@output_option
@click.option("--again", is_flag=True, help="Redraw the page even if it is up to date, to show the last build's times.")
@click.option("--open", "shows", is_flag=True, help="Open the page in the browser.")
@click.option("--serve", is_flag=True, help="Serve the page, catalog and shards on this machine until Ctrl-C.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port for --serve.  [default: any free port]")
def report(*, region: str, config_dir: Path, data_root: Path | None, output: Path, **how: Any) -> None:
    """Bring the quality page of REGION up to date and print its path. The dataset itself must be finished.

    On a machine without a screen, --serve prints an address. To open it on your own machine, first run
    `ssh -N -L PORT:127.0.0.1:PORT HOST` there.

    \b
    Example:
      gcn report columbia --open
      gcn report columbia --serve --port 8083
    """  # noqa: D301  click reads the control character
    root = dataset_task(region_file(region, config_dir), output, data_root)
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.tasks import QualityReport  # noqa: PLC0415

    task = root.clone(QualityReport)
    if any(not required.complete() for required in task.requires()):
        raise InputError(
            "the files that the page shows are not finished, or not up to date",
            where=str(root.paths.root),
            fix=f"build it first: gcn run {region}; gcn status {region} says what is missing",
        )
    if how["again"]:
        for target in task.targets():
            target.sidecar.unlink(missing_ok=True)
    result = build([task], workers=1, address=None)
    exit_if_failed(result)
    click.echo(f"{'drawn' if result.built else 'up to date'}: {root.paths.report}")
    if how["serve"]:
        _serve(root, how["port"], shows=how["shows"])
    elif how["shows"]:
        webbrowser.open(root.paths.report.as_uri())


def _serve(root: Any, port: int, *, shows: bool) -> None:
    from gcn_luigi.prepare.appearance import shown_names  # noqa: PLC0415
    from gcn_luigi.report.served.server import serve_pages  # noqa: PLC0415

    settings = root.configured.settings
    composite = shown_names(settings.schema_bands.image, settings.report.composite or ())
    with serve_pages(root.paths, port, composite) as pages:
        address = f"{pages}/{root.paths.root.name}/"
        click.echo(f"pages, until Ctrl-C: {address}")
        click.echo(f"to link these pages from Luigi's page, set pages_url = {pages} in section [gcn] of luigi.cfg")
        if shows:
            webbrowser.open(address)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("ended", err=True)


@click.command()
@region_options
@output_option
@click.option("--workers", "-w", default=2, show_default=True, type=click.IntRange(1), help="Number of processes.")
def grids(*, region: str, config_dir: Path, data_root: Path | None, output: Path, workers: int) -> None:
    """Compare cells of 128, 256 and 512 px in REGION: glacier share of train and dev, chips, area.

    The command writes grids.html into the dataset's directory. It builds the label and the catalog if they are missing,
    but no shards. The dataset and its manifest stay as they are.

    \b
    Example:
      gcn grids columbia
    """  # noqa: D301  click reads the control character
    root = dataset_task(region_file(region, config_dir), output, data_root, is_built=True)
    from gcn_luigi.luigi_host.memory_limit import share_mb  # noqa: PLC0415
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.tasks import GridReport  # noqa: PLC0415

    task = root.clone(GridReport, memory_mb=share_mb(workers))
    with say_what_is_kept(task):
        result = build([task], workers=workers, address=None)
    exit_if_failed(result, "not finished: fix the errors above and run again")
    if not task.complete():
        click.echo("not finished: sources or settings changed during the run; run again", err=True)
        sys.exit(NOT_RUN)
    click.echo(str(task.paths.grids))
