import math
import shutil

import numpy as np
import pytest
import rasterio

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.masks import MASK
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource, write_vrt
from gcn_luigi.io.raster.windows import read_window
from gcn_luigi.lattice import Lattice, Window
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 4, 6)


def ramp(count=1, height=4, width=6, dtype=np.int16):
    return np.arange(count * height * width).reshape(count, height, width).astype(dtype)


def one_source(path, *, band=1, window=LATTICE.window, nodata=-32768):
    return VrtBand("a", "int16", -32768, (VrtSource(path, band, window, nodata),))


def test_a_vrt_shows_its_source_with_name_nodata_and_place(tmp_path):
    source = write_tif(tmp_path / "a.tif", ramp(2))

    write_vrt(tmp_path / "a.vrt", LATTICE, [one_source(source, band=2)])

    assert read_header(tmp_path / "a.vrt").lattice == LATTICE
    with rasterio.open(tmp_path / "a.vrt") as dataset:
        np.testing.assert_array_equal(dataset.read(1), ramp(2)[1])
        assert (dataset.descriptions, dataset.nodatavals, dataset.dtypes) == (("a",), (-32768,), ("int16",))


def test_each_band_has_its_own_nodata_and_type(tmp_path):
    source = write_tif(tmp_path / "a.tif", ramp())
    made = [
        VrtBand("ndsi", "int16", -32768, (VrtSource(source, 1, LATTICE.window, -32768),)),
        VrtBand("dem & more", "float32", math.nan, ()),
        VrtBand("label", "uint8", 255, ()),
        VrtBand("", "uint8", None, ()),
    ]

    write_vrt(tmp_path / "a.vrt", LATTICE, made)

    with rasterio.open(tmp_path / "a.vrt") as dataset:
        assert dataset.dtypes == ("int16", "float32", "uint8", "uint8")
        assert repr(dataset.nodatavals) == "(-32768.0, nan, 255.0, None)"
        assert dataset.descriptions == ("ndsi", "dem & more", "label", None)
        assert np.isnan(dataset.read(2)).all()
        assert (dataset.read(3) == 255).all()


@pytest.mark.parametrize("offset", [(-2, -1), (1, 3), (-1, 4), (3, -5), (4, 0), (0, -6), (-100, 0)])
@pytest.mark.parametrize("nodata", [None, -32768])
def test_a_source_that_overhangs_the_lattice_is_cut_to_it(tmp_path, offset, nodata):
    row, col = offset
    source = write_tif(tmp_path / "a.tif", ramp())

    write_vrt(tmp_path / "a.vrt", LATTICE, [one_source(source, window=Window(row, col, 4, 6), nodata=nodata)])

    expected = np.full((4, 6), -32768, np.int16)
    for y, x in np.ndindex(4, 6):
        if 0 <= y - row < 4 and 0 <= x - col < 6:
            expected[y, x] = ramp()[0, y - row, x - col]
    with rasterio.open(tmp_path / "a.vrt") as dataset:
        np.testing.assert_array_equal(dataset.read(1), expected)


def test_a_tree_can_be_moved_with_its_vrts(tmp_path):
    source = write_tif(tmp_path / "one/tiles/a & <b> 'ü'.tif", ramp())
    (tmp_path / "one/out/deep").mkdir(parents=True)
    write_vrt(tmp_path / "one/out/mosaic.vrt", LATTICE, [one_source(source)])
    write_vrt(tmp_path / "one/out/deep/stack.vrt", LATTICE, [one_source(tmp_path / "one/out/mosaic.vrt")])

    shutil.move(tmp_path / "one", tmp_path / "two")

    np.testing.assert_array_equal(read_window(tmp_path / "two/out/deep/stack.vrt", LATTICE.window, fill=0), ramp())


def test_paths_lead_out_of_a_linked_directory(tmp_path):
    source = write_tif(tmp_path / "tiles/a.tif", ramp())
    (tmp_path / "disk/deep/out").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk/deep/out")

    write_vrt(tmp_path / "out/a.vrt", LATTICE, [one_source(source)])

    np.testing.assert_array_equal(read_window(tmp_path / "out/a.vrt", LATTICE.window, fill=0), ramp())


def test_equal_calls_write_equal_bytes_without_carriage_returns(tmp_path):
    source = write_tif(tmp_path / "a.tif", ramp())

    for name in ("one.vrt", "two.vrt"):
        write_vrt(tmp_path / name, LATTICE, [one_source(source)])

    assert (tmp_path / "one.vrt").read_bytes() == (tmp_path / "two.vrt").read_bytes()
    assert b"\r" not in (tmp_path / "one.vrt").read_bytes()


def test_coordinates_keep_all_their_digits(tmp_path):
    lattice = Lattice("EPSG:32606", 600000.1234567891, 7000000.000000001, 10.000000000000002, 4, 6)

    write_vrt(tmp_path / "a.vrt", lattice, [VrtBand("a", "int16", 0, ())])

    assert read_header(tmp_path / "a.vrt").lattice == lattice


@pytest.mark.parametrize("code", ["EPSG:3338", "EPSG:2180", "EPSG:31467", "EPSG:3006"])
def test_easting_comes_first_whatever_the_order_of_axes(tmp_path, code):
    lattice = Lattice(code, 3400000.0, 5000000.0, 10.0, 4, 6)
    source = write_tif(tmp_path / "a.tif", ramp(), crs=code, left=lattice.left, top=lattice.top)

    write_vrt(tmp_path / "a.vrt", lattice, [one_source(source)])

    with rasterio.open(source) as plain, rasterio.open(tmp_path / "a.vrt") as made:
        assert (made.bounds, made.crs) == (plain.bounds, plain.crs)


def test_names_that_xml_cannot_hold_are_refused(tmp_path):
    with pytest.raises(InputError, match="XML cannot"):
        write_vrt(tmp_path / "a.vrt", LATTICE, [one_source(tmp_path / "a\x01.tif")])


def test_a_type_that_gdal_lacks_is_refused(tmp_path):
    with pytest.raises(InputError, match="float16"):
        write_vrt(tmp_path / "a.vrt", LATTICE, [VrtBand("a", "float16", None, ())])


def test_a_masked_source_is_transparent_where_its_mask_hides_it(tmp_path):
    below, above = (write_tif(tmp_path / f"{name}.tif", ramp() + first) for name, first in (("a", 0), ("b", 100)))
    hidden = ramp()[0] % 3 == 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(above, "r+") as file:
        file.write_mask(~hidden)
    sources = (VrtSource(below, 1, LATTICE.window, -32768), VrtSource(above, 1, LATTICE.window, -32768, mask=MASK))

    write_vrt(tmp_path / "a.vrt", LATTICE, [VrtBand("a", "int16", -32768, sources)])

    with rasterio.open(tmp_path / "a.vrt") as dataset:
        np.testing.assert_array_equal(dataset.read(1), ramp()[0] + np.where(hidden, 0, 100))
