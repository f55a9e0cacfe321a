"""Fixtures shared by all tests."""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about what else the machine does, and nothing about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--strict-skips", action="store_true", help="a skipped test counts as failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001  pytest asks for it by name
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--strict-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed here: {report.longrepr}"
    return report


def _data(name: str) -> Path:
    path = Path(os.environ.get("GCN_TEST_DATA", DATA)) / name
    if not path.is_dir():
        pytest.skip(f"no {name} test data beside the repository (set GCN_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def columbia() -> Path:
    """Return the directory of the Columbia Glacier inputs."""
    return _data("columbia")


@pytest.fixture(scope="session")
def columbia_bad() -> Path:
    """Return the directory of the broken variants."""
    return _data("columbia_bad")


@pytest.fixture(scope="session")
def small_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a small finished dataset, its quality page left out; tests must not change it.

    What builds it is imported only where it is asked for: most unit tests need no Luigi.
    """
    from tests.integration.builds import build_inline, dataset  # noqa: PLC0415
    from tests.integration.commands import make_tiny  # noqa: PLC0415
    from tests.reference.timeless import write_no_page  # noqa: PLC0415

    root = tmp_path_factory.mktemp("small")
    tiny = make_tiny(root)
    with pytest.MonkeyPatch.context() as patch:
        # Drawing takes longer than all the rest.
        patch.setattr("gcn_luigi.tasks.dataset.write_report", write_no_page)
        build_inline(dataset(tiny.region, root / "out", tiny.sources, tiny.config))
    return root / "out" / tiny.region


@pytest.fixture
def commands(tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    """Return what starts commands; whatever outlives the test is killed and fails it."""
    from tests.integration.commands import Commands  # noqa: PLC0415

    started = Commands(tmp_path_factory.mktemp("commands"))
    yield started
    left = started.stop_all()
    assert left == []


@pytest.fixture(scope="session")
def demo_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the demo's finished dataset, as the command makes it; tests must not change it."""
    output = tmp_path_factory.mktemp("demo") / "output"
    command = Path(sys.executable).parent / "gcn"
    subprocess.run([command, "demo", "--output", output, "--local-scheduler"], check=True, capture_output=True)
    return output / "demo"


@pytest.fixture
def gcn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command as installed, and gives exit code, stdout and stderr."""
    from gcn_luigi.cli import main  # noqa: PLC0415

    def run(*arguments: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["gcn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run
