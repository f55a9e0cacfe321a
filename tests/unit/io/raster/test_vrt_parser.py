"""VRTs of ours read back; VRTs of others left to GDAL, with the same pixels."""

import numpy as np
import pytest
import rasterio

from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource, write_vrt
from gcn_luigi.io.raster.vrt_parser import OTHER, read_layers
from gcn_luigi.lattice import Lattice, Window
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 12, 14)


@pytest.fixture
def tile(tmp_path):
    values = np.arange(200, dtype=np.int16).reshape(2, 10, 10)
    return write_tif(tmp_path / "tiles/a.tif", values, left=LATTICE.left - 30, top=LATTICE.top - 20)


def stack_over(tmp_path, source, *, band=1, dtype="int16", nodata=-9999.0, own=-9999.0):
    """Write a mosaic of one source, and a stack that shows it; return the stack."""
    mosaic = VrtBand("a", dtype, nodata, (VrtSource(source, band, Window(2, -3, 10, 10), own),))
    (tmp_path / "mosaics").mkdir(exist_ok=True)
    (tmp_path / "stacks").mkdir(exist_ok=True)
    write_vrt(tmp_path / "mosaics/a.vrt", LATTICE, [mosaic])
    whole = VrtSource(tmp_path / "mosaics/a.vrt", 1, LATTICE.window, nodata)
    write_vrt(tmp_path / "stacks/a.vrt", LATTICE, [VrtBand("a", "int16", nodata, (whole,))])
    return tmp_path / "stacks/a.vrt"


def test_a_stack_is_followed_down_to_the_tiles(tmp_path, tile):
    (layer,) = read_layers(stack_over(tmp_path, tile, band=2))

    (part,) = layer.parts(Window(0, 0, 5, 20))
    assert (layer.dtype, layer.nodata) == ("int16", -9999)
    assert (part.path, part.band, part.nodata) == (str(tile), 2, -9999)
    # The tile begins at row 2, column -3 and ends at column 7.
    assert (part.seen, part.own) == (Window(2, 0, 3, 7), Window(0, 3, 3, 7))
    assert layer.parts(Window(0, 7, 12, 7)) == []


def test_a_tree_that_moved_with_its_tiles_is_read_where_it_is(tmp_path, tile):
    stack_over(tmp_path, tile)
    moved = tmp_path.with_name(tmp_path.name + "_moved")
    tmp_path.rename(moved)
    tmp_path.mkdir()

    (layer,) = read_layers(moved / "stacks/a.vrt")

    assert layer.paths == (str(moved / "tiles/a.tif"),)


def test_a_stack_behind_a_link_is_followed_from_where_it_lies(tmp_path, tile):
    path = stack_over(tmp_path, tile)
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/linked").symlink_to(path.parent)

    (layer,) = read_layers(tmp_path / "elsewhere/deep/linked/a.vrt")

    assert layer.paths == (str(tile),)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": "uint16", "nodata": 0.0},
        {"own": -9999.004},
        {"nodata": -9999.5},
    ],
)
def test_a_band_that_is_more_than_a_copy_is_left_to_gdal(tmp_path, tile, options):
    assert read_layers(stack_over(tmp_path, tile, **options)) == [OTHER]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<NODATA>-9999</NODATA>", "<NODATA>-9999</NODATA><ScaleRatio>2</ScaleRatio>"),
        ("<SourceBand>1</SourceBand>", "<SourceBand>mask,1</SourceBand>"),
        ('<DstRect xOff="0"', '<DstRect xOff="0.5"'),
        ('xSize="7" ySize="10"/>\n      <DstRect', 'xSize="6" ySize="10"/>\n      <DstRect'),
        ('<DstRect xOff="0"', '<DstRect xOff="10"'),
        ("    <ComplexSource>", "    <HideNoDataValue>1</HideNoDataValue>\n    <ComplexSource>"),
        ('dataType="Int16"', 'dataType="CInt16"'),
    ],
)
def test_a_vrt_in_other_words_shows_what_gdal_shows(tmp_path, tile, old, new):
    path = stack_over(tmp_path, tile)
    mosaic = tmp_path / "mosaics/a.vrt"
    text = mosaic.read_text()
    assert old in text
    mosaic.write_text(text.replace(old, new))

    assert read_layers(path) == [OTHER]
    with StackReader(lambda _: path) as reader, rasterio.open(path) as dataset:
        np.testing.assert_array_equal(reader.read(0, LATTICE.window), dataset.read())


def test_a_stack_that_shows_a_part_of_a_mosaic_is_left_to_gdal(tmp_path, tile):
    path = stack_over(tmp_path, tile)
    path.write_text(path.read_text().replace('ySize="12"', 'ySize="9"'))

    assert read_layers(path) == [OTHER]


def test_a_stack_of_another_nodata_than_its_mosaic_is_left_to_gdal(tmp_path, tile):
    path = stack_over(tmp_path, tile)
    path.write_text(path.read_text().replace("-9999", "-5"))

    assert read_layers(path) == [OTHER]


@pytest.mark.parametrize("text", ["", "<html>", "<html></html>"])
def test_what_is_no_vrt_has_no_layers(tmp_path, text):
    (tmp_path / "a.vrt").write_text(text)

    assert read_layers(tmp_path / "a.vrt") == []
    assert read_layers(tmp_path / "gone.vrt") == []


def test_a_file_of_another_type_than_its_mosaic_is_left_to_gdal(tmp_path):
    place = {"left": LATTICE.left, "top": LATTICE.top}
    below = write_tif(tmp_path / "below.tif", np.full((12, 14), 5, np.int16), **place)
    values = np.full((12, 14), 7.4, np.float32)
    # No nodata before it is rounded: GDAL does not look through it.
    values[0, 0] = -9999.4
    above = write_tif(tmp_path / "above.tif", values, **place)
    sources = tuple(VrtSource(path, 1, LATTICE.window, -9999.0) for path in (below, above))
    write_vrt(tmp_path / "a.vrt", LATTICE, [VrtBand("a", "int16", -9999.0, sources)])

    with StackReader(lambda _: tmp_path / "a.vrt") as reader, rasterio.open(tmp_path / "a.vrt") as dataset:
        actual = reader.read(0, LATTICE.window)
        np.testing.assert_array_equal(actual, dataset.read())
    assert (actual[0, 0, 0], actual[0, 0, 1]) == (-9999, 7)
