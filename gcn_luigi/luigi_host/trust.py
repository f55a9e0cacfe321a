"""Which scheduler is trusted: one on this machine, and any other only if the user says so.

Luigi has no passwords. Anyone who can reach a scheduler can make the workers that ask it run any importable code.
"""

import functools
import ipaddress
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config

from gcn_luigi.errors import ConfigError, SchedulerError

# Addresses that two libraries cannot read as different hosts: no user, no backslash, no space.
_PLAIN = re.compile(
    r"https?://(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::(?P<port>\d{1,5}))?(?:/\S*)?"
)
# Sockets of this machine, and the state of a socket that accepts connections; proc(5).
_LISTENERS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"


def is_loopback(url: str) -> bool:
    """Return whether an address can only be on this machine: 127.0.0.0/8, ::1, localhost, or a Unix socket.

    No other name is looked up, because it may mean another machine by the time of the connection.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8082"), is_loopback("http://[::1]:8082/"), is_loopback("http://127.0.0.1.org")
    (True, True, False)
    """
    if url.startswith("http+unix://"):
        return True
    found = _PLAIN.fullmatch(url)
    if found is None:
        return False
    host = (found["bracketed"] or found["name"]).lower()
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own(port: int, tables: Iterable[Path] = _LISTENERS) -> bool:
    """Return whether nobody but the user and root listens on a port of this machine.

    Another user's scheduler would make this user's workers run that user's code. True if the system does not say who
    listens.
    """
    holders = set()
    for table in tables:
        try:
            rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
        except OSError:
            continue
        listening = [row for row in rows if row[3] == _LISTENING]
        holders |= {int(row[7]) for row in listening if int(row[1].rsplit(":", 1)[1], 16) == port}
    return holders <= {0, os.geteuid()}


def check_address(url: str, *, is_trusted: bool) -> None:
    """Raise SchedulerError for a scheduler on another machine or of another user of this one, unless it is trusted.

    Raises ConfigError if `url` is not an address of a web service.
    """
    if urlsplit(url).scheme not in {"http", "https", "http+unix"}:
        raise ConfigError(f"{url!r} is not an address", where="scheduler", fix="write it as http://127.0.0.1:8082")
    if is_trusted:
        return
    if not is_loopback(url):
        raise SchedulerError(
            "this scheduler is not on this machine: Luigi has no authentication, and everyone who can reach it can "
            "run code as you",
            where=url,
            fix="open a tunnel, `ssh -N -L 8082:127.0.0.1:8082 HOST`, and use http://127.0.0.1:8082; or trust its "
            "whole network: [gcn] trust_network = true in luigi.cfg, or `gcn run --trust-network`",
        )
    found = _PLAIN.fullmatch(url)
    if found is not None and not is_own(int(found["port"] or (443 if url.startswith("https") else 80))):
        raise SchedulerError(
            "this scheduler belongs to another user, who can run code as you",
            where=url,
            fix="start your own on another port: luigid --address 127.0.0.1 --port 8083; or trust everyone on this "
            "machine: [gcn] trust_network = true in luigi.cfg, or `gcn run --trust-network`",
        )


def check_scheduler() -> None:
    """Check the scheduler that the `luigi` command or luigi.cfg names, once per command; see `check_address`.

    A worker that would run any task that anyone gave the scheduler (`--assistant`) is refused as well.
    """
    _check_scheduler(CmdlineParser.get_instance())


@functools.lru_cache(maxsize=1)
def _check_scheduler(command: CmdlineParser | None) -> None:
    del command  # Luigi's Config reads it itself.
    options = luigi.interface.core()
    if options.assistant:
        raise SchedulerError(
            "a worker with this option runs any task of any module that the scheduler names, no matter who added it",
            where="--assistant",
            fix="leave this option out and raise --workers: several `luigi` commands share the work of one scheduler",
        )
    if not options.local_scheduler:
        url = options.scheduler_url or f"http://{options.scheduler_host}:{options.scheduler_port}"
        check_address(url, is_trusted=get_config().getboolean("gcn", "trust_network", False))


def open_to_others(path: Path) -> str:
    """Return how other users can replace what is at or in `path`; an empty text if they cannot.

    Root and the user are trusted. So is the group of a group-writable directory, because the members of a group share
    its directories.
    """
    if path.stat().st_uid not in {0, os.geteuid()}:
        return "belongs to another user"
    return "is writable by every user" if is_writable_by_all(path) else ""


def is_writable_by_all(path: Path) -> bool:
    """Return whether every user can write `path`; in a sticky directory (such as /tmp) others cannot replace files."""
    mode = path.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)
