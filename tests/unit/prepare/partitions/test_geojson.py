"""Footprints: areas without needless corners, in degrees, also across the antimeridian."""

import numpy as np
import pytest
import shapely

from gcn_luigi.prepare.partitions.geojson import bounding_box, footprint, in_degrees

ALBERS = "EPSG:3338"
# UTM zone 1: the antimeridian is its western border.
AT_THE_ANTIMERIDIAN = "EPSG:32601"


def test_boxes_side_by_side_are_one_rectangle():
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [5, 0, 15, 10], [0, 0, 10, 10]], float)

    area = footprint(boxes)

    assert area.equals(shapely.box(0, 0, 20, 10))
    assert len(shapely.get_coordinates(area)) == 5


@pytest.mark.parametrize("seed", range(20))
def test_a_footprint_is_the_union_of_all_boxes(seed):
    corners = np.random.default_rng(seed).integers(0, 12, (60, 2)).astype(float)
    boxes = np.hstack([corners, corners + np.random.default_rng(seed).integers(1, 4, (60, 2))])

    assert footprint(boxes).equals(shapely.union_all(shapely.box(*boxes.T)))


def test_without_boxes_there_is_no_footprint():
    assert footprint(np.empty((0, 4))) is None


def test_the_origin_of_alaska_albers_is_where_its_definition_says():
    area = in_degrees(shapely.box(-100, -100, 100, 100), ALBERS)

    # Central meridian and latitude of origin of EPSG:3338.
    assert (area.centroid.x, area.centroid.y) == pytest.approx((-154.0, 50.0), abs=1e-5)


def test_a_long_edge_follows_the_map():
    left, right = -500_000.0, 500_000.0
    area = in_degrees(shapely.box(left, 1_000_000, right, 1_010_000), ALBERS)
    middle = in_degrees(shapely.box(-1, 1_000_000 - 1, 1, 1_000_000), ALBERS)

    # The straight line between the corners passes tens of kilometres from there.
    assert area.distance(middle) < 1e-3


def test_a_shape_across_the_antimeridian_is_cut_there():
    easting = 500_000 - 3 * 111_320 * np.cos(np.radians(52))
    area = in_degrees(shapely.box(easting - 20_000, 5_760_000, easting + 20_000, 5_770_000), AT_THE_ANTIMERIDIAN)
    west, south, east, north = bounding_box([area])

    assert area.geom_type == "MultiPolygon"
    assert sorted(part.bounds[0] < 0 for part in area.geoms) == [False, True]
    assert 179 < west <= 180
    assert -180 <= east < -179
    assert 51 < south < north < 53


def test_a_bounding_box_holds_all_shapes():
    shapes = [shapely.box(-150, 60, -149, 61), shapely.MultiPolygon([shapely.box(-148, 58, -147, 59)])]

    assert bounding_box(shapes) == [-150, 58, -147, 61]
