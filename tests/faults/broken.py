"""Inputs broken at random, and bits of a finished dataset flipped: both must be noticed, in the long form."""

import random
import shutil

import numpy as np

from gcn_luigi.read.validate import validate
from tests.faults.arena import Arena
from tests.faults.figures import Figures
from tests.faults.flips import flip_one_bit
from tests.faults.fuzz import LONG, fuzz


def flipped(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Flip single bits anywhere in a dataset, each bit with the same chance; a deep look must name the file."""
    figures = Figures()
    directory = arena.fresh(arena.reference) / arena.tiny.region
    generator = np.random.default_rng(rng.getrandbits(64))
    for _ in range(count):
        with flip_one_bit(directory, generator) as flip:
            name = flip.path.relative_to(directory).as_posix()
            problems = list(validate(directory, deep=True))
            figures.faults["one bit flipped, found by gcn validate --deep"] += 1
            if not any(flip.path.name in problem for problem in problems):
                figures.problem("unnoticed flip", f"bit {flip.bit} of byte {flip.offset} of {name}: {problems[:3]}")
    if list(validate(directory, deep=True)):
        figures.problem("failed check", "flipped back, the dataset is not sound")
    shutil.rmtree(directory)
    return figures


def fuzzed(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Try broken inputs of every kind, `count` percent of what the long form of the fuzzer tries."""
    figures = Figures()
    seed = rng.getrandbits(31)
    for kind, inputs in LONG.items():
        # What is made once for a kind is shared by all jobs.
        tried = fuzz(kind, max(1, inputs * count // 100), seed, arena.root / "fuzz")
        figures.faults[f"{kind}: refused by name"] += tried.refused.total()
        figures.faults[f"{kind}: accepted, and equal to a plain reading"] += tried.equal
        for problem in tried.problems:
            figures.problem("broken input", problem)
    return figures
