"""Builds shared by the tests that only read them."""

from pathlib import Path

import pytest

import gcn_luigi
from gcn_luigi.read.dataset import Dataset
from tests.integration.builds import build_inline, dataset, once_per_run, without_shards
from tests.integration.commands import Tiny, make_tiny


@pytest.fixture(scope="session")
def columbia_output(columbia: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a finished Columbia dataset; tests must not change it."""

    def build(output: Path) -> None:
        build_inline(dataset("columbia", output, columbia), page=True)

    return once_per_run(tmp_path_factory, "columbia", build) / "columbia"


@pytest.fixture(scope="session")
def columbia_dataset(columbia_output: Path) -> Dataset:
    """Return the finished Columbia dataset, opened."""
    return gcn_luigi.open_dataset(columbia_output)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return the smallest made-up region, as deep in the tree as what tests build from it: mosaics name sources by it.

    Tests must not change it.
    """
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_output(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output directory of the finished tiny dataset, built undisturbed; tests must not change it."""
    output = tmp_path_factory.mktemp("built")
    build_inline(dataset(tiny.region, output, tiny.sources, tiny.config), page=True)
    return output


@pytest.fixture
def prepared(tiny_output: Path, tmp_path: Path) -> None:
    """Leave only the shards of the tiny region to be made."""
    without_shards(tiny_output / "tiny", tmp_path / "tiny")
