"""The benchmark runs from end to end on tiny data; how long anything takes is never asked."""

import importlib.util
import json
import os
import posix
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import limits, machine, wholerun
from benchmarks.rows import Claim, Row, evaluate
from benchmarks.suite import NAMES
from benchmarks.timing import Contestant, Race, Sample, race
from benchmarks.wider import wider
from gcn_luigi.synthetic import WorldSettings, make_world
from tests.integration.builds import once_per_run

ROOT = Path(__file__).resolve().parents[2]
# Not measured by a quick run.
_NOT_QUICK = {"onthefly"}
# Libraries that may be missing, and are then what a row is left out for.
_OPTIONAL = ("torch", "hdf5plugin")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def measure(directory: Path) -> None:
        command = [sys.executable, "-m", "benchmarks", "--quick", "--directory", str(directory)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Random batches" in done.stdout

    return once_per_run(tmp_path_factory, "bench", measure) / "quick" / "results"


def suite(results: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.nightly
class TestQuickRun:
    @pytest.mark.parametrize("name", NAMES)
    def test_every_row_has_numbers_or_the_reason_why_not(self, results, name):
        rows = suite(results, name)["rows"]

        assert rows
        for row in rows:
            measured = [row[key] is not None for key in ("ours", "theirs", "ratio")]
            assert all(measured) != bool(row["left_out"]), row["key"]
        assert len({row["key"] for row in rows}) == len(rows)

    @pytest.mark.parametrize("name", NAMES)
    def test_only_what_may_be_missing_is_left_out(self, results, name):
        if name in _NOT_QUICK:
            return
        lacking = [library for library in _OPTIONAL if importlib.util.find_spec(library) is None]
        for row in suite(results, name)["rows"]:
            is_lacking = any(library in row["left_out"] for library in lacking)
            assert not row["left_out"] or is_lacking or "offers no" in row["left_out"], row["left_out"]

    @pytest.mark.parametrize("name", ["endtoend", "kernels", "reading"])
    def test_pixels_were_compared(self, results, name):
        rows = [row for row in suite(results, name)["rows"] if not row["left_out"] and row["key"] != "bytes-8"]

        assert all("equal" in row["same_pixels"] for row in rows)

    @pytest.mark.parametrize("name", NAMES)
    def test_results_say_what_machine_it_was_and_not_which(self, results, name):
        text = (results / f"{name}.json").read_text(encoding="utf-8")

        assert suite(results, name)["machine"]["cores"] >= 1
        assert "numpy" in suite(results, name)["versions"]
        assert str(ROOT) not in text
        assert str(results.parent) not in text

    def test_the_page_and_its_plots_are_written(self, results):
        page = (results.parent / "performance.md").read_text(encoding="utf-8")

        assert page.count("| what | reference | ours |") == sum(
            any(not row["left_out"] for row in suite(results, name)["rows"]) for name in NAMES
        )
        for name in ("ratios", "curves"):
            assert f"performance-{name}.svg" in page
            assert (results.parent / f"performance-{name}.svg").stat().st_size > 10_000


class TestRace:
    def test_contestants_take_turns_and_the_first_round_is_thrown_away(self):
        ran = []
        contestants = [Contestant(name, lambda name=name: ran.append(name) or 1) for name in "ab"]

        run = race(contestants, 2)

        assert ran == list("ababab")
        assert {name: len(samples) for name, samples in run.samples.items()} == {"a": 2, "b": 2}

    def test_a_ratio_is_the_median_of_the_ratios_of_rounds(self):
        run = Race(
            {
                "ours": [Sample(10, 1, 1), Sample(10, 10, 1), Sample(10, 1, 1)],
                "theirs": [Sample(10, 2, 1), Sample(10, 5, 1), Sample(10, 4, 1)],
            }
        )

        assert run.ratio("ours", "theirs").median == 2

    def test_a_program_may_time_itself(self):
        run = race([Contestant("own", lambda: Sample(8, 2, 1))], 1, warm_up=False)

        assert run.rate("own") == 4

    def test_what_did_not_run_is_left_out_with_its_reason(self):
        claims = [Claim("key", "what", "reference", "ours", "theirs", 2.0)]

        rows = evaluate(claims, Race({}), {"theirs": "not installed"}, "")

        assert rows == [Row("key", "what", "reference", target=2.0, left_out="not installed")]
        assert rows[0].is_met is None

    @pytest.mark.parametrize(("ratio", "at_most", "met"), [(2, False, True), (1.9, False, False), (1.9, True, True)])
    def test_a_target_is_met_at_its_value(self, ratio, at_most, met):
        assert Row("key", "what", "reference", ratio=ratio, target=2.0, at_most=at_most).is_met is met


class TestWholeRun:
    def test_each_second_belongs_to_the_tasks_that_run_in_it(self):
        # a: 0 to 4, b: 2 to 6, nothing until 7, a: 7 to 8; the command itself takes 10 s.
        tasks = [("a", 104.0, 4.0), ("b", 106.0, 4.0), ("a", 108.0, 1.0)]

        rows = wholerun.profile(tasks, 10.0, 2)["rows"]

        assert rows == [
            ["a", 2, 5.0, 2.5, 4.0, 3.0],
            ["b", 1, 4.0, 4.0, 3.0, 2.0],
            ["between tasks, none running", "", "", "", 1.0, ""],
            ["before the first and after the last task", "", "", "", 2.0, ""],
            ["the whole run", 3, 9.0, "", 10.0, 5.0],
        ]

    def test_a_wider_world_is_made_of_copies_of_a_small_one(self):
        world = make_world(WorldSettings(shape=(192, 224), tiles=(1, 1), years=(2004,)))

        wide = wider(world, 2)

        assert wide.settings.shape == (384, 448)
        assert wide.votes.shape == wide.settings.stem_lattice.shape
        for name, stack in world.optical.items():
            np.testing.assert_array_equal(wide.optical[name][:, 192:, 224:], stack)
        assert len(wide.outlines) == 4 * len(world.outlines)
        assert wide.outlines["RGIId"].is_unique
        moved = wide.outlines.geometry.iloc[-1].centroid
        first = world.outlines.geometry.iloc[-1].centroid
        assert (moved.x - first.x, moved.y - first.y) == pytest.approx((224 * 30, -192 * 30))


class TestColdCache:
    def test_a_file_that_was_read_is_resident_until_it_is_forgotten(self, tmp_path, monkeypatch):
        # Only what is on the disk can be forgotten.
        monkeypatch.setattr(os, "fsync", posix.fsync)
        path = tmp_path / "file.bin"
        path.write_bytes(bytes(4_000_000))
        path.read_bytes()
        assert limits.resident_share(path) == 1

        limits.forget([path])

        # A file system in memory has nowhere else to keep it.
        in_memory = machine.described(tmp_path)["file_system"] == "tmpfs"
        assert limits.resident_share(path) == (1 if in_memory else 0)


@pytest.mark.nightly
def test_weak_scaling_is_measured_with_sleeping_tasks_and_real_shards():
    options = ("--slots", "1", "3", "--seconds", "0.2", "--shards", "1", "--waves", "1", "--repeat", "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.weak_scaling", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:4]]
    # Two shards for each slot.
    assert [row[-7:-5] for row in rows] == [["1", "1"], ["3", "3"], ["1", "2"]]
    assert rows[2][0] == "shards"
    # A task that sleeps cannot take less.
    assert all(float(row[-4].rstrip("s")) >= 0.2 for row in rows[:2])
