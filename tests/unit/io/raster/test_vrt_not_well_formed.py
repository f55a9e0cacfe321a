"""GDAL reads XML that is none; what cannot be followed to its sources is refused, so that a change of these is seen."""

import numpy as np
import pytest
import rasterio

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.source_states import FileStates
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.header import open_raster
from tests.reference.tile_tree import write_tif

PIXELS = np.arange(600, dtype=np.int16).reshape(20, 30)


def write_vrt(path, name, extra="", encoding="utf-8", head=""):
    path.write_text(
        f"""{head}<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>EPSG:32606</SRS>
        <GeoTransform>600000, 10, 0, 7000000, 0, -10</GeoTransform>
        <VRTRasterBand dataType="Int16" band="1">{extra}
        <SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>
        <SrcRect xOff="0" yOff="0" xSize="30" ySize="20"/><DstRect xOff="0" yOff="0" xSize="30" ySize="20"/>
        </SimpleSource></VRTRasterBand></VRTDataset>""",
        encoding=encoding,
    )
    return path


@pytest.mark.parametrize(
    ("extra", "encoding"),
    [
        ("<Description>Gletscherhöhe</Description>", "latin-1"),
        ("<Description>ice & snow</Description>", "utf-8"),
        ("<Description>&copy; 2020</Description>", "utf-8"),
    ],
    ids=["latin-1", "ampersand", "entity of HTML"],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_what_only_gdal_can_read_is_refused(tmp_path, extra, encoding, is_nested):
    write_tif(tmp_path / "a.tif", PIXELS)
    path = write_vrt(tmp_path / "a.vrt", "a.tif", extra, encoding)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), PIXELS)
    opened = write_vrt(tmp_path / "outer.vrt", "a.vrt") if is_nested else path

    with pytest.raises(InputError, match="is not well-formed XML") as caught:
        open_local(opened)

    assert caught.value.where == str(path)
    assert "&amp;" in caught.value.fix


@pytest.mark.parametrize("name", ["ö & ä/a.tif", "a b/ü.tif"])
def test_the_same_names_written_properly_are_followed(tmp_path, name):
    source = write_tif(tmp_path / name, PIXELS)
    path = write_vrt(tmp_path / "a.vrt", name.replace("&", "&amp;"))

    with open_raster(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), PIXELS)
    assert str(source) in FileStates().files(path)


@pytest.mark.parametrize("declared", ["GBK", "no-such-encoding"])
def test_an_encoding_that_is_not_known_is_no_crash(tmp_path, declared):
    write_tif(tmp_path / "a.tif", PIXELS)
    path = write_vrt(tmp_path / "a.vrt", "a.tif", head=f'<?xml version="1.0" encoding="{declared}"?>')

    with pytest.raises(InputError, match="is not well-formed XML"):
        open_local(path)
