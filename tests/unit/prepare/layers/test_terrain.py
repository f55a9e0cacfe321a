import numpy as np
import pytest
import rasterio
from rasterio.merge import merge

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.layers.terrain import (
    aspect,
    curvature,
    derive,
    eastness,
    gradient,
    metres_of,
    northness,
    planform_curvature,
    profile_curvature,
    slope,
    southness,
)
from gcn_luigi.settings.derived import DERIVED

ALL = (slope, aspect, northness, eastness, southness, curvature, profile_curvature, planform_curvature)
NO_FRAME = ((False, False), (False, False))


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
    for layer in ALL:
        if layer is aspect:
            continue
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


def quadratic(a, b, c, d, e, shape=(9, 11), pixel_size=20.0):
    """Heights a x2 + b y2 + c x y + d x + e y, and x and y, in metres; y grows to the north."""
    row, col = np.indices(shape)
    x, y = pixel_size * (col - 4), -pixel_size * (row - 3)
    return a * x**2 + b * y**2 + c * x * y + d * x + e * y, x, y


def by_calculus(a, b, c, d, e, x, y):
    """Return profile and planform curvature of a quadratic surface, from its gradient and Hessian, in 1/100 m."""
    east, north = 2 * a * x + c * y + d, 2 * b * y + c * x + e
    length = np.hypot(east, north)
    down, across = (east / length, north / length), (-north / length, east / length)
    return [-100 * (2 * a * u**2 + 2 * c * u * v + 2 * b * v**2) for u, v in (down, across)]


@pytest.mark.parametrize(
    "surface", [(-1e-3, -1e-3, 0, 0.3, 0.2), (2e-3, -1e-3, 5e-4, 0.1, -0.7), (0, 0, 1e-3, 1.5, 0.4), (0, 2e-3, 0, 1, 3)]
)
def test_curvatures_of_a_quadratic_surface_are_those_of_calculus(surface):
    dem, x, y = quadratic(*surface)

    profile, planform = by_calculus(*surface, x, y)

    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(profile_curvature(dem, 20.0)[inside], profile[inside], atol=1e-9)
    np.testing.assert_allclose(planform_curvature(dem, 20.0)[inside], planform[inside], atol=1e-9)
    np.testing.assert_allclose(curvature(dem, 20.0)[inside], (profile + planform)[inside], atol=1e-9)


def test_a_ridge_is_convex_across_and_a_valley_concave():
    ridge, _, _ = quadratic(-1e-3, 0, 0, 0, -0.2)

    assert planform_curvature(ridge, 20.0)[4, 4] == pytest.approx(0.2)
    assert profile_curvature(ridge, 20.0)[4, 4] == pytest.approx(0.0)
    assert planform_curvature(-ridge, 20.0)[4, 4] == pytest.approx(-0.2)


def test_a_slope_that_gets_steeper_downhill_is_convex_along():
    # Down to the east: the farther, the steeper.
    brow, _, _ = quadratic(-1e-3, 0, 0, -0.5, 0)

    assert profile_curvature(brow, 20.0)[4, 4] == pytest.approx(0.2)
    assert planform_curvature(brow, 20.0)[4, 4] == pytest.approx(0.0)


def test_the_summit_itself_is_flat_so_only_its_curvature_is_known():
    dome, x, y = quadratic(-1e-3, -1e-3, 0, 0, 0)
    summit = (x == 0) & (y == 0)

    assert curvature(dome, 20.0)[summit] == pytest.approx([0.4])
    assert profile_curvature(dome, 20.0)[summit] == [0.0]
    assert planform_curvature(dome, 20.0)[summit] == [0.0]


def test_eastness_is_the_sine_of_the_aspect():
    dem = np.random.default_rng(5).normal(0, 60, (12, 11))

    np.testing.assert_allclose(eastness(dem, 30.0), np.sin(aspect(dem, 30.0)), atol=1e-12)
    np.testing.assert_allclose(eastness(plane(-1, 0), 30.0), 1.0)


@pytest.mark.parametrize(
    ("name", "layer", "unit"),
    [
        ("slope", slope, 180 / np.pi),
        ("aspect", aspect, 180 / np.pi),
        ("northness", northness, 1),
        ("eastness", eastness, 1),
        ("north", northness, 1),
        ("south", southness, 1),
        ("curvature", curvature, 1),
        ("profile_curvature", profile_curvature, 1),
        ("planform_curvature", planform_curvature, 1),
    ],
)
def test_a_derived_band_is_the_quantity_of_its_name_in_stated_units(name, layer, unit):
    dem = np.random.default_rng(6).normal(0, 60, (12, 11))
    dem[3, 3] = np.nan

    np.testing.assert_allclose(derive(name, dem, NO_FRAME, 30.0), layer(dem, 30.0) * unit, rtol=1e-12)


def test_the_aspect_of_flat_ground_is_minus_one_and_missing_ground_stays_missing():
    dem = np.full((6, 6), 100.0)
    dem[0, 0] = np.nan

    facing = derive("aspect", dem, NO_FRAME, 30.0)

    assert np.isnan(facing[:2, :2]).all()
    np.testing.assert_array_equal(facing[2:], -1.0)


@pytest.mark.parametrize("name", DERIVED)
def test_parts_with_one_more_pixel_on_every_side_are_the_whole(name):
    dem = np.random.default_rng(8).normal(900, 80, (23, 31))
    dem[10:12, 14] = np.nan
    whole = derive(name, dem, NO_FRAME, 30.0)
    parts = np.full(dem.shape, -1e9)

    for top in range(0, 23, 5):
        for left in range(0, 31, 7):
            bottom, right = min(top + 5, 23), min(left + 7, 31)
            frame = ((top > 0, bottom < 23), (left > 0, right < 31))
            around = dem[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
            parts[top:bottom, left:right] = derive(name, around, frame, 30.0)

    np.testing.assert_array_equal(parts, whole)


def test_heights_are_missing_where_there_is_none_or_none_that_can_be():
    dem = np.array([[100, -9999, 7000], [-60, 250, 0]], np.int16)
    band = Band("dem", Role.TOPO, scale=10, offset=5, valid_min=-500, valid_max=65000)

    np.testing.assert_array_equal(metres_of(dem, band, nodata=-9999), [[100, np.nan, np.nan], [np.nan, 250, 0]])


def test_heights_in_feet_become_metres_and_the_valid_range_stays_that_of_stored_values():
    dem = np.array([[1000.0, np.inf, 20000.0]], np.float32)
    band = Band("dem", Role.TOPO, valid_max=15000)

    np.testing.assert_allclose(metres_of(dem, band, z_factor=0.3048), [[304.8, np.nan, np.nan]])
