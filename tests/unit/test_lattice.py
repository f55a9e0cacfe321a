"""Where pixels lie: exact equality, whole windows, nothing shifted silently."""

import dataclasses
import math

import pytest

from gcn_luigi.errors import LatticeError
from gcn_luigi.lattice import Lattice, Window

LATTICE = Lattice("EPSG:32606", left=500_000.0, top=6_800_000.0, pixel_size=30.0, height=5, width=4)


def bounds_of(row, col, height, width, px=30.0):
    left, top = 500_000.0 + col * px, 6_800_000.0 - row * px
    return left, top - height * px, left + width * px, top


def test_edges_and_transform_follow_from_corner_size_and_shape():
    assert LATTICE.shape == (5, 4)
    assert LATTICE.bounds == (500_000.0, 6_799_850.0, 500_120.0, 6_800_000.0)
    assert (LATTICE.right, LATTICE.bottom) == (500_120.0, 6_799_850.0)
    assert LATTICE.transform == (30.0, 0.0, 500_000.0, 0.0, -30.0, 6_800_000.0)
    assert LATTICE.window == Window(0, 0, 5, 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crs", "EPSG:32607"),
        ("left", math.nextafter(500_000.0, 0.0)),
        ("top", math.nextafter(6_800_000.0, 0.0)),
        ("pixel_size", math.nextafter(30.0, 0.0)),
        ("height", 6),
        ("width", 5),
    ],
)
def test_lattices_that_differ_in_the_last_bit_differ(field, value):
    other = dataclasses.replace(LATTICE, **{field: value})

    assert other != LATTICE
    assert len({other, LATTICE}) == 2


def test_equal_lattices_are_one_key():
    assert {LATTICE: 1}[dataclasses.replace(LATTICE, left=500_000)] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixel_size": 0.0},
        {"pixel_size": -30.0},
        {"height": 0},
        {"width": -1},
        {"pixel_size": math.nan},
        {"pixel_size": math.inf},
        {"left": math.nan},
        {"top": math.inf},
    ],
    ids=str,
)
def test_a_lattice_without_pixels_or_a_place_is_refused(wrong):
    with pytest.raises(LatticeError, match="pixel") as caught:
        dataclasses.replace(LATTICE, **wrong)

    assert caught.value.fix


def test_a_crop_keeps_pixels_where_they_are_also_beyond_the_edge():
    crop = LATTICE.crop(Window(-2, 3, 4, 7))

    assert crop == Lattice("EPSG:32606", 500_090.0, 6_800_060.0, 30.0, 4, 7)
    assert LATTICE.window_of(crop.bounds, where="crop") == Window(-2, 3, 4, 7)


@pytest.mark.parametrize("shift", [0.4, 0.002, -0.3])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_bounds_between_pixels_are_refused_with_the_shift(shift, axis):
    left, bottom, right, top = bounds_of(1, 1, 2, 2)
    dx, dy = (30.0 * shift, 0.0) if axis == "x" else (0.0, -30.0 * shift)

    with pytest.raises(LatticeError) as caught:
        LATTICE.window_of((left + dx, bottom + dy, right + dx, top + dy), where="0123/dem.tif")

    expected = (shift, 0.0) if axis == "x" else (0.0, shift)
    assert f"({expected[0]:+.3f}, {expected[1]:+.3f}) pixel" in caught.value.what.replace("-0.000", "+0.000")
    assert caught.value.where == "0123/dem.tif"


@pytest.mark.parametrize("edge", range(4))
def test_any_one_edge_between_pixels_is_refused(edge):
    bounds = list(bounds_of(1, 1, 2, 2))
    bounds[edge] += 7.0

    with pytest.raises(LatticeError, match="off the pixel lattice"):
        LATTICE.window_of(tuple(bounds), where="x")


def test_the_noise_of_stored_coordinates_is_no_shift():
    left, bottom, right, top = bounds_of(1, 1, 2, 2)

    assert LATTICE.window_of((left + 0.02, bottom, right - 0.02, top), where="x") == Window(1, 1, 2, 2)


@pytest.mark.parametrize(("shift", "col"), [(0.4, 1), (0.6, 2), (-0.6, 0)])
def test_snapping_moves_to_the_nearest_pixel_edge(shift, col):
    left, bottom, right, top = bounds_of(1, 1, 2, 2)

    moved = LATTICE.window_of((left + 30 * shift, bottom, right + 30 * shift, top), where="x", snap=True)

    assert moved == Window(1, col, 2, 2)


@pytest.mark.parametrize("snap", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_bounds_that_are_no_numbers_are_refused(value, snap):
    with pytest.raises(LatticeError) as caught:
        LATTICE.window_of((value, 0.0, 1.0, 1.0), where="grid.gpkg", snap=snap)

    assert caught.value.where == "grid.gpkg"


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (Window(0, 0, 4, 4), Window(2, 1, 4, 4), Window(2, 1, 2, 3)),
        (Window(0, 0, 4, 4), Window(1, 1, 2, 2), Window(1, 1, 2, 2)),
        (Window(-3, -3, 4, 4), Window(0, 0, 9, 9), Window(0, 0, 1, 1)),
    ],
)
def test_an_intersection_holds_the_common_pixels(one, other, common):
    assert one.intersection(other) == other.intersection(one) == common
    assert not common.is_empty


@pytest.mark.parametrize("other", [Window(0, 4, 4, 4), Window(4, 0, 1, 1), Window(9, 9, 2, 2), Window(1, 1, 0, 2)])
def test_windows_that_share_no_pixel_have_an_empty_intersection(other):
    common = Window(0, 0, 4, 4).intersection(other)

    assert common.is_empty
    assert min(common.height, common.width) == 0


@pytest.mark.parametrize("far", [2.0**30, -1e12, 1e300])
@pytest.mark.parametrize("snap", [True, False])
def test_bounds_that_are_absurdly_far_away_are_refused(far, snap):
    left, bottom, right, top = bounds_of(0, 0, 2, 2)

    with pytest.raises(LatticeError, match="pixels away"):
        LATTICE.window_of((left + 30 * far, bottom, right + 30 * far, top), where="a.tif", snap=snap)
