"""Classes of polygons that overlap, and debris on ice."""

import numpy as np
import pytest
import shapely

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.layers.outline_classes import ClassPolygons, classes_of_values, label_of_outlines

LATTICE = Lattice("EPSG:32606", 0.0, 60.0, 10.0, 6, 6)
# A glacier of 6 x 4 pixels, a lake in it of 2 x 2, and a rock in the lake of one pixel.
GLACIER, LAKE, ROCK = shapely.box(0, 20, 60, 60), shapely.box(10, 30, 30, 50), shapely.box(10, 40, 20, 50)
DRAWN = np.array(
    [[2] * 6, [2, 0, 7, 2, 2, 2], [2, 7, 7, 2, 2, 2], [2] * 6, [-1] * 6, [-1] * 6]
)  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_smallest_polygon_counts_in_any_order(order):
    shapes = np.array([GLACIER, LAKE, ROCK], object)[list(order)]
    classes = np.array([2, 7, 0], np.int16)[list(order)]

    polygons = ClassPolygons(shapes, classes)

    np.testing.assert_array_equal(polygons.burn(LATTICE), DRAWN)
    # The lake and the rock lie on the glacier.
    assert polygons.n_contested == 4


def test_equal_polygons_count_in_the_order_of_their_classes():
    for classes in ((1, 2), (2, 1)):
        polygons = ClassPolygons(np.array([LAKE, LAKE], object), np.array(classes, np.int16))
        assert set(np.unique(polygons.burn(LATTICE))) == {-1, 2}


def test_a_crop_is_that_part_of_the_whole():
    polygons = ClassPolygons(np.array([GLACIER, LAKE, ROCK], object), np.array([2, 7, 0], np.int16))
    window = LATTICE.window.__class__(1, 1, 3, 4)

    np.testing.assert_array_equal(polygons.burn(LATTICE.crop(window)), DRAWN[1:4, 1:5])


def test_no_polygon_nearby_is_no_class():
    polygons = ClassPolygons(np.array([shapely.box(900, 900, 990, 990)], object), np.array([2], np.int16))

    assert (polygons.burn(LATTICE) == -1).all()


@pytest.mark.parametrize(("outside", "value"), [("none", 0), ("ignore", 255), ("debris", 1)])
def test_debris_lies_on_ice_and_on_nothing_else(outside, value):
    classes = np.array([[2, 2, 2, 7, 255, -1, -1, 2]], np.int16)
    debris = np.array([[1, 0, 1, 1, 1, 1, 0, 0]], bool)
    unknown = np.array([[0, 0, 0, 1, 1, 0, 1, 1]], bool)

    label = label_of_outlines(classes, debris, unknown, outside)

    assert label.tolist() == [[1, 2, 1, 7, 255, value, 0, 255]]
    assert label.dtype == np.uint8


def test_values_of_other_classes_are_used():
    table = ClassTable.of({"name": name, "value": value} for name, value in (("none", 9), ("ice", 4), ("debris", 6)))
    debris = np.array([[True, False, False]])

    label = label_of_outlines(np.array([[4, 4, -1]], np.int16), debris, ~debris & False, "none", table)

    assert label.tolist() == [[6, 4, 9]]


def test_without_a_map_the_values_are_names_of_classes():
    found = classes_of_values(["ice", "ignore", "none", "debris"], {}, DEFAULT_CLASSES, "type", "o.gpkg")

    assert found.tolist() == [2, 255, 0, 1]


def test_values_without_a_class_are_counted_and_nothing_is_a_value():
    with pytest.raises(InputError, match=r"'type' .*: nothing \(1 polygons\), snow \(2 polygons\)") as caught:
        classes_of_values(["snow", "a", "", "snow"], {"a": "ice"}, DEFAULT_CLASSES, "type", "o.gpkg")

    assert caught.value.where == "o.gpkg"
    assert caught.value.fix.endswith('[label] classes = { "" = "...", "a" = "ice", "snow" = "..." }')
    assert classes_of_values([""], {"": "ignore"}, DEFAULT_CLASSES, "type", "o.gpkg").tolist() == [255]
