"""The plain `luigi` command, with and without a central scheduler."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.windows import Window

import gcn_luigi
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import validate
from tests.integration.commands import LUIGI_CFG, ask, drafts, luigi_command, luigid, make_tiny, state_of, wait_for

LOCAL = "--local-scheduler"
FAMILIES = {
    "gcn.BandStatistics", "gcn.ChipIndex", "gcn.ChipShard", "gcn.ClassLabel", "gcn.Dataset", "gcn.DatasetCard",
    "gcn.DistanceRaster", "gcn.GridComparison", "gcn.LayerStyles", "gcn.OpticalMosaic", "gcn.PartitionCatalog",
    "gcn.PartitionGrid", "gcn.QualityReport", "gcn.TileInventory", "gcn.TileQuality", "gcn.TopoMosaic",
    "gcn.DatasetMetadata", "gcn.StacCatalog", "gcn.StrataTables", "gcn.TrainingDistances", "gcn.YearStack",
}  # fmt: skip


def test_a_build_by_luigi_itself_equals_one_in_this_process_and_is_not_repeated(commands, tiny, tiny_output, tmp_path):
    first = commands.luigi("gcn.Dataset", tiny, tmp_path, LOCAL)
    assert first.code == 0, first.text
    assert list(validate(tmp_path / "tiny")) == []
    assert (tmp_path / "tiny/dataset.json").read_bytes() == (tiny_output / "tiny/dataset.json").read_bytes()
    before = state_of(tmp_path / "tiny")
    (tmp_path / "elsewhere").mkdir()

    second = commands.luigi("gcn.Dataset", tiny, tmp_path, LOCAL, cwd=tmp_path / "elsewhere")

    assert second.code == 0, second.text
    assert "Did not run any tasks" in second.text
    assert state_of(tmp_path / "tiny") == before


@pytest.mark.luigid
@pytest.mark.long
def test_a_central_scheduler_shows_the_whole_graph_by_stages(commands, tiny, tiny_output, tmp_path):
    with luigid(commands) as port:
        where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(port))
        ended = commands.luigi("gcn.Dataset", tiny, tmp_path, *where)
        nodes = ask(port, "graph")
        root = next(name for name, node in nodes.items() if node["name"] == "gcn.Dataset")
        drawn = ask(port, "dep_graph", task_id=root)
        shards = [name for name, node in nodes.items() if node["name"] == "gcn.ChipShard"]
        messages = [ask(port, "get_task_status_message", task_id=name)["statusMessage"] for name in shards]

    assert ended.code == 0, ended.text
    assert (tmp_path / "tiny/dataset.json").read_bytes() == (tiny_output / "tiny/dataset.json").read_bytes()
    assert {node["status"] for node in nodes.values()} == {"DONE"}
    assert set(drawn) == set(nodes)
    assert len(nodes) <= 60
    families = {node["name"] for node in nodes.values()}
    assert families == FAMILIES
    assert all(11 <= len(family) <= 21 for family in families)
    for node in nodes.values():
        assert node["name"] not in {nodes[name]["name"] for name in node["deps"]}
    assert len(messages) == 3
    for message in messages:
        done = re.fullmatch(r"(\d+) of (\d+) partitions, [\d,]+ chips, [\d,]+ rejected, [\d,]+ chips/s", message)
        assert done, message
        assert done[1] == done[2]


def test_a_damaged_source_fails_its_task_and_nothing_half_made_is_left(commands, tmp_path):
    damaged = make_tiny(tmp_path)
    votes = next((damaged.sources / "stem").glob("*.tif"))
    votes.write_bytes(votes.read_bytes()[:1000])

    ended = commands.luigi("gcn.Dataset", damaged, tmp_path / "out", LOCAL)

    assert ended.code == 30, ended.text
    assert f"{votes.name}" in ended.text
    assert "  fix:" in ended.text
    out = tmp_path / "out/tiny"
    assert not (out / "label.tif").exists()
    assert not (out / "dataset.json").exists()
    assert drafts(out) == []
    published = {f".gcn/{path.relative_to(out)}.json" for path in out.rglob("*") if ".gcn" not in path.parts}
    assert {path.relative_to(out).as_posix() for path in (out / ".gcn").rglob("*.json")} <= published


def test_a_misspelt_key_stops_the_command_before_any_task(commands, tiny, tmp_path):
    config = shutil.copytree(tiny.config, tmp_path / "config")
    path = config / "tiny.toml"
    path.write_text(path.read_text().replace("max_gap_years", "max_gpa_years"))

    ended = commands.run(
        *("luigi", "--module", "gcn_luigi.tasks", "gcn.Dataset", "--region", "tiny", LOCAL),
        *("--output-root", tmp_path / "out", "--config-dir", config, "--data-root", tiny.sources),
        LUIGI_CONFIG_PATH=str(LUIGI_CFG),
    )

    assert ended.code in {35, 40}, ended.text
    assert "year.max_gpa_years is unknown (did you mean max_gap_years?)" in ended.text
    assert str(path) in ended.text
    assert not (tmp_path / "out").exists()


@pytest.mark.fault
@pytest.mark.long
def test_a_killed_worker_fails_its_task_and_the_next_run_mends_it(commands, tiny, tiny_output, tmp_path):
    running = commands.start(*luigi_command("gcn.ChipIndex", tiny, tmp_path), LOCAL, LUIGI_CONFIG_PATH=str(LUIGI_CFG))
    wait_for(running.writer, pause=0.01).kill()
    killed = running.wait()
    again = commands.luigi("gcn.ChipIndex", tiny, tmp_path, LOCAL)

    assert killed.code == 30, killed.text
    assert "died unexpectedly with exit code -9" in killed.text
    assert again.code == 0, again.text
    undisturbed = json.loads((tiny_output / "tiny/dataset.json").read_text())["files"]
    made = [entry for entry in undisturbed if (tmp_path / "tiny" / entry["path"]).exists()]
    assert {entry["path"] for entry in made} >= {"index.parquet", "label.tif", "shards/dev-00000-of-00001.h5"}
    assert [digest(tmp_path / "tiny" / entry["path"]) for entry in made] == [entry["sha256"] for entry in made]


@pytest.mark.long
def test_two_regions_are_built_in_one_graph(commands, tmp_path):
    first = make_tiny(tmp_path, "first")
    make_tiny(tmp_path, "second", ("seed = 8", "seed = 9"))

    ended = commands.run(
        *("luigi", "--module", "gcn_luigi.tasks", "gcn.AllRegions", "--regions", '["first", "second"]', LOCAL),
        *("--output-root", tmp_path / "out", "--config-dir", first.config, "--workers", "2"),
        LUIGI_CONFIG_PATH=str(LUIGI_CFG),
    )

    assert ended.code == 0, ended.text
    for region in ("first", "second"):
        assert list(validate(tmp_path / "out" / region)) == []
        made = gcn_luigi.open_dataset(tmp_path / "out" / region)
        assert made.description["region"] == region
        assert set(made.chip_table["split"]) == {"train", "dev"}


@pytest.mark.long
def test_partition_files_hold_the_pixels_of_the_chips_and_a_lost_one_is_made_again(
    commands, tiny, tiny_output, tmp_path
):
    shutil.copytree(tiny_output / "tiny", tmp_path / "tiny")

    ended = commands.luigi("gcn.PartitionFiles", tiny, tmp_path, LOCAL)

    assert ended.code == 0, ended.text
    made = gcn_luigi.open_dataset(tmp_path / "tiny")
    directory = tmp_path / "tiny/partitions"
    listed = pd.read_csv(directory / "partitions.csv", dtype={"partition": str})
    assert sorted(path.name for path in directory.glob("*.tif")) == sorted(listed["file"])
    assert [digest(directory / name) for name in listed["file"]] == listed["sha256"].tolist()
    used = made.partition_table[made.partition_table["used"]]
    assert sorted(listed["partition"]) == sorted(used["partition"])
    assert len(used) > 3
    assert _compared_chips(made, directory) == len(made.chip_table)

    lost = directory / listed["file"][0]
    whole = lost.read_bytes()
    lost.unlink()
    again = commands.luigi("gcn.PartitionFiles", tiny, tmp_path, LOCAL)

    assert again.code == 0, again.text
    assert lost.read_bytes() == whole
    assert "1 ran successfully" in again.text


def _compared_chips(made: Dataset, directory: Path) -> int:
    compared = 0
    for split in ("train", "dev"):
        rows = made.chip_table[made.chip_table["split"] == split]
        for chip, row in zip(made.chips(split), rows.itertuples(), strict=True):
            path = directory / f"train_pt_id_{row.partition}_partition_year_{row.year}_grid_corrected.tif"
            with rasterio.open(path) as source:
                label = source.descriptions.index("label")
                pixels = source.read(window=Window(row.col, row.row, 32, 32))
            np.testing.assert_array_equal(np.delete(pixels, label, axis=0), chip["image"])
            np.testing.assert_array_equal(pixels[label], chip["label"])
            compared += 1
    return compared
