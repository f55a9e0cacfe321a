"""`gcn report`: drawn where it is stale, shown where it is not, refused where there is nothing to show."""

import shutil
import signal
from urllib.request import ProxyHandler, build_opener

import pytest
from click.testing import CliRunner

from gcn_luigi.cli import cli
from gcn_luigi.errors import ConfigError, InputError
from tests.integration.builds import dataset
from tests.integration.commands import wait_for


@pytest.fixture(scope="module")
def built(tiny_root, tmp_path_factory):
    """Return a copy of the tiny region with its finished dataset, which tests may change."""
    return shutil.copytree(tiny_root, tmp_path_factory.mktemp("shown") / "tiny")


def where(root):
    return ("--config-dir", root / "config", "--data-root", root / "input", "--output", root / "out")


def report(root, *options):
    arguments = [str(part) for part in ("report", "tiny", *where(root), *options)]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_a_page_that_is_up_to_date_is_left_alone(built):
    page = built / "out/tiny/report.html"
    before = page.stat().st_mtime_ns

    result = report(built)

    assert result.exit_code == 0
    assert result.stdout == f"up to date: {page}\n"
    assert page.stat().st_mtime_ns == before


@pytest.mark.long
def test_a_lost_page_is_drawn_and_so_is_one_asked_for_again(built):
    page = built / "out/tiny/report.html"
    page.unlink()

    assert report(built).stdout == f"drawn: {page}\n"
    before = page.stat().st_ino
    assert report(built, "--again").stdout == f"drawn: {page}\n"
    assert page.stat().st_ino != before


def test_an_unfinished_dataset_is_not_built_behind_ones_back(built, tmp_path):
    for name in ("config", "input"):
        shutil.copytree(built / name, tmp_path / name)

    with pytest.raises(InputError, match="not finished") as refused:
        report(tmp_path)

    assert "gcn run tiny" in refused.value.fix
    assert not (tmp_path / "out").exists()


def test_it_is_opened_where_somebody_asks(built, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    report(built, "--open")

    assert opened == [(built / "out/tiny/report.html").as_uri()]


def test_pages_are_served_until_the_user_ends_it(built, commands):
    running = commands.start("gcn", "report", "tiny", *where(built), "--serve")
    line = wait_for(lambda: next((line for line in running.text().splitlines() if line.startswith("pages, ")), None))
    address = line.partition(": ")[2]

    with build_opener(ProxyHandler({})).open(address, timeout=20) as reply:
        assert "quality page" in reply.read().decode()

    running.process.send_signal(signal.SIGINT)
    ended = running.wait()
    assert ended.code == 0
    assert "Traceback" not in ended.text


def test_tasks_know_their_pages_and_are_the_same_tasks(built, tmp_path):
    plain = dataset("tiny", tmp_path / "out", built / "input", built / "config")

    linked = plain.clone(type(plain), pages_url="http://127.0.0.1:8099/word")

    assert plain.page_address is None
    assert linked.page_address == "http://127.0.0.1:8099/word/tiny/"
    assert linked.requires()[0].page_address == "http://127.0.0.1:8099/word/tiny/report.html"
    assert linked.task_id == plain.task_id


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x", "http://example.org/x", "javascript:alert(1)", "http://127.0.0.1:80/<b>"]
)
def test_links_lead_to_this_machine_alone(built, tmp_path, url):
    plain = dataset("tiny", tmp_path / "out", built / "input", built / "config")

    with pytest.raises(ConfigError, match="is not an address on this machine"):
        plain.clone(type(plain), pages_url=url)
