"""Warping onto a lattice: GDAL's values, missing pixels that stay missing, and the same result for any threads."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_bounds
from rasterio.warp import reproject, transform_bounds

from gcn_luigi.io.raster import warp as module
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.placement import EVERYWHERE, Placement
from gcn_luigi.io.raster.warp import Warp, suited_method
from gcn_luigi.lattice import Lattice, Window

CRS = "EPSG:3338"
LEFT, TOP = 300_000.0, 1_200_000.0
LATTICE = Lattice(CRS, LEFT, TOP, 30.0, 40, 50)
NODATA = -32768.0


@pytest.fixture
def source(tmp_path):
    """Return a function that writes an array (band, y, x), by default one pixel beyond the lattice on all sides."""

    def write(values, size=30.0, shift=(-30.0, 30.0), *, crs=CRS, nodata=NODATA):
        path = tmp_path / "source.tif"
        count, height, width = values.shape
        transform = Affine(size, 0, LEFT + shift[0], 0, -size, TOP + shift[1])
        profile = {"dtype": values.dtype, "count": count, "height": height, "width": width, "crs": crs}
        with rasterio.open(path, "w", driver="GTiff", transform=transform, nodata=nodata, **profile) as target:
            target.write(values)
        return path

    return write


def warped(path, method="bilinear", *, missing=(NODATA,), dtype=None, nodata=NODATA, lattice=LATTICE, threads=1):
    header = read_header(path, is_lattice=False)
    bands = tuple(range(1, header.count + 1))
    dtype = dtype or header.dtypes[0]
    warp = Warp(path, header.placement, bands, (missing,) * len(bands), lattice, method, dtype, nodata)
    result = np.zeros((len(bands), *lattice.shape), dtype)
    for window, values in warp.blocks(threads):
        (top, bottom), (left, right) = window.ranges
        result[:, top:bottom, left:right] = values
    return result


def smooth(height=46, width=56, count=1):
    y, x = np.mgrid[:height, :width]
    return np.stack([1000 + 200 * np.sin(x / 7 + k) + 150 * np.cos(y / 5) for k in range(count)])


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "cubic_spline"])
@pytest.mark.parametrize(("crs", "size"), [(CRS, 30.0), (CRS, 41.0)])
def test_without_missing_pixels_the_values_are_those_of_rasterio(source, method, crs, size):
    path = source(smooth().astype(np.float32), size, (-77.0, 64.0), crs=crs)

    made = warped(path, method)

    wanted = np.zeros_like(made)
    with rasterio.open(path) as opened:
        keys = {"resampling": Resampling[method], "XSCALE": 1, "YSCALE": 1}
        reproject(rasterio.band(opened, 1), wanted[0], dst_transform=Affine(*LATTICE.transform), dst_crs=CRS, **keys)
    assert np.abs(made - wanted).max() < 0.01
    assert (made != NODATA).all()


@pytest.mark.parametrize("method", ["bilinear", "cubic", "cubic_spline", "average"])
@pytest.mark.parametrize("missing", [NODATA, 12345.0, np.nan, np.inf, -np.inf])
def test_missing_pixels_reach_no_value(source, method, missing):
    values = np.full((1, 46, 56), 100, np.float32)
    holes = np.random.default_rng(3).random((46, 56)) < 0.3
    values[0, holes] = missing
    path = source(values, shift=(-40.0, 35.0))

    made = warped(path, method, missing=(NODATA, 12345.0))

    assert set(np.unique(made)) == {100, NODATA}


@pytest.mark.parametrize("method", ["bilinear", "cubic", "cubic_spline"])
def test_a_hole_is_where_the_pixel_at_the_centre_is_missing(source, method):
    values = smooth().astype(np.int16)
    values[0, 10, 10] = values[0, 20:23, 30:40] = NODATA
    path = source(values, shift=(-40.0, 40.0))

    made = warped(path, method)

    # The pixels of the raster begin a third of a pixel before, and its first row and column beyond the lattice.
    assert ((made == NODATA) == (values[:, 1:41, 1:51] == NODATA)).all()


@pytest.mark.parametrize(("n_missing", "is_valid"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_mean_needs_half_of_the_area(source, n_missing, is_valid):
    values = np.full((1, 80, 100), 7, np.int16)
    block = values[0, 10:12, 12:14].copy().ravel()
    block[:n_missing] = NODATA
    values[0, 10:12, 12:14] = block.reshape(2, 2)

    made = warped(source(values, 15.0, (0.0, 0.0)), "average")

    assert made[0, 5, 6] == (7 if is_valid else NODATA)
    assert (made != NODATA).sum() == made.size - (not is_valid)


def test_beyond_the_raster_pixels_are_missing_and_half_a_pixel_is_none(source):
    values = np.full((1, 20, 25), 7, np.int16)

    made = {method: warped(source(values, 30.0, (160.0, -160.0)), method)[0] for method in ("bilinear", "average")}

    for plane in made.values():
        # It begins a third of the way into pixel 5, before that pixel's centre.
        assert (plane[5:25, 5:30] == 7).all()
        assert (plane == 7).sum() == 20 * 25


def test_each_year_has_its_own_missing_pixels(source):
    values = smooth(count=3).round().astype(np.int16)
    values[1, 8:20, 8:20] = NODATA
    alone = [warped(source(values[[k]], shift=(-40.0, 40.0)))[0] for k in range(3)]

    made = warped(source(values, shift=(-40.0, 40.0)))

    np.testing.assert_array_equal(made, np.stack(alone))


def test_a_valid_value_never_becomes_nodata(source):
    values = np.zeros((1, 46, 56), np.int16)
    values[0, ::2] = 10
    path = source(values, 30.0, (-30.0, 45.0))

    made = warped(path, missing=(), nodata=5.0)

    # Half way between 0 and 10.
    assert set(np.unique(made)) <= {4, 6}


@pytest.mark.parametrize("method", ["bilinear", "average", "nearest"])
def test_neither_threads_nor_parts_change_a_byte(source, method, monkeypatch):
    lattice = Lattice(CRS, LEFT, TOP, 30.0, 300, 700)
    values = np.random.default_rng(1).normal(0, 500, (2, 310, 710)).astype(np.int16)
    values[:, 100:120, 300:350] = NODATA
    path = source(values, shift=(-50.0, 70.0))
    first = warped(path, method, lattice=lattice)

    np.testing.assert_array_equal(warped(path, method, lattice=lattice, threads=4), first)
    monkeypatch.setattr(module, "_MOST_BYTES", 40_000)
    # In one CRS, the places of a row are exact, so that parts of a block give the same.
    np.testing.assert_array_equal(warped(path, method, lattice=lattice, threads=2), first)


@pytest.mark.parametrize("method", ["bilinear", "cubic", "average", "mode"])
def test_only_the_part_of_a_block_with_gaps_needs_masks(source, method, monkeypatch):
    lattice = Lattice(CRS, LEFT, TOP, 30.0, 256, 512)
    values = smooth(300, 530, 2).round().astype(np.int16)
    values[0, 60:70, 80:95] = values[1, 100, 300] = NODATA
    # The raster ends before the block does.
    path = source(values, shift=(100.0, 70.0))
    made = warped(path, method, lattice=lattice)
    monkeypatch.setattr(module, "_MOST_MASKED", -1.0)

    np.testing.assert_array_equal(made, warped(path, method, lattice=lattice))


def test_longitudes_may_be_counted_from_greenwich_eastward(tmp_path):
    lattice = Lattice(CRS, LEFT, TOP, 30.0, 60, 70)
    west, south, east, north = transform_bounds(CRS, "EPSG:4326", *lattice.bounds)
    size = {"height": 80, "width": 90, "count": 1, "dtype": "float32", "nodata": np.nan, "crs": "EPSG:4326"}
    made = []
    for turn in (0, 360):
        transform = from_bounds(west + turn, south, east + turn, north, 90, 80)
        with rasterio.open(tmp_path / f"{turn}.tif", "w", driver="GTiff", transform=transform, **size) as target:
            target.write(smooth(80, 90)[0].astype(np.float32), 1)
        made.append(warped(tmp_path / f"{turn}.tif", nodata=np.nan, missing=(np.nan,), lattice=lattice))

    assert np.isfinite(made[0]).all()
    np.testing.assert_allclose(made[1], made[0], atol=0.01)


def test_nan_is_a_nodata_value_like_any_other(source):
    values = smooth().astype(np.float32)
    values[0, 10:14, 10:20] = np.nan
    path = source(values, shift=(-40.0, 40.0), nodata=np.nan)

    made = warped(path, "cubic", missing=(np.nan,), nodata=np.nan)

    np.testing.assert_array_equal(np.isnan(made[0]), np.isnan(values[0, 1:41, 1:51]))


def test_of_much_smaller_pixels_a_block_is_warped_in_parts(source, monkeypatch):
    values = np.random.default_rng(2).integers(0, 1000, (1, 400, 500)).astype(np.float32)
    monkeypatch.setattr(module, "_MOST_BYTES", 30_000)

    made = warped(source(values, 3.0, (0.0, 0.0)), "average")

    np.testing.assert_allclose(made[0], values.reshape(40, 10, 50, 10).mean(axis=(1, 3)), rtol=1e-5)


def test_the_raster_may_be_rotated_south_up_or_oblong(tmp_path):
    values = smooth(120, 120)[0]
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    for name, transform in {
        "south-up": Affine(20, 0, LEFT - 100, 0, 25, TOP - 2000),
        "rotated": Affine(28 * cos, 28 * -sin, LEFT - 500, 28 * -sin, -28 * cos, TOP + 300),
    }.items():
        path = tmp_path / f"{name}.tif"
        profile = {"dtype": "float64", "count": 1, "height": 120, "width": 120, "crs": CRS, "transform": transform}
        with rasterio.open(path, "w", driver="GTiff", **profile) as target:
            target.write(values, 1)

        made = warped(path, missing=())

        cols, rows = np.meshgrid(np.arange(50) + 0.5, np.arange(40) + 0.5)
        a, b, c, d, e, f, *_ = ~transform
        x, y = LEFT + cols * 30, TOP - rows * 30
        own_col, own_row = a * x + b * y + c, d * x + e * y + f
        exact = 1000 + 200 * np.sin((own_col - 0.5) / 7) + 150 * np.cos((own_row - 0.5) / 5)
        inside = (own_col > 1) & (own_col < 119) & (own_row > 1) & (own_row < 119)
        assert inside.sum() > 500
        assert np.abs(made[0] - exact)[inside].max() < 5


@pytest.mark.parametrize(
    ("asked", "size", "got"),
    [
        ("bilinear", 30.0, "bilinear"),
        ("cubic", 21.5, "cubic"),
        ("cubic", 20.0, "average"),
        ("bilinear", 10.0, "average"),
        ("nearest", 10.0, "nearest"),
        ("mode", 10.0, "mode"),
        ("bilinear", 60.0, "bilinear"),
    ],
)
def test_a_pixel_that_covers_more_than_two_takes_their_mean(asked, size, got):
    placement = Placement(CRS, (size, 0.0, LEFT, 0.0, -size, TOP), 100, 100)

    assert suited_method(asked, placement, LATTICE, Window(0, 0, 10, 10)) == got


def test_a_raster_in_another_crs_covers_a_window_that_holds_all_its_pixels():
    placement = Placement("EPSG:32606", (30.0, 0.0, 500_000.0, 0.0, -30.0, 6_900_000.0), 200, 300)

    window = placement.window_on(LATTICE)

    cols, rows = np.meshgrid(np.arange(301.0), np.arange(201.0))
    far = Placement(CRS, LATTICE.transform, 1, 1)
    utm = Lattice("EPSG:32606", 500_000.0, 6_900_000.0, 30.0, 200, 300)
    own_rows, own_cols = far.pixels_at(utm, rows, cols)
    assert window.row == int(np.floor(own_rows.min()))
    assert window.col == int(np.floor(own_cols.min()))
    assert window.row + window.height == int(np.ceil(own_rows.max()))
    assert window.col + window.width == int(np.ceil(own_cols.max()))


def test_a_raster_without_coordinates_in_the_crs_covers_everything():
    world = Placement("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), 180, 360)

    assert world.window_on(Lattice("EPSG:3571", 400_000.0, -900_000.0, 30.0, 10, 10)) == EVERYWHERE
