import numpy as np
import pytest
import rasterio
from rasterio.merge import merge

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.layers.terrain import aspect, curvature, gradient, northness, slope, southness

ALL = (slope, aspect, northness, southness, curvature)


def plane(east, north, shape=(7, 9), pixel_size=30.0):
    """Heights that rise by `east` and `north` metres a metre."""
    row, col = np.indices(shape)
    return pixel_size * (east * col - north * row)


def horn_by_hand(dem, row, col, pixel_size):
    (a, b, c), (d, _, f), (g, h, i) = dem[row - 1 : row + 2, col - 1 : col + 2]
    return ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * pixel_size), ((a + 2 * b + c) - (g + 2 * h + i)) / (
        8 * pixel_size
    )


@pytest.mark.parametrize("pixel_size", [10.0, 30.0])
def test_a_plane_has_its_own_gradient_everywhere_even_at_the_edge(pixel_size):
    east, north = gradient(plane(0.3, -0.2, pixel_size=pixel_size), pixel_size)

    np.testing.assert_allclose(east, 0.3)
    np.testing.assert_allclose(north, -0.2)


def test_the_gradient_is_horns_weighted_difference():
    dem = np.random.default_rng(3).normal(0, 40, (6, 8))

    east, north = gradient(dem, 30.0)

    for row in range(1, 5):
        for col in range(1, 7):
            assert (east[row, col], north[row, col]) == pytest.approx(horn_by_hand(dem, row, col, 30.0))


@pytest.mark.parametrize(
    ("rise", "degrees"),
    [((0, -1), 0), ((-1, 0), 90), ((0, 1), 180), ((1, 0), 270), ((-1, -1), 45), ((1, 1), 225), ((1, -1), 315)],
)
def test_aspect_is_the_compass_direction_downhill(rise, degrees):
    facing = aspect(plane(*rise), 30.0)

    np.testing.assert_allclose(np.degrees(facing), degrees, atol=1e-9)


def test_slope_is_the_angle_of_the_steepest_descent():
    np.testing.assert_allclose(np.degrees(slope(plane(0.6, 0.8), 30.0)), 45.0)


def test_north_and_south_follow_from_aspect_and_slope():
    dem = np.random.default_rng(5).normal(0, 60, (12, 11))
    facing, steepness = aspect(dem, 30.0), slope(dem, 30.0)

    np.testing.assert_allclose(northness(dem, 30.0), np.cos(facing), atol=1e-12)
    np.testing.assert_allclose(southness(dem, 30.0), -np.cos(facing) * np.sin(steepness), atol=1e-12)


def test_a_wall_that_faces_south_is_near_one():
    wall = plane(0, 50.0)

    assert southness(wall, 30.0).min() > 0.999
    np.testing.assert_allclose(northness(wall, 30.0), -1.0)


def test_flat_ground_faces_nowhere():
    flat = np.full((4, 4), 12.5)

    assert np.isnan(aspect(flat, 30.0)).all()
    for layer in (northness, southness, slope, curvature):
        np.testing.assert_array_equal(layer(flat, 30.0), 0.0)


def test_summits_have_positive_curvature_in_hundredths():
    row, col = np.indices((9, 9)) - 4
    dome = -0.01 * (30.0**2) * (row**2 + col**2)

    # The Laplacian of -0.01 (x2 + y2) is -0.04.
    np.testing.assert_allclose(curvature(dome, 30.0)[1:-1, 1:-1], 4.0)
    np.testing.assert_allclose(curvature(-dome, 30.0)[1:-1, 1:-1], -4.0)


@pytest.mark.parametrize("layer", ALL)
@pytest.mark.parametrize("gap", [-9999.0, np.nan, np.inf])
def test_a_gap_spoils_its_neighbourhood_and_nothing_else(layer, gap):
    dem = np.random.default_rng(7).normal(500, 30, (9, 10))
    whole = layer(dem, 30.0)
    dem[4, 5] = gap

    holed = layer(dem, 30.0, nodata=-9999.0)

    expected = np.zeros(dem.shape, dtype=bool)
    expected[3:6, 4:7] = True
    np.testing.assert_array_equal(np.isnan(holed), expected)
    np.testing.assert_array_equal(holed[~expected], whole[~expected])


@pytest.mark.parametrize("layer", ALL)
def test_input_is_not_modified_and_single_precision_stays_single(layer):
    dem = np.random.default_rng(9).normal(0, 9, (5, 5)).astype(np.float32)
    dem[0, 0] = -9999
    before = dem.copy()

    result = layer(dem, 30.0, -9999.0)

    assert result.dtype == np.float32
    np.testing.assert_array_equal(dem, before)


def test_whole_numbers_are_computed_in_double_precision():
    dem = np.arange(12, dtype=np.int16).reshape(3, 4)

    assert slope(dem, 30.0).dtype == np.float64
    np.testing.assert_array_equal(slope(dem, 30.0), slope(dem.astype(float), 30.0))


@pytest.mark.parametrize(
    ("dem", "pixel_size"),
    [(np.zeros(5), 30.0), (np.zeros((1, 5)), 30.0), (np.zeros((3, 3)), 0.0), (np.zeros((3, 3)), np.nan)],
)
def test_impossible_input_is_refused(dem, pixel_size):
    with pytest.raises(InputError, match="slope cannot be computed"):
        slope(dem, pixel_size)


def test_the_bands_agree_with_those_of_columbia(columbia):
    layers = {}
    for name in ("dem_cubic", "north", "south", "curvature"):
        sources = [rasterio.open(path) for path in sorted((columbia / "topo").glob(f"*/*_{name}_temp.tif"))]
        layers[name] = merge(sources)[0][0]
        for source in sources:
            source.close()
    dem = layers["dem_cubic"]
    steep = slope(dem, 30.0, -9999.0) > np.radians(3)

    # Those were made from unrounded heights with another difference, so single pixels differ.
    for name, made, most in (("north", northness, 0.01), ("south", southness, 0.005), ("curvature", curvature, 0.02)):
        error = np.abs(made(dem, 30.0, -9999.0) - layers[name])[steep & (layers[name] != -9999)]
        assert np.median(error) < most
