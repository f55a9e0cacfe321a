"""Where the heavy tasks are to run, read from options and settings: a Dask cluster, this machine, or SLURM."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gcn_luigi.errors import ClusterError, ConfigError
from gcn_luigi.luigi_host.trust import is_loopback, open_to_others

_ADDRESS = re.compile(r"(?P<protocol>[a-z]+)://(?P<rest>\S+)")
_LOCAL = re.compile(r"local(?::(?P<count>[1-9]\d{0,3}))?")
# Encrypted, and only for who has the certificate.
_CLOSED = frozenset({"tls", "wss"})
_OPEN = frozenset({"tcp", "ws", "ucx"})
_SLURM_KEYS = frozenset({"partition", "walltime", "cores", "memory", "jobs", "account", "interface", "log_directory"})


@dataclass(frozen=True)
class DaskPlace:
    """A Dask scheduler that somebody started: `address` tells where it is; `shown` what the user wrote."""

    address: str
    shown: str


@dataclass(frozen=True)
class LocalPlace:
    """Worker processes of this machine; `count` of them, each with one task at a time."""

    count: int
    shown: str = "local"


@dataclass(frozen=True)
class SlurmPlace:
    """Jobs of a SLURM queue, as many as there is work for and at most `jobs`.

    Each job has `cores` cores, `memory` (such as ``8GB``) and `walltime` (such as ``04:00:00``). `interface` is the
    network interface of this machine that nodes reach. `extra` are further lines for sbatch.
    """

    cores: int = 1
    memory: str = "4GB"
    jobs: int = 2
    walltime: str = "01:00:00"
    partition: str | None = None
    account: str | None = None
    interface: str | None = None
    log_directory: str | None = None
    directory: Path = field(default_factory=Path.cwd)
    shown: str = "--slurm"


Place = DaskPlace | LocalPlace | SlurmPlace


def place_of(text: str, *, is_trusted: bool, workers: int = 1) -> DaskPlace | LocalPlace:
    """Return where `text` says that a cluster is: an address, a scheduler file, or ``local`` with a number of workers.

    Raises ClusterError for an address beyond this machine that everyone can reach, unless it `is_trusted`; ConfigError
    for a text that is none of these.
    """
    local = _LOCAL.fullmatch(text)
    if local is not None:
        return LocalPlace(int(local["count"] or workers), shown=f"--dask {text}")
    shown = f"--dask {text}"
    address = text if _ADDRESS.fullmatch(text) else _from_file(Path(text), shown)
    _check(address, shown, is_trusted=is_trusted)
    return DaskPlace(address, shown)


def _from_file(path: Path, shown: str) -> str:
    """Return the address in a file that a Dask scheduler wrote."""
    if not path.is_file():
        raise ConfigError(
            "this is neither an address nor a scheduler file nor local:N",
            where=shown,
            fix="give tls://HOST:PORT, the file of `dask scheduler --scheduler-file FILE`, or local:4 for four workers "
            "of this machine",
        )
    why = open_to_others(path)
    if why:
        raise ConfigError(
            f"the scheduler file {why}, who could send this build to another scheduler",
            where=str(path),
            fix="keep it in a directory of your own: chmod go-w",
        )
    try:
        address = json.loads(path.read_text(encoding="utf-8"))["address"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ConfigError(
            "this is not a scheduler file of Dask",
            where=str(path),
            fix="write one with `dask scheduler --scheduler-file FILE`",
        ) from error
    return str(address)


def _check(address: str, shown: str, *, is_trusted: bool) -> None:
    found = _ADDRESS.fullmatch(address)
    protocol = found["protocol"] if found else ""
    if protocol not in _OPEN | _CLOSED:
        raise ConfigError(
            f"{address!r} is not the address of a Dask scheduler",
            where=shown,
            fix="write it as tls://HOST:PORT, or tcp://127.0.0.1:8786 for one of this machine",
        )
    if protocol in _CLOSED or is_trusted or (found and is_loopback(f"http://{found['rest']}")):
        return
    raise ClusterError(
        "this Dask scheduler is neither on this machine nor protected: Dask runs what it is sent, so everyone who can "
        "reach it can run code as you",
        where=shown,
        fix="start it with TLS certificates and use tls://; or trust its whole network: [gcn] trust_network = true in "
        "luigi.cfg, or `gcn run --trust-network`",
    )


def slurm_place(options: str, section: Mapping[str, str], directory: Path) -> SlurmPlace:
    """Return what `--slurm-options` and section [slurm] of luigi.cfg say together; the options win.

    `directory` is one that all nodes see: certificates and the logs of jobs go there.

    Examples
    --------
    >>> place = slurm_place("cores=4,memory=8GB", {"partition": "short", "cores": "2"}, Path("/data"))
    >>> place.cores, place.memory, place.partition, place.jobs
    (4, '8GB', 'short', 2)
    """
    given = {name.replace("-", "_"): (value, f"[slurm] {name}") for name, value in section.items()}
    for item in filter(None, (part.strip() for part in options.split(","))):
        name, equals, value = item.partition("=")
        if not equals or not value.strip():
            raise ConfigError(
                f"{item!r} is no option", where="--slurm-options", fix="write name=value, with commas between them"
            )
        given[name.strip().replace("-", "_")] = (value.strip(), f"--slurm-options {name.strip()}")
    for name, (value, where) in given.items():
        if name not in _SLURM_KEYS:
            raise ConfigError(f"{name!r} is unknown", where=where, fix=f"use {', '.join(sorted(_SLURM_KEYS))}")
        # Each of these becomes a word of a job script.
        if not re.fullmatch(r"[\w./:+-]+", value):
            raise ConfigError(
                f"{value!r} cannot be used in a job script", where=where, fix="use letters, digits and ./:+-_"
            )
    texts = {name: value for name, (value, _) in given.items() if name not in {"cores", "jobs"}}
    numbers = {name: _count(*given[name]) for name in ("cores", "jobs") if name in given}
    return SlurmPlace(**texts, **numbers, directory=directory)  # type: ignore[arg-type]


def _count(value: str, where: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,4}", value):
        raise ConfigError(f"{value!r} is not a number of at least 1", where=where, fix="write for example 4")
    return int(value)
