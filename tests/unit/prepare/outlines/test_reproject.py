"""Edges in another CRS lie where they were."""

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from rasterio.warp import transform_geom

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_outlines, read_polygons
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.outlines.reproject import check_degrees, check_on_region, reproject
from gcn_luigi.prepare.split.footprints import measure_footprints
from gcn_luigi.settings import OutlineSettings

ALBERS, UTM, DEGREES = "EPSG:3338", "EPSG:32606", "EPSG:4326"
LATTICE = Lattice(ALBERS, 300_000.0, 1_300_000.0, 30.0, 1000, 1000)
BOX = shapely.box(-150, 59, -145, 61)


def moved(shape, source, target, tolerance=3.0):
    return reproject(np.array([shape], dtype=object), source, target, tolerance, "file")[0]


def lattice_box(source):
    """Return a box within the lattice, by its corners in another CRS."""
    middle = shapely.box(310_000, 1_280_000, 320_000, 1_290_000)
    return gpd.GeoSeries([middle], crs=ALBERS).to_crs(source).iloc[0]


def densely(shape, source, target, step):
    """Return the points of a shape's edges, every `step`, brought to another CRS by GDAL."""
    points = shapely.MultiPoint(shapely.get_coordinates(shapely.segmentize(shape, step)))
    return shapely.get_parts(shapely.geometry.shape(transform_geom(source, target, shapely.geometry.mapping(points))))


@pytest.mark.parametrize("tolerance", [0.5, 30.0])
@pytest.mark.parametrize(
    ("shape", "source", "target", "step"),
    [
        (BOX, DEGREES, ALBERS, 0.01),
        (BOX.difference(shapely.box(-148, 60, -147, 60.5)), DEGREES, ALBERS, 0.01),
        (shapely.MultiPolygon([BOX, shapely.box(-140, 59, -130, 60)]), DEGREES, ALBERS, 0.01),
        (shapely.GeometryCollection([BOX, shapely.box(-140, 59, -130, 60)]), DEGREES, UTM, 0.01),
        (shapely.box(-170, 50, -120, 70), DEGREES, UTM, 0.05),
        (shapely.box(4e5, 6.5e6, 9e5, 7e6), UTM, ALBERS, 500),
        (shapely.box(0, 1e6, 1e6, 2e6), ALBERS, UTM, 500),
        # The Aleutians, on both sides of the antimeridian; and around the pole.
        (shapely.box(178, 51, 182, 53), DEGREES, ALBERS, 0.01),
        (shapely.box(-182, 51, -178, 53), DEGREES, ALBERS, 0.01),
        (shapely.box(-180, 60, 180, 85), DEGREES, "EPSG:3413", 0.05),
    ],
)
def test_no_edge_is_farther_off_than_allowed(shape, source, target, step, tolerance):
    found = moved(shape, source, target, tolerance)

    edges = shapely.union_all(shapely.boundary(shapely.get_parts(found)))
    assert shapely.distance(densely(shape, source, target, step), edges).max() < tolerance


def test_the_edges_that_corners_alone_would_give_are_far_off():
    corners = gpd.GeoSeries([BOX], crs=DEGREES).to_crs(ALBERS).iloc[0]

    assert shapely.distance(densely(BOX, DEGREES, ALBERS, 0.01), corners.boundary).max() > 2000


def test_outlines_of_short_edges_are_those_of_geopandas_to_the_bit(columbia):
    frame = gpd.read_file(columbia / "rgi/01_rgi60_Columbia.shp")

    found = reproject(frame.geometry.to_numpy(), frame.crs, ALBERS, 3.0, "file")

    np.testing.assert_array_equal(shapely.to_wkb(found), shapely.to_wkb(frame.to_crs(ALBERS).geometry.to_numpy()))


def test_nothing_changes_within_one_crs():
    shapes = np.array([shapely.box(0, 0, 1e6, 1e6), None, shapely.Point(1, 2)], dtype=object)

    found = reproject(shapes, pyproj.CRS(ALBERS), ALBERS, 1e-6, "file")

    assert [None if one is None else one.wkb for one in found] == [None if one is None else one.wkb for one in shapes]


def test_corners_stay_where_they_are():
    corners = shapely.points(gpd.GeoSeries([BOX], crs=DEGREES).to_crs(ALBERS).get_coordinates().to_numpy())

    vertices = shapely.MultiPoint(shapely.get_coordinates(moved(BOX, DEGREES, ALBERS)))

    assert shapely.distance(corners, vertices).max() == 0


@pytest.mark.parametrize(
    ("shape", "target", "told"),
    [
        # From 179 east to 179 west the short way, or nearly around the Earth?
        (shapely.Polygon([(179, 51), (-179, 51), (-179, 53), (179, 53)]), ALBERS, "an edge longer than 180 degrees"),
        (shapely.Polygon([(179, 51), (-179, 51), (-179, 53), (179, 53)]), "EPSG:3413", "an edge longer than 180"),
        # The seam of this CRS is the meridian of 26 degrees east.
        (shapely.box(20, 50, 30, 60), ALBERS, "torn apart near (26, 60)"),
        (shapely.box(-180, 60, 180, 90), ALBERS, "torn apart near (26"),
        (shapely.box(-180, -90, 180, 90), "EPSG:3995", "outside the area that the CRS of the region can show: row 0"),
        (shapely.box(-150, 50, -149, 100), UTM, "outside the area that the CRS of the region can show: row 0"),
    ],
)
def test_what_a_crs_cannot_hold_is_refused_by_row(shape, target, told):
    with pytest.raises(InputError) as caught:
        moved(shape, DEGREES, target)

    assert told in caught.value.what
    assert caught.value.where == "file"


def test_a_polygon_cut_at_the_antimeridian_is_laid_whole():
    cut = shapely.MultiPolygon([shapely.box(179, 51, 180, 53), shapely.box(-180, 51, -179, 53)])

    found = moved(cut, DEGREES, ALBERS)

    beyond = moved(shapely.box(179, 51, 181, 53), DEGREES, ALBERS)
    assert shapely.union_all(found.buffer(0.01)).symmetric_difference(beyond).area < 1e-5 * beyond.area


def test_two_crss_without_a_way_between_them_are_refused():
    with pytest.raises(InputError, match="cannot reproject to"):
        moved(BOX, DEGREES, 'LOCAL_CS["mine",UNIT["metre",1]]')


@pytest.mark.parametrize("pixel", [0.5, 30.0])
def test_outlines_and_exclusions_follow_the_parallel_within_a_tenth_of_a_pixel(tmp_path, pixel):
    path = tmp_path / "box.gpkg"
    gpd.GeoDataFrame({"id": ["a"]}, geometry=[BOX], crs=DEGREES).to_file(path, engine="pyogrio")
    lattice = Lattice(ALBERS, 300_000.0, 1_300_000.0, pixel, 10, 10)

    outline = read_outlines(path, OutlineSettings(path="x"), lattice).table.geometry[0]
    polygon = read_polygons(path, lattice)[0]

    spots = densely(BOX, DEGREES, ALBERS, 0.01)
    for shape in (outline, polygon):
        assert shapely.distance(spots, shape.boundary).max() < 0.1 * pixel


def test_footprints_in_degrees_are_measured_along_their_edges():
    north = gpd.GeoDataFrame(geometry=[shapely.box(-150, 61, -145, 62)], crs=DEGREES)
    low = gpd.GeoDataFrame(geometry=[shapely.box(-150, 60, -145, 61)], crs=DEGREES)
    halves = gpd.GeoDataFrame(geometry=[shapely.box(-150, 60, -148, 61), shapely.box(-148, 60, -145, 61)], crs=DEGREES)

    assert measure_footprints(north, low, crs=ALBERS).shared_area_m2 == 0
    assert measure_footprints(north, halves, crs=ALBERS).n_overlapping == 0


@pytest.mark.parametrize(
    ("points", "told", "fix"),
    [
        ([(345_000, 1_289_000)], "(345000, 1289000), in 1 rows, cannot be degrees", "GeoJSON without a crs member"),
        ([(61.2, -147.1), (60.0, -146.0)], "(61.2, -147.1), in 2 rows, cannot be degrees", "longitude first"),
        ([(-147.1, 61.2), (-147.0, 91.0)], "(-147, 91), in 1 rows, cannot be degrees", "the CRS of its coordinates"),
    ],
)
def test_numbers_that_cannot_be_degrees_are_refused_with_the_cause(points, told, fix):
    shapes = np.array([*map(shapely.Point, points), None], dtype=object)

    with pytest.raises(InputError) as caught:
        check_degrees(shapes, pyproj.CRS(DEGREES), "file")

    assert told in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize("lon", [-147.0, 213.0, 181.0])
def test_longitudes_of_either_form_are_degrees(lon):
    check_degrees(np.array([shapely.Point(lon, 61)], dtype=object), pyproj.CRS(DEGREES), "file")
    check_degrees(np.array([shapely.Point(345_000, 1_289_000)], dtype=object), pyproj.CRS(ALBERS), "file")


def check(shape, crs, lattice):
    shapes = np.array([shape], dtype=object)
    found = reproject(shapes, crs, lattice.crs, 3.0, "file")
    check_on_region(shapes, found, pyproj.CRS(crs), lattice, "file")


def test_latitude_first_is_noticed_where_both_numbers_could_be_either():
    """In the Alps: 46 degrees north and 8 east, which swapped lie in Ethiopia."""
    alps = Lattice("EPSG:32632", 400_000.0, 5_150_000.0, 30.0, 1000, 1000)
    sound, swapped = shapely.box(8.0, 46.3, 8.1, 46.4), shapely.box(46.3, 8.0, 46.4, 8.1)

    check(sound, DEGREES, alps)
    with pytest.raises(InputError, match="no shape is in the region, but some would be if") as caught:
        check(swapped, DEGREES, alps)
    assert "longitude, or easting, first" in caught.value.fix


@pytest.mark.parametrize(("col", "row"), [(-2000, 500), (2000, 500), (500, -2000), (500, 2000)])
def test_shapes_beyond_any_one_side_are_not_in_the_region(col, row):
    x, y = LATTICE.left + 30 * col, LATTICE.top - 30 * row
    beyond = np.array([None, shapely.box(x - 99, y - 99, x + 99, y + 99)], dtype=object)
    swapped = shapely.transform(lattice_box(DEGREES), lambda corners: corners[:, ::-1])

    with pytest.raises(InputError, match="some would be if coordinates"):
        check_on_region(np.array([None, swapped], dtype=object), beyond, pyproj.CRS(DEGREES), LATTICE, "file")


def test_degrees_that_are_called_metres_are_noticed():
    with pytest.raises(InputError, match="look like degrees, but the CRS of the file is NAD83 / Alaska Albers"):
        check(lattice_box(DEGREES), ALBERS, LATTICE)


@pytest.mark.parametrize("shape", [shapely.box(8.0, 46.3, 8.1, 46.4), shapely.box(-120, 40, -119, 41)])
def test_shapes_that_lie_elsewhere_in_any_reading_are_left_alone(shape):
    check(shape, DEGREES, LATTICE)
