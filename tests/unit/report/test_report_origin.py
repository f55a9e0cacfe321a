"""What the page says of leaks, repeats, what was left out, digests and times: measured, counted, and nothing else."""

import re

import geopandas as gpd
import pandas as pd
import pytest

from gcn_luigi.config import Region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import Record
from gcn_luigi.io.tables import write_geoparquet
from gcn_luigi.report.graph_picture import TaskTime
from gcn_luigi.report.quality.checks import make_checks
from gcn_luigi.report.quality.data import read_report_data
from gcn_luigi.report.quality.inputs import input_table, stage_table
from gcn_luigi.report.quality.page import Provenance, digest_table, write_report
from gcn_luigi.report.quality.tables import leakage_table, repeat_examples, repeat_table
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard
from tests.reference.html_page import Page
from tests.reference.timeless import timeless
from tests.unit.report.test_report import EVIL, RICH, make_dataset, write_json

RECORDS = {
    "index.parquet": Record({"a": 1}, 1234, "a" * 64),
    "shards/dev-00000-of-00001.h5": Record({"b": 1}, 5678, "b" * 64),
    "split.json": None,
}


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("rich") / "tiny", RICH)


def origin(seconds):
    tasks = (
        TaskTime("gcn.Scan()", "Scan", (), seconds),
        TaskTime(f"gcn.{EVIL}()", EVIL, ("gcn.Scan()",), seconds),
    )
    return Provenance(tasks, RECORDS, {"gcn_luigi": "0.1.0", "numpy": "2.4.6"})


def page_of(dataset, path, *more):
    path.mkdir(exist_ok=True)
    write_report(*dataset, path / "report.html", *more)
    return path / "report.html"


@pytest.fixture(scope="module")
def path(rich, tmp_path_factory):
    return page_of(rich, tmp_path_factory.mktemp("page"), origin(1.25))


def mirrored(rich, root, **tables):
    """Return the dataset with some tables in place of its own."""
    settings, paths = rich
    root.mkdir()
    for path in paths.root.iterdir():
        (root / path.name).symlink_to(path)
    copy = DatasetPaths(root)
    for name, table in tables.items():
        getattr(copy, name).unlink()
        write_geoparquet(getattr(copy, name), table)
    return settings, copy


@pytest.mark.long
def test_only_what_stands_between_the_comments_depends_on_times(rich, path, tmp_path):
    known, slow, unknown = (
        path,
        page_of(rich, tmp_path / "slow", origin(4000.0)),
        page_of(rich, tmp_path / "unknown", origin(None)),
    )

    assert len({one.read_bytes() for one in (known, slow, unknown)}) == 3
    assert timeless(known) == timeless(slow) == timeless(unknown)


def test_the_comments_are_there_once_whatever_is_known(rich, path, tmp_path):
    for one in (path, page_of(rich, tmp_path / "bare")):
        text = one.read_text(encoding="utf-8")
        assert text.count("<!-- times -->") == text.count("<!-- /times -->") == 1
        assert Page(text).open == []


def test_the_page_with_times_is_well_formed_and_names_its_pictures(path):
    text = path.read_text(encoding="utf-8")
    page = Page(text)

    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert all(svg["aria-label"] for svg in page.all("svg"))
    assert "<script>alert" not in text
    assert {target[1:] for target in re.findall(r"url\(([^)]*)\)", text)} <= set(page.ids)


def test_digests_are_told_whole_and_shards_stand_apart(path):
    files, shards = (digest_table("", origin(None), are_shards=chosen) for chosen in (False, True))

    fingerprint = RECORDS["index.parquet"].fingerprint
    assert files.rows == (("index.parquet", "1,234", "a" * 64, fingerprint), ("split.json", *["\u2013"] * 3))
    assert [row[:3] for row in shards.rows] == [("dev-00000-of-00001.h5", "5,678", "b" * 64)]
    said = "".join(Page(path.read_text(encoding="utf-8")).text)
    assert "a" * 64 in said
    assert "b" * 64 in said
    assert "gcn_luigi 0.1.0, numpy 2.4.6" in said


def test_leaks_are_those_of_the_chips_and_not_of_the_plan(rich, tmp_path):
    index = gpd.read_parquet(rich[1].index)
    # A dev chip where a train chip lies: the plan knows nothing of it.
    train, dev = (index.index[index["split"] == split][0] for split in ("train", "dev"))
    places = ["partition", "left", "bottom", "right", "top"]
    index.loc[dev, places] = index.loc[train, places]
    data = read_report_data(*mirrored(rich, tmp_path / "tiny", index=index))

    rows = {row[0]: row[1:] for row in leakage_table(data).rows}
    checks = {check.question: check for check in make_checks(data)}

    assert rows["Pixels in both"] == ("256", "0")
    assert rows["Least distance, edge to edge"][0] == "0 m (0.0 px)"
    assert rows["Nearest dev chip"][0] == index["chip_id"][dev]
    assert checks["Do train and dev share pixels?"].answer == "256 pixels"
    assert not checks["Do train and dev share pixels?"].is_fine


def test_a_chip_that_is_listed_twice_is_a_repeat_in_bytes_and_place(rich, tmp_path):
    index = gpd.read_parquet(rich[1].index)
    first = index[index["split"] == "train"].iloc[[0]]
    again = pd.concat([index, first.assign(chip_id="again", split="dev")], ignore_index=True)
    data = read_report_data(*mirrored(rich, tmp_path / "tiny", index=again))

    rows = repeat_table(data).rows
    check = next(one for one in make_checks(data) if one.question == "Does every chip occur only once?")

    compared = f"{len(again)}"
    assert rows == (
        ("Same bytes", compared, "1", "0", "0", "1"),
        ("Same footprint and year", compared, "1", "0", "0", "1"),
    )
    assert repeat_examples(data)[0] == ("Same bytes", [f"again, {first['chip_id'].iloc[0]}"])
    assert check.answer == "1 set of chips with the same bytes; 1 set of chips with the same footprint and year"
    assert not check.is_fine


def test_a_dataset_without_repeats_says_so(rich):
    data = read_report_data(*rich)

    assert [row[2:] for row in repeat_table(data).rows] == [("0",) * 4] * 2
    assert repeat_examples(data) == []


@pytest.mark.long
def test_partitions_stored_once_give_the_same_page_but_for_how_they_are_stored(rich, tmp_path):
    settings, paths = mirrored(rich, tmp_path / "tiny")
    settings = settings.model_copy(update={"shards": settings.shards.model_copy(update={"layout": "windows"})})
    region = Region(settings, rich[1].root.parent / "input")
    paths.shards.unlink()
    paths.shards.mkdir()
    for split, total in (("train", settings.shards.n_train), ("dev", settings.shards.n_dev)):
        for shard in range(total):
            request = ShardRequest(region, paths, split, shard, total)
            build_shard(request, paths.shard(split, shard, total), lambda _said, _share: None)
    chips, windows = (page_of(one, tmp_path / name) for one, name in ((rich, "chips"), ((settings, paths), "windows")))

    texts = [path.read_text(encoding="utf-8") for path in (chips, windows)]

    assert texts[0].replace("<dd>chips</dd>", "<dd><b>windows</b></dd>") == texts[1]
    assert texts[0] != texts[1]


def test_what_came_in_is_what_was_used_and_what_was_left_out(rich):
    rows = {row[0]: row[1:] for row in stage_table(read_report_data(*rich)).rows}

    index = gpd.read_parquet(rich[1].index)
    found, used, left = rows["Candidate chips of the used partitions"]
    assert int(used) == len(index)
    assert int(found) == int(used) + int(left.text.split()[0])
    assert rows["Partitions"][:2] == ("9", "4")
    assert rows["Partitions"][2].text == "5 (56%)"


def test_notes_are_counted_and_odd_ones_are_told_whole(rich, tmp_path):
    settings, paths = mirrored(rich, tmp_path / "tiny")
    notes = {
        "outlines": ["3 broken polygons repaired: a (Self-intersection), b, c", "1 records without area skipped: d"],
        "grid": ["cells were snapped"],
        "split": [],
    }
    audit = read_report_data(*rich).audit
    paths.split_audit.unlink()
    write_json(paths.split_audit, audit | {"notes": notes})

    rows = input_table(read_report_data(settings, paths)).rows

    assert ("tiles", "pairs of tiles that share pixels", "40") in rows
    assert rows[-4:] == (
        ("outlines", "broken polygons repaired", "3"),
        ("outlines", "records without area skipped", "1"),
        ("grid", "cells were snapped", "\u2013"),
        ("split", "no repairs, omissions or notes", "0"),
    )
