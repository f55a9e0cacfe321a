"""Worker processes: how they start, and that they end with their parent."""

import importlib.machinery
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import types
from pathlib import Path

import luigi
import psutil
import pytest

from gcn_luigi.io.publish.atomic import remove_dead_temporaries
from gcn_luigi.luigi_host import worker
from gcn_luigi.luigi_host.worker import ChildContext

# For a busy machine; what is asked is what is left behind, not how soon.
_PATIENCE_S = 60.0
_PROGRAM = """
import multiprocessing, signal, sys, time
from pathlib import Path
from gcn_luigi.luigi_host import worker as process
from gcn_luigi.io.publish.atomic import atomic_write
from gcn_luigi.luigi_host.worker import ChildContext, use_forkserver

def work(final, kind):
    process._GRACE_S = 1.0 if kind == "deaf" else 1000.0
    if kind == "on macOS":
        del signal.sigtimedwait
    with ChildContext(None), atomic_write(final) as temporary:
        temporary.write_text("half")
        if kind == "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        while True:
            time.sleep(100)

if __name__ == "__main__":
    use_forkserver()
    child = multiprocessing.Process(target=work, args=(Path(sys.argv[1]), sys.argv[2]))
    child.start()
    print(child.pid, multiprocessing.get_start_method(), flush=True)
    child.join()
    print("exit code", child.exitcode, flush=True)
"""


@pytest.fixture
def program(tmp_path):
    """Return a function that starts a parent with one child at work; both are killed in the end."""
    (tmp_path / "program.py").write_text(_PROGRAM)
    started = []

    def start(kind="at work"):
        command = [sys.executable, tmp_path / "program.py", tmp_path / "out" / "final.txt", kind]
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pid, method = parent.stdout.readline().split()
        assert method == "forkserver"
        child = psutil.Process(int(pid))
        started.append((parent, child))
        _until(lambda: list((tmp_path / "out").glob("*.txt")))
        return parent, child

    yield start
    for parent, child in started:
        parent.kill()
        parent.communicate()
        if child.is_running():
            child.kill()


def _until(condition, seconds=_PATIENCE_S):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _ends(child):
    """Wait for a process that is not ours: who adopts it, in a container, may leave it a zombie."""
    _until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def _temporaries(tmp_path):
    return list((tmp_path / "out").iterdir())


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_and_removes_its_temporary_file(program, tmp_path, number):
    parent, child = program()
    parent.send_signal(number)

    _ends(child)
    assert _temporaries(tmp_path) == []


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["at work", "on macOS"])
def test_a_child_told_to_end_removes_its_temporary_file_and_says_nothing(program, tmp_path, kind):
    parent, child = program(kind)
    child.terminate()
    out, err = parent.communicate(timeout=_PATIENCE_S)

    assert out == f"exit code {128 + signal.SIGTERM}\n"
    assert err == ""
    assert _temporaries(tmp_path) == []


@pytest.mark.fault
def test_a_child_that_was_stopped_for_a_while_goes_on_and_still_hears(program, tmp_path):
    parent, child = program()
    for _ in range(3):
        child.suspend()
        time.sleep(0.8)
        child.resume()
        time.sleep(0.3)
    assert child.is_running()
    assert parent.poll() is None
    assert len(_temporaries(tmp_path)) == 2

    child.terminate()

    out, err = parent.communicate(timeout=_PATIENCE_S)
    assert (out, err) == (f"exit code {128 + signal.SIGTERM}\n", "")
    assert _temporaries(tmp_path) == []


@pytest.mark.fault
def test_a_child_ends_with_the_fork_server(program, tmp_path):
    _, child = program()
    child.parent().kill()

    _ends(child)
    assert _temporaries(tmp_path) == []


@pytest.mark.fault
def test_a_child_that_does_not_hear_is_ended_after_a_grace(program, tmp_path):
    parent, child = program("deaf")
    parent.kill()

    _ends(child)
    # Its temporary file and the lock, which is free now: the next writer of the file removes both.
    assert len(_temporaries(tmp_path)) == 2
    assert len(remove_dead_temporaries(tmp_path / "out")) == 1
    assert _temporaries(tmp_path) == []


def _server_hook(**variables):
    code = """
import multiprocessing, sys
from gcn_luigi.luigi_host.worker import start_server, use_forkserver

def tell():
    print(sys.excepthook is not sys.__excepthook__)

if __name__ == "__main__":
    use_forkserver()
    start_server()
    child = multiprocessing.Process(target=tell)
    child.start()
    child.join()
    print(sys.excepthook is sys.__excepthook__)
"""
    environment = {**os.environ, **variables}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "program.py"
        path.write_text(code)
        ended = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, env=environment)
    return ended.stdout.split()


def test_under_gcn_run_the_server_of_workers_is_quiet_and_nobody_else():
    assert _server_hook(GCN_QUIET_WORKERS="1") == ["True", "True"]
    assert _server_hook(GCN_QUIET_WORKERS="0") == ["False", "True"]


def _start_method(*lines):
    code = "\n".join((*lines, "import gcn_luigi.tasks, multiprocessing", "print(multiprocessing.get_start_method())"))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_tasks_makes_luigi_start_workers_from_a_clean_process():
    assert _start_method() == "forkserver"


def test_a_start_method_that_the_program_chose_is_kept():
    assert _start_method("import multiprocessing", "multiprocessing.set_start_method('spawn')") == "spawn"


class _Silent(luigi.Task):
    """A task that says which process it runs in."""

    path = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(self.path)

    def run(self):
        process = psutil.Process()
        Path(self.path).write_text(f"{process.pid} {' '.join(process.cmdline())}")


def test_a_task_of_luigi_runs_in_a_child_of_the_fork_server(tmp_path):
    code = """
        import luigi
        from gcn_luigi.tasks import Dataset
        from tests.unit.luigi_host.test_worker import _Silent
        luigi.build([_Silent(path={path!r})], local_scheduler=True, workers=2, log_level="ERROR")
    """
    said = tmp_path / "said"
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code).format(path=str(said))],
        cwd=Path(__file__).resolve().parents[3],
        check=True,
        timeout=60,
    )

    assert "multiprocessing.forkserver" in said.read_text()


def test_in_the_programs_own_process_nothing_is_tied_or_blocked():
    before = signal.getsignal(signal.SIGUSR1), signal.pthread_sigmask(signal.SIG_BLOCK, ())

    with pytest.raises(KeyboardInterrupt), ChildContext(None):
        raise KeyboardInterrupt

    assert (signal.getsignal(signal.SIGUSR1), signal.pthread_sigmask(signal.SIG_BLOCK, ())) == before


def test_workers_are_born_deaf_to_ctrl_c_and_their_parent_is_not():
    code = """
import multiprocessing, signal, time, gcn_luigi.tasks
from gcn_luigi.luigi_host.worker import start_server
start_server()
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set()))
worker = multiprocessing.Process(target=time.sleep, args=(20,))
worker.start()
status = open(f"/proc/{worker.pid}/status").read()
blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
print(bool(int(blocked.split()[1], 16) >> (signal.SIGINT - 1) & 1))
worker.kill()
"""

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("spec", "wanted"), [(importlib.machinery.ModuleSpec("json.tool", None), ["json"]), (None, ["json.decoder"])]
)
def test_the_fork_server_loads_what_the_main_module_needs(monkeypatch, spec, wanted):
    """A Dask worker is `python -m distributed.cli.dask_worker`, or a script that holds one function of Dask."""
    main = types.ModuleType("__main__")
    main.__spec__, main.sys, main.run = spec, sys, json.JSONDecoder
    monkeypatch.setitem(sys.modules, "__main__", main)

    assert worker._of_main() == wanted
