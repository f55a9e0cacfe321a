"""One build of Columbia Glacier, shared by the tests that only read it."""

from pathlib import Path

import pytest

import gcn_luigi
from gcn_luigi.read.dataset import Dataset
from tests.integration.builds import build_inline, dataset


@pytest.fixture(scope="session")
def columbia_output(columbia: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a finished Columbia dataset; tests must not change it."""
    output = tmp_path_factory.mktemp("columbia")
    build_inline(dataset("columbia", output, columbia))
    return output / "columbia"


@pytest.fixture(scope="session")
def columbia_dataset(columbia_output: Path) -> Dataset:
    """Return the finished Columbia dataset, opened."""
    return gcn_luigi.open_dataset(columbia_output)
