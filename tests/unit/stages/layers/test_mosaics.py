"""Mosaics of tiles, and topography converted to int16."""

import numpy as np
import pytest
import rasterio

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.lattice import Window
from gcn_luigi.settings import ConvertSettings
from gcn_luigi.stages.layers.conversion import Target, convert_mosaic
from gcn_luigi.stages.layers.mosaics import mosaic_band
from tests.reference.tile_tree import write_tif

BAND = Band("a", Role.OPTICAL)


def tile(name, dtype="int16", *, count=2):
    return SourceFile(name, "a", f"{name}.tif", Window(0, 0, 4, 6), dtype, None, count)


@pytest.mark.parametrize(
    ("dtypes", "nodata", "expected"),
    [
        (["int16"], -32768, "int16"),
        (["uint8", "uint8"], -32768, "int16"),
        (["uint8"], 0, "uint8"),
        (["uint16", "int16"], -9999, "int32"),
        (["float32", "int16"], -9999, "float32"),
        (["float32", "int32"], -9999, "float64"),
    ],
)
def test_a_mosaic_has_the_narrowest_type_that_holds_all_tiles_and_the_nodata(tmp_path, dtypes, nodata, expected):
    files = [tile(str(number), dtype) for number, dtype in enumerate(dtypes)]

    assert mosaic_band(files, Band("a", Role.TOPO, nodata=nodata), tmp_path).dtype == expected


def test_a_mosaic_of_a_band_that_a_file_lacks_is_refused(tmp_path):
    with pytest.raises(InputError, match="band 2") as caught:
        mosaic_band([tile("1"), tile("2", count=1)], BAND, tmp_path, source_band=2)

    assert caught.value.where == "2.tif"


def test_a_mosaic_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="band 1"):
        mosaic_band([], BAND, tmp_path)


def test_a_mosaic_wider_than_a_strip_is_converted_whole(tmp_path):
    values = np.random.default_rng(3).normal(0, 20, (260, 4100)).astype(np.float32)
    values[::7, ::5] = -9999
    source = write_tif(tmp_path / "a.tif", values, nodata=-9999)

    convert_mosaic(
        source, tmp_path / "b.tif", Band("dem", Role.TOPO, nodata=-9999, scale=100), Target(ConvertSettings())
    )

    with rasterio.open(tmp_path / "b.tif") as made:
        expected = np.where(values == -9999, -9999, np.rint(values.astype(np.float64) * 100))
        np.testing.assert_array_equal(made.read(1), expected)
        assert (made.nodata, made.dtypes, made.descriptions) == (-9999, ("int16",), ("dem",))
        assert made.block_shapes == [(256, 256)]
