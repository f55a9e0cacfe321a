"""How long tasks took: kept where it can be, never in the way."""

import pytest

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.timings import read_times, write_time

SHARD = "gcn.ChipShard(train, 0, 4)"


@pytest.fixture
def paths(tmp_path):
    return DatasetPaths(tmp_path / "columbia")


def test_a_time_is_read_back_and_a_later_one_takes_its_place(paths):
    write_time(paths, SHARD, 61.25)
    write_time(paths, SHARD, 4.5)
    write_time(paths, "gcn.ClassLabel()", 2.0)

    assert read_times(paths, [SHARD, "gcn.ClassLabel()", "gcn.ChipIndex()"]) == {SHARD: 4.5, "gcn.ClassLabel()": 2.0}


def test_tasks_of_other_parameters_have_times_of_their_own(paths):
    for number in range(3):
        write_time(paths, f"gcn.ChipShard(train, {number}, 4)", number)

    assert [*read_times(paths, [f"gcn.ChipShard(train, {n}, 4)" for n in range(3)]).values()] == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "12", "fast\n", "-1.0\n", "nan\n", "inf\n", "1.0\n2.0\n"])
def test_what_is_no_time_is_passed_over(paths, text):
    write_time(paths, SHARD, 1.0)
    paths.time(SHARD).write_text(text, encoding="utf-8")

    assert read_times(paths, [SHARD]) == {}


def test_a_disk_that_refuses_and_a_link_that_leads_away_lose_the_time_and_nothing_else(paths, tmp_path):
    paths.root.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (paths.root / ".gcn").symlink_to(elsewhere)

    write_time(paths, SHARD, 1.0)

    assert read_times(paths, [SHARD]) == {}
    assert not any(elsewhere.iterdir())
    write_time(DatasetPaths(tmp_path / "elsewhere" / "file"), SHARD, 1.0)
    (tmp_path / "plain").write_text("a file where a directory should be")
    write_time(DatasetPaths(tmp_path / "plain"), SHARD, 1.0)


def test_a_link_in_the_place_of_a_time_is_replaced_not_followed(paths, tmp_path):
    write_time(paths, SHARD, 1.0)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    paths.time(SHARD).unlink()
    paths.time(SHARD).symlink_to(victim)

    write_time(paths, SHARD, 2.0)

    assert victim.read_text() == "precious"
    assert read_times(paths, [SHARD]) == {SHARD: 2.0}


def test_a_name_of_any_length_fits_a_file_system(paths):
    write_time(paths, f"gcn.TileQuality({'b' * 120})", 1.0)

    assert paths.time(f"gcn.TileQuality({'b' * 120})").is_file()
