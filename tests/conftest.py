"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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
