"""Options that commands share, what they mean, and the settings that Luigi receives."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.completion import complete_region
from gcn_luigi.config import load_region
from gcn_luigi.io.objects.remote import refuse_remote
from gcn_luigi.luigi_host.cfg_files import check_readable, choose_cfg, find_files

if TYPE_CHECKING:
    from gcn_luigi.tasks import Dataset


class LocalPath(click.Path):
    """A path on a file system of this machine; an address such as s3://bucket/x is refused."""

    def __init__(self, *, is_source: bool = False) -> None:
        super().__init__(path_type=Path)
        self._is_source = is_source

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        option = isinstance(param, click.Option)
        where = (max(param.opts, key=len) if option else param.human_readable_name) if param is not None else "path"
        refuse_remote(str(value), where=where, is_source=self._is_source)
        return super().convert(value, param, ctx)


class PartOf(click.ParamType):  # type: ignore[type-arg]  # generic in later versions only
    """One part of several, ``3/20``: the number of the part, counted from 0, and how many there are."""

    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return both numbers."""
        if isinstance(value, tuple):
            return value
        number, _, total = str(value).partition("/")
        if not (_is_count(number) and _is_count(total) and int(number) < int(total)):
            self.fail(f"{value!r} is no part: give I/N with I from 0 to N - 1, such as 3/20", param, ctx)
        return int(number), int(total)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit()


LOCAL_PATH = LocalPath()
SOURCE_PATH = LocalPath(is_source=True)
_TUNNEL = (
    "For a scheduler on another machine, open a tunnel, `ssh -N -L 8082:127.0.0.1:8082 HOST`, and give "
    "--scheduler-url http://127.0.0.1:8082."
)
_TRUST = (
    "Accept a --scheduler-url on another machine. Luigi has no authentication: everyone who can reach its port can run "
    "code as you on this machine (workers import and run the tasks it names), mark tasks as done, and pause your run."
)


output_option = click.option(
    "--output", "-o", default="output", show_default=True, type=LOCAL_PATH, help="Directory of the datasets."
)


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `gcn run` and `gcn demo` share."""
    for option in (
        click.option("--trust-network", is_flag=True, help=_TRUST),
        click.option("--scheduler-url", metavar="URL", help=f"Use this scheduler instead of starting one. {_TUNNEL}"),
        click.option(
            "--local-scheduler", is_flag=True, help="Run without a central scheduler, and so without its page."
        ),
        click.option(
            "--port",
            default=8082,
            show_default=True,
            type=click.IntRange(0, 65535),
            help="The scheduler's port on this machine; 0 for any free port.",
        ),
        click.option(
            "--workers", "-w", default=2, show_default=True, type=click.IntRange(1), help="Number of processes."
        ),
        click.option(
            "--memory",
            type=click.IntRange(1),
            metavar="MB",
            help="Memory limit of each process, in million bytes.  [default: an equal share of the machine's memory]",
        ),
        output_option,
    ):
        command = option(command)
    return command


def region_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument and options that name a region, its settings and its sources."""
    for option in (
        click.option(
            "--data-root", type=SOURCE_PATH, help="Directory of the sources, instead of data_root in the TOML file."
        ),
        click.option(
            "--config-dir", default="config", show_default=True, type=SOURCE_PATH, help="Directory of REGION.toml."
        ),
        click.argument("region", shell_complete=complete_region),
    ):
        command = option(command)
    return command


def region_file(region: str, config_dir: Path) -> Path:
    """Return the TOML file that REGION means: the file itself, or the one with that name in `config_dir`."""
    return Path(region) if region.endswith(".toml") else config_dir / f"{region}.toml"


def configure_luigi() -> None:
    """Give Luigi its settings before it is imported, for this process and for the workers that inherit them.

    Raises ConfigError for settings that Luigi cannot read, or would ignore or misunderstand.
    """
    choose_cfg()
    check_readable(find_files(os.environ, Path.cwd()))
    os.environ["GCN_QUIET_WORKERS"] = "1"
    # The scheduler is on this machine, so no proxy is used to reach it.
    direct = {os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")} - {""}
    os.environ["no_proxy"] = ",".join(sorted({*direct, "127.0.0.1"}))
    logging.getLogger("luigi-interface").addHandler(logging.NullHandler())
    logging.getLogger("luigi").addHandler(logging.NullHandler())
    import gcn_luigi.tasks  # noqa: PLC0415  their families are sections of these settings
    from gcn_luigi.luigi_host.cfg_check import check_settings  # noqa: PLC0415

    del gcn_luigi
    check_settings()


def dataset_task(path: Path, output: Path, data_root: Path | None, *, is_built: bool = False) -> "Dataset":
    """Return the root task of the region that `path` configures; if it `is_built`, the sources must exist."""
    region = load_region(path, data_root)
    if is_built:
        region.check_sources()
    # A bad configuration is reported before Luigi is even loaded.
    configure_luigi()
    from gcn_luigi.tasks import Dataset  # noqa: PLC0415

    # All paths absolute, for tasks run in other processes.
    return Dataset(
        region=region.settings.region,
        output_root=str(output.resolve()),
        config_dir=str(path.resolve().parent),
        data_root=str(region.root) if data_root is not None else "",
    )


def dataset_place(what: Path, output: Path) -> Path:
    """Return the directory of a dataset that is named by its directory, or by its region below `output`."""
    is_region = not what.is_dir() and not what.suffix and len(what.parts) == 1
    return output / what if is_region else what
