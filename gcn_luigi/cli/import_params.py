"""The command `gcn import-params`."""

from pathlib import Path

import click

from gcn_luigi.params import import_params as toml_of


@click.command()
@click.argument("params", type=click.Path(path_type=Path))
@click.option("--region", required=True, help="Name of the region and of its TOML file.")
def import_params(*, params: Path, region: str) -> None:
    """Print a region's TOML file, made from PARAMS, the JSON file of the published scripts.

    Settings that PARAMS does not contain are marked. Keys without a counterpart are listed at the end.

    \b
    Example:
      gcn import-params params.json --region southern > config/southern.toml
    """  # noqa: D301  click reads the control character
    click.echo(toml_of(params, region), nl=False)
