"""Checks made on every task before it is registered with the scheduler."""

import functools
import logging
import multiprocessing
import sys
from typing import Any

import luigi

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.gdal import set_aside, told
from gcn_luigi.io.objects.remote import refuse_remote
from gcn_luigi.io.publish.safe_names import is_name, is_plain_text
from gcn_luigi.luigi_host.cfg_check import check_settings
from gcn_luigi.luigi_host.trust import check_scheduler, is_loopback
from gcn_luigi.luigi_host.worker import use_short_sockets

# Parameters that are paths, and parameters that are addresses on this machine; any other text is a name.
_PATHS, _ADDRESSES = frozenset({"output_root", "config_dir", "data_root"}), frozenset({"pages_url"})
# Checked where it is used, because it may be a path or an address; never shown on Luigi's page.
_CHECKED_LATER = frozenset({"dask"})


def ignore_gdal_settings() -> None:
    """Remove the shell's GDAL and PROJ settings from this process, before a worker inherits them, and log this."""
    ignored = set_aside()
    if ignored:
        logging.getLogger("luigi-interface").warning(told(ignored))


class GuardedTask(luigi.Task):
    """A task that checks Luigi's settings, the scheduler and its own parameters before it is registered there.

    Luigi first makes the task and then its worker, which talks to the scheduler. An error here (ConfigError or
    SchedulerError) ends the command with a code other than 0; without ``[retcode]``, an error in `complete` would end
    it with 0. Parameters are restricted because Luigi's page inserts texts into its HTML unescaped.
    """

    def __init__(self, *args: Any, **parameters: Any) -> None:
        # A worker process does not see the command line; it may do what its parent was allowed to do.
        if multiprocessing.parent_process() is None:
            check_settings()
            check_scheduler()
            use_short_sockets()
        ignore_gdal_settings()
        super().__init__(*args, **parameters)
        for name, value in self.param_kwargs.items():
            where = f"--{name.replace('_', '-')}"
            for text in value if isinstance(value, tuple | list) else (value,):
                if not isinstance(text, str) or name in _CHECKED_LATER:
                    continue
                if name in _ADDRESSES:
                    _check_address(text, where)
                elif name in _PATHS:
                    refuse_remote(text, where=where, is_source=name != "output_root")
                    _check_path(text, where)
                elif not is_name(text):
                    raise ConfigError(
                        f"{text!r} cannot be a name",
                        where=where,
                        fix="use letters, digits, _, - and . and at most 128 of them",
                    )

    @classmethod
    def get_params(cls) -> list[tuple[str, luigi.Parameter[Any]]]:
        """Return the names and parameters of this class; Luigi asks several times for each task it makes."""
        return list(cls._params())

    @classmethod
    @functools.cache
    def _params(cls) -> list[tuple[str, luigi.Parameter[Any]]]:
        # Luigi looks through all attributes of the class, and the classes of this package do not change.
        found: list[tuple[str, luigi.Parameter[Any]]] = super().get_params()
        return found


def _check_address(text: str, where: str) -> None:
    # Luigi's page turns the address into a link.
    if text and not (text.startswith("http://") and is_loopback(text) and is_plain_text(text)):
        raise ConfigError(
            f"{text!r} is not an address on this machine",
            where=where,
            fix="write it as http://127.0.0.1:8083/word, as `gcn report --serve` prints it",
        )


def _check_path(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{text!r} contains letters beyond ASCII, but Python is set to read file names as "
            f"{sys.getfilesystemencoding()}",
            where=where,
            fix="unset PYTHONUTF8, or export LC_ALL=C.UTF-8",
        ) from error
    if not is_plain_text(text):
        raise ConfigError(
            f"{text!r} cannot be a path here",
            where=where,
            fix="use a path without control characters and without < and >",
        )
