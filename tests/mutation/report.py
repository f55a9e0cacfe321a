"""The report: what became of each mutant, the scores, and a comparison of two reports."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutation.mutant import Mutant

# Tests notice a mutant that fails one of them or makes them hang.
NOTICED = ("killed", "timeout")
# No test fails, or no test runs the line at all.
MISSED = ("survived", "unreached")
# Not counted: the kernel does not compile, or a later source does not have the line any more.
LEFT_OUT = ("uncompilable", "gone")


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Parameters
    ----------
    mutant
        The change.
    result
        One of `NOTICED`, `MISSED` or `LEFT_OUT`.
    n_tests
        How many tests were chosen for it.
    killed_by
        The test that failed; empty if there is none, or if the tests could not even start.
    """

    mutant: Mutant
    result: str
    n_tests: int = 0
    killed_by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the report."""
        return {"result": self.result, "n_tests": self.n_tests, "killed_by": self.killed_by} | self.mutant.to_dict()

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> "Result":
        """Return the result that an entry of a report describes."""
        return cls(Mutant.from_dict(entry), entry["result"], entry["n_tests"], entry["killed_by"])


def score(results: list[Result]) -> tuple[int, int]:
    """Return how many mutants the tests notice, and how many there are."""
    found = Counter(result.result for result in results)
    noticed = sum(found[name] for name in NOTICED)
    return noticed, noticed + sum(found[name] for name in MISSED)


def write(path: Path, results: list[Result], options: dict[str, Any]) -> None:
    """Write results and the options that led to them."""
    by_module: dict[str, Counter[str]] = {}
    for result in results:
        by_module.setdefault(result.mutant.path, Counter())[result.result] += 1
    noticed, total = score(results)
    report = {
        "options": options,
        "noticed": noticed,
        "total": total,
        "modules": {module: dict(sorted(found.items())) for module, found in sorted(by_module.items())},
        "mutants": [result.to_dict() for result in results],
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[Result]:
    """Return the results of a report."""
    return [Result.from_dict(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["mutants"]]


def lost(before: list[Result], after: list[Result]) -> list[Result]:
    """Return the results of `after` for mutants that the tests noticed in `before` and miss now."""
    noticed = {result.mutant for result in before if result.result in NOTICED}
    return [result for result in after if result.mutant in noticed and result.result in MISSED]


def summary(results: list[Result]) -> str:
    """Return the scores of the modules and of the kernels, and every mutant that was missed."""
    lines = []
    for title, suffix in (("Python", ".py"), ("kernels", ".pyx")):
        part = [result for result in results if result.mutant.path.endswith(suffix)]
        noticed, total = score(part)
        found = ", ".join(f"{count} {name}" for name, count in sorted(Counter(each.result for each in part).items()))
        if total:
            lines.append(f"{title}: the tests notice {noticed} of {total} mutants, {noticed / total:.1%} ({found})")
    lines += [described(result) for result in results if result.result in MISSED]
    return "\n".join(lines)


def described(result: Result) -> str:
    """Return one mutant in words."""
    mutant = result.mutant
    head = f"{result.result} {mutant.path}:{mutant.line} {mutant.operator}"
    return f"{head}\n  - {mutant.before.strip()}\n  + {mutant.after.strip()}"
