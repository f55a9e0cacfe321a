"""Which schedulers are trusted."""

import pytest

from gcn_luigi.errors import ConfigError, SchedulerError
from gcn_luigi.tasks.central import running_scheduler
from gcn_luigi.tasks.trust import check_address, is_loopback
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
    with pytest.raises(ConfigError, match="no address"):
        check_address(url, is_trusted=True)


def test_a_running_scheduler_must_answer():
    with served(Mail) as port, pytest.raises(SchedulerError, match="no Luigi scheduler answers"):
        running_scheduler(f"http://127.0.0.1:{port}", is_trusted=False)


def test_another_machine_is_not_even_asked(monkeypatch):
    monkeypatch.setattr("gcn_luigi.tasks.central._is_scheduler", lambda _: pytest.fail("asked"))

    with pytest.raises(SchedulerError):
        running_scheduler("http://192.0.2.1:8082", is_trusted=False)
