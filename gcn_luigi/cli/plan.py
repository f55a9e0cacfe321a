"""`gcn plan`: what a region's dataset will hold and weigh."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcn_luigi.cli.luigi_setup import configure_luigi
from gcn_luigi.cli.options import region_file, region_options, task_parameters
from gcn_luigi.cli.run import tell_failures
from gcn_luigi.config import load_region

if TYPE_CHECKING:
    from gcn_luigi.settings import ShardSettings
    from gcn_luigi.stages.plan import Plan


@click.command()
@region_options
@click.option(
    "--output", "-o", default="output", show_default=True, type=click.Path(path_type=Path), help="Where datasets lie."
)
def plan(*, region: str, config_dir: Path, data_root: Path | None, output: Path) -> None:
    """Say how many chips REGION gives and what they weigh in either layout. No file of the dataset is written.

    The catalog of partitions is the dataset's where it is up to date; else one is made in a temporary directory.

    \b
    Example:
      gcn plan columbia
    """  # noqa: D301  click reads the control character
    path = region_file(region, config_dir)
    loaded = load_region(path, data_root)
    loaded.check_sources()
    configure_luigi()
    from gcn_luigi.stages.plan import plan_dataset  # noqa: PLC0415
    from gcn_luigi.tasks import PartitionCatalog  # noqa: PLC0415
    from gcn_luigi.tasks.build import build  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="gcn-plan-") as scratch:
        catalog = PartitionCatalog(**task_parameters(loaded, path, output, data_root))
        if not catalog.complete():
            catalog = PartitionCatalog(**task_parameters(loaded, path, Path(scratch), data_root))
            click.echo("making the catalog in a temporary directory", err=True)
            result = build([catalog], workers=1, address=None)
            if result.exit_code:
                tell_failures(result)
                sys.exit(result.exit_code)
        planned = plan_dataset(loaded.settings, catalog.layout)
    _show(planned, loaded.settings.shards)


def _show(plan: "Plan", shards: "ShardSettings") -> None:
    from gcn_luigi.stages.plan import TYPICAL_RATIO  # noqa: PLC0415

    codec = shards.codec
    for name, split in plan.splits.items():
        click.echo(
            f"{name}: {split.partitions:,} partitions, {split.candidates:,} chips cut, {split.chips:,} kept at most"
        )
    ratio = 1.0 if codec == "none" else TYPICAL_RATIO
    packed = "" if codec == "none" else f", about {{:,.1f}} MB with {codec}"
    for name, size in (("chips", plan.chips_bytes), ("windows", plan.windows_bytes)):
        click.echo(f"layout {name}: {size / 1e6:,.1f} MB of pixels" + packed.format(size / ratio / 1e6))
    repeated = plan.chips_bytes / plan.windows_bytes if plan.windows_bytes else 1.0
    click.echo(
        f"advised: layout {plan.advised} (as chips every pixel is stored {repeated:.1f} times); set: {shards.layout}"
    )
