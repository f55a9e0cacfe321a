"""Footprints of a split made elsewhere, compared with figures by hand."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon, box

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.split.footprints import measure_footprints

ALASKA = "EPSG:3338"
PLACE = st.integers(0, 8)
SQUARES = st.lists(st.tuples(PLACE, PLACE, st.integers(1, 3)), min_size=1, max_size=6)


def _frame(*shapes, crs=ALASKA, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def _square(col, row, size):
    return box(col * 30, row * 30, (col + size) * 30, (row + size) * 30)


def test_neighbours_that_touch_share_nothing():
    leaks = measure_footprints(_frame(_square(0, 0, 2)), _frame(_square(2, 0, 2)))

    assert (leaks.shared_area_m2, leaks.n_overlapping, leaks.n_duplicates) == (0.0, 0, 0)
    assert (leaks.least_distance_m, leaks.nearest) == (0.0, (0, 0))


def test_a_gap_is_measured_in_metres_whatever_the_unit():
    in_feet = _frame(box(0, 0, 100, 100), crs="EPSG:2229"), _frame(box(400, 0, 500, 100), crs="EPSG:2229")

    leaks = measure_footprints(*in_feet)

    assert leaks.least_distance_m == pytest.approx(300 * 1200 / 3937)


def test_area_that_several_share_counts_once():
    leaks = measure_footprints(_frame(_square(0, 0, 2), _square(0, 0, 3)), _frame(_square(1, 1, 2)))

    assert leaks.shared_area_m2 == pytest.approx(4 * 900)
    assert leaks.n_overlapping == 2


def test_a_hair_of_rounding_is_no_overlap_and_a_pixel_is():
    dev = _frame(_square(2, 0, 2))

    assert measure_footprints(_frame(box(0, 0, 60.000001, 60)), dev).n_overlapping == 0
    assert measure_footprints(_frame(box(0, 0, 61, 60)), dev).n_overlapping == 1


def test_duplicates_are_found_whatever_corner_they_start_from_and_in_another_crs_by_area():
    square = _square(1, 1, 2)
    turned = Polygon([*square.exterior.coords][2:] + [*square.exterior.coords][1:3])

    leaks = measure_footprints(_frame(square), _frame(turned, _square(7, 7, 1)))
    elsewhere = measure_footprints(_frame(square), _frame(square).to_crs("EPSG:4326"))

    assert leaks.n_duplicates == 1
    assert elsewhere.n_overlapping == 1
    assert elsewhere.shared_area_m2 == pytest.approx(3600, rel=1e-3)


def test_glaciers_in_both_are_named():
    train, dev = _frame(_square(0, 0, 1), ids=["b;a"]), _frame(_square(5, 5, 1), ids=["a;c"])

    assert measure_footprints(train, dev, glaciers="ids").shared_glaciers == ("a",)
    with pytest.raises(InputError, match="no column 'names'"):
        measure_footprints(train, dev, glaciers="names")


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_a_crs_in_which_no_length_is_true_is_refused_with_the_remedy(crs):
    frame = _frame(_square(0, 0, 1), crs=crs)

    with pytest.raises(InputError, match="lengths cannot be measured") as refused:
        measure_footprints(frame, frame)

    assert "--crs" in refused.value.fix


def test_degrees_are_measured_in_a_crs_that_is_named():
    degrees = [_frame(box(-150, 61, -149.99, 61.01), crs="EPSG:4326")]
    degrees.append(_frame(box(-149.98, 61, -149.97, 61.01), crs="EPSG:4326"))

    leaks = measure_footprints(*degrees, crs="EPSG:32606")

    # A hundredth of a degree of longitude at 61 degrees north.
    assert leaks.least_distance_m == pytest.approx(0.01 * 111_320 * np.cos(np.radians(61)), rel=0.01)


@pytest.mark.parametrize("shape", [Point(0, 0), Polygon([(0, 0), (60, 60), (60, 0), (0, 60)])])
def test_what_has_no_area_or_crosses_itself_is_refused(shape):
    with pytest.raises(InputError, match="footprints are not polygons"):
        measure_footprints(_frame(_square(0, 0, 1)), _frame(shape))


def test_an_empty_split_has_no_distance():
    leaks = measure_footprints(_frame(_square(0, 0, 1), None), _frame())

    assert (leaks.n_train, leaks.n_dev, leaks.least_distance_m, leaks.nearest) == (1, 0, None, None)


@given(SQUARES, SQUARES)
def test_squares_of_whole_pixels_agree_with_sets_of_pixels(first, second):
    cells = [
        [{(x, y) for x in range(c, c + s) for y in range(r, r + s)} for c, r, s in side] for side in (first, second)
    ]
    shared = set().union(*cells[0]) & set().union(*cells[1])

    leaks = measure_footprints(*(_frame(*(_square(*square) for square in side)) for side in (first, second)))

    assert leaks.shared_area_m2 == pytest.approx(900 * len(shared))
    assert leaks.n_overlapping == sum(bool(one & other) for one in cells[0] for other in cells[1])
    assert leaks.n_duplicates == sum(square in first for square in second)
    gaps = [shapely.distance(_square(*one), _square(*other)) for one in first for other in second]
    assert leaks.least_distance_m == pytest.approx(min(gaps))
