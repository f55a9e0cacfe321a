"""Variograms of finished datasets: by the command, by a task of the graph, and on the quality page."""

import csv
import importlib.metadata
import json
import shutil
from unittest import mock

import pytest

import gcn_luigi
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset, once_per_run, small_config
from tests.reference.timeless import timeless

pytest.importorskip("gstools", reason="gstools is an extra: pip install 'gcn-luigi[variogram]'")

pytestmark = pytest.mark.long

WANTED = ("[chips]", "[evaluation]\nautocorrelation = true\n\n[chips]")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, small_world):
    """Return the root task of a small dataset with autocorrelation and its page; tests must not change it."""

    def make(place):
        config = small_config(place / "config", "alike", WANTED)
        build_inline(dataset("alike", place / "out", small_world, config), page=True)

    place = once_per_run(tmp_path_factory, "autocorrelation", make)
    return dataset("alike", place / "out", small_world, place / "config")


def test_the_task_measures_every_band_and_class_and_the_manifest_seals_it(measured):
    paths = measured.paths
    found = json.loads(paths.autocorrelation.read_text())
    opened = gcn_luigi.open_dataset(paths.root)

    assert [layer["name"] for layer in found["layers"]] == [*(band.name for band in opened.bands), *opened.class_names]
    assert found["buffer_m"] == json.loads(paths.split_audit.read_text())["least_distance_m"]
    assert found["partition_m"] == 128 * 30
    assert {"range", "no plateau"} & {layer["finding"] for layer in found["layers"]}
    listed = {entry["path"] for entry in opened.description["files"]}
    assert {"autocorrelation.json", "autocorrelation.csv"} <= listed
    assert opened.description["versions"]["gstools"] == importlib.metadata.version("gstools")
    assert list(validate(paths.root)) == []


def test_the_table_holds_the_bins_of_the_json(measured):
    found = json.loads(measured.paths.autocorrelation.read_text())
    with measured.paths.autocorrelation_lags.open(newline="") as file:
        rows = list(csv.DictReader(file))

    bins = [(layer["name"], bin_) for layer in found["layers"] for bin_ in layer["lags"]]
    assert len(rows) == len(bins) > 100
    for row, (name, bin_) in zip(rows, bins, strict=True):
        assert (row["layer"], float(row["lag_m"]), int(row["pairs"])) == (name, bin_["lag_m"], bin_["pairs"])
        assert float(row["semivariance"]) == bin_["semivariance"]


def test_the_command_finds_the_same_and_changes_nothing(gcn, measured, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in measured.paths.root.rglob("*")}

    code, out, err = gcn("autocorrelation", measured.paths.root, "--json", "--write", tmp_path)

    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(measured.paths.autocorrelation.read_text())
    for path in (measured.paths.autocorrelation, measured.paths.autocorrelation_lags):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert {path: path.stat().st_mtime_ns for path in measured.paths.root.rglob("*")} == before


def test_the_table_of_the_command_tells_ranges_and_the_buffer(gcn, measured):
    found = json.loads(measured.paths.autocorrelation.read_text())
    with mock.patch("gcn_luigi.cli.datasets.autocorrelation._measure", return_value=found) as measure:
        by_name = gcn("autocorrelation", "alike", "-o", measured.paths.root.parent)[1]

    assert measure.call_args.args == (measured.paths.root, 0)
    assert by_name.startswith(f"least distance between splits: {found['buffer_m']:,.0f} m")
    for layer in found["layers"]:
        (line,) = [line for line in by_name.splitlines() if line.startswith(f"{layer['name']}  ")]
        if layer["range_m"] is not None:
            assert f"{layer['range_m']:,.0f} m" in line
    assert by_name.rstrip().endswith(found["comparison"]["hints"][-1])


def test_the_page_draws_a_panel_for_each_band_and_class(measured):
    page = timeless(measured.paths.report).decode()
    found = json.loads(measured.paths.autocorrelation.read_text())

    section = page[page.index('<section id="autocorrelation"') :]
    section = section[: section.index("</section>")]
    for layer in found["layers"]:
        assert f">{layer['name']}</text>" in section
    assert found["comparison"]["hints"][0] in section


@pytest.mark.long
def test_another_number_of_shards_gives_the_same_bytes(measured, tmp_path, small_world):
    config = small_config(tmp_path / "config", "alike", WANTED, ("train = 2", "train = 3"))
    shutil.copytree(measured.paths.root, tmp_path / "out" / "alike")

    ran = build_inline(dataset("alike", tmp_path / "out", small_world, config))

    assert any("Autocorrelation" in name for name in ran)
    again = DatasetPaths(tmp_path / "out" / "alike").autocorrelation
    assert again.read_bytes() == measured.paths.autocorrelation.read_bytes()


def test_without_the_key_nothing_is_measured_and_the_page_says_how(small_output):
    page = timeless(small_output / "report.html").decode()

    assert not DatasetPaths(small_output).autocorrelation.exists()
    assert "The range of autocorrelation was not measured." in page


def test_files_are_never_written_into_a_dataset(gcn, measured):
    code, _, err = gcn("autocorrelation", measured.paths.root, "--write", measured.paths.root)

    assert code == 1
    assert "[evaluation] autocorrelation = true" in err


def test_a_missing_extra_stops_the_build_before_the_first_task(gcn, tmp_path, small_world):
    config = small_config(tmp_path / "config", "alike", WANTED)

    with mock.patch("gcn_luigi.prepare.evaluation.variogram.find_spec", return_value=None):
        code, _, err = gcn(
            "run", "alike", "--config-dir", config, "-o", tmp_path / "out", "--data-root", small_world,
            "--local-scheduler",
        )  # fmt: skip

    assert code == 1
    assert "pip install 'gcn-luigi[variogram]'" in err
    assert not (tmp_path / "out" / "alike" / "inventory.json").exists()
