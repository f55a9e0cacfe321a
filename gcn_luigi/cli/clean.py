"""`gcn clean`: remove what a dataset's directory holds and does not need."""

import json
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.options import LOCAL_PATH, region_file, region_options
from gcn_luigi.cli.status import dataset_task


@click.command()
@region_options
@click.option("--output", "-o", default="output", show_default=True, type=LOCAL_PATH, help="Where datasets lie.")
@click.option("--all", "everything", is_flag=True, help="The dataset itself, too.")
@click.option("--yes", is_flag=True, help="Remove; without it the files are only listed.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def clean(*, region: str, output: Path, everything: bool, yes: bool, as_json: bool, **where: Any) -> None:
    """List what is left over in the dataset of REGION: files of earlier configurations, drafts of killed builds.

    Only files that gcn_luigi made, and that nobody changed since, are listed; links are never followed. With --yes they
    are removed.

    JSON keys: dataset, removable and kept (path, why), bytes, removed (how many files; null without --yes).

    \b
    Example:
      gcn clean columbia --yes
    """  # noqa: D301  click reads the control character
    root = dataset_task(region_file(region, where["config_dir"]), output, where["data_root"])
    from gcn_luigi.operate.leftovers import find_leftovers, remove_leftovers  # noqa: PLC0415
    from gcn_luigi.operate.on_request import on_request  # noqa: PLC0415

    found = find_leftovers(root, on_request(root), everything=everything)
    size = sum(leftover.path.stat().st_size for leftover in found.removable if leftover.path.exists())
    if as_json:
        told = {
            name: [{"path": str(leftover.path), "why": leftover.why} for leftover in leftovers]
            for name, leftovers in (("removable", found.removable), ("kept", found.kept))
        }
        removed = remove_leftovers(root, found) if yes else None
        said = {"dataset": str(root.paths.root), **told, "bytes": size, "removed": removed}
        click.echo(json.dumps(said, indent=1))
        return
    for leftover in found.kept:
        click.echo(f"kept: {leftover.path}: {leftover.why}", err=True)
    for leftover in found.removable:
        click.echo(f"{leftover.path}: {leftover.why}")
    if not found.removable:
        click.echo("nothing to remove")
    elif yes:
        click.echo(f"removed: {remove_leftovers(root, found)} files, {size / 1e6:,.1f} MB")
    else:
        click.echo(f"would remove {len(found.removable)} files, {size / 1e6:,.1f} MB; say --yes to do it")
