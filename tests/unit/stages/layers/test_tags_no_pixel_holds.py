"""A nodata tag that no pixel of its band can hold says nothing: such a file is taken for one without a tag."""

import re

import numpy as np
import pytest
import rasterio

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.tiff.blocks import can_hold
from gcn_luigi.lattice import Lattice
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from tests.reference.tile_tree import region, write_tif, write_tile
from tests.unit.stages.layers.test_missing_as_written import quality, write_sparse, write_tags

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 32, 48)


def write_vrt_by_hand(path, *, dtype, nodata):
    """Write what gdalbuildvrt makes of one tile that covers the left half."""
    path.write_text(
        f"""<VRTDataset rasterXSize="48" rasterYSize="32"><SRS>EPSG:32606</SRS>
        <GeoTransform>600000, 10, 0, 7000000, 0, -10</GeoTransform>
        <VRTRasterBand dataType="{dtype}" band="1"><NoDataValue>{nodata}</NoDataValue>
        <SimpleSource><SourceFilename relativeToVRT="1">left.tif</SourceFilename><SourceBand>1</SourceBand>
        <SrcRect xOff="0" yOff="0" xSize="24" ySize="32"/><DstRect xOff="0" yOff="0" xSize="24" ySize="32"/>
        </SimpleSource></VRTRasterBand></VRTDataset>""",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("tag", "dtype", "expected"),
    [
        (255, "uint8", True), (256, "uint8", False), (-9999, "uint8", False), (np.nan, "int16", False),
        (-32768, "int16", True), (0.5, "int16", False), (np.nan, "float32", True), (-np.inf, "float32", True),
        (-3.4028234663852886e38, "float32", True), (-1.797e308, "float32", False), (-1.797e308, "float64", True),
    ],
)  # fmt: skip
def test_what_a_pixel_can_hold(tag, dtype, expected):
    assert can_hold(tag, dtype) is expected


@pytest.mark.parametrize("nodata", [-32768, "nan", -9999])
def test_a_gap_in_a_vrt_of_bytes_is_not_zero_votes_because_of_a_tag_that_bytes_cannot_hold(tmp_path, nodata):
    write_tif(tmp_path / "left.tif", np.full((32, 24), 5, np.uint8), nodata=None)
    path = write_vrt_by_hand(tmp_path / "votes.vrt", dtype="Byte", nodata=nodata)
    with rasterio.open(path) as file:
        assert (file.read(1)[:, 24:] == 0).all()

    with pytest.raises(InputError, match="no source shows and no nodata value") as caught:
        AlignedRaster.open(path, LATTICE)

    assert "gdalbuildvrt -vrtnodata 255" in caught.value.fix


def test_the_remedy_for_a_gap_in_a_vrt_is_one(tmp_path):
    write_tif(tmp_path / "left.tif", np.full((32, 24), 5, np.uint8), nodata=None)
    path = write_vrt_by_hand(tmp_path / "votes.vrt", dtype="Byte", nodata=255)

    _, missing = AlignedRaster.open(path, LATTICE).read(LATTICE.window)

    assert not missing[:, :24].any()
    assert missing[:, 24:].all()


def test_blocks_that_were_never_written_are_not_missing_by_such_a_tag(tmp_path):
    write_tile(tmp_path, "0007", size=48)
    path = write_sparse(tmp_path / "optical/0007/x_0007_a.tif", np.full((2, 48, 48), 5, np.uint8))
    write_tags(path, (-9999, -9999))

    with pytest.raises(InputError, match=r"1 of 9 blocks were never written") as caught:
        scan_tiles(tmp_path, region())

    assert "rio edit-info --nodata 255 FILE" in caught.value.fix


@pytest.mark.parametrize("dtype", ["uint8"])
def test_nor_does_such_a_tag_say_what_zeros_along_an_edge_are(tmp_path, dtype):
    values = np.random.default_rng(0).integers(1, 200, (2, 32, 32)).astype(dtype)
    values[:, :, :6] = 0
    path = write_tif(tmp_path / "optical/0007/x_0007_a.tif", values, nodata=None)
    write_tags(path, (-9999, -9999))
    write_tif(tmp_path / "topo/0007/x_0007_dem_temp.tif", values[0].astype(np.float32) + 1, nodata=-9999)
    assert read_header(path).nodata == (None, None)

    with pytest.raises(InputError, match="1 of 1 files of band a hold one value so often"):
        quality(tmp_path)


@pytest.mark.parametrize("word", ["VRTRasterBand", "SourceFilename", "DstRect"])
def test_a_gap_is_one_whatever_the_case_of_the_words_of_a_vrt(tmp_path, word):
    write_tif(tmp_path / "left.tif", np.full((32, 24), 5, np.uint8), nodata=None)
    path = write_vrt_by_hand(tmp_path / "votes.vrt", dtype="Byte", nodata=-9999)
    path.write_text(path.read_text(encoding="utf-8").replace(word, word.lower()), encoding="utf-8")
    with rasterio.open(path) as file:
        assert (file.read(1)[:, 24:] == 0).all()

    with pytest.raises(InputError, match="no source shows and no nodata value"):
        AlignedRaster.open(path, LATTICE)


@pytest.mark.parametrize("width", [24, 48])
def test_a_source_without_a_place_lies_in_the_corner_as_large_as_it_is(tmp_path, width):
    write_tif(tmp_path / "left.tif", np.full((32, width), 5, np.uint8), nodata=None)
    path = write_vrt_by_hand(tmp_path / "votes.vrt", dtype="Byte", nodata=-9999)
    path.write_text(re.sub("<(Src|Dst)Rect[^>]*>", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    with rasterio.open(path) as file:
        assert (file.read(1)[:, width:] == 0).all()

    if width < LATTICE.width:
        with pytest.raises(InputError, match="no source shows and no nodata value"):
            AlignedRaster.open(path, LATTICE)
    else:
        assert (AlignedRaster.open(path, LATTICE).read(LATTICE.window)[0] == 5).all()
