import numpy as np
import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.layers.int16 import to_int16
from gcn_luigi.settings import ConvertSettings

DEM = Band("dem", Role.TOPO, nodata=-9999)


def stored(values, band=DEM, *, nodata=-9999.0, dtype="float32", **settings):
    array = np.asarray(values, dtype)
    return to_int16(array, band, nodata=nodata, settings=ConvertSettings(**settings), where="dem.tif").tolist()


@pytest.mark.parametrize(
    ("rounding", "expected"), [("half-even", [2, 2, -2, 0, 0, -2]), ("half-away", [2, 3, -2, 0, 1, -3])]
)
def test_halves_are_rounded_as_configured(rounding, expected):
    assert stored([1.5, 2.5, -1.5, 0.49, 0.5, -2.5], rounding=rounding) == expected


def test_the_largest_number_below_one_half_is_rounded_down():
    assert stored([0.49999999999999994], dtype="float64", rounding="half-away") == [0]


def test_scale_and_offset_come_before_rounding():
    band = Band("north", Role.TOPO, nodata=-9999, scale=1000, offset=0.5)

    assert stored([-1.0, 0.25, 0.9996], band) == [-1000, 250, 1000]


def test_missing_pixels_are_never_scaled():
    band = Band("north", Role.TOPO, nodata=-9999, scale=1000)

    assert stored([np.nan, -32768.0, -9999.0, 0.5], band, nodata=-32768.0) == [-9999, -9999, -9999, 500]


def test_the_configured_nodata_counts_without_a_tag():
    assert stored([-9999, 3], nodata=None) == [-9999, 3]


def test_a_tag_is_compared_in_the_precision_of_the_pixels():
    assert stored([np.float32(0.1), 2], nodata=0.1) == [-9999, 2]
    assert stored([-3.4028234663852886e38, 2], nodata=-3.4028234663852886e38) == [-9999, 2]


def test_a_tag_that_the_type_cannot_hold_marks_nothing():
    assert stored([241, 7], nodata=-9999.0, dtype="uint8") == [241, 7]
    assert stored([241, 7], nodata=np.nan, dtype="uint8") == [241, 7]


@pytest.mark.parametrize("overflow", ["error", "nodata", "saturate"])
def test_infinity_is_missing_and_no_overflow(overflow):
    assert stored([np.inf, -np.inf, 7], overflow=overflow) == [-9999, -9999, 7]


def test_an_infinite_tag_is_a_tag():
    assert stored([-np.inf, 7], nodata=-np.inf) == [-9999, 7]


@pytest.mark.parametrize("value", [32767.5, -32768.6, 3.4e38, -9998.9])
def test_an_overflow_is_refused_with_count_band_and_place(value):
    with pytest.raises(InputError, match="2 pixels of dem do not fit int16 with nodata -9999") as caught:
        stored([value, 5.0, value])

    assert caught.value.where == "dem.tif"
    assert "convert.overflow" in caught.value.fix


def test_an_overflow_becomes_nodata_where_that_is_configured():
    assert stored([1e6, -np.inf, -9998.9, 5], overflow="nodata") == [-9999, -9999, -9999, 5]


@pytest.mark.parametrize(
    ("nodata", "expected"),
    [
        (-9999, [32767, -32768, 32767, -32768]),
        (32767, [32766, -32768, 32766, -32768]),
        (-32768, [32767, -32767, 32767, -32767]),
    ],
)
def test_saturation_never_yields_nodata(nodata, expected):
    band = Band("dem", Role.TOPO, nodata=nodata)

    assert stored([1e6, -1e6, 3.4e38, -3.4e38], band, overflow="saturate") == expected


def test_a_value_that_rounds_to_nodata_moves_to_the_nearer_neighbour():
    assert stored([-9998.9, -9999.1], overflow="saturate") == [-9998, -10000]


def test_the_source_is_not_modified():
    values = np.array([1.5, np.nan, -9999.0], np.float64)
    before = values.copy()

    to_int16(values, DEM, nodata=-9999, settings=ConvertSettings(), where="")

    np.testing.assert_array_equal(values, before)


def test_an_array_without_pixels_stays_one():
    assert stored([]) == []
