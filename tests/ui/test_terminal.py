"""`gcn plan` and `gcn run` in a terminal: bars and lines while it works, a summary in the end; and its picture."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from importlib.resources import files
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from gcn_luigi.synthetic import make_demo
from tests.ui.pictures import keep

pytestmark = pytest.mark.long

_ROWS, _COLUMNS = 30, 110
# As long as it takes: 58 s, 1:38 min or, on a machine with much else to do, 1:02 h.
_DURATION = r"[\d:]+ (?:s|min|h)"
# What rich writes to take back the lines of the moment before.
_TAKEN_BACK = re.compile(r"(?:\r?\x1b\[(?:\d*A|2K|1A|\?25[lh]))+")


def in_a_terminal(*command, cwd):
    """Run a command of this package in a terminal of its own; return its exit code and all it wrote there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    program = Path(sys.executable).parent / command[0]
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS), "LINES": str(_ROWS)}
    process = subprocess.Popen([program, *command[1:]], stdin=its, stdout=its, stderr=its, env=variables, cwd=cwd)
    os.close(its)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            # Linux says so when the last writer has gone.
            break
        if not part:
            break
        written += part
    os.close(ours)
    return process.wait(60), written.decode()


def test_a_terminal_shows_bars_while_it_works_and_a_summary_in_the_end(tmp_path):
    make_demo(tmp_path / "output/demo-input")
    config = (Path(str(files("gcn_luigi"))) / "demo.toml").resolve()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/demo.toml").write_bytes(config.read_bytes())

    planned, plan = in_a_terminal("gcn", "plan", "demo", cwd=tmp_path)
    built, run = in_a_terminal("gcn", "run", "demo", "--port", "0", cwd=tmp_path)

    assert (planned, built) == (0, 0)
    moments = [moment.strip("\r\n") for moment in _TAKEN_BACK.split(run) if "tasks," in moment]
    assert len(moments) > 5
    plain = [Text.from_ansi(moment).plain for moment in moments]
    assert re.search(rf"^\S+ \d+ of 42 tasks, {_DURATION}", plain[-1], re.MULTILINE)
    busy = [moment for moment in plain if re.search(r"gcn\.ChipShard\(.*\) +\d+ of \d+ partitions, ", moment)]
    assert busy, plain[-1]
    ended = _TAKEN_BACK.split(run)[-1]
    assert "done: 42 tasks built" in ended
    assert "Traceback" not in run
    chosen = moments[plain.index(max(busy, key=lambda moment: moment.count("ChipShard")))]
    graph = next(line for line in run.splitlines() if line.startswith("graph, ")).partition("#")[0] + "…"
    lines = _TAKEN_BACK.split(plan)[-1].strip("\r\n").splitlines()
    shown = ["$ gcn plan demo", *lines, "", "$ gcn run demo", graph, *chosen.splitlines()]
    keep("terminal.svg", _picture(shown).encode())


def _picture(lines):
    """Return lines with ANSI colours as an SVG that needs no font from elsewhere."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line.rstrip("\r")), crop=True, no_wrap=True, overflow="ellipsis")
    svg = console.export_svg(title="gcn", unique_id="terminal")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "'DejaVu Sans Mono', Menlo, Consolas, monospace")
