"""Conversion equals decimal arithmetic and C's own floats, for every type, policy and rounding."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.layers.float32 import to_float32
from gcn_luigi.prepare.layers.int16 import to_int16
from gcn_luigi.settings import ConvertSettings
from tests.reference.convert import to_float32 as float_reference
from tests.reference.convert import to_int16 as reference

ODD = [0.5, -0.5, 1.5, 2.5, -2.5, 32767.5, 32766.5, -32768.5, -9999.0, -9998.5, -9999.5, 0.49999999999999994]
FLOATS = st.sampled_from([*ODD, 1e6, -1e6, np.inf, -np.inf, np.nan, -3.4e38, 40000.0]) | st.floats(-40000, 40000)


def floats(dtype):
    """Draw arrays of numbers that `dtype` holds exactly."""
    exact = FLOATS.map(lambda number: float(np.dtype(dtype).type(number)))
    return npst.arrays(dtype, st.integers(1, 20), elements=exact)


INTEGERS = st.sampled_from(["int16", "uint8", "int32", "uint16", "int64"])
ARRAYS = st.sampled_from(["float32", "float64"]).flatmap(floats) | INTEGERS.flatmap(lambda name: npst.arrays(name, 10))
BANDS = st.builds(
    Band,
    st.just("dem"),
    st.just(Role.TOPO),
    nodata=st.sampled_from([-9999, -32768, 32767, 0, -1]),
    scale=st.sampled_from([1.0, 1000.0, 0.1]),
    offset=st.sampled_from([0.0, 0.5, -3.0]),
)


@settings(max_examples=200, deadline=None)
@given(
    values=ARRAYS,
    band=BANDS,
    nodata=st.sampled_from([None, -9999.0, np.nan, np.inf, -32768.0, 1e300]),
    rounding=st.sampled_from(["half-even", "half-away"]),
    overflow=st.sampled_from(["error", "nodata", "saturate"]),
)
@example(np.array([-9998.7]), Band("dem", Role.TOPO, nodata=-9999), None, "half-even", "saturate")
@example(np.array([-9998.7]), Band("dem", Role.TOPO, nodata=-9999), None, "half-even", "error")
def test_each_stored_value_equals_decimal_arithmetic(values, band, nodata, rounding, overflow):
    how = ConvertSettings(rounding=rounding, overflow=overflow)
    expected = [reference(value, band=band, nodata=nodata, settings=how) for value in values]

    if "overflow" in expected:
        with pytest.raises(InputError, match=f"{expected.count('overflow')} pixels of dem"):
            to_int16(values, band, nodata=nodata, settings=how, where="x.tif")
    else:
        actual = to_int16(values, band, nodata=nodata, settings=how, where="x.tif")
        assert actual.dtype == np.int16
        assert actual.tolist() == expected


@settings(max_examples=200, deadline=None)
@given(
    values=ARRAYS | npst.arrays("float64", 10, elements=st.floats(allow_nan=True, allow_infinity=True)),
    band=BANDS,
    nodata=st.sampled_from([None, -9999.0, np.nan, np.inf, -32768.0, 1e300]),
    overflow=st.sampled_from(["error", "nodata", "saturate"]),
)
@example(np.array([3.5e38, -3.5e38]), Band("dem", Role.TOPO, nodata=-9999), None, "saturate")
@example(np.array([-9999.0000001]), Band("dem", Role.TOPO, nodata=-9999), None, "saturate")
@example(np.array([-6.35509482e-262]), Band("dem", Role.TOPO, nodata=0), None, "saturate")
@example(np.array([1e-60, -1e-60]), Band("dem", Role.TOPO, nodata=0), None, "saturate")
@example(np.array([-9999.0]), Band("dem", Role.TOPO, nodata=-1, scale=0.1, offset=998.9), None, "saturate")
@example(np.array([1.00000001, 0.99999999]), Band("dem", Role.TOPO, nodata=1), None, "saturate")
def test_each_stored_float_is_the_one_that_c_rounds_to(values, band, nodata, overflow):
    how = ConvertSettings(overflow=overflow)
    expected = [float_reference(value, band=band, nodata=nodata, settings=how) for value in values]

    if "overflow" in expected:
        with pytest.raises(InputError, match=f"{expected.count('overflow')} pixels of dem do not fit float32"):
            to_float32(values, band, nodata=nodata, settings=how, where="x.tif")
    else:
        actual = to_float32(values, band, nodata=nodata, settings=how, where="x.tif")
        assert actual.dtype == np.float32
        assert np.isfinite(actual).all()
        assert actual.tolist() == expected


@settings(max_examples=50, deadline=None)
@given(
    values=npst.arrays("uint16", (3, 4)), tags=st.tuples(st.sampled_from([1.0, 0.0001]), st.sampled_from([0.0, -0.2]))
)
def test_tags_of_the_file_come_before_the_scale_of_the_band(values, tags):
    band, how = Band("dem", Role.TOPO, nodata=-9999, scale=1000.0, offset=2.0), ConvertSettings(overflow="nodata")

    made = to_float32(values, band, nodata=None, settings=how, where="", tags=tags)

    expected = (values.astype(np.float64) * tags[0] + tags[1]) * 1000.0 + 2.0
    np.testing.assert_array_equal(made, expected.astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(values=npst.arrays("int16", (3, 4)))
def test_int16_passes_through_exactly(values):
    stored = to_int16(
        values, Band("dem", Role.TOPO, nodata=-9999), nodata=-9999, settings=ConvertSettings(), where="x.tif"
    )

    np.testing.assert_array_equal(stored, values)
