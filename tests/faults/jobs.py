"""A share of a scenario, done in a process of its own."""

import random
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.faults.arena import open_arena
from tests.faults.figures import Figures
from tests.faults.scenarios import scenarios


@dataclass(frozen=True)
class Job:
    """A share of a scenario, with a seed of its own."""

    scenario: str
    number: int
    count: int
    seed: int

    @property
    def repeat(self) -> str:
        """The command that does exactly this again."""
        only = f"--only '{self.scenario}' --job {self.number} --count {self.count}"
        return f"python -m tests.faults --seed {self.seed} {only}"


def run_job(job: Job, root: Path, seconds: float) -> Figures:
    """Do a job in this process; whatever goes wrong is a finding with its seed."""
    arena = open_arena(root, seconds)
    (scenario,) = [known for known in scenarios() if known.name == job.scenario]
    figures = Figures()
    rng = random.Random(f"{job.seed}/{job.scenario}/{job.number}")
    try:
        figures = scenario.function(arena, rng, job.count)
    except BaseException:  # noqa: BLE001  told as a finding, with its seed
        figures.problem("failed check", traceback.format_exc())
    for left in arena.commands.stop_all():
        figures.problem("orphan", left)
    figures.problems = [f"{problem}\n  repeat: {job.repeat}" for problem in figures.problems]
    return figures
