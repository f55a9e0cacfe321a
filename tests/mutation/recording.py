"""A pytest plugin that records which lines of `prepare` and which kernels each test runs, and for how long."""

import functools
import importlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mutation.variables import RECORDING

_KERNELS = sorted(path.stem for path in (Path(__file__).parents[2] / "_ext").glob("*.pyx"))


class Recorder:
    """Follows a test run; one of them lives as long as the run."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tracer = coverage.Coverage(
            data_file=None, config_file=False, include=[str(root / "gcn_luigi" / "prepare" / "*")]
        )
        self._current = ""
        self._seconds: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._kernels: dict[str, set[str]] = defaultdict(set)
        self._tracer.start()
        self._watch_kernels()

    def _watch_kernels(self) -> None:
        """Put a function that takes notes around each compiled one, before anything else imports it."""
        for name in _KERNELS:
            module = importlib.import_module(f"gcn_luigi._core.{name}")
            for attribute, value in list(vars(module).items()):
                if type(value).__name__ in {"cython_function_or_method", "fused_cython_function"}:
                    setattr(module, attribute, self._noting(name, value))

    def _noting(self, kernel: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def noted(*arguments: Any, **keywords: Any) -> Any:
            self._kernels[kernel].add(self._current)
            return function(*arguments, **keywords)

        return noted

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Assign what runs now to this test."""
        self._current = item.nodeid
        self._tracer.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._current = ""
            self._tracer.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up how long a test takes. A test that did not pass is left out later."""
        self._seconds[report.nodeid] += report.duration
        if report.outcome != "passed":
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the recording."""
        self._tracer.stop()
        data = self._tracer.get_data()
        tests = sorted(set(self._seconds) - self._failed)
        number = {test: place for place, test in enumerate(tests)}
        # -1 is no test: what runs when a module is imported.
        number[""] = -1
        lines = {
            Path(path).relative_to(self._root).as_posix(): {
                line: sorted(number[test] for test in found if test in number)
                for line, found in sorted(data.contexts_by_lineno(path).items())
            }
            for path in sorted(data.measured_files())
        }
        recording = {
            "tests": [[test, round(self._seconds[test], 4)] for test in tests],
            "lines": lines,
            "kernels": {
                name: sorted(number[test] for test in found if test in number and test)
                for name, found in sorted(self._kernels.items())
            },
        }
        Path(os.environ[RECORDING]).write_text(json.dumps(recording), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Start to follow the run."""
    config.pluginmanager.register(Recorder(config.rootpath.resolve()))
