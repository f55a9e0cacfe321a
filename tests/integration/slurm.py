"""A real SLURM on this machine for tests: a login node and two compute nodes in namespaces of their own."""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "shared/cluster/virtual-cluster"
_NEEDED = ("slurmctld", "slurmd", "munged", "ip", "nsenter")


def missing() -> str:
    """Return why there is no such SLURM here; an empty text if there is one."""
    if os.geteuid() != 0:
        return "a virtual SLURM needs root"
    lacking = [name for name in _NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt-get install slurm-wlm munge iproute2)"
    return "" if SCRIPT.is_file() else f"no {SCRIPT} beside the repository"


@dataclass(frozen=True)
class Slurm:
    """A running SLURM, whose state is in `directory`."""

    directory: Path

    def control(self, *words: str) -> str:
        """Let the script do something, such as ``cut n1``; return what it prints."""
        done = subprocess.run(
            [SCRIPT, words[0], self.directory, *words[1:]], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def on_head(self, *command: object) -> tuple[object, ...]:
        """Return a command line that runs `command` on the login node."""
        return (SCRIPT, "at", self.directory, "head", *command)

    def jobs(self) -> list[str]:
        """Return the numbers of the jobs in the queue, whatever their state."""
        return self.control("at", "head", "squeue", "--noheader", "--format", "%A").split()

    def wait_until_empty(self, seconds: float) -> list[str]:
        """Return the jobs that are still there after a while, or none as soon as there are none."""
        deadline = time.monotonic() + seconds
        while (jobs := self.jobs()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return jobs


@contextmanager
def slurm_up(directory: Path, lock: Path) -> Iterator[Slurm]:
    """Run a SLURM for a block; processes that run tests take turns, because each needs the whole machine."""
    with lock.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        slurm = Slurm(directory)
        told = slurm.control("up")
        try:
            assert told.count("idle") == 2, told
            yield slurm
        finally:
            slurm.control("down")
