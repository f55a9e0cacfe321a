"""A copy of the repository in which mutants are put in and tested. The repository itself never changes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.mutation import worker
from tests.mutation.variables import CHOSEN, FAILED, RECORDING

# Directories of the repository that tests read, and files next to them.
_DIRECTORIES = (".ci", ".github", "_ext", "benchmarks", "config", "docs", "examples", "gcn_luigi", "packaging", "tests")
# What pytest ends with: all passed; a test failed; stopped, by an error in collecting; an error inside; a wrong use,
# by an error while conftest.py was imported.
_PASSED, _KILLED = {0}, {1, 2, 3, 4}


@dataclass(frozen=True)
class Outcome:
    """How the tests judged a mutant: `killed`, `survived`, or `timeout`, and the tests that failed."""

    result: str
    failed: tuple[str, ...] = ()


class Workshop:
    """The copy.

    Parameters
    ----------
    repository
        What is copied.
    folder
        An empty directory for the copy and for builds of kernels.
    """

    def __init__(self, repository: Path, folder: Path) -> None:
        self.root = folder / "copy"
        self.builds = folder / "builds"
        self._files = folder
        self._data = os.environ.get("GCN_TEST_DATA", str(repository.parent / "shared" / "data"))
        # Emptied when a run begins: many runs would fill a disk, and a process that is stopped leaves its files.
        self._options = [*_OPTIONS, f"--basetemp={folder / 'temporary'}"]
        for name in _DIRECTORIES:
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis", "build")
            shutil.copytree(repository / name, self.root / name, ignore=ignored)
        for path in sorted(path for path in repository.iterdir() if path.is_file() and path.name != ".git"):
            shutil.copy(path, self.root)

    def record(self, tests: list[str], marks: str, to: Path) -> None:
        """Run tests without a mutant and record which lines they run.

        Parameters
        ----------
        tests
            Directories and files of tests.
        marks
            An expression for pytest's option `-m`; empty for all tests.
        to
            The file for the recording.
        """
        options = ["-m", marks] if marks else []
        command = [sys.executable, "-m", "pytest", *self._options, "-p", "tests.mutation.recording", *options, *tests]
        environment = os.environ | self._environment({RECORDING: str(to)})
        done = subprocess.run(command, cwd=self.root, env=environment, check=False)
        if not to.exists():
            raise RuntimeError(f"the tests were not recorded: pytest ended with {done.returncode}")

    def judged(
        self, path: str, content: str | bytes, names: list[str], seconds: float, *, to_the_end: bool = False
    ) -> Outcome:
        """Run tests while a file has another content; the content comes back at the end.

        Parameters
        ----------
        path
            The file, relative to the repository.
        content
            The text of a module, or the bytes of a compiled kernel.
        names
            The tests, in the order in which they run.
        seconds
            How much processor time they may take.
        to_the_end
            Run all tests instead of stopping at the first that fails.
        """
        place = self.root / path
        original = place.read_bytes()
        _replace(place, content if isinstance(content, bytes) else content.encode("utf-8"))
        try:
            return self.tested(names, seconds, is_kernel=isinstance(content, bytes), to_the_end=to_the_end)
        finally:
            _replace(place, original)

    def tested(self, names: list[str], seconds: float, *, is_kernel: bool = False, to_the_end: bool = False) -> Outcome:
        """Run tests on the copy as it is; stop at the first that fails, unless all are to run."""
        chosen, failed = self._files / "chosen.json", self._files / "failed.txt"
        chosen.write_text(json.dumps(names), encoding="utf-8")
        failed.unlink(missing_ok=True)
        environment = self._environment({CHOSEN: str(chosen), FAILED: str(failed)})
        if is_kernel:
            # The changed kernel is built with bounds checks, and a test compares that with this variable.
            environment["GCN_LUIGI_CHECKED"] = "1"
        arguments = [*self._options, "-p", "tests.mutation.selected", *([] if to_the_end else ["--exitfirst"])]
        arguments += sorted({name.partition("::")[0] for name in names})
        code = worker.finished(self.root, arguments, environment, round(seconds))
        names_of_failed = tuple(failed.read_text(encoding="utf-8").splitlines()) if failed.exists() else ()
        if code is None:
            return Outcome("timeout")
        if code in _PASSED:
            return Outcome("survived")
        if code in _KILLED or code < 0:
            return Outcome("killed", names_of_failed)
        raise RuntimeError(f"pytest ended with {code} for {names}")

    def compiled(self, kernel: str) -> str:
        """Return the path of a compiled kernel, relative to the repository."""
        (path,) = sorted((self.root / "gcn_luigi" / "_core").glob(f"{kernel}.*.so"))
        return path.relative_to(self.root).as_posix()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        # The copy comes before the installed package, for the processes that tests start as well.
        # Sample inputs are next to the repository, not next to the copy.
        return {"PYTHONPATH": str(self.root), "GCN_TEST_DATA": self._data} | more


def _replace(place: Path, content: bytes) -> None:
    """Replace a file. Its bytecode goes, because Python would use it for a file of the same size and second."""
    for stale in (place.parent / "__pycache__").glob(f"{place.stem}.*.pyc"):
        stale.unlink()
    # A new file: a process that has the old kernel in memory keeps it.
    place.unlink()
    place.write_bytes(content)


_OPTIONS = (
    "--quiet",
    "--no-header",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "--disable-warnings",
    # Libraries in memory have loaded a part of Hypothesis, in which pytest wants to rewrite assertions.
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "-r",
    "N",
)
