"""`gcn import-params`: the published workflow's params file as a region's TOML file."""

from pathlib import Path

import click

from gcn_luigi.params import import_params as toml_of


@click.command()
@click.argument("params", type=click.Path(path_type=Path))
@click.option("--region", required=True, help="Name of the region, and of the TOML file.")
def import_params(*, params: Path, region: str) -> None:
    """Print the TOML file of a region, made from PARAMS, the JSON file of the published scripts.

    What that file does not say is marked; what has no counterpart is listed at the end.

    \b
    Example:
      gcn import-params params.json --region southern > config/southern.toml
    """  # noqa: D301  click reads the control character
    click.echo(toml_of(params, region), nl=False)
