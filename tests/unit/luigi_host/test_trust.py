"""Which schedulers are trusted."""

import os
import socket

import pytest

from gcn_luigi.errors import ConfigError, SchedulerError
from gcn_luigi.luigi_host.trust import check_address, is_loopback, is_own
from gcn_luigi.operate.luigid import running_scheduler
from tests.reference.servers import Mail, served


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8082", "http://127.3.2.1:1/", "https://127.0.0.1", "http://[::1]:8082/", "http://localhost:8082",
        "http://LOCALHOST/path", "http+unix://%2Frun%2Fluigi.sock/",
    ],
)  # fmt: skip
def test_addresses_of_this_machine(url):
    assert is_loopback(url)
    check_address(url, is_trusted=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7:8082", "http://0.0.0.0:8082", "http://[2001:db8::1]:8082", "http://scheduler:8082",
        "http://127.0.0.1.example.org:8082", "http://localhost.example.org", "http://127.0.0.1@example.org:8082",
        "http://example.org\\@127.0.0.1:8082", "http://127.0.0.1\\@example.org", "http://127.0.0.1 .example.org",
        "http://2130706433:8082", "http://0x7f.1:8082", "http://:8082", "https://",
    ],
)  # fmt: skip
def test_addresses_of_other_machines_or_in_disguise_are_refused_unless_trusted(url):
    assert not is_loopback(url)
    with pytest.raises(SchedulerError, match="can run code as you") as failure:
        check_address(url, is_trusted=False)
    assert failure.value.where == url
    assert "ssh -N -L 8082:127.0.0.1:8082" in failure.value.fix
    check_address(url, is_trusted=True)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8082", "localhost", "file:///etc/passwd", "ftp://127.0.0.1/"])
def test_what_is_no_address_of_a_web_service_is_refused(url):
    with pytest.raises(ConfigError, match="not an address"):
        check_address(url, is_trusted=True)


def test_a_running_scheduler_must_answer():
    with served(Mail) as port, pytest.raises(SchedulerError, match="no Luigi scheduler answers"):
        running_scheduler(f"http://127.0.0.1:{port}", is_trusted=False)


def test_another_machine_is_not_even_asked(monkeypatch):
    monkeypatch.setattr("gcn_luigi.operate.luigid._is_scheduler", lambda _: pytest.fail("asked"))

    with pytest.raises(SchedulerError):
        running_scheduler("http://192.0.2.1:8082", is_trusted=False)


def test_whose_a_port_is_stands_in_the_systems_table(tmp_path):
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5d} 0 1\n"
    table = tmp_path / "tcp"
    for uid, state, expected in (
        (os.geteuid(), "0A", True),
        (0, "0A", True),
        (98765, "0A", False),
        (98765, "06", True),
    ):
        table.write_text(head + row.format(port=8082, state=state, uid=uid))
        assert is_own(8082, [table]) is expected
    assert is_own(8083, [table])
    assert is_own(8082, [tmp_path / "absent"])
    with socket.create_server(("127.0.0.1", 0)) as holder:
        assert is_own(holder.getsockname()[1])


@pytest.mark.parametrize("url", ["http://127.0.0.1:8082", "http://localhost", "https://[::1]/"])
def test_a_scheduler_of_another_user_is_refused_unless_trusted(monkeypatch, url):
    asked = []
    monkeypatch.setattr("gcn_luigi.luigi_host.trust.is_own", asked.append)

    with pytest.raises(SchedulerError, match="another user") as failure:
        check_address(url, is_trusted=False)

    assert failure.value.where == url
    assert asked == [{"http://127.0.0.1:8082": 8082, "http://localhost": 80}.get(url, 443)]
    check_address(url, is_trusted=True)


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_somebody_else_seems_to_hold_is_not_ones_own(monkeypatch, family, address):
    with socket.create_server((address, 0), family=family) as holder:
        port = holder.getsockname()[1]
        assert is_own(port)
        monkeypatch.setattr(os, "geteuid", lambda: 12345678)
        assert is_own(port) is (os.getuid() == 0)
