"""The class label."""

import numpy as np
import pytest
import rasterio
import shapely
from pydantic import ValidationError
from rasterio.windows import Window as RasterWindow

from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.labels import combine_label, count_classes, rasterize_outlines
from gcn_luigi.settings import LabelSettings, OutlineSettings

LATTICE = Lattice("EPSG:3338", 352800.0, 1268400.0, 30.0, 640, 1000)


def test_columbia_label_is_reproduced_pixel_for_pixel(columbia):
    outlines = read_outlines(columbia / "rgi/rgi60_study_area_epsg3338.gpkg", OutlineSettings(path="x"), LATTICE.crs)
    with rasterio.open(columbia / "stem/stem_2010_debris_free_ice_votes.tif") as source:
        stem = LATTICE.window_of(source.bounds, where="stem")
        votes = source.read(1, window=RasterWindow(-stem.col, -stem.row, 1000, 640))
        missing = votes == source.nodata

    label = combine_label(rasterize_outlines(outlines.table.geometry.to_numpy(), LATTICE), votes, missing, 4)

    with rasterio.open(columbia / "expected/label_uint8_nodata255.tif") as source:
        np.testing.assert_array_equal(label, source.read(1))
    assert count_classes(label).sum() == label.size


def test_a_pixel_belongs_to_an_outline_when_its_centre_does():
    lattice = Lattice("EPSG:3338", 0.0, 40.0, 10.0, 4, 4)

    inside = rasterize_outlines([shapely.box(4.0, 4.0, 16.0, 36.0), None, shapely.Polygon()], lattice)

    assert inside[:, 0].all()
    assert inside[:, 1].all()
    assert not inside[:, 2:].any()


def test_no_outline_is_no_glacier():
    assert not rasterize_outlines([], Lattice("EPSG:3338", 0.0, 40.0, 10.0, 4, 3)).any()


def test_any_crop_of_the_lattice_gives_the_same_pixels(columbia):
    outlines = read_outlines(columbia / "rgi/rgi60_study_area_epsg3338.gpkg", OutlineSettings(path="x"), LATTICE.crs)
    shapes = outlines.table.geometry.to_numpy()
    whole = rasterize_outlines(shapes, LATTICE)

    for row, col, size in ((0, 0, 128), (133, 517, 200), (411, 3, 77)):
        part = rasterize_outlines(shapes, LATTICE.crop(Window(row, col, size, size)))
        np.testing.assert_array_equal(part, whole[row : row + size, col : col + size])


def test_missing_votes_are_ignored_inside_and_outside_and_ice_outside_is_no_glacier():
    inside = np.array([[True, True, True, False, False]])
    votes = np.array([[3, 4, -32768, 7, -32768]], dtype=np.int16)

    label = combine_label(inside, votes, votes == -32768, 4)

    assert label.tolist() == [[1, 2, 255, 0, 255]]
    assert label.dtype == np.uint8


@pytest.mark.parametrize(("ice_outside", "value"), [("none", 0), ("ignore", 255), ("ice", 2)])
def test_ice_outside_every_outline_becomes_what_was_chosen_and_nothing_else_changes(ice_outside, value):
    inside = np.array([[True, True, True, False, False, False]])
    votes = np.array([[3, 4, -32768, 3, 4, -32768]], dtype=np.int16)

    label = combine_label(inside, votes, votes == -32768, 4, ice_outside=ice_outside)

    assert label.tolist() == [[1, 2, 255, 0, value, 255]]
    assert label.dtype == np.uint8


def test_missing_votes_that_look_like_ice_are_missing():
    missing = np.ones((1, 2), bool)

    label = combine_label(np.array([[True, False]]), np.array([[99, 99]]), missing, 4, ice_outside="ice")

    assert label.tolist() == [[255, 255]]


def test_a_ready_made_label_is_not_changed_by_a_rule_for_votes():
    with pytest.raises(ValidationError, match="ice_outside needs stem"):
        LabelSettings(raster="label.tif", ice_outside="ice")


def test_an_outline_is_burnt_wherever_the_lattice_lies():
    """West of the origin and far to the south, the numbers of x and y are in another order."""
    for left, top in ((-900_000.0, 300.0), (900_000.0, 300.0), (300.0, -900_000.0), (300.0, 900_000.0)):
        lattice = Lattice("EPSG:3338", left, top, 30.0, 4, 5)
        inside = rasterize_outlines([shapely.box(left + 60, top - 90, left + 120, top - 30)], lattice)
        assert np.argwhere(inside).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]
