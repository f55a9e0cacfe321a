"""The `gcn` command. The module of a command is imported when it is needed, so that short ones answer at once."""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from gcn_luigi.cli.stopping import STOPPED, interrupts
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.gdal import set_aside, told
from gcn_luigi.version import __version__

_DEBUG = "--debug"
_DEBUG_HELP = "Show the traceback of a failure."
# The module of each command, relative to this package, and what the list of commands says about it.
_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "init": ("init", "Look at files of your own and write a first TOML file for them."),
    "run": ("run", "Build the dataset of a region."),
    "plan": ("plan", "Show what a build would run, and how many chips and bytes it would give."),
    "report": ("datasets.report", "Bring the quality page of a region up to date and print its path."),
    "status": ("status", "Show which files are current, which will be built, and why."),
    "why": ("status", "Explain why a task or file would be rebuilt."),
    "validate": ("datasets.validate", "Check every file, digest, shape and index row of a dataset."),
    "check-split": ("datasets.check_split", "Measure what every two splits share."),
    "autocorrelation": ("datasets.autocorrelation", "Measure how far bands and label resemble themselves."),
    "clean": ("status", "List, or delete, leftover files in the dataset of a region."),
    "grids": ("datasets.report", "Compare cells of 128, 256 and 512 px in a region."),
    "convert": ("datasets.export", "Write a dataset to a new directory, in another layout or codec."),
    "export": ("datasets.export", "Write chips, partitions or a box of a dataset as GeoTIFFs."),
    "predict": ("datasets.predict", "Predict a map of classes with a trained model."),
    "publish": ("datasets.publish", "Pack what a reader needs of a dataset into one archive."),
    "demo": ("run", "Make a small invented piece of Alaska and build its dataset."),
    "doctor": ("doctor", "Check whether this machine has what a build needs."),
    "import-params": ("import_params", "Print a region's TOML file, made from the file of the published scripts."),
    "upgrade-config": ("upgrade_config", "Rewrite old keys in regions' TOML files under their new names."),
    "completion": ("completion", "Print a script with which a shell completes commands and options."),
})  # fmt: skip


class _ImportedWhenNeeded(MutableMapping[str, click.Command]):
    """The commands by name, each with ``--debug``, so that users can append it after a failure."""

    def __init__(self) -> None:
        self._imported: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._imported:
            module, summary = _COMMANDS[name]
            command: click.Command = getattr(import_module(f"{__name__}.{module}"), name.replace("-", "_"))
            command.short_help = summary
            self[name] = command
        return self._imported[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        command.params.append(click.Option([_DEBUG], is_flag=True, expose_value=False, help=_DEBUG_HELP))
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        del self._imported[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*_COMMANDS, *self._imported)))

    def __len__(self) -> int:
        return len(list(iter(self)))


class _Commands(click.Group):
    """A group whose list of commands imports none of them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in sorted(_COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C ends it with one plain line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            click.echo(str(stop) or "stopped", err=True)
            sys.exit(STOPPED)


@click.group(
    cls=_Commands,
    commands=_ImportedWhenNeeded(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gcn")
@click.option(_DEBUG, is_flag=True, expose_value=False, help=_DEBUG_HELP)
def cli() -> None:
    """Make training chips of glacier ice and debris, and check them."""


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
