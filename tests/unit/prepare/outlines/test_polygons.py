"""Broken polygons are read by what contains what, and what that changes is known."""

import itertools
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from rasterio.transform import from_origin

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_outlines, read_polygons
from gcn_luigi.prepare.outlines.polygons import RepairRules, rebuild_rings, repair_polygons
from gcn_luigi.report.quality.inputs import note_lists
from gcn_luigi.settings import OutlineSettings
from tests.reference.shapefile import square_ring, write_shapefile

CRS = "EPSG:3338"
RULES = RepairRules("repair", 0.01, "repair them")
# A glacier with a lake, in that an island with a pond; and a second part with a nunatak.
WORLD = [(0, 0, 100), (10, 10, 60), (20, 20, 30), (25, 25, 10), (200, 0, 50), (210, 10, 10)]
BIG = shapely.box(0, 0, 100, 100)
# Around a glacier and in to its nunatak.
SEAM = [(0, 0), (0, 100), (100, 100), (100, 0), (50, 0), (50, 20)]


def even_odd(rings):
    """Return what the rings enclose, one after the other, by shapely alone."""
    area = shapely.Polygon()
    for ring in rings:
        area = area.symmetric_difference(shapely.Polygon(ring))
    return area


def repair(shape, rules=RULES):
    repaired, notes = repair_polygons(np.array([shape], dtype=object), ["a"], rules, "file")
    return repaired[0], notes


def corners(shape):
    return shapely.get_coordinates(shape.exterior)


def burnt(shape):
    """Return the pixels of 1 m whose centre lies in a shape, by rasterio."""
    return rasterize([shape], out_shape=(100, 260), transform=from_origin(0, 100, 1, 1), dtype="uint8")


@pytest.fixture(scope="module")
def wound(tmp_path_factory):
    """Return a shapefile with the same rings in each winding and some orders, and what they enclose."""
    chance, records, expected = np.random.default_rng(1), [], []
    for windings in itertools.product([True, False], repeat=len(WORLD)):
        rings = [square_ring(*square, clockwise=winding) for square, winding in zip(WORLD, windings, strict=True)]
        records.append([rings[place] for place in chance.permutation(len(rings))])
        expected.append(even_odd(rings))
    for some in itertools.permutations(WORLD, 2):
        for windings in itertools.product([True, False], repeat=2):
            records.append([square_ring(*one, clockwise=winding) for one, winding in zip(some, windings, strict=True)])
            expected.append(even_odd(records[-1]))
    names = [f"g{number:03d}" for number in range(len(records))]
    path = tmp_path_factory.mktemp("wound") / "outlines.shp"
    return write_shapefile(path, records, CRS, RGIId=names, BgnDate=["20080701"] * len(records)), expected


def test_neither_winding_nor_order_of_rings_decides_what_is_glacier(wound):
    path, expected = wound

    outlines = read_outlines(path, OutlineSettings(path="x"), CRS)

    assert len(outlines.table) == len(expected)
    for shape, wanted in zip(outlines.table.geometry, expected, strict=True):
        np.testing.assert_array_equal(burnt(shape), burnt(wanted))
        assert shape.area == pytest.approx(wanted.area)
    assert "rings read by what contains what" in "\n".join(outlines.notes)


def test_exclusions_are_read_in_the_same_way(wound):
    path, expected = wound

    shapes = read_polygons(path, CRS)

    assert all(shape.equals(wanted) for shape, wanted in zip(shapes, expected, strict=True))


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb", "parquet"])
def test_a_nunatak_that_is_written_as_a_part_is_a_hole_in_every_format(tmp_path, suffix):
    path = tmp_path / f"outlines.{suffix}"
    both = shapely.MultiPolygon([shapely.box(-147.2, 61.0, -147.0, 61.1), shapely.box(-147.15, 61.04, -147.1, 61.06)])
    swapped = shapely.Polygon(corners(both.geoms[1]), [corners(both.geoms[0])])
    frame = gpd.GeoDataFrame({"RGIId": ["a", "b"]}, geometry=[both, swapped], crs="EPSG:4326")
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, engine="pyogrio")

    shapes = read_outlines(path, OutlineSettings(path="x"), CRS).table.geometry

    centre = gpd.GeoSeries(shapely.points([(-147.12, 61.05), (-147.18, 61.05)]), crs="EPSG:4326").to_crs(CRS)
    for shape in shapes:
        assert not shape.contains(centre[0])
        assert shape.contains(centre[1])


def test_valid_polygons_stay_as_they_are_to_the_bit():
    chance = np.random.default_rng(3)
    shapes = [
        shapely.MultiPolygon([BIG.difference(shapely.box(10, 10, 90, 90)), shapely.box(20, 20, 80, 80)]),
        shapely.MultiPolygon([BIG, shapely.box(100, 100, 120, 120)]),
        shapely.Polygon(chance.normal(size=(3, 2)) + np.array([(0, 0), (9, 1), (4, 7)])),
    ]

    repaired, notes = repair_polygons(np.array([*shapes, None], dtype=object), ["a", "b", "c", "d"], RULES, "file")

    assert [shapely.to_wkb(shape) for shape in repaired[:3]] == [shapely.to_wkb(shape) for shape in shapes]
    assert repaired[3] is None
    assert notes == []


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        # Parts that overlap, that stand there twice, that touch along an edge.
        (shapely.MultiPolygon([BIG, shapely.box(50, 0, 150, 100)]), 15_000),
        (shapely.MultiPolygon([BIG, BIG]), 10_000),
        (shapely.MultiPolygon([BIG, shapely.box(100, 0, 200, 100)]), 20_000),
        # Holes that overlap, that hold an island, that touch the edge, that lie outside; the last is a part.
        (shapely.Polygon(corners(BIG), [corners(shapely.box(*b)) for b in [(10, 10, 50, 50), (40, 40, 60, 60)]]), 8100),
        (shapely.Polygon(corners(BIG), [corners(shapely.box(*b)) for b in [(10, 10, 50, 50), (20, 20, 30, 30)]]), 8500),
        (shapely.MultiPolygon([BIG, shapely.box(0, 10, 20, 30)]), 9600),
        (shapely.Polygon(corners(BIG), [corners(shapely.box(200, 0, 250, 50))]), 12_500),
        # A ring that crosses itself, a spike, a ring that holds its nunatak by a seam.
        (shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]), 50),
        (shapely.Polygon([(0, 0), (100, 0), (100, 100), (50, 100), (50, 150), (50, 100), (0, 100)]), 10_000),
        (
            shapely.Polygon([*SEAM, (70, 20), (70, 40), (40, 40), (40, 20), (50, 20), (50, 0)]),
            9400,
        ),
    ],
)
def test_what_is_clear_is_mended_and_the_change_is_told(shape, area):
    assert not shape.is_valid

    repaired, notes = repair(shape)

    assert repaired.is_valid
    assert repaired.area == pytest.approx(area)
    assert "1 broken polygons repaired: a (" in notes[0]
    assert "0 m2 lost, 0 m2 gained" in notes[0]


def test_parts_that_overlap_are_told():
    _, notes = repair(shapely.MultiPolygon([BIG, shapely.box(50, 0, 150, 100)]))

    assert "parts that overlap united" in notes[0]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        # Wound against itself, a seam would leave the nunatak: 600 m2 of 9400.
        (
            shapely.Polygon([*SEAM, (40, 20), (40, 40), (70, 40), (70, 20), (50, 20), (50, 0)]),
            "0 m2 lost, 600 m2 gained, 6.4%",
        ),
        # Glacier and hole in one.
        (shapely.Polygon(corners(BIG), [corners(BIG)]), "10,000 m2 unclear, 100.0%"),
        # A hole across the edge, or a part that was taken for one.
        (shapely.Polygon(corners(BIG), [corners(shapely.box(80, 40, 120, 60))]), "800 m2 unclear, 8.3%"),
        # A part that lies in another but for a strip, or a nunatak that was taken for one.
        (shapely.MultiPolygon([BIG, shapely.box(70, 40, 102, 60)]), "640 m2 unclear, 6.4%"),
    ],
)
def test_what_could_mean_other_ground_is_refused_with_the_area(shape, told):
    with pytest.raises(InputError, match=r"repairs would change more than 1.0% of the area of 1 broken") as caught:
        repair(shape)

    assert told in caught.value.what
    assert caught.value.fix == "repair them"


def test_more_may_be_accepted():
    shape = shapely.Polygon(corners(BIG), [corners(shapely.box(80, 40, 120, 60))])

    repaired, notes = repair(shape, RepairRules("repair", 0.1, ""))

    assert repaired.area == pytest.approx(9600)
    assert "800 m2 unclear" in notes[0]


def test_a_polygon_without_area_becomes_empty():
    repaired, _ = repair(shapely.Polygon([(0, 0), (100, 0), (0, 0)]))

    assert repaired.is_empty


def test_notes_name_every_repaired_polygon_and_errors_a_hundred():
    bowties = np.array([shapely.Polygon([(x, 0), (x + 9, 9), (x + 9, 0), (x, 9)]) for x in range(130)], dtype=object)
    names = [f"glacier {number}" for number in range(130)]

    _, notes = repair_polygons(bowties, names, RULES, "file")
    with pytest.raises(InputError, match=r"130 broken polygons: glacier 0 .* and 125 more") as caught:
        repair_polygons(bowties, names, RepairRules("error", 0.01, ""), "file")

    assert all(f"{name} (" in notes[0] for name in names)
    assert all(f"{name} (" in caught.value.where for name in names[:100])
    assert "and 30 more" in caught.value.where


def test_the_area_that_rings_enclose_is_that_of_pixels():
    """A ring of many loops; pixels are told by counting the edges east of them."""
    ring = np.random.default_rng(7).uniform(0, 100, (9, 2))
    ring = np.vstack([ring, ring[:1]])
    x, y = np.meshgrid(np.arange(0.05, 100, 0.1), np.arange(0.05, 100, 0.1))
    spots = np.column_stack([x.ravel(), y.ravel()])
    crossings = np.zeros(len(spots), int)
    for (x0, y0), (x1, y1) in itertools.pairwise(ring):
        spans = (y0 > spots[:, 1]) != (y1 > spots[:, 1])
        crossings += spans & (spots[:, 0] < x0 + (spots[:, 1] - y0) * (x1 - x0) / (y1 - y0))

    ground = rebuild_rings(shapely.Polygon(ring)).ground

    inside = shapely.contains_xy(ground, spots)
    assert (inside != (crossings % 2 == 1)).mean() < 1e-4


def test_the_page_shows_the_start_of_a_long_note():
    note = f"130 broken polygons repaired: {', '.join(f'glacier {number} (crossed)' for number in range(130))}"
    evidence = SimpleNamespace(audit={"notes": {"outlines": [note, "short"]}}, label_notes=None)

    (_, shown, _), *_ = note_lists(evidence)

    assert shown[1] == "short"
    assert shown[0].startswith("130 broken polygons repaired: glacier 0 (crossed), ")
    assert shown[0].endswith(" (crossed), and more, see split.json")
    assert len(shown[0]) < 1100
