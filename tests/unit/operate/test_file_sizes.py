"""What a plan says of all files but the shards is what they weigh in the end."""

import shutil

import pytest

import gcn_luigi
from gcn_luigi.operate.forecast import look_ahead, other_bytes, tasks_to_prepare
from gcn_luigi.tasks.dataset import QualityReport
from tests.integration.builds import build_inline, dataset


@pytest.fixture(scope="module")
def world(small_output):
    return small_output.parents[1]


def root_at(world, output):
    return dataset("tiny", output, world / "input", world / "config")


def planned_tasks(root):
    """Return all tasks but that of the quality page, whose size depends on its figures."""
    return [planned for planned in look_ahead(root) if not isinstance(planned.task, QualityReport)]


def weight(directory):
    """Return the bytes of all files but shards, page and times."""
    left_out = ("shards/", "report.html", ".gcn/report.html.json", ".gcn/times/")
    files = [path for path in directory.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files if not path.relative_to(directory).as_posix().startswith(left_out))


@pytest.fixture(scope="module")
def prepared(world, tmp_path_factory):
    root = root_at(world, tmp_path_factory.mktemp("prepared"))
    for task in tasks_to_prepare(root, is_exact=True):
        build_inline(task)
    return root.paths


def test_the_files_of_a_finished_dataset_are_weighed_as_they_are(world, small_output):
    root = root_at(world, world / "out")

    assert other_bytes(planned_tasks(root), root, 1_000_000) == weight(small_output)


def test_files_to_come_are_estimated_within_ten_per_cent(world, small_output, prepared, tmp_path):
    n_chips = len(gcn_luigi.open_dataset(small_output).chip_table)
    tasks = planned_tasks(root_at(world, tmp_path))

    said = other_bytes(tasks, root_at(world, prepared.root.parent), n_chips)

    assert said == pytest.approx(weight(small_output), rel=0.1)


def test_an_index_of_more_chips_is_larger(world, prepared, tmp_path):
    tasks, made = planned_tasks(root_at(world, tmp_path)), root_at(world, prepared.root.parent)

    few, many = (other_bytes(tasks, made, n_chips) for n_chips in (0, 100_000))

    # A row of the table, and a box on the map: measured as 362 to 410 bytes together with the table's 29.
    assert 35_000_000 < many - few < 45_000_000


def test_a_file_that_is_made_again_is_not_taken_for_what_it_was(world, small_output, tmp_path):
    shutil.copytree(world, tmp_path / "world")
    toml = tmp_path / "world/config/tiny.toml"
    toml.write_text(toml.read_text().replace("step = 16", "step = 4"))
    root = root_at(tmp_path / "world", tmp_path / "world/out")

    before, after = (other_bytes(planned_tasks(root), root, n_chips) for n_chips in (0, 1000))

    assert after - before > 300_000
    assert small_output.exists()
