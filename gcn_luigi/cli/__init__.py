"""The `gcn` command."""

import sys
import traceback

import click

from gcn_luigi.cli.clean import clean
from gcn_luigi.cli.convert import convert
from gcn_luigi.cli.demo import demo
from gcn_luigi.cli.grids import grids
from gcn_luigi.cli.import_params import import_params
from gcn_luigi.cli.plan import plan
from gcn_luigi.cli.run import run
from gcn_luigi.cli.status import status, why
from gcn_luigi.cli.validate import validate
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gcn")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """Make training chips of glacier ice and debris, and check them."""
    context.obj = {"debug": debug}


cli.add_command(run)
cli.add_command(plan)
cli.add_command(status)
cli.add_command(why)
cli.add_command(validate)
cli.add_command(clean)
cli.add_command(grids)
cli.add_command(convert)
cli.add_command(demo)
cli.add_command(import_params)


def main() -> None:
    """Run the command; a deliberate failure is told in three lines, without a traceback."""
    try:
        cli(standalone_mode=True)
    except GcnLuigiError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
