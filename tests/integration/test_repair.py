"""What a real build does when finished files are lost."""

import shutil

import pytest

from gcn_luigi.operate.build import build
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset, small_config


@pytest.fixture(scope="module")
def finished(small_world, tmp_path_factory):
    """Return sources, configuration and output of a finished dataset."""
    place = tmp_path_factory.mktemp("repair")
    shutil.copytree(small_world, place / "input")
    small_config(place / "config", "small")
    build_inline(dataset("small", place / "out", place / "input", place / "config"))
    return place


@pytest.mark.parametrize(
    ("lost", "rebuilt"),
    [
        ("shards/train-00000-of-00002.h5", ("gcn.ChipShard(train, 0, 2)",)),
        pytest.param("label.tif", ("gcn.ClassLabel()",), marks=pytest.mark.long),
        pytest.param("stacks/2008.vrt", ("gcn.YearStack(2008)",), marks=pytest.mark.long),
    ],
)
def test_a_file_lost_in_the_middle_of_the_graph_is_made_again_and_nothing_else(finished, lost, rebuilt):
    path = finished / "out" / "small" / lost
    whole = path.read_bytes()
    path.unlink()

    result = build(
        [dataset("small", finished / "out", finished / "input", finished / "config")], workers=2, address=None
    )

    assert result.exit_code == 0
    assert result.built == rebuilt
    assert path.read_bytes() == whole
    assert list(validate(finished / "out" / "small")) == []


@pytest.mark.long
def test_a_lost_sidecar_rebuilds_its_file_alone(finished):
    shutil.rmtree(finished / "out" / "small" / ".gcn" / "mosaics")

    result = build(
        [dataset("small", finished / "out", finished / "input", finished / "config")], workers=1, address=None
    )

    assert result.exit_code == 0
    assert {name.split("(")[0] for name in result.built} == {"gcn.OpticalMosaic", "gcn.TopoMosaic"}
    assert list(validate(finished / "out" / "small")) == []
