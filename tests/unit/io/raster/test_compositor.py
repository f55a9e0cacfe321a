"""Bands that are copies of pixels, and bands that are left to GDAL, with the same pixels."""

import numpy as np
import pytest
import rasterio

from gcn_luigi.io.raster.compositor import Layer, Plane, parts_of
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.lattice import Lattice, Window
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 12, 14)


@pytest.fixture
def tile(tmp_path):
    values = np.arange(200, dtype=np.int16).reshape(2, 10, 10)
    return write_tif(tmp_path / "tiles/a.tif", values, left=LATTICE.left - 30, top=LATTICE.top - 20)


def stack_over(tmp_path, source, *, band=1, dtype="int16", nodata=-9999.0, own=-9999.0, shown=None):
    """Write a mosaic of one source, and a stack that shows it; return the stack."""
    mosaic = VrtBand("a", dtype, nodata, (VrtSource(source, band, Window(2, -3, 10, 10), own),))
    (tmp_path / "mosaics").mkdir(exist_ok=True)
    (tmp_path / "stacks").mkdir(exist_ok=True)
    write_vrt(tmp_path / "mosaics/a.vrt", LATTICE, [mosaic])
    whole = VrtSource(tmp_path / "mosaics/a.vrt", 1, shown or LATTICE.window, nodata, mosaic)
    return written(Vrt(tmp_path / "stacks/a.vrt", LATTICE, (VrtBand("a", "int16", nodata, (whole,)),)))


def written(stack):
    write_vrt(stack.path, stack.lattice, stack.bands)
    return stack


def layer_of(stack):
    return Layer.of(stack.bands[0], stack.lattice)


def assert_as_gdal(stack):
    with StackReader({0: stack}) as reader, rasterio.open(stack.path) as dataset:
        actual = reader.read(0, stack.lattice.window).copy()
        np.testing.assert_array_equal(actual, dataset.read())
    return actual


def test_a_stack_is_followed_down_to_the_tiles(tmp_path, tile):
    stack = stack_over(tmp_path, tile, band=2)
    layer = layer_of(stack)

    def shown(window):
        return parts_of(Plane(stack.path, 0, layer, window, np.empty((window.height, window.width), np.int16)))

    (part,) = shown(Window(0, 0, 5, 20))
    assert (layer.dtype, layer.nodata) == ("int16", -9999)
    assert (part.path, part.source.band, part.nodata) == (str(tile), 2, -9999)
    # The tile begins at row 2, column -3 and ends at column 7.
    assert (part.seen, part.own) == (Window(2, 0, 3, 7), Window(0, 3, 3, 7))
    assert shown(Window(0, 7, 12, 7)) == []


def test_a_tile_beyond_the_lattice_is_cut_as_in_the_vrt(tmp_path, tile):
    stack = stack_over(tmp_path, tile)

    with StackReader({0: stack}) as reader:
        found = reader.read(0, Window(-1, -4, 14, 19))

    assert (found[0, :, :4] == -9999).all()
    assert found[0, 3, 4] == 3


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": "uint16", "nodata": 0.0},
        {"own": -9999.004},
        {"nodata": -9999.5},
        {"shown": Window(0, 0, 9, 14)},
    ],
)
def test_a_band_that_is_more_than_a_copy_is_left_to_gdal(tmp_path, tile, options):
    stack = stack_over(tmp_path, tile, **options)

    assert layer_of(stack) is None
    if options.get("nodata") != -9999.5:
        assert_as_gdal(stack)


def test_a_stack_of_another_nodata_than_its_mosaic_is_left_to_gdal(tmp_path, tile):
    (source,) = stack_over(tmp_path, tile).bands[0].sources
    stack = written(Vrt(tmp_path / "stacks/b.vrt", LATTICE, (VrtBand("a", "int16", -5.0, (source,)),)))

    assert layer_of(stack) is None
    assert_as_gdal(stack)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<SourceBand>1</SourceBand>", "<SourceBand>2</SourceBand>"),
        ("SimpleSource>", "ComplexSource>"),
        ("</SimpleSource>", "<ScaleRatio>2</ScaleRatio></ComplexSource>"),
        ('<DstRect xOff="0"', '<DstRect xOff="0.5"'),
        ('xSize="10" ySize="10"/>\n      <DstRect', 'xSize="6" ySize="10"/>\n      <DstRect'),
        ('<DstRect xOff="0"', '<DstRect xOff="3"'),
    ],
)
def test_a_tile_that_is_a_vrt_shows_what_gdal_shows(tmp_path, tile, old, new):
    lattice = Lattice(LATTICE.crs, LATTICE.left - 30, LATTICE.top - 20, 10.0, 10, 10)
    inner = tmp_path / "tiles/a.vrt"
    write_vrt(inner, lattice, [VrtBand("a", "int16", None, (VrtSource(tile, 1, lattice.window, None),))])
    text = inner.read_text()
    assert old in text
    if "Complex" in new:
        text = text.replace("<SimpleSource>", "<ComplexSource>")
    inner.write_text(text.replace(old, new))
    stack = stack_over(tmp_path, inner)

    assert layer_of(stack) is None
    assert_as_gdal(stack)


def test_a_file_of_another_type_than_its_mosaic_is_left_to_gdal(tmp_path):
    place = {"left": LATTICE.left, "top": LATTICE.top}
    below = write_tif(tmp_path / "below.tif", np.full((12, 14), 5, np.int16), **place)
    values = np.full((12, 14), 7.4, np.float32)
    # No nodata before it is rounded: GDAL does not look through it.
    values[0, 0] = -9999.4
    above = write_tif(tmp_path / "above.tif", values, **place)
    sources = tuple(VrtSource(path, 1, LATTICE.window, -9999.0) for path in (below, above))

    actual = assert_as_gdal(written(Vrt(tmp_path / "a.vrt", LATTICE, (VrtBand("a", "int16", -9999.0, sources),))))

    assert (actual[0, 0, 0], actual[0, 0, 1]) == (-9999, 7)
