"""Distance to the glaciers."""

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.layers.labels import distance_to_glacier, halo_px, rasterize_outlines
from gcn_luigi.settings import DistanceSettings, OutlineSettings


@pytest.fixture
def inside():
    return np.random.default_rng(4).random((90, 70)) < 0.003


def brute_force(inside, pixel_size, max_m):
    rows, cols = np.indices(inside.shape)
    seeds = np.argwhere(inside)
    squared = ((rows[..., None] - seeds[:, 0]) ** 2 + (cols[..., None] - seeds[:, 1]) ** 2).min(axis=-1)
    return np.rint(np.minimum(np.sqrt(squared) * pixel_size, max_m))


@pytest.mark.parametrize(("pixel_size", "max_m"), [(30.0, 10_000), (30.0, 400), (10.0, 95), (2.5, 32767)])
def test_distance_is_exact_and_capped(inside, pixel_size, max_m):
    distance = distance_to_glacier(inside, pixel_size, max_m)

    np.testing.assert_array_equal(distance, brute_force(inside, pixel_size, max_m))
    assert distance.dtype == np.int16
    assert (distance[inside] == 0).all()


@pytest.mark.parametrize("max_m", [100, 250, 299])
def test_blocks_with_a_halo_equal_the_whole(inside, max_m):
    whole = distance_to_glacier(inside, 30.0, max_m)
    halo = halo_px(30.0, max_m)

    for top in range(0, 90, 32):
        for left in range(0, 70, 32):
            first_row, first_col = max(top - halo, 0), max(left - halo, 0)
            block = inside[first_row : top + 32 + halo, first_col : left + 32 + halo]
            part = distance_to_glacier(block, 30.0, max_m)[top - first_row :, left - first_col :][:32, :32]
            np.testing.assert_array_equal(part, whole[top : top + 32, left : left + 32])


def test_without_a_glacier_everything_is_far():
    assert (distance_to_glacier(np.zeros((3, 4), bool), 30.0, 700) == 700).all()


def test_columbia_distance_is_reproduced(columbia):
    lattice = Lattice("EPSG:3338", 352800.0, 1268400.0, 30.0, 640, 1000)
    outlines = read_outlines(columbia / "rgi/rgi60_study_area_epsg3338.gpkg", OutlineSettings(path="x"), lattice.crs)

    distance = distance_to_glacier(rasterize_outlines(outlines.table.geometry.to_numpy(), lattice), 30.0, 10_000)

    with rasterio.open(columbia / "distance/distance_to_rgi_m.tif") as source:
        np.testing.assert_array_equal(distance, source.read(1))


@pytest.mark.parametrize(("pixel_size", "max_m"), [(30.0, 10_000), (30.0, 400), (10.0, 95), (0.5, 40)])
def test_distance_in_pixels_is_exact_and_capped_at_the_same_place(inside, pixel_size, max_m):
    distance = distance_to_glacier(inside, pixel_size, max_m, "px")

    np.testing.assert_array_equal(distance, brute_force(inside, 1.0, max_m / pixel_size))
    assert distance.dtype == np.int16


def test_without_a_glacier_the_cap_is_stored_in_the_unit():
    assert (distance_to_glacier(np.zeros((3, 4), bool), 30.0, 700, "px") == 23).all()


@pytest.mark.parametrize(("max_m", "expected"), [(30, 1), (15, 0), (16, 1), (45, 2)])
def test_a_cap_of_a_pixel_or_less_is_rounded_like_a_distance(max_m, expected):
    assert (distance_to_glacier(np.zeros((2, 2), bool), 30.0, max_m, "px") == expected).all()


def test_a_cap_that_fits_in_metres_may_not_fit_in_pixels():
    with pytest.raises(ConfigError, match=r"20000 m in px .* for pixels of 0\.5 m"):
        distance_to_glacier(np.ones((2, 2), bool), 0.5, 20_000, "px")
    assert (distance_to_glacier(np.zeros((2, 2), bool), 0.5, 20_000) == 20_000).all()


def test_a_ready_made_raster_has_no_other_source():
    with pytest.raises(ValidationError, match="either raster or source"):
        DistanceSettings(raster="distance.tif", source="label")


@pytest.mark.parametrize(("pixel_size", "max_m"), [(30.0, 40_000), (30.0, 0), (0.0, 100)])
def test_distances_that_cannot_be_stored_are_refused(pixel_size, max_m):
    with pytest.raises(ConfigError, match="cannot be computed or stored"):
        distance_to_glacier(np.ones((2, 2), bool), pixel_size, max_m)
