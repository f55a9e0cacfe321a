"""The quality page of the Columbia dataset."""

import json

from gcn_luigi.config import load_region
from gcn_luigi.io.index import read_geoparquet
from gcn_luigi.io.layout import Layout
from gcn_luigi.report.page import write_report
from tests.integration.builds import CONFIG
from tests.reference.html_page import Page


def test_the_page_is_whole_and_small(columbia_output):
    path = Layout(columbia_output).report

    page = Page(path.read_text(encoding="utf-8"))

    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert len(page.all("svg")) == 6
    # Six kinds of chips in two splits, three pictures each.
    assert len(page.all("img")) == 36
    assert path.stat().st_size < 4_000_000


def test_the_page_states_what_the_files_hold(columbia_output):
    layout = Layout(columbia_output)
    audit = json.loads(layout.split_audit.read_text(encoding="utf-8"))
    index, catalog = read_geoparquet(layout.index), read_geoparquet(layout.catalog)

    page = Page(layout.report.read_text(encoding="utf-8"))
    facts = [text.strip() for text in page.text if text.strip()]

    assert facts[facts.index("Train chips") + 1] == str((index["split"] == "train").sum())
    assert facts[facts.index("Dev chips") + 1] == str((index["split"] == "dev").sum())
    assert facts[facts.index("Partitions used") + 1] == str(catalog["used"].sum())
    assert all(glacier in "".join(facts) for glacier in audit["shared_glaciers"])
    assert all(partition in facts for partition in catalog["partition"])


def test_the_page_can_be_drawn_again_to_the_same_bytes(columbia_output, tmp_path):
    layout = Layout(columbia_output)
    settings = load_region(CONFIG / "columbia.toml").settings

    write_report(settings, layout, tmp_path / "report.html")

    assert (tmp_path / "report.html").read_bytes() == layout.report.read_bytes()
