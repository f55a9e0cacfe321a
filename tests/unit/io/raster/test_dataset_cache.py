"""Open files: few of them, and never two states of one."""

from pathlib import Path

import numpy as np
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.compositor import DatasetCache
from gcn_luigi.lattice import Window
from tests.reference.tile_tree import write_tif

NEEDED = Window(0, 0, 1, 1)


def n_open(root) -> int:
    """Return how many files below `root` this process holds open, be it once or twice."""
    names = {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}
    return sum(name.startswith(str(root)) for name in names)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
def test_the_number_of_open_files_is_bounded(tmp_path):
    paths = [write_tif(tmp_path / f"{number}.tif", np.ones((2, 2), np.int16)) for number in range(90)]
    with DatasetCache() as datasets:
        for path in paths * 2:
            assert datasets.get(str(path), NEEDED, "stack").read(1)[0, 0] == 1
        assert n_open(tmp_path) == 64

    assert n_open(tmp_path) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
@pytest.mark.parametrize(("interleave", "expected"), [("pixel", 1), ("band", 8)])
def test_the_memory_of_their_blocks_is_bounded(tmp_path, interleave, expected):
    # A block of all bands has 4.7 MB, one of a band 0.5 MB.
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": interleave}
    stack = np.ones((9, 512, 512), np.int16)
    paths = [write_tif(tmp_path / f"{number}.tif", stack, **layout) for number in range(8)]
    with DatasetCache() as datasets:
        for path in paths:
            datasets.get(str(path), NEEDED, "stack")
        assert n_open(tmp_path) == expected


def test_a_file_used_again_stays_open(tmp_path):
    paths = [str(write_tif(tmp_path / f"{number}.tif", np.ones((2, 2), np.int16))) for number in range(70)]
    with DatasetCache() as datasets:
        first = datasets.get(paths[0], NEEDED, "stack")
        for path in paths:
            assert datasets.get(paths[0], NEEDED, "stack") is first
            datasets.get(path, NEEDED, "stack")


def test_a_file_replaced_between_two_openings_is_refused(tmp_path):
    paths = [write_tif(tmp_path / f"{number}.tif", np.ones((2, 2), np.int16)) for number in range(66)]
    with DatasetCache() as datasets:
        for path in paths:
            datasets.get(str(path), NEEDED, "stack")
        write_tif(paths[0], np.full((40, 40), 3, np.int16))

        with pytest.raises(InputError, match="was replaced") as caught:
            datasets.get(str(paths[0]), NEEDED, "stack")

    assert caught.value.where == str(paths[0])


def test_files_that_are_as_they_were_pass(tmp_path):
    path = str(write_tif(tmp_path / "a.tif", np.ones((2, 2), np.int16)))
    with DatasetCache() as datasets:
        datasets.get(path, NEEDED, "stack")
        datasets.check_unchanged()
