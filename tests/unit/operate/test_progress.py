"""How far a build is, and how long the rest may take."""

from types import SimpleNamespace

import pytest

from gcn_luigi.operate.progress import Observer, Running, seconds_left

SHARDS = {f"gcn.ChipShard(train, {number}, 4)": 10.0 for number in range(2)}


def test_the_rest_takes_as_long_as_the_same_tasks_took_before():
    took = {"gcn.ChipIndex()": 3.0, "gcn.Dataset()": 1.0}

    assert seconds_left(["gcn.ChipIndex()", "gcn.Dataset()"], (), took, workers=1) == 4
    assert seconds_left(["gcn.ChipIndex()", "gcn.Dataset()"], (), took, workers=8) == 2


def test_tasks_that_never_ran_take_as_long_as_others_of_their_family():
    waiting = [f"gcn.ChipShard(train, {number}, 4)" for number in (2, 3)]

    assert seconds_left(waiting, (), {**SHARDS, "gcn.ClassLabel()": 500.0}, workers=2) == 10


def test_of_a_task_that_runs_only_the_rest_counts():
    running = (Running("gcn.ChipShard(train, 2, 4)", 0.75),)

    assert seconds_left([], running, SHARDS, workers=2) == pytest.approx(2.5)


def test_where_nothing_is_known_nothing_is_said():
    assert seconds_left(["gcn.ClassLabel()"], (), SHARDS, workers=1) is None
    assert seconds_left([], (), {}, workers=1) == 0


class Build:
    """A build that says what it is told to."""

    def __init__(self):
        self.tasks = {name: SimpleNamespace(task_id=name, name=f"gcn.{name}()") for name in ("First", "Second")}
        self.statuses = dict.fromkeys(self.tasks, "PENDING")
        self.scheduler = self

    def history(self):
        return [
            (self.tasks[name], "PENDING" if status == "RUNNING" else status) for name, status in self.statuses.items()
        ]

    def running(self):
        return [name for name, status in self.statuses.items() if status == "RUNNING"]

    def get_task_progress_percentage(self, task_id):
        return {"taskId": task_id, "progressPercentage": 40}

    def get_task_status_message(self, task_id):
        return {"taskId": task_id, "statusMessage": "2 &lt; 5 tiles"}


def test_an_observer_sees_tasks_run_and_end():
    build = Build()
    observer = Observer(build, workers=1)
    assert observer.look().counts == {"PENDING": 2}
    build.statuses["First"] = "RUNNING"

    moment = observer.look()

    assert moment.counts == {"RUNNING": 1, "PENDING": 1}
    assert moment.running == (Running("gcn.First()", 0.4, "2 < 5 tiles"),)
    build.statuses.update(First="DONE", Second="DONE")
    assert observer.look().counts == {"DONE": 2}
    assert observer.look().seconds_left == 0


def test_a_scheduler_that_does_not_know_the_task_costs_only_the_bar():
    build = Build()
    build.statuses["First"] = "RUNNING"
    build.get_task_progress_percentage = {}.get

    (running,) = Observer(build, workers=1).look().running

    assert running == Running("gcn.First()")


def test_at_the_end_nobody_is_asked():
    build = Build()
    build.statuses["First"] = "RUNNING"
    build.scheduler = None

    assert Observer(build, workers=1).look(asks=False).running == (Running("gcn.First()"),)
