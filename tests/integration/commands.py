"""The commands as a user runs them: processes of their own, a real scheduler, and what they leave behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

import psutil

from gcn_luigi.synthetic import WorldSettings, make_world, write_world
from tests.integration.builds import small_config

LUIGI_CFG = Path(__file__).resolve().parents[2] / "luigi.cfg"
LOOPBACK = "127.0.0.1"
PATIENCE_S = 120.0
_CLOCK_S = 10.0
_BIN = Path(sys.executable).parent
_DRAFT = re.compile(r"\.[0-9a-f]{8}\..+")
_MARK = "GCN_TEST_COMMAND"
_NOT_INHERITED = {"LUIGI_CONFIG_PATH", "LUIGI_CONFIG_PARSER", "GCN_QUIET_WORKERS", "PYTHONWARNINGS"}


@dataclass(frozen=True)
class Tiny:
    """A made-up region of two tiles, and its configuration."""

    sources: Path
    config: Path
    region: str = "tiny"


def make_tiny(root: Path, region: str = "tiny", *replacements: tuple[str, str]) -> Tiny:
    """Write the smallest world that has a train and a dev split: about 20 partitions of 9 chips."""
    write_world(make_world(WorldSettings(shape=(256, 320), tiles=(1, 2), years=(2004, 2008))), root / "input")
    shrunk = (
        ("years = [2000, 2004, 2008, 2012, 2016]", "years = [2004, 2008]"),
        ("size = 64\nstep = 32", "size = 32\nstep = 16"),
        ("size = 128", "size = 64"),
        ("../output/demo-input", "../input"),
    )
    config = small_config(root / "config", region, *shrunk, *replacements)
    path = config / f"{region}.toml"
    head, *bands = path.read_text(encoding="utf-8").split("[[bands]]")
    kept = [band for band in bands if any(f'name = "{name}"' in band for name in ("ndsi", "dem", "rmse"))]
    path.write_text("[[bands]]".join([head, *kept]), encoding="utf-8")
    return Tiny(root / "input", config, region)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass
class Running:
    """A command at work; its output goes to files, so that it never waits for a reader."""

    process: "subprocess.Popen[bytes]"
    directory: Path
    mark: str
    since: float

    def text(self) -> str:
        return (self.directory / "out").read_text() + (self.directory / "err").read_text()

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the command, also those whose parent is gone."""
        return marked(self.mark, self.since)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run a task: children of the fork server."""
        return [process for process in self.processes() if "multiprocessing.forkserver" in _line(_parent(process))]

    def writer(self) -> psutil.Process | None:
        """Return a worker that holds a draft open: it has published nothing yet."""
        return next((process for process in self.workers() if holds_a_draft(process)), None)

    def shard_writer(self) -> psutil.Process | None:
        """Return the process that writes a shard, on whatever node; one that merely claims it is another."""
        return next((process for process in self.processes() if holds_a_draft(process, ".h5")), None)

    def interrupt(self) -> None:
        """Do what Ctrl-C in a terminal does: interrupt all processes at once."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = PATIENCE_S) -> Ended:
        code = self.process.wait(seconds)
        return Ended(code, (self.directory / "out").read_text(), (self.directory / "err").read_text())


@dataclass
class Commands:
    """Starts commands and knows every process that came of them."""

    directory: Path
    started: list[Running] = field(default_factory=list)

    def start(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> Running:
        mark, since = uuid.uuid4().hex, time.time()
        directory = self.directory / mark
        directory.mkdir(parents=True)
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
            process = subprocess.Popen(
                [_BIN / command[0], *map(str, command[1:])],
                cwd=cwd or directory,
                env={**inherited, **variables, _MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # As after a login: a run of tests in the background must not make the commands deaf to Ctrl-C.
                preexec_fn=_hear_interrupts,  # noqa: PLW1509  no threads are running here
                start_new_session=True,
            )
        self.started.append(Running(process, directory, mark, since))
        return self.started[-1]

    def run(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> Ended:
        """Run a command to its end; nothing of it may be left a moment later."""
        running = self.start(*command, cwd=cwd, **variables)
        ended = running.wait()
        assert not left_after(10, running.processes), ended.text
        return ended

    def luigi(self, family: str, tiny: Tiny, output: Path, *extra: str | Path, cwd: Path | None = None) -> Ended:
        """Run the plain `luigi` command with the shipped settings."""
        return self.run(*luigi_command(family, tiny, output), *extra, cwd=cwd, LUIGI_CONFIG_PATH=str(LUIGI_CFG))

    def gcn_run(self, tiny: Tiny, output: Path, *extra: str | Path) -> Ended:
        """Run `gcn run`."""
        return self.run(*gcn_command(tiny, output), *extra)

    def stop_all(self) -> list[str]:
        """Kill whatever still runs; return what that was."""
        left = [process for running in self.started for process in left_after(10, running.processes)]
        lines = [_line(process) for process in left]
        for process in left:
            process.kill()
        for running in self.started:
            running.process.wait(PATIENCE_S)
        return lines


def luigi_command(family: str, tiny: Tiny, output: Path) -> tuple[str | Path, ...]:
    """Return the plain command, but for the scheduler."""
    where = ("--output-root", output, "--config-dir", tiny.config, "--data-root", tiny.sources)
    return ("luigi", "--module", "gcn_luigi.tasks", family, "--region", tiny.region, *where, "--workers", "2")


def gcn_command(tiny: Tiny, output: Path) -> tuple[str | Path, ...]:
    """Return `gcn run`, but for the scheduler."""
    return ("gcn", "run", tiny.region, "--config-dir", tiny.config, "--data-root", tiny.sources, "--output", output)


def marked(mark: str, since: float) -> list[psutil.Process]:
    """Return the living processes that inherited `mark`, which was given out at the time `since`.

    Tests ask many times a second. The environment of a process that is older than the mark need not be read; the start
    of a process is known to a second or so.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.create_time() < since - _CLOCK_S:
                continue
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE_S, pause: float = 0.02) -> Any:
    """Return the first true answer of `condition`; fail if none comes."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
    return answer


def left_after(seconds: float, processes: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    """Return the processes that are still there after a while, or none as soon as there are none."""
    deadline = time.monotonic() + seconds
    while (left := processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def luigid(commands: Commands) -> Iterator[int]:
    """Run a real scheduler with the shipped settings; yield its port."""
    port, state = free_port(), commands.directory / "state"
    where = ("--address", LOOPBACK, "--port", str(port), "--state-path", state)
    running = commands.start("luigid", *where, LUIGI_CONFIG_PATH=str(LUIGI_CFG))
    wait_for(lambda: reachable(port))
    try:
        yield port
    finally:
        running.process.send_signal(signal.SIGTERM)
        ended = running.wait()
    assert ended.code == 0, running.text()


def reachable(port: int) -> bool:
    """Return whether something listens on the loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def ask(port: int, method: str, **arguments: Any) -> Any:
    """Call the scheduler as its web page does."""
    address = f"http://{LOOPBACK}:{port}/api/{method}?data={quote(json.dumps(arguments))}"
    with build_opener(ProxyHandler({})).open(address, timeout=20) as reply:
        return json.load(reply)["response"]


def state_of(directory: Path) -> dict[str, int]:
    """Return when each file of a dataset was last written; sidecars, which also say when a copy was read, left out."""
    files = (path for path in directory.rglob("*") if path.is_file() and ".gcn" not in path.parts)
    return {path.relative_to(directory).as_posix(): path.stat().st_mtime_ns for path in files}


def drafts(directory: Path) -> list[str]:
    """Return the hidden, half-made files."""
    return [path.name for path in directory.rglob("*") if _DRAFT.fullmatch(path.name)]


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def holds_a_draft(process: psutil.Process, ending: str = "") -> bool:
    try:
        names = [Path(file.path).name for file in process.open_files()]
    except psutil.Error:
        return False
    return any(_DRAFT.fullmatch(name) and name.endswith(ending) for name in names)


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.NoSuchProcess:
        return None


def _line(process: psutil.Process | None) -> str:
    try:
        return "" if process is None else " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
