"""The `gcn` command."""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.check_split import check_split
from gcn_luigi.cli.clean import clean
from gcn_luigi.cli.completion import completion
from gcn_luigi.cli.convert import convert
from gcn_luigi.cli.demo import demo
from gcn_luigi.cli.doctor import doctor
from gcn_luigi.cli.export import export
from gcn_luigi.cli.grids import grids
from gcn_luigi.cli.import_params import import_params
from gcn_luigi.cli.plan import plan
from gcn_luigi.cli.report import report
from gcn_luigi.cli.run import run
from gcn_luigi.cli.status import status, why
from gcn_luigi.cli.terminal.stopping import STOPPED, Interrupts
from gcn_luigi.cli.upgrade_config import upgrade_config
from gcn_luigi.cli.validate import validate
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.gdal_environment import set_aside, told
from gcn_luigi.version import __version__

_DEBUG = "--debug"
_DEBUG_HELP = "Show the traceback of a failure."


class _Commands(click.Group):
    """Commands that understand ``--debug``, too: who sees a failure adds it at the end of the line."""

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


cli.add_command(run)
cli.add_command(plan)
cli.add_command(report)
cli.add_command(status)
cli.add_command(why)
cli.add_command(validate)
cli.add_command(check_split)
cli.add_command(clean)
cli.add_command(grids)
cli.add_command(convert)
cli.add_command(export)
cli.add_command(demo)
cli.add_command(doctor)
cli.add_command(import_params)
cli.add_command(upgrade_config)
cli.add_command(completion)


def main() -> None:
    """Run the command; a failure is told in three lines, with a traceback only where --debug is given."""
    try:
        with Interrupts():
            _ignore_gdal_settings()
            cli(standalone_mode=True)
    except GcnLuigiError as error:
        _tell(str(error))
    # A fault of ours: told as plainly, and where to look.
    except Exception as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(str(error).split())
        where = f"{Path(place.filename).name}, line {place.lineno}, in {place.name}"
        fix = f"this was not foreseen: report it with what {_DEBUG} and `gcn doctor` say"
        _tell(f"{type(error).__name__}: {what}\n  where: {where}\n  fix:   {fix}")


def _ignore_gdal_settings() -> None:
    ignored = set_aside()
    # A shell that completes a line shows what is written here in the middle of it.
    if ignored and "_GCN_COMPLETE" not in os.environ:
        click.echo(told(ignored), err=True)


def _tell(message: str) -> None:
    if _DEBUG in sys.argv:
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    sys.exit(1)
