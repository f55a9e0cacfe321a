"""A run watched in Luigi's page, in a browser: the graph, the counters, the bars, the links, and what failed."""

import re
import shutil
import signal
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

from gcn_luigi.synthetic import make_demo
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import dataset
from tests.integration.commands import (
    LOOPBACK,
    Commands,
    Tiny,
    ask,
    gcn_command,
    luigid,
    make_tiny,
    wait_for,
)
from tests.ui.luigi_page import luigi_page
from tests.ui.pictures import keep

pytestmark = pytest.mark.long

_HALF_WAY = ".taskProgressBar:not([aria-valuenow='1']):not([aria-valuenow='100'])"
_LIST = {"status": "", "upstream_status": "", "search": ""}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    commands = Commands(tmp_path_factory.mktemp("watched"))
    yield commands
    assert commands.stop_all() == []


@pytest.fixture(scope="module")
def watched(browser, started, tmp_path_factory):
    """Yield a run that is held in the middle of a shard, another being finished; it must end well afterwards."""
    root = tmp_path_factory.mktemp("region")
    make_demo(root / "demo-input")
    config = Path(str(files("gcn_luigi"))) / "demo.toml"
    with luigid(started) as port, luigi_page(browser, f"http://{LOOPBACK}:{port}") as page:
        command = ("gcn", "run", config.resolve(), "--data-root", root / "demo-input", "--output", root / "out")
        run = started.start(*command, "--scheduler-url", f"http://{LOOPBACK}:{port}")
        wait_for(lambda: any(task["status"] == "DONE" for task in tasks(port).values()))
        early = page.counters()
        held = wait_for(lambda: _hold(run, port), pause=0.01)
        root_task = dataset("demo", root / "out", root / "demo-input", config.resolve().parent)
        yield SimpleNamespace(page=page, port=port, early=early, root=root_task)
        for process in held:
            process.send_signal(signal.SIGCONT)
        ended = run.wait()
        assert ended.code == 0, ended.text


def tasks(port):
    return ask(port, "task_list", **_LIST)


def shards(port, status):
    return [task for task in tasks(port).values() if task["name"] == "gcn.ChipShard" and task["status"] == status]


def _hold(run, port):
    """Stop the workers while one shard is done and another is half way; None where the moment has passed."""
    if not shards(port, "DONE") or not any(_is_half_way(task) for task in shards(port, "RUNNING")):
        return None
    workers = run.workers()
    for process in workers:
        process.send_signal(signal.SIGSTOP)
    if any(_is_half_way(task) for task in shards(port, "RUNNING")):
        return workers
    for process in workers:
        process.send_signal(signal.SIGCONT)
    return None


def _is_half_way(task):
    return 1 < (task["progress_percentage"] or 0) < 100 and "partitions" in (task["status_message"] or "")


def test_the_graph_draws_every_task_by_the_name_of_its_family(watched):
    families = sorted(task.get_task_family() for task in (*upstream(watched.root), watched.root))

    labels = watched.page.graph(watched.root.task_id)

    # The box names the task by its id, which holds the directory of this test.
    watched.page.page.evaluate(
        "document.querySelectorAll('input[type=text]').forEach(box => box.value = 'gcn.Dataset')"
    )
    keep("graph-running.png", watched.page.page.screenshot(full_page=True))
    assert sorted(labels) == families
    assert {"gcn.TileInventory", "gcn.ClassLabel", "gcn.YearStack", "gcn.ChipShard", "gcn.Dataset"} <= set(labels)


def test_the_counters_move(watched):
    now = watched.page.counters()

    assert now["DONE"] > watched.early["DONE"] > 0
    assert now["RUNNING"] >= 1
    assert now["FAILED"] == 0
    assert now["DONE"] + now["RUNNING"] + now["PENDING"] == len([*upstream(watched.root)]) + 1


def test_a_running_task_has_a_name_a_bar_and_a_line(watched):
    rows = watched.page.workers().filter(has_text="gcn.ChipShard")
    # The other one may have been held before it said anything.
    row = next(row for row in rows.all() if row.locator(_HALF_WAY).count())

    name, bar = row.locator("td").first.inner_text(), row.locator(".taskProgressBar")
    assert re.fullmatch(r"gcn\.ChipShard\(number=\d, region=demo, split=(train|dev), total=\d\)", name)
    assert 0 < int(bar.get_attribute("aria-valuenow")) < 100
    row.locator(".statusMessage").click()
    line = watched.page.page.locator("#statusMessageModal pre")
    line.wait_for()
    watched.page.page.wait_for_timeout(700)
    keep("running-shard.png", watched.page.page.locator("#statusMessageModal .modal-content").screenshot())
    assert re.fullmatch(r"\d+ of \d+ partitions, [\d,]+ chips, [\d,]+ rejected, [\d,]+ chips/s", line.inner_text())


@pytest.mark.parametrize(
    ("family", "title"), [("gcn.ChipShard", r"(train|dev)-\d+-of-\d+"), ("gcn.PartitionCatalog", "demo: catalog.*")]
)
def test_what_is_finished_links_to_its_page(watched, family, title):
    done = watched.page.rows(family).filter(has_text="DONE").first
    link = done.locator("a[target=_blank]")

    assert link.get_attribute("href").startswith("http://127.0.0.1:")
    with watched.page.page.context.expect_page() as opened:
        link.click()
    page = opened.value
    page.wait_for_load_state()
    assert re.fullmatch(title, page.title())
    assert page.locator("h1").inner_text() == page.title()
    page.close()


def test_what_waits_has_no_link(watched):
    waiting = watched.page.rows("gcn.QualityReport")

    assert waiting.count() == 1
    assert waiting.locator("a[target=_blank]").count() == 0


@pytest.fixture(scope="module")
def failed(browser, started, tmp_path_factory):
    """Yield the page after a run that failed for a damaged tile."""
    root = tmp_path_factory.mktemp("failing")
    tiny = make_tiny(root)
    tile = min((tiny.sources / "optical").rglob("*ndsi.tif"))
    content = bytearray(tile.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    tile.write_bytes(content)
    with luigid(started) as port, luigi_page(browser, f"http://{LOOPBACK}:{port}") as page:
        url = f"http://{LOOPBACK}:{port}"
        ended = started.run(*gcn_command(Tiny(tiny.sources, tiny.config), root / "out"), "--scheduler-url", url)
        assert ended.code == 30, ended.text
        yield SimpleNamespace(page=page, tile=tile)
    shutil.rmtree(root / "out")


def test_a_failed_task_shows_what_where_and_how_to_mend_it(failed):
    assert failed.page.counters()["FAILED"] >= 1
    row = failed.page.rows("gcn.TileQuality").filter(has_text="FAILED").first

    row.locator(".showError").click()

    said = failed.page.page.locator("#errorModal pre").first
    said.wait_for()
    failed.page.page.wait_for_timeout(700)
    keep("failed-task.png", failed.page.page.locator("#errorModal .modal-content").screenshot())
    text = said.inner_text()
    assert failed.tile.name in text
    assert "where:" in text
    assert "fix:" in text
    assert "Traceback" not in text


def test_what_waits_for_the_failed_task_says_so(failed):
    assert failed.page.rows("gcn.DatasetCard").filter(has_text="UPSTREAM_FAILED").count() == 1
