"""The experiment of the documentation runs, and its splits are apart where they say so."""

import csv
import importlib
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import gcn_luigi
from tests.integration.builds import build_inline, dataset, once_per_run
from tests.integration.commands import make_tiny

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ["random chips", "random partitions", "blocks", "blocks, buffer for 1,500 m"]


@pytest.fixture
def experiment(monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("compare_splits")
    for name in ("compare_splits", "train"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def all_in_use(tmp_path_factory):
    """Return a tiny dataset that leaves out no partition as a buffer."""

    def build(root):
        made = make_tiny(root, "tiny", ('method = "blocks"', 'method = "legacy"'))
        build_inline(dataset("tiny", root / "out", config=made.config))

    return once_per_run(tmp_path_factory, "all-in-use", build) / "out" / "tiny"


def painted(chips, positions):
    """Return which pixels of the lattice a set of chips shows."""
    lattice = chips.dataset.lattice
    mask = np.zeros((lattice.height, lattice.width), bool)
    edges = chips.table[["left", "top", "right", "bottom"]].iloc[positions].to_numpy()
    for left, top, right, bottom in edges:
        cols, rows = ((np.array(pair) / lattice.pixel_size).round().astype(int) for pair in (
            (left - lattice.left, right - lattice.left), (lattice.top - top, lattice.top - bottom)))  # fmt: skip
        mask[slice(*rows), slice(*cols)] = True
    return mask


@pytest.mark.long
def test_only_random_chips_share_pixels_and_all_train_on_equally_many(experiment, all_in_use):
    chips = experiment.load(gcn_luigi.open_dataset(all_in_use))

    made = experiment.planned(chips, [1500.0], block=1, seeds=2)

    assert [plan.name for plan in made] == NAMES * 2
    assert len({len(plan.train) for plan in made}) == 1
    for plan in made:
        sides = {side: painted(chips, getattr(plan, side)) for side in ("train", "dev", "test")}
        shared = {pair: int((sides[pair[0]] & sides[pair[1]]).sum()) for pair in itertools.combinations(sides, 2)}
        overlapping = {pair for pair, count in shared.items() if count}
        assert overlapping == ({("train", "dev")} if plan.name == "random chips" else set()), (plan.name, shared)
        assert experiment.separation(chips, plan.train, plan.dev)[0] == shared["train", "dev"]
    # A buffer of one partition of 64 pixels keeps train and dev apart; without it they touch.
    apart = {plan.name: experiment.separation(chips, plan.train, plan.dev)[1] for plan in made if plan.seed == 0}
    assert apart["blocks, buffer for 1,500 m"] >= 64 * 30.0


@pytest.mark.long
def test_the_experiment_writes_a_row_for_each_run_and_a_table_for_each_split(experiment, all_in_use, tmp_path, capsys):
    experiment.main([str(all_in_use), "--range-m", "1500", "--block", "1", "--seeds", "2", "--steps", "3",
                     "--output", str(tmp_path)])  # fmt: skip

    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["split"]) for row in rows] == [(str(seed), name) for seed in (0, 1) for name in NAMES]
    for row in rows:
        for name in ("mean", "debris"):
            dev, test, optimism = (float(row[f"{what}_{name}"]) for what in ("dev", "test", "optimism"))
            assert 0 <= dev <= 1
            assert 0 <= test <= 1
            assert optimism == pytest.approx(dev - test, abs=2e-4)
    lines = (tmp_path / "summary.md").read_text(encoding="utf-8").splitlines()
    assert [line.count("|") for line in lines] == [10] * 6
    assert [line.split("|")[1].strip() for line in lines[2:]] == NAMES
    assert "shared pixels" in lines[2]
    assert (tmp_path / "optimism.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert "8 of 8: blocks, buffer for 1,500 m, seed 1" in capsys.readouterr().out


@pytest.mark.long
def test_too_few_partitions_are_told_plainly(experiment, all_in_use):
    made = experiment.load(gcn_luigi.open_dataset(all_in_use))
    two = made.table["partition"].unique()[:2]
    few = experiment.Chips(made.dataset, made.table[made.table["partition"].isin(two)], *[None] * 4)

    with pytest.raises(SystemExit, match="2 partitions with chips are too few for 'random partitions'"):
        experiment.planned(few, [1500.0], block=1, seeds=1)
