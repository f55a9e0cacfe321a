"""Which tests can notice a mutant: those that ran its lines when a run without mutants was recorded."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.mutation.mutant import Mutant

# In a recording, what runs when a module is imported.
_IMPORT = -1
# These tests read the sources of all modules instead of running them.
_READERS = "tests/contracts/test_sources.py::"


@dataclass(frozen=True)
class Recording:
    """What `tests.mutation.recording` wrote.

    Parameters
    ----------
    tests
        Name and seconds of each test that passed.
    lines
        For each module and line, the numbers of the tests that ran it.
    kernels
        For each kernel, the numbers of the tests that called it.
    """

    tests: list[tuple[str, float]]
    lines: dict[str, dict[int, set[int]]]
    kernels: dict[str, set[int]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the recording that a file holds."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            tests=[(name, seconds) for name, seconds in found["tests"]],
            lines={
                path: {int(line): set(tests) for line, tests in lines.items()} for path, lines in found["lines"].items()
            },
            kernels={name: set(tests) for name, tests in found["kernels"].items()},
        )

    def reaching(self, mutant: Mutant, source: str) -> set[int]:
        """Return the numbers of the tests that run what the mutant changes in `source`."""
        if mutant.path.endswith(".pyx"):
            return self.kernels.get(Path(mutant.path).stem, set())
        lines = self.lines.get(mutant.path, {})
        tree = ast.parse(source)
        first = mutant.found_in(source) or mutant.line
        # Blank lines go with a decorator that is removed, and belong to no statement.
        before = mutant.before.splitlines()
        first += next((number for number, line in enumerate(before) if line.strip()), 0)
        found = _run_on(lines, _lines_of_statement(tree, first))
        if _IMPORT in found:
            # The header of a function, or a statement of the module: whoever uses it can notice.
            found |= _run_on(lines, _lines_of_definition(tree, first))
            found |= {number for number, (name, _) in enumerate(self.tests) if _reads(name, mutant.path)}
        return found - {_IMPORT}

    def chosen(self, mutant: Mutant, source: str, seconds: float) -> list[str]:
        """Return the names of the tests to run, the fastest first, as many as fit into the time.

        Integration tests are asked only if no other test reaches the mutant.
        """
        reaching = self.reaching(mutant, source)
        near = {number for number in reaching if not self.tests[number][0].startswith("tests/integration/")}
        names: list[str] = []
        left = seconds
        for took, name in sorted((self.tests[number][1], self.tests[number][0]) for number in near or reaching):
            left -= took
            if left < 0 and names:
                break
            names.append(name)
        return names

    def duration(self, names: list[str]) -> float:
        """Return how many seconds these tests took when they were recorded."""
        wanted = set(names)
        return sum(seconds for name, seconds in self.tests if name in wanted)


def own_first(mutant: Mutant, names: list[str]) -> list[list[str]]:
    """Return the tests in two parts, neither empty: those written for the module or for kernels, then all others.

    The first part mostly is in few files and notices most mutants, so the many files of the second are not loaded.
    """
    folder = Path(mutant.path).parent.as_posix().replace("gcn_luigi", "tests/unit", 1)
    own = ("tests/unit/test_kernels.py", "tests/property/") if mutant.path.endswith(".pyx") else (f"{folder}/",)
    parts = [[name for name in names if name.startswith(own)], [name for name in names if not name.startswith(own)]]
    return [part for part in parts if part]


def _reads(name: str, path: str) -> bool:
    return name.startswith(_READERS) and name.endswith(f"[{path}]")


def _run_on(lines: dict[int, set[int]], wanted: range) -> set[int]:
    return set().union(*(lines.get(line, set()) for line in wanted))


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.stmt))


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _lines_of_statement(tree: ast.Module, line: int) -> range:
    """Return the lines of the innermost statement around `line`; of a compound one, the lines before its body."""
    found = [each for each in _statements(tree) if _first_line(each) <= line <= (each.end_lineno or each.lineno)]
    if not found:
        return range(line, line + 1)
    innermost = max(found, key=lambda each: (_first_line(each), -(each.end_lineno or 0)))
    body = getattr(innermost, "body", [])
    last = _first_line(body[0]) - 1 if body else innermost.end_lineno or innermost.lineno
    return range(_first_line(innermost), max(last, line) + 1)


def _lines_of_definition(tree: ast.Module, line: int) -> range:
    """Return all lines of the function or class that begins at the statement around `line`, or of the module."""
    found = [
        each
        for each in _statements(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and _first_line(each) <= line <= (each.end_lineno or each.lineno)
    ]
    if found:
        return range(_first_line(found[-1]), (found[-1].end_lineno or 0) + 1)
    return range(1, max((each.end_lineno or 0 for each in _statements(tree)), default=0) + 1)
