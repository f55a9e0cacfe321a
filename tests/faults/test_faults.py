"""The short form of `make faults`, and whether its checks see what they are meant to see."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.arena import Arena
from tests.faults.clock import compiled
from tests.faults.figures import Figures
from tests.faults.inputs import SUBJECTS
from tests.faults.report import figures_of, page, read_rows, refreshed
from tests.faults.same_bytes import shuffled
from tests.faults.scenarios import scenarios
from tests.integration.commands import Commands, left_after, make_tiny
from tests.reference.timeless import tells_a_time, timeless

ROOT = Path(__file__).resolve().parents[2]
QUICK = [scenario.name for scenario in scenarios() if scenario.quick_jobs]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the figures of the short form, by scenario."""
    out = tmp_path_factory.mktemp("faults") / "figures.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--quick", "--json", out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert out.exists(), ended.stdout + ended.stderr
    return {name: Figures.from_dict(content) for name, content in json.loads(out.read_text()).items()}


@pytest.mark.nightly
@pytest.mark.fault
@pytest.mark.luigid
@pytest.mark.parametrize("name", QUICK)
def test_after_any_fault_running_again_gives_the_undisturbed_dataset(results, name):
    figures = results[name]

    assert figures.problems == []
    assert sum(figures.faults.values()) > 0
    assert figures.compared > 0


@pytest.fixture
def arena(small_output, tmp_path):
    """Return an arena whose reference is a finished dataset."""
    shutil.copytree(small_output, tmp_path / "reference" / "tiny")
    return Arena(tmp_path, make_tiny(tmp_path), Commands(tmp_path / "commands"), 1.0)


def test_an_equal_dataset_is_found_equal(arena):
    figures = Figures()

    arena.equals(arena.fresh(arena.reference), figures, "nothing")

    assert figures.problems == []
    assert figures.compared == sum(
        len(timeless(path)) for path in arena.reference.rglob("*") if path.is_file() and not tells_a_time(path)
    )


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda made: (made / "label.tif").unlink(), "wrong dataset"),
        (lambda made: (made / ".gcn" / "label.tif.json").write_text("{}"), "wrong dataset"),
        (lambda made: (made / "new.txt").write_text("not ours"), "wrong dataset"),
        (lambda made: (made / "mosaics" / ".0123abcd.topo_dem.tif").write_text("half"), "temporary file"),
        (lambda made: (made / ".0123abcd.label.tif.lock").write_text(""), "temporary file"),
    ],
)
def test_whatever_is_wrong_with_an_output_is_found(arena, harm, found):
    output, figures = arena.fresh(arena.reference), Figures()
    harm(output / "tiny")

    arena.equals(output, figures, "harm")

    assert figures.found[found] >= 1


def test_a_command_that_ends_with_0_without_its_dataset_is_found_dishonest(arena):
    figures = Figures()
    ended = arena.ends(arena.commands.start("gcn", "--version"), figures, "nothing built")

    arena.honest(ended, arena.fresh(), figures, "nothing built")

    assert figures.found == {"dishonest code": 1}


def test_a_process_that_lives_on_is_found(arena, monkeypatch):
    monkeypatch.setattr("tests.faults.arena._SETTLED_S", 0.2)
    figures = Figures()
    # The shell ends and leaves a child behind.
    running = arena.commands.start("/bin/sh", "-c", "sleep 60 & exit 3")

    arena.ends(running, figures, "left behind")

    assert figures.found == {"orphan": 1}
    assert figures.codes == {"3": 1}
    assert left_after(5, running.processes) == []


def test_the_clock_really_jumps(arena):
    library = compiled(arena)
    if library is None:
        pytest.skip("no C compiler")
    code = "import time; print(time.time(), time.monotonic())"
    told = [
        subprocess.run(
            [sys.executable, "-S", "-c", code],
            env={**os.environ, "LD_PRELOAD": str(library), "FAULTS_CLOCK_SEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in range(4)
    ]
    days = [float(time_of_day) for time_of_day, _ in told]
    steady = [float(monotonic) for _, monotonic in told]

    assert max(days) - min(days) > 600
    assert steady == sorted(steady)
    assert steady[-1] - steady[0] < 60


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_an_input_that_is_rewritten_gets_other_content(arena, subject):
    path, other = SUBJECTS[subject](arena, random.Random(5))

    assert path.exists()
    assert path.read_bytes() != other


def test_shuffled_tasks_come_after_what_they_require_and_in_another_order_each_time(arena):
    root = arena.task(arena.fresh())
    orders = []
    for seed in range(3):
        rng, done = random.Random(seed), []
        for task in shuffled(root, rng):
            assert all(required.name in done for required in task.deps())
            done.append(task.name)
        orders.append(done)

    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])


def test_the_page_gives_the_figures_back():
    figures = Figures(builds=3, files=59, compared=123456)
    figures.faults["worker killed"] = 4
    figures.codes.update(["30", "-9", "30"])
    figures.problem("orphan", "one lives on")

    text = page({"kills": figures}, command="make faults", seed=7, minutes=12.2, left_out=1)

    row = read_rows(text)["kills"]
    assert row["faults"] == "4"
    assert row["exit codes"] == "-9 (1), 30 (2)"
    assert row["bytes compared"] == "123,456"
    assert row["found"] == "orphan 1"
    assert "seed 7" in text
    assert "one lives on" in text


def test_a_page_is_refreshed_with_scenarios_that_were_done_again():
    kills, full, again = (Figures(builds=number, files=2, compared=1_234) for number in (1, 2, 3))
    kills.faults["worker killed"], full.faults["disk full"], again.faults["parent killed"] = 4, 5, 1_006
    kills.codes.update(["30", "-9", "30"])
    full.note("full disk: a small one")
    kills.problem("orphan", "one lives on")
    said = {"command": "make faults", "seed": 7, "minutes": 12.2, "left_out": 0}
    before = page({"kills": kills, "disk full": full}, **said)
    assert figures_of(before)["kills"].found == kills.found
    assert figures_of(before)["kills"].codes == kills.codes
    assert figures_of(before)["disk full"].faults == full.faults

    text = refreshed(before, {"kills": again}, "`python -m tests.faults --only kills`, 3 minutes")

    assert read_rows(text)["kills"]["found"] == "0"
    assert read_rows(text)["kills"]["faults"] == "1,006"
    assert read_rows(text)["disk full"] == read_rows(before)["disk full"]
    assert read_rows(text)["**all**"]["faults"] == "1,011"
    assert "worker killed" not in text
    assert "* Full disk: a small one." in text
    assert "* Command: `make faults`, seed 7, 12 minutes.\n* Done again later: `python -m" in text
    assert "one lives on" not in text


def test_figures_survive_being_written_down():
    figures = Figures(builds=2, notes=["how"])
    figures.faults["worker killed"] = 4
    figures.problem("hang", "for ever")

    again = Figures.from_dict(json.loads(json.dumps(figures.to_dict())))

    assert again == figures
