"""What every task is checked for before a scheduler hears of it."""

import logging
import multiprocessing
import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import luigi

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.gdal import set_aside, told
from gcn_luigi.io.inputs.remote import refuse_remote
from gcn_luigi.io.publish.safe_names import is_name, is_plain_text
from gcn_luigi.luigi_host.cfg_check import check_settings
from gcn_luigi.luigi_host.trust import check_scheduler, is_loopback
from gcn_luigi.luigi_host.worker import use_short_sockets


def ignore_gdal_settings() -> None:
    """Take what the shell says to GDAL and PROJ out of this process, before a worker inherits it, and log it."""
    ignored = set_aside()
    if ignored:
        logging.getLogger("luigi-interface").warning(told(ignored))


class GuardedTask(luigi.Task):
    """A task that no scheduler hears of before the settings, the scheduler and its parameters are found good.

    Luigi makes the task first and then its worker, which talks to the scheduler. An error here ends the command
    with a code that is never 0; one in `complete` would not, without ``[retcode]``. Luigi's page puts texts into
    HTML as they are.

    Raises
    ------
    ConfigError
        A setting of Luigi or a parameter cannot be used.
    SchedulerError
        The scheduler is on another machine that is not trusted.
    """

    # Parameters that are paths; any other text is a name.
    path_parameters: ClassVar[frozenset[str]] = frozenset({"output_root", "config_dir", "data_root"})
    # Addresses on this machine.
    address_parameters: ClassVar[frozenset[str]] = frozenset({"pages_url"})

    def __init__(self, *args: Any, **parameters: Any) -> None:
        # A worker process knows nothing of the command line, and does what its parent was allowed to.
        if multiprocessing.parent_process() is None:
            check_settings()
            check_scheduler()
            use_short_sockets()
        ignore_gdal_settings()
        super().__init__(*args, **parameters)
        for name, value in self.param_kwargs.items():
            if name in self.address_parameters:
                _check_address(name, value)
            else:
                _check(name, value, is_path=name in self.path_parameters)


def _check_address(name: str, value: str) -> None:
    # Luigi's page makes a link of it.
    if value and not (value.startswith("http://") and is_loopback(value) and is_plain_text(value)):
        raise ConfigError(
            f"{value!r} is no address on this machine",
            where=f"--{name.replace('_', '-')}",
            fix="write it as http://127.0.0.1:8083/word, as `gcn report --serve` prints it",
        )


def _check(name: str, value: object, *, is_path: bool) -> None:
    for text in _texts(value):
        if is_path:
            refuse_remote(text, where=f"--{name.replace('_', '-')}", is_source=name != "output_root")
            _check_encoding(name, text)
        if is_path and not is_plain_text(text):
            raise ConfigError(
                f"{text!r} cannot be a path here",
                where=f"--{name.replace('_', '-')}",
                fix="use a path without control characters and without < and >",
            )
        if not is_path and not is_name(text):
            raise ConfigError(
                f"{text!r} cannot be a name",
                where=f"--{name.replace('_', '-')}",
                fix="use letters, digits, _, - and . and at most 128 of them",
            )


def _check_encoding(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{text!r} holds letters beyond ASCII, and Python was told to read names of files as "
            f"{sys.getfilesystemencoding()}",
            where=f"--{name.replace('_', '-')}",
            fix="unset PYTHONUTF8, or export LC_ALL=C.UTF-8",
        ) from error


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return (text for text in value if isinstance(text, str)) if isinstance(value, tuple | list) else ()
