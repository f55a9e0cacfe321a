"""Pages served to this machine alone: what is answered, and what is not."""

import shutil
import socket
import threading
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from gcn_luigi.errors import SchedulerError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.served.server import serve_pages


@pytest.fixture
def paths(small_output, tmp_path):
    return DatasetPaths(shutil.copytree(small_output, tmp_path / "tiny"))


@pytest.fixture
def address(paths):
    with serve_pages(paths) as address:
        yield address


def ask(address, path, method="GET", host=None):
    """Return status, headers and text of an answer; `path` is sent as it is."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or parts.netloc)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def page(address, name, **how):
    return ask(address, f"{urlsplit(address).path}/tiny/{name}", **how)


def test_the_list_names_every_page_and_every_page_is_there(address, paths):
    status, _, text = page(address, "")

    assert status == 200
    shards = [path.stem for path in paths.shards.glob("*.h5")]
    assert len(shards) == 3
    for name in ("report.html", "catalog", *(f"shards/{shard}" for shard in shards)):
        assert f'href="{name}"' in text
        assert page(address, name)[0] == 200


def test_a_shard_is_shown_with_its_chips_and_partitions(address, paths):
    path = min(paths.shards.glob("train-*.h5"))

    _, _, text = page(address, f"shards/{path.stem}")

    assert text.count("data:image/png;base64,") == 3 * text.count('<li class="chip">') > 0
    assert "too-little-ice" in text
    assert text.count("<title>") == 1


def test_the_catalog_is_shown_with_a_box_and_a_row_for_each_partition(address):
    _, _, text = page(address, "catalog")

    assert text.count("<rect ") == 20
    assert "Why partitions are not used" in text


def test_pages_may_load_nothing_and_are_not_kept(address):
    _, headers, _ = page(address, "catalog")

    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    ["dataset.json", "label.tif", "../tiny/report.html", "shards/../report", "shards/%2e%2e/report", "shards/", "no"],
)
def test_files_are_not_served_by_their_names(address, name):
    assert page(address, name)[0] == 404


@pytest.mark.parametrize("path", ["/", "/tiny/", "/wrong/tiny/", "//tiny/report.html", "/\xfc/tiny/"])
def test_without_the_secret_word_there_is_nothing(address, path):
    path = path.encode("latin-1").decode("latin-1").replace("\xfc", "%C3%BC")

    assert ask(address, path)[0] == 404


def test_another_region_is_not_there(address):
    assert ask(address, f"{urlsplit(address).path}/southern/")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_name_of_somebody_elses_is_refused(address, host):
    assert page(address, "report.html", host=host or "-")[0] == 403


def test_localhost_is_this_machine(address):
    assert page(address, "report.html", host=f"localhost:{urlsplit(address).port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent(address, method):
    assert page(address, "report.html", method=method)[0] == 501


def test_the_head_of_a_page_has_no_body(address):
    status, headers, text = page(address, "catalog", method="HEAD")

    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 1000


def test_a_link_is_no_page(address, paths, tmp_path):
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    paths.report.unlink()
    paths.report.symlink_to(tmp_path / "secret")

    assert page(address, "report.html")[0] == 404


def test_a_damaged_shard_is_told_on_its_page(address, paths):
    path = min(paths.shards.glob("dev-*.h5"))
    path.write_bytes(path.read_bytes()[:1000])

    status, _, text = page(address, f"shards/{path.stem}")

    assert status == 503
    assert "cannot be read" in text


def test_before_anything_is_made_the_list_says_so(tmp_path):
    (tmp_path / "tiny").mkdir()
    with serve_pages(DatasetPaths(tmp_path / "tiny")) as address:
        assert "Nothing is finished yet." in page(address, "")[2]
        assert page(address, "catalog")[0] == 404


def test_only_this_machine_is_listened_to_and_nothing_is_left(paths):
    with serve_pages(paths) as address:
        parts = urlsplit(address)
        assert parts.hostname == "127.0.0.1"

    assert not [thread for thread in threading.enumerate() if thread.name == "gcn-pages"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((parts.hostname, parts.port), timeout=5)


def test_a_port_that_is_taken_is_an_error_with_a_way_out(paths):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with (
            pytest.raises(SchedulerError, match="cannot be served"),
            serve_pages(paths, taken.getsockname()[1]),
        ):
            pass


def test_every_run_has_a_word_of_its_own(paths):
    with serve_pages(paths) as one, serve_pages(paths) as other:
        assert urlsplit(one).path != urlsplit(other).path
        assert len(urlsplit(one).path) >= 16
