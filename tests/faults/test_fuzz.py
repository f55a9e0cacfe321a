"""A few broken inputs of every kind, every time; `python -m tests.faults.fuzz` tries thousands."""

import random

import pytest

from gcn_luigi.errors import InputError
from tests.faults import fuzz_worker
from tests.faults.fuzz import LONG, FuzzFigures, fuzz, table
from tests.faults.fuzz_worker import broken_input, fresh_tree, judge
from tests.faults.kind import Kind, Sample, must
from tests.faults.kinds import KINDS
from tests.faults.mutate import CHANGES, mutate

pytestmark = pytest.mark.fault

SEED = 20
SHORT = {"tile": 40, "outlines": 25, "shard": 25, "dataset": 10, "graph": 2}
# A kind whose sound sample is refused, as it must be.
REFUSED = {"tile": {"south-up"}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("kind", KINDS)
def test_broken_inputs_are_refused_or_read_right(kind, directory):
    figures = fuzz(kind, SHORT.get(kind, 15), SEED, directory)

    assert not figures.problems, "\n".join(figures.problems)
    assert figures.refused.total() + figures.equal == figures.tried == SHORT.get(kind, 15)


@pytest.mark.parametrize("kind", KINDS)
def test_sound_inputs_are_accepted(kind, directory):
    """Otherwise a refusal would say nothing."""
    if kind in {"dataset", "graph"}:
        pytest.skip
    samples = KINDS[kind].prepare(directory)

    verdicts = {
        sample.name: judge(KINDS[kind], directory, fresh_tree(directory, f"{kind}-sound", sample, sample.data), sample)
        for sample in samples
    }

    refused = {name for name, (verdict, _) in verdicts.items() if verdict == "refused"}
    assert refused == REFUSED.get(kind, set())
    assert {verdict for verdict, _ in verdicts.values()} <= {"refused", "equal"}, verdicts
