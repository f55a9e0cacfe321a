"""A pytest plugin that runs chosen tests in a given order and stops at the first that fails."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests.mutation.variables import CHOSEN, FAILED


def pytest_configure() -> None:
    """Draw the same examples in every run, and do not spend time on making a failing one smaller."""
    settings.register_profile(
        "mutants",
        settings.get_profile("any machine"),
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("mutants")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the chosen tests, in the order in which they were chosen."""
    chosen = json.loads(Path(os.environ[CHOSEN]).read_text(encoding="utf-8"))
    place = {name: number for number, name in enumerate(chosen)}
    left_out = [item for item in items if item.nodeid not in place]
    items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
    config.hook.pytest_deselected(items=left_out)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which tests fail."""
    if report.failed:
        with Path(os.environ[FAILED]).open("a", encoding="utf-8") as file:
            file.write(report.nodeid + "\n")
