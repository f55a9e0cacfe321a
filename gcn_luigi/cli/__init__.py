"""The `gcn` command."""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.completion import completion
from gcn_luigi.cli.datasets.autocorrelation import autocorrelation
from gcn_luigi.cli.datasets.check_split import check_split
from gcn_luigi.cli.datasets.export import convert, export
from gcn_luigi.cli.datasets.publish import publish
from gcn_luigi.cli.datasets.report import grids, report
from gcn_luigi.cli.datasets.validate import validate
from gcn_luigi.cli.doctor import doctor
from gcn_luigi.cli.init import init
from gcn_luigi.cli.plan import plan
from gcn_luigi.cli.run import demo, run
from gcn_luigi.cli.status import clean, status, why
from gcn_luigi.cli.terminal import STOPPED, interrupts
from gcn_luigi.cli.upgrade_config import upgrade_config
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.gdal import set_aside, told
from gcn_luigi.params import import_params as toml_of
from gcn_luigi.version import __version__

_DEBUG = "--debug"
_DEBUG_HELP = "Show the traceback of a failure."


class _Commands(click.Group):
    """Commands that understand ``--debug`` as well, so that users can append it after a failure."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.params.append(click.Option([_DEBUG], is_flag=True, expose_value=False, help=_DEBUG_HELP))
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C ends it with one plain line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            click.echo(str(stop) or "stopped", err=True)
            sys.exit(STOPPED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gcn")
@click.option(_DEBUG, is_flag=True, expose_value=False, help=_DEBUG_HELP)
def cli() -> None:
    """Make training chips of glacier ice and debris, and check them."""


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


for _command in (
    init, run, plan, report, status, why, validate, check_split, autocorrelation, clean, grids, convert, export,
    publish, demo, doctor, import_params, upgrade_config, completion,
):  # fmt: skip
    cli.add_command(_command)


def main() -> None:
    """Run the command; a failure is reported in three lines, and with a traceback only if --debug is given."""
    try:
        with interrupts():
            _ignore_gdal_settings()
            cli(standalone_mode=True)
    except GcnLuigiError as error:
        _exit(str(error))
    # A bug in this package: report it just as plainly, with its location.
    except Exception as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(str(error).split())
        where = f"{Path(place.filename).name}, line {place.lineno}, in {place.name}"
        fix = f"this is probably a bug: report it, with the output of {_DEBUG} and of `gcn doctor`"
        _exit(f"{type(error).__name__}: {what}\n  where: {where}\n  fix:   {fix}")


def _ignore_gdal_settings() -> None:
    ignored = set_aside()
    # While a shell completes a line, it would show this message in the middle of that line.
    if ignored and "_GCN_COMPLETE" not in os.environ:
        click.echo(told(ignored), err=True)


def _exit(message: str) -> None:
    if _DEBUG in sys.argv:
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    sys.exit(1)
