"""The scheduler that `gcn run` starts, or finds."""

import http.server
import json
import os
import pickle
import socket
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest

from gcn_luigi.errors import SchedulerError
from gcn_luigi.operate import luigid as central
from gcn_luigi.operate.luigid import LOOPBACK, answers, central_scheduler, free_port, private_directory
from tests.reference.servers import Mail, served

LUIGI_CFG = Path(__file__).resolve().parents[3] / "luigi.cfg"


def _handler(body, status=200):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (_handler(json.dumps({"response": {}}).encode()), True),
        (_handler(b"<html>any path is fine here</html>"), False),
        (_handler(b"[]"), False),
        (_handler(json.dumps({"error": "no"}).encode()), False),
        (_handler(b"no such page", 404), False),
        (Mail, False),
    ],
)
def test_only_a_scheduler_counts_as_a_scheduler(handler, expected):
    with served(handler) as port:
        assert answers(port) is expected


def test_nothing_answers_on_a_free_port():
    assert not answers(free_port(0))


def test_a_proxy_is_not_asked_about_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with served(_handler(json.dumps({"response": {}}).encode())) as port:
        assert answers(port)


def test_the_wanted_port_is_kept_if_it_is_free():
    wanted = free_port(0)

    assert free_port(wanted) == wanted


def test_a_held_port_is_replaced():
    with socket.create_server((LOOPBACK, 0)) as holder:
        held = holder.getsockname()[1]

        assert free_port(held) not in {0, held}


def test_connections_of_an_earlier_scheduler_that_linger_do_not_hold_the_port():
    server = socket.create_server((LOOPBACK, 0))
    port = server.getsockname()[1]
    client = socket.create_connection((LOOPBACK, port))
    connection, _ = server.accept()
    # The side that closes first keeps the port in TIME_WAIT.
    connection.close()
    server.close()
    client.close()

    assert free_port(port) == port


def _started():
    """Return our children, but for those that multiprocessing and the browser keep once any test has used them."""
    kept = ("multiprocessing", "playwright")
    return [one for one in psutil.Process().children() if not any(word in " ".join(one.cmdline()) for word in kept)]


@pytest.mark.luigid
def test_a_scheduler_is_private_and_ends_with_the_block(tmp_path):
    with central_scheduler(0, tmp_path / "state", LUIGI_CFG) as address:
        port = int(address.rsplit(":", 1)[1])
        (scheduler,) = _started()
        listening = [tuple(item.laddr) for item in scheduler.net_connections() if item.status == psutil.CONN_LISTEN]
        assert answers(port)
        assert address == f"http://{LOOPBACK}:{port}"
        assert listening == [(LOOPBACK, port)]
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        with central_scheduler(port, tmp_path / "other", LUIGI_CFG) as second:
            assert second == address
        assert answers(port)
        assert not (tmp_path / "other").exists()

    assert not scheduler.is_running()
    assert not answers(port)


@pytest.mark.luigid
def test_a_run_that_loses_the_race_for_the_port_uses_the_scheduler_of_the_winner(tmp_path, monkeypatch):
    with central_scheduler(0, tmp_path / "winner", LUIGI_CFG) as address:
        port = int(address.rsplit(":", 1)[1])
        # As it was when both looked: nothing answered, and the port was free.
        looked = iter([False])
        real = central.answers
        monkeypatch.setattr(central, "answers", lambda asked: next(looked, None) is None and real(asked))
        monkeypatch.setattr(central, "free_port", lambda wanted: wanted)

        with central_scheduler(port, tmp_path / "loser", LUIGI_CFG) as second:
            assert second == address

        assert real(port)


@pytest.mark.luigid
def test_a_scheduler_ends_with_the_block_also_when_that_fails(tmp_path):
    started = []

    def interrupted():
        started.extend(_started())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), central_scheduler(0, tmp_path / "state", LUIGI_CFG):
        interrupted()

    assert [scheduler.is_running() for scheduler in started] == [False]


class _Intruder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.luigid
@pytest.mark.luigid
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="on other systems nothing ends it")
def test_a_scheduler_whose_parent_was_killed_while_it_started_ends(tmp_path, monkeypatch):
    """The kernel tells of the death of a parent only after it was asked to."""
    monkeypatch.setattr(central, "_wait_until_up", lambda *_: os._exit(0))
    parent = os.fork()
    if parent == 0:
        with central_scheduler(0, tmp_path / "state", LUIGI_CFG):
            os._exit(1)
    assert os.waitpid(parent, 0) == (parent, 0)

    def left():
        return [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]

    deadline = time.monotonic() + 20
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left() == []


def test_a_planted_state_is_never_loaded_and_an_open_directory_is_closed(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    (state / central._file_names()[1]).write_bytes(pickle.dumps(_Intruder(tmp_path / "intruded")))

    with central_scheduler(0, state, LUIGI_CFG):
        assert state.stat().st_mode & 0o777 == 0o700

    assert not (tmp_path / "intruded").exists()


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "elsewhere"
    path.mkdir()
    (path / "kept").write_text("kept")
    return path


def _refused(state):
    with pytest.raises(SchedulerError) as failure, central_scheduler(0, state, LUIGI_CFG):
        pass
    assert failure.value.where == str(state)
    assert failure.value.fix
    assert _started() == []
    return failure.value.what


def test_a_directory_that_is_a_link_is_refused_and_what_it_leads_to_is_left_alone(tmp_path, victim):
    mode = victim.stat().st_mode
    (tmp_path / "state").symlink_to(victim)

    assert "it is a link" in _refused(tmp_path / "state")
    assert victim.stat().st_mode == mode
    assert [path.name for path in victim.iterdir()] == ["kept"]


def test_a_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    (tmp_path / "state").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345678)

    assert "belongs to another user" in _refused(tmp_path / "state")


@pytest.mark.parametrize("depth", [0, 1])
def test_a_place_where_anybody_could_put_another_directory_is_refused_but_a_sticky_one_is_not(tmp_path, depth):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    state = (shared / "out" if depth else shared) / "state"

    assert f"{shared} is writable by every user" in _refused(state)

    shared.chmod(0o1777)
    os.close(private_directory(state))
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_the_log_is_replaced_and_never_followed(tmp_path, victim, monkeypatch):
    monkeypatch.setattr(central, "_LUIGID", "raise SystemExit('no port for me')")
    state = tmp_path / "state"
    state.mkdir()
    (state / central._file_names()[0]).symlink_to(victim / "kept")
    (state / central._file_names()[1]).symlink_to(victim / "kept")

    with pytest.raises(SchedulerError, match="did not start"), central_scheduler(0, state, LUIGI_CFG):
        pass

    assert (victim / "kept").read_text() == "kept"
    assert not (state / central._file_names()[0]).is_symlink()
    assert (state / central._file_names()[0]).stat().st_mode & 0o777 == 0o600
    assert not (state / central._file_names()[1]).is_symlink()


def test_a_log_with_a_second_name_elsewhere_is_not_written_through_it(tmp_path, victim, monkeypatch):
    monkeypatch.setattr(central, "_LUIGID", "raise SystemExit('no port for me')")
    state = tmp_path / "state"
    state.mkdir()
    os.link(victim / "kept", state / central._file_names()[0])

    with pytest.raises(SchedulerError, match="did not start"), central_scheduler(0, state, LUIGI_CFG):
        pass

    assert (victim / "kept").read_text() == "kept"


def test_a_scheduler_that_is_not_ones_own_is_passed_by(tmp_path, monkeypatch):
    monkeypatch.setattr(central, "is_own", lambda _: False)
    monkeypatch.setattr(central, "_LUIGID", "raise SystemExit('another was started')")
    with (
        served(_handler(json.dumps({"response": {}}).encode())) as port,
        pytest.raises(SchedulerError, match="did not start"),
        central_scheduler(port, tmp_path / "state", LUIGI_CFG),
    ):
        pass


def test_a_scheduler_that_does_not_start_is_reported_with_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(central, "_LUIGID", "raise SystemExit('no port for me')")

    with pytest.raises(SchedulerError) as failure, central_scheduler(0, tmp_path / "state", LUIGI_CFG):
        pass

    assert failure.value.where == str(tmp_path / "state" / central._file_names()[0])
    assert "no port for me" in Path(failure.value.where).read_text()
    assert "--local-scheduler" in failure.value.fix
    assert _started() == []


def test_a_scheduler_that_is_silent_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(central, "_LUIGID", "import time; time.sleep(100)")
    monkeypatch.setattr(central, "_PATIENCE_S", 0.3)

    with pytest.raises(SchedulerError, match="did not start"), central_scheduler(0, tmp_path / "state", LUIGI_CFG):
        pass

    assert _started() == []


def test_a_directory_that_cannot_be_made_private_is_refused(tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(SchedulerError) as failure, central_scheduler(0, tmp_path / "state", LUIGI_CFG):
        pass

    assert failure.value.where == str(tmp_path / "state")
    assert failure.value.fix


@pytest.mark.luigid
def test_the_shipped_settings_reach_the_scheduler(tmp_path, monkeypatch):
    monkeypatch.setenv("LUIGI_CONFIG_PATH", os.devnull)
    opener = build_opener(ProxyHandler({}))
    with (
        central_scheduler(0, tmp_path / "state", LUIGI_CFG) as address,
        opener.open(f"{address}/api/resource_list", timeout=20) as reply,
    ):
        resources = json.load(reply)["response"]

    assert [(entry["name"], entry["num_total"]) for entry in resources] == [("io", 16)]
