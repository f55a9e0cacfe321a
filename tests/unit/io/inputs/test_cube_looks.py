"""A look at a cube names its bands, years, pixels and values."""

import sys

import numpy as np
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.cube_looks import look_at_cube

xr = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")


def write(path, *, south_up=False, **variables):
    y = 6700000 - 10 * (np.arange(6) + 0.5)
    coordinates = {
        "time": np.array(["2004-08-01", "2008-08-01", "2008-09-01"], "datetime64[ns]"),
        "band": ["B04", "B08"],
        "y": y[::-1] if south_up else y,
        "x": 400000 + 10 * (np.arange(8) + 0.5),
        "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32606"}),
    }
    cube = xr.Dataset(variables, coordinates)
    cube.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize("south_up", [False, True])
def test_bands_have_years_pixels_and_values(tmp_path, south_up):
    ndvi = np.arange(3 * 6 * 8, dtype="int16").reshape(3, 6, 8)
    ndvi[0, 0] = -32768
    dem = np.full((6, 8), 7.5, "float32")
    path = write(
        tmp_path / "a.nc", south_up=south_up, ndvi=(("time", "y", "x"), ndvi, {"_FillValue": -32768}),
        dem=(("y", "x"), dem), mean=(("time",), np.zeros(3)),
    )  # fmt: skip

    found = {look.band: look for look in look_at_cube(path)}

    assert set(found) == {"ndvi", "dem"}
    assert (found["ndvi"].years, found["ndvi"].n_times, found["dem"].years) == ((2004, 2008), 3, ())
    look = found["ndvi"].look
    assert (look.crs, look.is_plain, look.dtypes, look.nodata) == ("EPSG:32606", True, ("int16",), (-32768,))
    assert look.bounds == (400000, 6699940, 400080, 6700000)
    assert (found["ndvi"].values.low, found["ndvi"].values.high, found["ndvi"].values.n_missing) == (8, 143, 8)
    assert found["dem"].values.has_fractions


def test_scaled_values_are_seen_as_they_are_meant(tmp_path):
    stored = np.full((3, 6, 8), 9000, "int16")
    facts = {"scale_factor": 0.0001, "add_offset": -0.1, "_FillValue": -1}

    (found,) = look_at_cube(write(tmp_path / "a.nc", red=(("time", "y", "x"), stored, facts)))

    assert found.look.dtypes == ("float32",)
    assert found.values.high == pytest.approx(0.8)


def test_entries_of_a_band_dimension_are_bands(tmp_path):
    values = np.zeros((3, 2, 6, 8), "float32")

    found = look_at_cube(write(tmp_path / "a.nc", refl=(("time", "band", "y", "x"), values)))

    assert [look.band for look in found] == ["refl/B04", "refl/B08"]


def test_what_is_no_cube_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "a.nc").write_bytes(b"no cube")
    with pytest.raises(InputError, match="cannot be read"):
        look_at_cube(tmp_path / "a.nc")

    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match="xarray is not installed") as caught:
        look_at_cube(tmp_path / "a.nc")
    assert "pip install" in caught.value.fix
