"""A stack copied into one GeoTIFF: one nodata for all bands, and no value taken for it."""

import numpy as np
import pytest
import rasterio

from gcn_luigi.bands import Role
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import write_geotiff
from gcn_luigi.lattice import Lattice
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.band_files import raster_of
from gcn_luigi.stages.layers.mosaics import write_stack_file

LATTICE = Lattice("EPSG:32607", left=500_000.0, top=6_800_000.0, pixel_size=20.0, height=300, width=40)
SETTINGS = RegionSettings.model_validate(
    {
        "region": "tiny",
        "data_root": ".",
        "years": [2010],
        "bands": [{"name": "nbr", "role": "optical"}, {"name": "dem", "role": "topo"}],
        "outlines": {"path": "outlines.gpkg"},
        "label": {"stem": "stem.tif"},
        "distance": {"enabled": True},
    }
)


@pytest.fixture
def pixels():
    pixels = np.random.default_rng(2).integers(-9998, 9000, (4, *LATTICE.shape), np.int16)
    for plane, band in zip(pixels, SETTINGS.schema_bands, strict=True):
        plane[250:260, 3:9] = band.nodata
        # The nodata of other bands is a value here.
        plane[270, :3] = [value for value in (-9999, 255, 0) if value != band.nodata][:1] * 3
    return pixels


def copied(tmp_path, pixels):
    paths, region = DatasetPaths(tmp_path / "tiny"), Region(SETTINGS, tmp_path)
    (paths.root / "mosaics").mkdir(parents=True)
    tile = SourceFile("1", "nbr", "nbr.tif", LATTICE.window, "int16", -32768, 1)
    paths.inventory.write_text(Inventory(LATTICE, (tile,)).to_json(), encoding="utf-8")
    for band, plane in zip(SETTINGS.schema_bands, pixels, strict=True):
        path = tmp_path / tile.path if band.role is Role.OPTICAL else raster_of(paths, band, 2010)
        write_geotiff(path, LATTICE, plane, nodata=band.nodata, names=[band.name])
    said = []
    write_stack_file(region, paths, 2010, tmp_path / "out.tif", lambda *moment: said.append(moment))
    return tmp_path / "out.tif", said


def test_missing_pixels_get_the_common_nodata_and_all_others_keep_their_value(tmp_path, pixels):
    path, said = copied(tmp_path, pixels)

    with rasterio.open(path) as dataset:
        values = dataset.read()
        assert dataset.descriptions == ("nbr", "dem", "label", "distance")
        assert dataset.nodatavals == (-32768,) * 4
        assert dataset.crs.to_epsg() == 32607
        assert dataset.transform[:6] == LATTICE.transform
    for value, plane, band in zip(values, pixels, SETTINGS.schema_bands, strict=True):
        np.testing.assert_array_equal(value == -32768, plane == band.nodata)
        np.testing.assert_array_equal(value[value != -32768], plane[plane != band.nodata])
    assert [share for _, share in said] == [0, 256 / 300]


def test_a_value_that_would_turn_into_nodata_is_refused_with_its_band(tmp_path, pixels):
    pixels[1, 5, 5] = -32768

    with pytest.raises(InputError, match=r"dem holds -32768(.|\n)*2010\.vrt"):
        copied(tmp_path, pixels)
