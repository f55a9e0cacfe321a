import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import rasterio

from gcn_luigi.errors import InputError, PublishError
from gcn_luigi.io.raster.geotiff import blocks, write_geotiff
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.lattice import Lattice, Window

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 300, 530)


def noise(*shape, dtype=np.int16):
    return np.random.default_rng(2).integers(0, 200, shape).astype(dtype)


def test_an_array_comes_back_with_names_nodata_and_place(tmp_path):
    data = noise(2, 300, 530)

    write_geotiff(tmp_path / "a.tif", LATTICE, data, nodata=-1, names=["a", "b"])

    assert read_header(tmp_path / "a.tif").lattice == LATTICE
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), data)
        assert (dataset.descriptions, dataset.nodata) == (("a", "b"), -1)
        assert dataset.profile["compress"] == "deflate"
        assert set(dataset.block_shapes) == {(256, 256)}


@pytest.mark.parametrize("size", [256, (256, 4096), 100, (1, 530)])
def test_blocks_written_in_any_size_give_the_same_pixels(tmp_path, size):
    data = noise(300, 530, dtype=np.float32)
    pieces = (
        (window, data[window.row : window.row + window.height, window.col : window.col + window.width])
        for window in blocks(LATTICE, size)
    )

    write_geotiff(tmp_path / "a.tif", LATTICE, pieces, nodata=None, names=["a"], dtype="float32")

    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), data)


def test_bytes_depend_neither_on_the_cache_of_the_machine_nor_on_the_width_of_windows(tmp_path):
    # GDAL reads the size of its cache once a process.
    script = """
import sys
from pathlib import Path
import numpy as np
from gcn_luigi.io.raster.geotiff import blocks, write_geotiff
from gcn_luigi.lattice import Lattice
lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 1100, 1100)
data = np.random.default_rng(2).integers(0, 200, (2, 1100, 1100)).astype(np.int16)
width = int(sys.argv[2])
tall = blocks(lattice, (256, width or 1))
pieces = ((w, data[:, w.row : w.row + w.height, w.col : w.col + w.width]) for w in tall)
write_geotiff(Path(sys.argv[1]), lattice, pieces if width else data, nodata=-1, names=["a", "b"], dtype="int16")
"""
    for cache, width in (("1", "512"), ("500", "4096"), ("2", "0")):
        command = [sys.executable, "-c", script, str(tmp_path / f"{cache}.tif"), width]
        subprocess.run(command, check=True, env=os.environ | {"GDAL_CACHEMAX": cache})

    assert len({(tmp_path / f"{cache}.tif").read_bytes() for cache in (1, 2, 500)}) == 1


def test_pixels_in_no_window_are_nodata(tmp_path):
    pieces = [(Window(0, 0, 256, 256), noise(1, 256, 256))]

    write_geotiff(tmp_path / "a.tif", LATTICE, pieces, nodata=-7, names=["a"], dtype="int16")

    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert (dataset.read(1)[:, 256:] == -7).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(1, 1, (16, 16)), (17, 300, (32, 256)), (256, 250, (256, 256))]
)
def test_blocks_of_a_small_raster_are_no_larger_than_needed(tmp_path, height, width, expected):
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, height, width)

    write_geotiff(tmp_path / "a.tif", lattice, noise(height, width, dtype=np.uint8), nodata=255, names=["label"])

    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), noise(height, width, dtype=np.uint8))
        assert dataset.block_shapes == [expected]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (np.zeros((299, 530), np.int16), None),
        (np.zeros((2, 300, 530), np.int16), None),
        (np.zeros((300, 530), np.float32), "int16"),
        (iter(()), None),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_refused(tmp_path, data, dtype):
    with pytest.raises(InputError):
        write_geotiff(tmp_path / "a.tif", LATTICE, data, nodata=None, names=["a"], dtype=dtype)


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(PublishError, match="could not be written"):
        write_geotiff(tmp_path / "no/a.tif", LATTICE, noise(300, 530), nodata=None, names=["a"])


@pytest.mark.fault
@pytest.mark.parametrize("share", [0, 0.0005, 0.5, 0.9, 0.99, 0.99999])
def test_a_disk_that_fills_up_is_told_even_when_only_the_last_block_is_lost(tmp_path, share):
    write_geotiff(tmp_path / "whole.tif", LATTICE, noise(300, 530), nodata=None, names=["a"])
    limit = int((tmp_path / "whole.tif").stat().st_size * share)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(PublishError, match="could not be written"):
            write_geotiff(tmp_path / "a.tif", LATTICE, noise(300, 530), nodata=None, names=["a"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
