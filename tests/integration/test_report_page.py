"""The quality page of the Columbia dataset."""

import json

import pytest

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.report.quality.page import write_report
from gcn_luigi.tasks import QualityReport
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import dataset
from tests.reference.html_page import Page
from tests.reference.timeless import timeless


def test_the_page_is_whole_and_small(columbia_output):
    path = DatasetPaths(columbia_output).report

    page = Page(path.read_text(encoding="utf-8"))

    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    # Eleven figures and the graph.
    assert len(page.all("svg")) == 14
    # Six kinds of chips in two splits, three pictures each.
    assert len(page.all("img")) == 36
    assert path.stat().st_size < 4_000_000


def test_the_page_states_what_the_files_hold(columbia_output):
    paths = DatasetPaths(columbia_output)
    audit = json.loads(paths.split_audit.read_text(encoding="utf-8"))
    index, catalog = read_geoparquet(paths.index), read_geoparquet(paths.catalog)

    page = Page(paths.report.read_text(encoding="utf-8"))
    facts = [text.strip() for text in page.text if text.strip()]

    assert facts[facts.index("Train chips") + 1] == str((index["split"] == "train").sum())
    assert facts[facts.index("Dev chips") + 1] == str((index["split"] == "dev").sum())
    assert facts[facts.index("Partitions used") + 1] == str(catalog["used"].sum())
    assert all(glacier in "".join(facts) for glacier in audit["shared_glaciers"])
    assert all(partition in facts for partition in catalog["partition"])


@pytest.mark.long
def test_the_page_can_be_drawn_again_to_the_same_bytes_but_for_times(columbia, columbia_output, tmp_path):
    paths = DatasetPaths(columbia_output)
    task = dataset("columbia", columbia_output.parent, columbia).clone(QualityReport)

    write_report(task.configured.settings, paths, tmp_path / "report.html", task.origin())

    assert timeless(tmp_path / "report.html") == timeless(paths.report)


def test_the_page_states_the_digest_of_every_file_it_is_made_from_as_the_seal_does(columbia_output):
    paths = DatasetPaths(columbia_output)
    manifest = json.loads(paths.dataset.read_text(encoding="utf-8"))
    facts = [text.strip() for text in Page(paths.report.read_text(encoding="utf-8")).text if text.strip()]

    shown = {"inventory.json", "index.parquet", "catalog.parquet", "statistics.json", "split.json", "label.tif"}
    shown |= {file["path"] for file in manifest["files"] if file["path"].startswith("shards/")}
    for file in manifest["files"]:
        if file["path"] in shown:
            at = facts.index(file["path"].removeprefix("shards/"))
            expected = [f"{file['size']:,}", file["sha256"], manifest["fingerprints"][file["path"]]]
            assert facts[at + 1 : at + 4] == expected
            shown.remove(file["path"])
    assert shown == set()


def test_the_page_knows_every_task_of_the_dataset_and_what_it_took(columbia, columbia_output):
    root = dataset("columbia", columbia_output.parent, columbia)

    tasks = root.clone(QualityReport).origin().tasks

    assert sorted(task.name for task in tasks) == sorted([root.name, *(task.name for task in upstream(root))])
    assert all(task.seconds is not None for task in tasks)
    known = {task.name for task in tasks}
    assert all(set(task.requires) <= known for task in tasks)
    assert {task.name for task in tasks if not task.requires} == {"gcn.TileInventory()"}
