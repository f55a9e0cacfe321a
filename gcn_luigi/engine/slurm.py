"""Jobs of SLURM as nodes of a Dask cluster, through dask-jobqueue: as many as there is work for."""

import os
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dask_jobqueue.slurm import SLURMCluster
from distributed import Security

from gcn_luigi.engine.place import SlurmPlace
from gcn_luigi.errors import ClusterError, ConfigError
from gcn_luigi.io.publish.atomic import temporary_sibling

_LOOK_S = 5.0
# The scheduler has to know a job for so long before its absence from the queue means anything.
_NEW_S = 10.0
_MOST_BIRTHS = 3
_LOG_LINES = 12
_JOB_NAME = "gcn-luigi"
# A job without work for so many seconds ends; a queue may need longer than a pause between two kinds of tasks.
_IDLE_S = 60
# A node that cannot reach this process for so many seconds ends its job.
_LONELY_S = 60


# A worker's web pages stay on its node and are empty; the profiler would keep what a thread holds.
_PROLOGUE = [
    "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'",
    "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
]


class Jobs:
    """The jobs of a cluster: what the queue says about them, and whether they die before they work."""

    def __init__(self, cluster: SLURMCluster, logs: Path) -> None:
        self.cluster, self._logs = cluster, logs
        self._worked: set[str] = set()
        self._first_seen: dict[str, float] = {}
        self._dead: list[str] = []
        self._looked, self._text = 0.0, ""

    def state(self) -> str:
        """Return how many jobs wait, and why; an empty text if none does. Raise ClusterError if jobs die at birth."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return self._text
        self._looked = now
        queue = _queue()
        if queue is None:
            return self._text
        self._worked |= set(self.cluster.observed)
        for name, job in list(self.cluster.workers.items()):
            number = getattr(job, "job_id", None)
            if number is None or name in self._worked:
                continue
            if number not in queue and now - self._first_seen.setdefault(number, now) > _NEW_S:
                self._bury(name, number)
        self._text = self._described(queue)
        return self._text

    def _described(self, queue: dict[str, tuple[str, str]]) -> str:
        own = {str(getattr(job, "job_id", "")) for job in list(self.cluster.workers.values())}
        waiting = Counter(why for number, (state, why) in queue.items() if number in own and state == "PD")
        if not waiting:
            return "" if self.cluster.observed else "waits for the first job to start"
        reasons = ", ".join(why for why, _ in waiting.most_common())
        running = len(self.cluster.observed)
        count = sum(waiting.values())
        return f"jobs that wait in the queue: {count} ({reasons}); jobs that work: {running}"

    def _bury(self, name: str, number: str) -> None:
        """Count a job that ended before its worker came, and let the cluster replace it."""
        self._worked.add(name)
        self._dead.append(number)
        if len(self._dead) >= _MOST_BIRTHS:
            raise ClusterError(
                f"{len(self._dead)} jobs ended before they began to work: {', '.join(self._dead)}; the log of the last "
                f"one ends with\n{self._log(number)}",
                where=str(self._logs),
                fix="read the log. Nodes need this Python environment and the output directory under the same paths, "
                "and must reach this machine: name its network with `--slurm-options interface=ib0`",
            )
        self.cluster.sync(self.cluster.scale_down, [name])

    def _log(self, number: str) -> str:
        logs = sorted(self._logs.glob(f"*{number}*"))
        lines = [line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        return "\n".join(lines[-_LOG_LINES:]) or "(it has no log: its node may not see this directory)"


@contextmanager
def slurm_cluster(place: SlurmPlace) -> Iterator[Jobs]:
    """Start a scheduler in this process that submits jobs for a block; at the end all jobs are cancelled."""
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "there is no sbatch on this machine", where=place.shown, fix="run it on a login node of the SLURM cluster"
        )
    home = place.directory
    if any(letter.isspace() for letter in f"{home}{sys.executable}"):
        raise ConfigError(
            "the path contains a space, which a job script cannot pass on",
            where=f"{home}, {sys.executable}",
            fix="use an output directory and an environment without spaces in their paths",
        )
    logs = Path(place.log_directory) if place.log_directory else home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with temporary_sibling(home / "certificates") as secret:
        with warnings.catch_warnings():
            # Without a way to the internet, Dask takes the address of this machine's name, and warns.
            warnings.simplefilter("ignore", RuntimeWarning)
            cluster = SLURMCluster(**_arguments(place, _certificates(secret), logs))
        try:
            _check_script(cluster.job_script(), place)
            # A target as short as this asks for a core for each task, whatever tasks have taken so far.
            cluster.adapt(minimum_jobs=0, maximum_jobs=place.jobs, target_duration="1ms", wait_count=_IDLE_S)
            yield Jobs(cluster, logs)
        finally:
            cluster.close()


def _certificates(directory: Path) -> Security:
    """Write certificates for one run, which only the user can read, where all nodes see them."""
    directory.mkdir(mode=0o700)
    made, files = Security.temporary(), {}
    for name in ("ca_file", "key", "cert"):
        text = getattr(made, "tls_ca_file" if name == "ca_file" else f"tls_worker_{name}")
        files[name] = str(directory / name)
        Path(files[name]).write_text(text, encoding="ascii")
    roles = {
        f"tls_{role}_{name}": files[name] for role in ("client", "scheduler", "worker") for name in ("key", "cert")
    }
    return Security(tls_ca_file=files["ca_file"], require_encryption=True, **roles)


def _arguments(place: SlurmPlace, security: Security, logs: Path) -> dict[str, Any]:
    # The interface is not passed to the nodes, where it may have another name.
    scheduler: dict[str, Any] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    if place.interface:
        scheduler["interface"] = place.interface
    return {
        "queue": place.partition,
        "account": place.account,
        "walltime": place.walltime,
        "cores": place.cores,
        "processes": 1,
        "memory": place.memory,
        "nanny": False,
        "death_timeout": _LONELY_S,
        "job_name": _JOB_NAME,
        "log_directory": str(logs),
        "security": security,
        "protocol": "tls://",
        # The worker takes the place of the job's shell, so that SLURM ends it, and not only the shell.
        "python": f"exec {shlex.quote(sys.executable)}",
        "worker_extra_args": ["--dashboard-address", "127.0.0.1:0"],
        "job_script_prologue": _PROLOGUE,
        "scheduler_options": scheduler,
        "n_workers": 0,
    }


def _check_script(script: str, place: SlurmPlace) -> None:
    """Submit one such job that never starts; raise ConfigError with SLURM's answer if it is not taken.

    Dask would only log the refusal, and wait for ever. `sbatch --test-only` also refuses what merely has to wait.
    """
    done = subprocess.run(
        ["sbatch", "--hold", "--parsable"],  # noqa: S607
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(
            f"SLURM does not take such jobs: {' '.join(done.stderr.split())}",
            where=place.shown,
            fix="correct --slurm-options or section [slurm] of luigi.cfg: partition, account, cores, memory, walltime",
        )
    subprocess.run(["scancel", done.stdout.partition(";")[0].strip()], capture_output=True, check=False)  # noqa: S603, S607


def _queue() -> dict[str, tuple[str, str]] | None:
    """Return state and reason of each job of the user by its number; None if SLURM does not answer now."""
    try:
        done = subprocess.run(  # noqa: S603  the only variable is a number
            ["squeue", "--noheader", "--user", str(os.geteuid()), "--format", "%A|%t|%r"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=_LOOK_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    rows = (line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
    return {number: (state, why) for number, state, why in rows}
