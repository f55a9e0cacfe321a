"""Ctrl-C: one plain line, 130, and what was finished is kept."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import gcn_luigi
from gcn_luigi.read.validate import validate
from tests.integration.commands import drafts, gcn_command, left_after, wait_for

# Presses Ctrl-C, as it were, while a module is looked for.
_PRESSES = textwrap.dedent("""
    import os, signal, sys
    class Presses:
        left = {times}
        def find_spec(self, name, path=None, target=None):
            if name == {module!r}:
                for _ in range(self.left):
                    self.left -= 1
                    os.kill(os.getpid(), signal.SIGINT)
    sys.meta_path.insert(0, Presses())
    sys.argv = ["gcn", *{arguments!r}]
    from gcn_luigi.command import main
    main()
""")


@pytest.fixture(autouse=True)
def heeded():
    """Let Ctrl-C be heeded here and in what a test starts, also where tests run in a background that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _finished(directory):
    """Return the files that a sidecar calls published, counted without the package."""
    records = (path for path in (directory / ".gcn").rglob("*.json") if not path.name.startswith("."))
    names = [path.relative_to(directory / ".gcn").as_posix().removesuffix(".json") for path in records]
    return sum((directory / name).is_file() for name in names)


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.parametrize("presses", [1, 2])
def test_a_stopped_run_says_what_is_kept_and_goes_on_from_there(commands, tiny, tiny_output, tmp_path, presses):
    running = commands.start(*gcn_command(tiny, tmp_path), "--port", "0")
    wait_for((tmp_path / "tiny/label.tif").exists)
    wait_for(running.writer, pause=0.01)
    for _ in range(presses):
        running.interrupt()
        time.sleep(0.1)
    ended = running.wait()

    assert ended.code == 130, ended.text
    told = re.findall(r"^stopped; (\d+) finished files are kept; run the same command again", ended.err, re.MULTILINE)
    assert told == [str(_finished(tmp_path / "tiny"))]
    assert int(told[0]) > 0
    assert "Traceback" not in ended.text
    assert "Aborted" not in ended.text
    assert left_after(10, running.processes) == []
    assert drafts(tmp_path) == []

    again = commands.gcn_run(tiny, tmp_path, "--local-scheduler")

    assert again.code == 0, again.text
    built = int(re.search(r"done: (\d+) tasks built", again.out)[1])
    # The label and what it needs are there.
    assert 0 < built < 25
    assert list(validate(tmp_path / "tiny")) == []
    made, wanted = (gcn_luigi.open_dataset(root / "tiny") for root in (tmp_path, tiny_output))
    assert made.data_digest == wanted.data_digest


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("module", "said"),
    [
        # Before the command line is read, and when the command needs its libraries.
        ("click", "stopped before any work began\n"),
        ("pydantic", "stopped\n"),
        ("luigi", "stopped\n"),
        ("geopandas", "stopped\n"),
    ],
)
def test_a_command_that_still_imports_is_stopped_plainly(tiny, tmp_path, module, said, times):
    arguments = [str(word) for word in (*gcn_command(tiny, tmp_path / "out"), "--local-scheduler")][1:]

    ended = subprocess.run(
        [sys.executable, "-c", _PRESSES.format(module=module, arguments=arguments, times=times)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"},
    )

    assert ended.returncode == 130, ended.stderr
    assert ended.stderr == said
    assert not (tmp_path / "out").exists()


def test_the_third_ends_at_once_whatever_still_works():
    code = (
        "import os, signal\n"
        "from gcn_luigi.cli.stopping import interrupts\n"
        "with interrupts():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        "        os.kill(os.getpid(), signal.SIGINT); print('patient', flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGINT); print('never', flush=True)\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (130, "patient\n")
    assert "again to end at once" in ended.stderr


def test_a_command_that_was_told_to_be_deaf_stays_so():
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from gcn_luigi.cli.stopping import interrupts\n"
        "with interrupts():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "print('done')\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_what_interrupted_nothing_leaves_things_as_they_were():
    before = signal.getsignal(signal.SIGINT)
    from gcn_luigi.cli.stopping import interrupts  # noqa: PLC0415

    with interrupts():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before
