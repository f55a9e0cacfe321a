"""A look reports what a raster is, also where the build would refuse it."""

import math

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.looks import look_at, sample_values, values_of


def write(path, data, transform=None, crs="EPSG:32606", **profile):
    stack = data[np.newaxis] if data.ndim == 2 else data
    size = {"count": len(stack), "height": stack.shape[1], "width": stack.shape[2], "dtype": stack.dtype}
    transform = transform or Affine(10, 0, 400000, 0, -10, 6700000)
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **size, **profile) as out:
        out.write(stack)
    return path


def test_a_plain_raster(tmp_path):
    look = look_at(write(tmp_path / "a.tif", np.zeros((2, 3, 4), "int16"), nodata=-32768))

    assert (look.crs, look.is_metric, look.is_plain, look.count) == ("EPSG:32606", True, True, 2)
    assert look.bounds == (400000, 6699970, 400040, 6700000)
    assert (look.nodata, look.is_scaled, look.has_mask) == ((-32768, -32768), False, False)


@pytest.mark.parametrize(
    ("how", "is_metric"),
    [
        ({"crs": "EPSG:4326", "transform": Affine(0.1, 0, 10, 0, -0.1, 60)}, False),
        ({"crs": None}, False),
        ({"transform": Affine(10, 0, 0, 0, 10, 0)}, True),
        ({"transform": Affine(10, 0, 0, 0, -20, 0)}, True),
        ({"transform": Affine(10, 1, 0, 1, -10, 0)}, True),
    ],
    ids=["degrees", "no CRS", "south-up", "oblong", "rotated"],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_that_the_build_refuses_is_looked_at(tmp_path, how, is_metric):
    look = look_at(write(tmp_path / "a.tif", np.zeros((3, 4), "int16"), **how))

    assert not look.is_plain
    assert look.is_metric == is_metric
    left, bottom, right, top = look.bounds
    assert left < right
    assert bottom < top


def test_no_raster_is_an_error(tmp_path):
    (tmp_path / "a.tif").write_text("no raster")

    with pytest.raises(InputError):
        look_at(tmp_path / "a.tif")
    assert sample_values(tmp_path / "a.tif", [1]) == {}


def test_values_are_those_of_pixels_that_are_not_missing(tmp_path):
    data = np.array([[1, 2, -99], [4, np.inf, np.nan]], "float32")

    (found,) = sample_values(write(tmp_path / "a.tif", data, nodata=-99), [1]).values()

    assert (found.low, found.high, found.has_fractions) == (1, 4, False)
    assert (found.n_valid, found.n_missing, found.known) == (3, 3, (1, 2, 4))


def test_windows_reach_the_corners_and_the_middle_of_a_large_raster(tmp_path):
    data = np.zeros((2000, 3000), "int16")
    data[0, 0], data[0, -1], data[-1, 0], data[-1, -1], data[1000, 1500] = 1, 2, 3, 4, 5

    (found,) = sample_values(write(tmp_path / "a.tif", data, tiled=True), [1]).values()

    assert found.known == (0, 1, 2, 3, 4, 5)
    # Much less than the raster was read.
    assert found.n_valid < data.size / 10


def test_a_band_without_a_valid_pixel_has_no_range():
    found = values_of([np.full((4, 4), np.nan)], None)

    assert (found.n_valid, found.n_missing) == (0, 16)
    assert math.isnan(found.low)


def test_a_constant_at_the_corners_is_noticed():
    plane = np.arange(100, dtype="int16").reshape(10, 10)
    plane[:, :2] = -9999

    found = values_of([plane], None)

    assert (found.edge, found.edge_share) == (-9999, 0.2)
