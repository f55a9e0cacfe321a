"""Some broken inputs of every kind, every time; `python -m tests.faults.fuzz` tries thousands."""

import random
import resource
import threading

import pytest

from gcn_luigi.errors import InputError
from tests.faults import fuzz as parent
from tests.faults.fuzz import LONG, FuzzFigures, fuzz, fuzz_all, table
from tests.faults.fuzz_worker import broken_input, fresh_tree, judge, keep, kept_at
from tests.faults.kind import Kind, Sample, must
from tests.faults.kinds import KINDS
from tests.faults.mutate import CHANGES, mutate

pytestmark = pytest.mark.fault

SEED = 20
FEW = 15
SHORT = {"tile": 60, "outlines": 30, "shard": 20, "dataset": 10, "graph": 2}
# Sound samples that are refused, as they must be.
REFUSED = {"tile": {"south-up"}}
# Kinds whose sound samples are called a problem: what is broken there must be noticed.
SEALED = {"dataset": {"inventory.json"}}
SAMPLE = Sample("bytes", "a/b.bin", bytes(range(256)) * 4)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def chance(seed):
    return random.Random(seed)


@pytest.fixture(scope="module")
def figures(directory):
    """Return the figures of every kind; most of the time goes into starting processes, so two run at once."""
    counts = {kind: SHORT.get(kind, FEW) for kind in LONG}
    return {one.kind: one for one in fuzz_all(counts, SEED, directory)}


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_broken_inputs_are_refused_or_read_right(kind, figures):
    found = figures[kind]

    assert not found.problems, "\n".join(found.problems)
    assert found.refused.total() + found.equal == found.tried == SHORT.get(kind, FEW)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "graph"])
def test_sound_inputs_are_accepted(kind, directory):
    """Otherwise a refusal would say nothing."""
    samples = KINDS[kind].prepare(directory)

    verdicts = {
        sample.name: judge(KINDS[kind], directory, fresh_tree(directory, f"{kind}-sound", sample, sample.data), sample)
        for sample in samples
    }

    refused = {name for name, (verdict, _) in verdicts.items() if verdict == "refused"}
    equal = {name for name, (verdict, _) in verdicts.items() if verdict == "equal"}
    assert refused == REFUSED.get(kind, set())
    assert equal == SEALED.get(kind, set(verdicts) - refused), verdicts


def test_every_kind_has_its_number():
    assert set(LONG) == set(KINDS)
    assert set(SHORT) < set(KINDS)
    assert sum(LONG.values()) > 5000


def test_the_same_seed_breaks_in_the_same_way():
    def broken():
        return [mutate(SAMPLE.data, chance(seed)) for seed in range(300)]

    made = broken()
    assert made == broken()
    assert all(one.data != SAMPLE.data for one in made)
    assert {change for one in made for change in one.changes} == set(CHANGES)
    assert broken_input("tile", [SAMPLE], 1, 5) == broken_input("tile", [SAMPLE], 1, 5)
    assert broken_input("tile", [SAMPLE], 1, 5) != broken_input("tile", [SAMPLE], 1, 6)


@pytest.mark.parametrize("data", [b"", b"7", b"\n", b"II*\0" * 3])
def test_very_short_files_can_be_broken(data):
    assert all(mutate(data, chance(seed)).data != data for seed in range(200)) or not data


def peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refuse(*parts):
    raise InputError(parts[0], where=parts[1], fix=parts[2])


@pytest.mark.parametrize(
    ("attempt", "verdict", "told"),
    [
        (lambda *_: None, "equal", ""),
        (lambda *_: refuse("a", "b", "c"), "refused", "InputError"),
        (lambda *_: refuse("a", " ", "c"), "problem", "without what, where or fix"),
        (lambda *_: must([], "two pixels differ"), "problem", "two pixels differ"),
        (lambda *_: {}["x"], "problem", "KeyError"),
        (lambda *_: bytearray(1 << 60), "problem", "out of memory"),
        # More than this process has ever held, whatever ran in it before.
        (lambda *_: len(bytearray(b"x") * (peak_kb() * 1024 + 800_000_000)), "problem", "kB of memory"),
    ],
)
def test_what_comes_of_an_input_is_judged(attempt, verdict, told, tmp_path):
    found, detail = judge(Kind(lambda _: [SAMPLE], attempt), tmp_path, tmp_path, SAMPLE)

    assert found == verdict
    assert told in detail


WORKER = """
import json
import resource, os, signal, sys, time
_, _, kind, directory, seed, first, count = sys.argv
for number in range(int(first), int(first) + int(count)):
    line = {"number": number, "sample": "s", "changes": ["flip"]}
    print(json.dumps(line), flush=True)
    if number == 2:
        print("GDAL says its last", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 4:
        print("half a li", end="", flush=True)
        time.sleep(600)
    print(json.dumps({**line, "verdict": "refused", "detail": "InputError"}), flush=True)
"""


def test_a_crash_and_a_hang_are_problems_and_the_rest_is_tried(tmp_path, monkeypatch):
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    start = parent.subprocess.Popen
    monkeypatch.setattr(
        parent.subprocess, "Popen", lambda words, **more: start([words[0], script, "-m", *words[3:]], **more)
    )
    monkeypatch.setattr(parent, "KINDS", {"tile": Kind(lambda _: [SAMPLE], lambda *_: None, limit_s=2.0)})
    fresh_tree(tmp_path, "tile-3", SAMPLE, b"broken")

    figures = fuzz("tile", 7, 3, tmp_path)

    assert (figures.tried, figures.refused) == (7, {"InputError": 5})
    crash, hang = figures.problems
    assert "seed 3, number 2 (s: flip)" in crash
    assert "SIGSEGV" in crash
    assert "GDAL says its last" in crash
    assert "seed 3, number 4" in hang
    assert "hangs" in hang
    # A thread that reads on from a pipe that was closed fails whatever test runs at that moment.
    assert [thread for thread in threading.enumerate() if thread.name == parent._LISTENER] == []
    assert (kept_at(tmp_path, "tile", 3, 2) / SAMPLE.place).read_bytes() == b"broken"


def test_a_kept_input_stays_when_the_next_is_tried(tmp_path):
    fresh_tree(tmp_path, "tile-1", SAMPLE, b"first")

    keep(tmp_path, "tile", 1, 7)
    fresh_tree(tmp_path, "tile-1", SAMPLE, b"second")

    assert (kept_at(tmp_path, "tile", 1, 7) / SAMPLE.place).read_bytes() == b"first"


def test_figures_are_told_as_a_table():
    figures = FuzzFigures("tile", 1, tried=5, equal=1, seconds=2.4, problems=["x"])
    figures.refused["InputError"] = 3

    assert "| tile | 5 | 3 InputError | 1 | 1 | 2 |" in table([figures, FuzzFigures("topo", 1)])
    assert "| all | 5 | 3 | 1 | 1 | |" in table([figures, FuzzFigures("topo", 1)])
