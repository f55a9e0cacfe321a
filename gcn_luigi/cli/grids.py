"""`gcn grids`: the page that compares grid sizes."""

import sys
from pathlib import Path

import click

from gcn_luigi.cli.luigi_setup import configure_luigi
from gcn_luigi.cli.options import LOCAL_PATH, region_file, region_options, task_parameters
from gcn_luigi.cli.run import tell_failures
from gcn_luigi.cli.stopping import telling_what_is_kept
from gcn_luigi.config import load_region

# As Luigi's own code for tasks that were not run.
_NOT_RUN = 25


@click.command()
@region_options
@click.option("--output", "-o", default="output", show_default=True, type=LOCAL_PATH, help="Datasets go below it.")
@click.option("--workers", "-w", default=2, show_default=True, type=click.IntRange(1), help="Processes.")
def grids(*, region: str, config_dir: Path, data_root: Path | None, output: Path, workers: int) -> None:
    """Compare cells of 128, 256 and 512 px in REGION: glacier share of train and dev, chips, ground.

    Writes grids.html beside the dataset and builds what that needs: label and catalog, no shards. The dataset and its
    seal stay as they are.

    \b
    Example:
      gcn grids columbia
    """  # noqa: D301  click reads the control character
    path = region_file(region, config_dir)
    configured = load_region(path, data_root)
    configured.check_sources()
    configure_luigi()
    from gcn_luigi.luigi_host.memory_limit import share_mb  # noqa: PLC0415
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.tasks import GridReport  # noqa: PLC0415

    task = GridReport(**task_parameters(configured, path, output, data_root), memory_mb=share_mb(workers))
    with telling_what_is_kept(task):
        result = build([task], workers=workers, address=None)
    tell_failures(result)
    if result.exit_code:
        click.echo("not finished: mend what is named above and run again", err=True)
        sys.exit(result.exit_code)
    if not task.complete():
        click.echo("not finished: sources or settings changed meanwhile; run again", err=True)
        sys.exit(_NOT_RUN)
    click.echo(str(task.paths.grids))
