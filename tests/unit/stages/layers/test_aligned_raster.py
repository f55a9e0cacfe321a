"""A raster on the lattice is read by the lattice's windows, wherever it begins and ends."""

import numpy as np
import pytest

from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 12, 14)
SENTINEL = -32768


def noise(dtype="int16", shape=(6, 7)):
    return np.random.default_rng(3).integers(1, 100, shape).astype(dtype)


def placed(root, data, row=0, col=0, **extra):
    place = {"left": LATTICE.left + 10.0 * col, "top": LATTICE.top - 10.0 * row}
    return write_tif(root / "votes.tif", data, **(place | extra))


def painted(data, row, col, missing):
    """Return the lattice with the raster painted onto it, pixel by pixel, and what is missing."""
    values, absent = np.zeros(LATTICE.shape, data.dtype), np.ones(LATTICE.shape, bool)
    for (y, x), value in np.ndenumerate(data):
        if 0 <= row + y < LATTICE.height and 0 <= col + x < LATTICE.width:
            values[row + y, col + x], absent[row + y, col + x] = value, missing(value)
    return values, absent


@pytest.mark.parametrize(("row", "col"), [(0, 0), (3, 4), (-2, -3), (9, 10), (-4, 11)], ids=str)
def test_pixels_lie_where_their_coordinates_say(tmp_path, row, col):
    data = noise()
    data[2, 3] = SENTINEL
    raster = AlignedRaster.open(placed(tmp_path, data, row, col), LATTICE)

    values, missing = raster.read(LATTICE.window)

    expected, absent = painted(data, row, col, lambda value: value == SENTINEL)
    np.testing.assert_array_equal(missing, absent)
    np.testing.assert_array_equal(values[~missing], expected[~absent])
    assert raster.window == Window(row, col, 6, 7)


@pytest.mark.parametrize(
    "window",
    [Window(0, 0, 1, 1), Window(4, 5, 3, 2), Window(-5, -5, 30, 30), Window(2, -4, 4, 9), Window(100, 100, 2, 3)],
    ids=str,
)
def test_any_window_is_the_same_part_of_the_whole(tmp_path, window):
    data = noise()
    raster = AlignedRaster.open(placed(tmp_path, data, 3, 4), LATTICE)

    values, missing = raster.read(window)

    assert values.shape == missing.shape == (window.height, window.width)
    for y in range(window.height):
        for x in range(window.width):
            row, col = window.row + y - 3, window.col + x - 4
            within = 0 <= row < 6 and 0 <= col < 7
            assert missing[y, x] != within
            assert not within or values[y, x] == data[row, col]


def test_nan_infinity_and_the_tag_are_missing_in_a_float_raster(tmp_path):
    data = noise("float32")
    data[0, :3] = np.nan, np.inf, -np.inf
    data[1, 0] = -9999
    raster = AlignedRaster.open(placed(tmp_path, data, nodata=-9999), LATTICE)

    _, missing = raster.read(Window(0, 0, 6, 7))

    assert np.argwhere(missing).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0]]


def test_a_tag_that_is_nan_marks_nan(tmp_path):
    data = noise("float32")
    data[1, 1] = np.nan
    raster = AlignedRaster.open(placed(tmp_path, data, nodata=np.nan), LATTICE)

    _, missing = raster.read(Window(0, 0, 6, 7))

    assert np.argwhere(missing).tolist() == [[1, 1]]


def test_a_tag_between_two_singles_marks_what_it_was_written_for(tmp_path):
    data = noise("float32")
    data[1, 1] = np.float32(-3.4e38)
    raster = AlignedRaster.open(placed(tmp_path, data, nodata=-3.4e38), LATTICE)

    _, missing = raster.read(Window(0, 0, 6, 7))

    assert np.argwhere(missing).tolist() == [[1, 1]]


def test_without_a_tag_every_pixel_of_the_raster_is_there(tmp_path):
    data = noise("uint8")
    data[0, 0] = 0
    raster = AlignedRaster.open(placed(tmp_path, data, nodata=None), LATTICE)

    values, missing = raster.read(Window(0, 0, 6, 7))

    assert not missing.any()
    np.testing.assert_array_equal(values, data)


@pytest.mark.parametrize(
    ("place", "kind", "told"),
    [
        ({"row": 12}, InputError, "shares no pixel"),
        ({"col": -7}, InputError, "shares no pixel"),
        ({"crs": "EPSG:32607"}, InputError, "EPSG:32607"),
        ({"left": 600_003.0}, LatticeError, "off the pixel lattice"),
        ({"px": 20.0}, LatticeError, "pixels of 20 m"),
    ],
    ids=["below", "to the left", "another zone", "between pixels", "larger pixels"],
)
def test_a_raster_that_does_not_lie_on_the_lattice_is_refused_by_name(tmp_path, place, kind, told):
    path = placed(tmp_path, noise(), **place)

    with pytest.raises(kind, match=told) as caught:
        AlignedRaster.open(path, LATTICE)

    assert caught.value.where == str(path)


@pytest.mark.fault
def test_a_raster_that_is_none_is_refused_by_name(tmp_path):
    (tmp_path / "votes.tif").write_bytes(b"")

    with pytest.raises(InputError, match="0 bytes") as caught:
        AlignedRaster.open(tmp_path / "votes.tif", LATTICE)

    assert caught.value.where == str(tmp_path / "votes.tif")


@pytest.mark.fault
def test_a_raster_lost_after_it_was_opened_is_named(tmp_path):
    path = placed(tmp_path, noise())
    raster = AlignedRaster.open(path, LATTICE)
    path.unlink()

    with pytest.raises(InputError, match="no such file"):
        raster.read(LATTICE.window)
