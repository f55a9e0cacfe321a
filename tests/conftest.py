"""Fixtures shared by all tests."""

import math
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests on SLURM, which wait for the clock and for each other, so that all others run meanwhile."""
    items.sort(key=lambda item: "slurm" not in getattr(item, "fixturenames", ()))


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


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Generator[None]:
    """Leave it to the system when it writes to the disk: tests end, and with them what they wrote."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            # As the real one, it fails if there is no such file.
            patch.setattr(os, name, os.fstat, raising=False)
        yield


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
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the smallest made-up region: ``input``, ``config`` and a finished dataset in ``out``.

    Tests must not change it. What makes and builds it is imported only where it is asked for: most unit tests need no
    Luigi.
    """
    from tests.integration.builds import build_inline, dataset, once_per_run  # noqa: PLC0415
    from tests.integration.commands import make_tiny  # noqa: PLC0415

    def build(root: Path) -> None:
        made = make_tiny(root)
        build_inline(dataset(made.region, root / "out", made.sources, made.config), page=True)

    return once_per_run(tmp_path_factory, "tiny", build)


@pytest.fixture(scope="session")
def tiny(tiny_root: Path) -> Any:
    """Return the smallest made-up region; tests must not change it."""
    from tests.integration.commands import Tiny  # noqa: PLC0415

    return Tiny(tiny_root / "input", tiny_root / "config")


@pytest.fixture(scope="session")
def small_output(tiny_root: Path) -> Path:
    """Return the directory of the finished tiny dataset, with its quality page; tests must not change it."""
    return tiny_root / "out/tiny"


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the inputs of a small made-up region; tests must not change them."""
    from gcn_luigi.synthetic import make_demo  # noqa: PLC0415
    from tests.integration.builds import once_per_run  # noqa: PLC0415

    return once_per_run(tmp_path_factory, "small", lambda root: make_demo(root / "input", size="small")) / "input"


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
    from tests.integration.builds import once_per_run  # noqa: PLC0415

    command = Path(sys.executable).parent / "gcn"

    def build(root: Path) -> None:
        options = ("--output", root / "output", "--local-scheduler")
        subprocess.run([command, "demo", *options], check=True, capture_output=True)

    return once_per_run(tmp_path_factory, "demo", build) / "output/demo"


@pytest.fixture
def gcn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command as installed, and gives exit code, stdout and stderr."""
    from gcn_luigi.cli import main  # noqa: PLC0415

    # Lines about progress depend on how busy the machine is.
    monkeypatch.setattr("gcn_luigi.cli.terminal._LINE_S", math.inf)

    def run(*arguments: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["gcn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run
