"""`gcn run` as a process: its scheduler, its failures, and what is left when it is killed."""

import http.server
import os
import re
import shutil
import signal

import psutil
import pytest

from tests.integration.commands import (
    LOOPBACK,
    ask,
    drafts,
    free_port,
    gcn_command,
    left_after,
    luigid,
    make_tiny,
    reachable,
    state_of,
    wait_for,
)
from tests.reference.servers import Mail, served


@pytest.fixture
def finished(tiny_output, tmp_path_factory):
    """Return an output directory with the finished dataset; a test may write into it."""
    # As deep as the first one: the relative paths to the sources go on to hold, so the dataset stays current.
    output = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_output / "tiny", output / "tiny")
    return output


def _port(text):
    found = re.search(r"^graph, while this runs: http://127\.0\.0\.1:(\d+)/", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _schedulers(running):
    return [process for process in running.processes() if "luigid" in " ".join(process.cmdline())]


@pytest.mark.luigid
@pytest.mark.long
def test_after_a_kill_one_worker_makes_the_same_bytes_and_its_scheduler_is_private_and_gone_afterwards(
    commands, tiny, tiny_output, tmp_path
):
    killed = commands.start(*gcn_command(tiny, tmp_path), "--port", "0")
    wait_for(killed.workers)
    killed.process.kill()
    assert left_after(10, killed.processes) == []

    running = commands.start(*gcn_command(tiny, tmp_path), "--port", "0", "--workers", "1")
    port = wait_for(lambda: _port(running.text()))
    (scheduler,) = _schedulers(running)
    listening = [item.laddr for item in scheduler.net_connections() if item.status == psutil.CONN_LISTEN]
    mode = (tmp_path / ".scheduler").stat().st_mode & 0o777
    ended = running.wait()

    assert ended.code == 0, ended.text
    assert [tuple(address) for address in listening] == [(LOOPBACK, port)]
    assert mode == 0o700
    assert (tmp_path / "tiny/dataset.json").read_bytes() == (tiny_output / "tiny/dataset.json").read_bytes()
    assert left_after(10, running.processes) == []
    assert not reachable(port)


@pytest.mark.luigid
def test_a_failure_is_told_plainly_and_after_mending_only_what_is_missing_is_made(commands, tiny, finished):
    votes = next((tiny.sources / "stem").glob("*.tif"))
    whole, status = votes.read_bytes(), votes.stat()
    label = (finished / "tiny/label.tif").read_bytes()
    before = state_of(finished / "tiny")
    (finished / "tiny/label.tif").unlink()
    votes.write_bytes(whole[:1000])
    with luigid(commands) as port:
        try:
            failed = commands.gcn_run(tiny, finished, "--port", port)
        finally:
            # Other tests read the same sources.
            votes.write_bytes(whole)
            os.utime(votes, ns=(status.st_atime_ns, status.st_mtime_ns))
        left = state_of(finished / "tiny")
        task = next(name for name, node in ask(port, "graph").items() if node["name"] == "gcn.ClassLabel")
        shown = ask(port, "fetch_error", task_id=task)["error"]
        mended = commands.gcn_run(tiny, finished, "--port", port)

    assert failed.code == 30, failed.text
    assert "Traceback" not in failed.text
    assert "failed: gcn.ClassLabel()" in failed.err
    for text in (failed.err, shown):
        assert votes.name in text
        assert re.search(r"where: .*\S", text)
        assert re.search(r"fix: .*\S", text)
    assert left == {name: time for name, time in before.items() if name != "label.tif"}
    # The scheduler that answered was used, and no other started.
    assert _port(failed.out) == _port(mended.out) == port
    assert not (finished / ".scheduler").exists()
    assert mended.code == 0, mended.text
    assert "done: 1 tasks built" in mended.out
    assert (finished / "tiny/label.tif").read_bytes() == label
    changed = {name for name, time in state_of(finished / "tiny").items() if time != before[name]}
    # What the label counts is counted while it is written.
    assert changed == {"label.tif", "label.json"}


def test_a_truncated_tile_stops_the_build_and_is_named(commands, tmp_path):
    tiny = make_tiny(tmp_path)
    tile = min((tiny.sources / "optical").rglob("*_ndsi.tif"))
    tile.write_bytes(tile.read_bytes()[:-5000])

    ended = commands.gcn_run(tiny, tmp_path / "out", "--local-scheduler")

    assert ended.code == 30, ended.text
    assert "Traceback" not in ended.text
    assert tile.relative_to(tiny.sources).as_posix() in ended.err
    assert re.search(r"where: .*\S", ended.err)
    assert re.search(r"fix: .*\S", ended.err)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.fault
@pytest.mark.luigid
@pytest.mark.parametrize(
    "stop", ["Ctrl-C", pytest.param("kill", marks=pytest.mark.long), pytest.param("interrupt", marks=pytest.mark.long)]
)
def test_nothing_outlives_a_stopped_run(commands, tiny, tmp_path, stop):
    running = commands.start(*gcn_command(tiny, tmp_path), "--port", "0")
    wait_for(running.writer, pause=0.01)
    port = _port(running.text())
    (scheduler,) = _schedulers(running)
    # Ctrl-C is for the command: a scheduler that heard it too would be asked in vain for a minute.
    assert os.getpgid(scheduler.pid) != running.process.pid
    {
        "kill": running.process.kill,
        "interrupt": lambda: running.process.send_signal(signal.SIGINT),
        "Ctrl-C": running.interrupt,
    }[stop]()
    ended = running.wait()

    assert left_after(10, running.processes) == []
    assert not reachable(port)
    assert ended.code != 0
    assert "Traceback" not in ended.text
    assert drafts(tmp_path) == []
    assert not (tmp_path / "tiny/dataset.json").exists()


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>any path is fine here</html>")

    def log_message(self, *_):
        pass


@pytest.mark.luigid
@pytest.mark.parametrize("handler", [Mail, pytest.param(_Page, marks=pytest.mark.long)])
def test_a_port_held_by_something_else_is_left_alone(commands, tiny, finished, handler):
    (finished / "tiny/dataset.json").unlink()
    with served(handler) as port:
        ended = commands.gcn_run(tiny, finished, "--port", str(port))

    assert ended.code == 0, ended.text
    assert "done: 1 tasks built" in ended.out
    assert _port(ended.out) not in {0, port}


def test_nothing_is_started_for_a_finished_dataset(commands, tiny, finished):
    before = state_of(finished / "tiny")

    ended = commands.gcn_run(tiny, finished, "--port", "0")

    assert ended.code == 0, ended.text
    assert ended.out.startswith("done: nothing to build, everything is up to date\ndataset: ")
    assert not (finished / ".scheduler").exists()
    assert state_of(finished / "tiny") == before


@pytest.mark.luigid
@pytest.mark.long
def test_a_free_port_is_used_as_asked_also_twice_in_a_row_and_past_a_proxy(commands, tiny, finished):
    port = free_port()
    for _ in range(2):
        (finished / "tiny/dataset.json").unlink()
        running = commands.start(
            *gcn_command(tiny, finished), "--port", str(port), http_proxy="http://127.0.0.1:9", no_proxy="example.org"
        )
        ended = running.wait()

        assert ended.code == 0, ended.text
        assert _port(ended.out) == port


def test_a_misspelt_key_is_told_in_three_lines(commands, tiny, tmp_path):
    config = shutil.copytree(tiny.config, tmp_path / "config")
    path = config / "tiny.toml"
    path.write_text(path.read_text().replace("dev_share", "dev_shere"))

    ended = commands.run("gcn", "run", path, "--output", tmp_path / "out")

    assert ended.code == 1
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 3
    assert "did you mean dev_share?" in ended.err
    assert str(path) in ended.err
    assert not (tmp_path / "out").exists()
