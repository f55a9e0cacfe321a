"""What a build would do, and how long it would take."""

import shutil

import pytest

from gcn_luigi.operate.forecast import BUILD, KEEP, LOOK, REBUILD, PlannedTask, look_ahead, makespan
from tests.integration.builds import dataset
from tests.integration.commands import Tiny


class Named:
    """As much of a task as the clockwork needs."""

    def __init__(self, name, *requires):
        self.name, self._requires = name, requires

    def requires(self):
        return list(self._requires)


def planned(*tasks, keep=()):
    return [PlannedTask(task, KEEP if task.name in keep else BUILD, ()) for task in tasks]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("gcn_luigi.operate.forecast._START_S", 0.0)


def test_tasks_share_the_workers_and_wait_for_what_they_require():
    first, second = Named("first"), Named("second")
    last = Named("last", first, second)
    seconds = {"first": 3.0, "second": 5.0, "last": 2.0}

    assert makespan(planned(first, second, last), seconds, 1) == 10
    assert makespan(planned(first, second, last), seconds, 2) == 7
    assert makespan(planned(first, second, last), seconds, 8) == 7


def test_a_free_worker_takes_the_next_task_that_is_ready():
    tasks = [Named(f"shard {number}") for number in range(5)]

    assert makespan(planned(*tasks), {task.name: 4.0 for task in tasks}, 2) == 12


def test_what_is_kept_takes_no_time_and_holds_nothing_up():
    first = Named("first")
    last = Named("last", first)

    assert makespan(planned(first, last, keep={"first"}), {"first": 100.0, "last": 2.0}, 1) == 2
    assert makespan(planned(first, last, keep={"first", "last"}), {}, 1) == 0


def test_each_task_costs_a_start(monkeypatch):
    monkeypatch.setattr("gcn_luigi.operate.forecast._START_S", 0.5)
    tasks = [Named("first"), Named("second")]

    assert makespan(planned(*tasks), {"first": 1.0, "second": 1.0}, 1) == 3


def actions(root):
    return {planned.task.name: planned.action for planned in look_ahead(root)}


def test_everything_is_to_be_built_where_there_is_nothing(small_output, tmp_path):
    root = small_output.parents[1]

    said = actions(dataset("tiny", tmp_path, root / "input", root / "config"))

    assert set(said.values()) == {BUILD}
    assert "gcn.Dataset()" in said
    assert not any(tmp_path.iterdir())


def test_a_changed_key_rebuilds_what_hangs_on_it_and_looks_at_what_follows(small_output, tmp_path):
    source = small_output.parents[1]
    for name in ("input", "config", "out"):
        shutil.copytree(source / name, tmp_path / name)
    tiny = Tiny(tmp_path / "input", tmp_path / "config")
    root = dataset(tiny.region, tmp_path / "out", tiny.sources, tiny.config)
    assert set(actions(root).values()) == {KEEP}
    toml = tiny.config / "tiny.toml"
    text = toml.read_text(encoding="utf-8")
    assert "step = 16" in text
    toml.write_text(text.replace("step = 16", "step = 24"), encoding="utf-8")

    said = actions(root)

    assert said["gcn.ClassLabel()"] == said["gcn.YearStack(2004)"] == KEEP
    assert {said[name] for name in said if name.startswith("gcn.ChipShard")} == {REBUILD}
    assert said["gcn.BandStatistics()"] == LOOK
    (tmp_path / "out/tiny/label.tif").unlink()
    assert actions(root)["gcn.ClassLabel()"] == BUILD
