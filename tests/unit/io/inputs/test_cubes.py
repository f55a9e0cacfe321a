"""Data cubes: what is found in them, and pixels read by windows."""

import json
import os
import pickle
import tracemalloc

import h5py
import numpy as np
import pyproj
import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.inputs.cubes import Request, open_cube
from gcn_luigi.io.raster.crs import is_same_crs
from gcn_luigi.lattice import Lattice, Window

xr = pytest.importorskip("xarray", reason="xarray is an extra: pip install 'gcn-luigi[cubes]'")
pytest.importorskip("zarr", reason="zarr is an extra: pip install 'gcn-luigi[cubes]'")

UTM = "EPSG:32606"
LATTICE = Lattice(UTM, 500_000.0, 7_000_000.0, 30.0, 20, 30)
YEARS = (2004, 2008)
X = 500_015.0 + 30 * np.arange(30)
Y = 6_999_985.0 - 30 * np.arange(20)
PIXELS = np.arange(2 * 20 * 30, dtype=np.int16).reshape(2, 20, 30)
NDVI, DEM = Band("ndvi", Role.OPTICAL, "ndvi"), Band("dem", Role.TOPO, "dem")


def cube(values=PIXELS, dims=("time", "y", "x"), name="ndvi", crs=UTM, **attributes):
    coordinates = {"time": list(YEARS), "y": Y, "x": X}
    made = xr.Dataset({name: (dims, values, attributes)}, {key: coordinates[key] for key in dims if key in coordinates})
    made.attrs = {} if crs is None else {"crs": crs}
    return made


def opened(tmp_path, made, band=NDVI, wanted=None, years=YEARS, window=None, **how):
    """Return the band of a cube that was written to a store, and its pixels."""
    path = tmp_path / "cube.zarr"
    made.to_zarr(path, consolidated=False, **how)
    with open_cube(path, Request(band, wanted, years)) as found:
        return found, found.read(window or found.lattice.window)


@pytest.mark.parametrize("rows", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("columns", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("order", [("time", "y", "x"), ("y", "x", "time")])
def test_north_is_up_whatever_the_order_of_the_coordinates(tmp_path, rows, columns, order):
    made = cube().isel(y=rows, x=columns).transpose(*order)

    found, pixels = opened(tmp_path, made, window=Window(3, 5, 7, 11))

    assert found.lattice == LATTICE
    assert (found.dtype, found.nodata, found.names) == ("int16", None, ("2004", "2008"))
    np.testing.assert_array_equal(pixels, PIXELS[:, 3:10, 5:16])


@pytest.mark.parametrize(("years", "planes"), [((2008,), [1]), ((2004, 2008), [0, 1])])
def test_only_the_configured_years_are_read(tmp_path, years, planes):
    found, pixels = opened(tmp_path, cube(), years=years)

    assert found.names == tuple(map(str, years))
    np.testing.assert_array_equal(pixels, PIXELS[planes])


def test_years_far_apart_are_read_one_by_one(tmp_path):
    values = np.repeat(PIXELS[:1], 40, axis=0) + np.arange(40, dtype=np.int16)[:, None, None]
    made = cube().drop_dims("time").assign(ndvi=(("time", "y", "x"), values)).assign_coords(time=np.arange(1980, 2020))

    _, pixels = opened(tmp_path, made, years=(1981, 2019))

    np.testing.assert_array_equal(pixels, values[[1, 39]])


@pytest.mark.parametrize(
    ("stored", "attributes", "dtype", "nodata"),
    [
        ("uint16", {"_FillValue": np.uint16(7)}, "uint16", 7),
        ("float32", {"_FillValue": np.float32(7)}, "float32", 7),
        ("float64", {}, "float64", np.nan),
        ("int64", {"missing_value": 7}, "int64", 7),
        ("uint8", {}, "uint8", None),
        ("bool", {}, "uint8", None),
    ],
)
def test_types_and_missing_values_are_those_of_the_cube(tmp_path, stored, attributes, dtype, nodata):
    found, pixels = opened(tmp_path, cube(PIXELS.astype(stored), **attributes))

    assert found.dtype == dtype
    assert found.nodata == nodata or (np.isnan(found.nodata) and np.isnan(nodata))
    np.testing.assert_array_equal(pixels, PIXELS.astype(stored).astype(dtype))


def test_a_second_missing_value_becomes_the_first(tmp_path):
    found, pixels = opened(tmp_path, cube(_FillValue=np.int16(7), missing_value=np.int16(8)))

    assert found.nodata == 7
    np.testing.assert_array_equal(pixels, np.where(PIXELS == 8, 7, PIXELS))


def test_scale_offset_and_fill_are_applied_as_xarray_does(tmp_path):
    made = cube(scale_factor=0.01, add_offset=-2.0, _FillValue=np.int16(7))

    found, pixels = opened(tmp_path, made)

    with xr.open_dataset(tmp_path / "cube.zarr", engine="zarr", consolidated=False) as source:
        expected = source["ndvi"].to_numpy()
    assert found.dtype == expected.dtype.name
    assert np.isnan(found.nodata)
    assert np.isnan(pixels).sum() == 1
    np.testing.assert_array_equal(pixels, expected)


def test_a_window_of_a_packed_cube_takes_the_memory_of_its_chunks(tmp_path):
    size = 1024
    made = xr.Dataset(
        {"ndvi": (("time", "y", "x"), np.ones((2, size, size), np.int16), {"scale_factor": 0.1})},
        {"time": list(YEARS), "y": Y[0] - 30.0 * np.arange(size), "x": X[0] + 30.0 * np.arange(size)},
        {"crs": UTM},
    )
    path = tmp_path / "cube.zarr"
    made.to_zarr(path, consolidated=False, encoding={"ndvi": {"chunks": (1, 64, size)}})
    with open_cube(path, Request(NDVI, None, YEARS)) as found:
        assert found.chunk_rows == 64
        tracemalloc.start()
        found.read(Window(0, 0, 64, size))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    # The whole cube takes 8 MB as float32.
    assert peak < 4e6


def test_composites_that_xarray_made_by_year_are_understood(tmp_path):
    dates = np.array(["2004-08-01", "2004-09-01", "2008-08-01", "2008-09-01"], "datetime64[ns]")
    scenes = xr.Dataset(
        {"ndvi": (("time", "y", "x"), np.repeat(PIXELS, 2, axis=0), {"grid_mapping": "spatial_ref"})},
        {"time": dates, "y": Y, "x": X, "spatial_ref": ((), 0, {"crs_wkt": _wkt()})},
    )

    found, pixels = opened(tmp_path, scenes.groupby("time.year").median())

    assert found.names == ("2004", "2008")
    assert is_same_crs(found.lattice.crs, UTM)
    np.testing.assert_array_equal(pixels, PIXELS)


ENTRIES = np.stack([PIXELS, PIXELS + 1, PIXELS + 2], axis=1)


@pytest.mark.parametrize(
    ("coordinate", "band", "wanted", "plane"),
    [
        (["red", "NDVI", "nir"], NDVI, None, 1),
        (["red", "NDVI", "nir"], NDVI, "nir", 2),
        (["red", "NDVI", "nir"], NDVI, "s2/red", 0),
        ([10, 20, 30], NDVI, 30, 2),
        (None, NDVI, 3, 2),
    ],
)
def test_a_band_is_an_entry_of_the_band_dimension(tmp_path, coordinate, band, wanted, plane):
    made = cube(ENTRIES, ("time", "band", "y", "x"), "s2")
    if coordinate is not None:
        made = made.assign_coords(band=coordinate)

    _, pixels = opened(tmp_path, made, band, wanted, zarr_format=2)

    np.testing.assert_array_equal(pixels, PIXELS + plane)


def test_names_of_bands_in_long_name_are_understood(tmp_path):
    # rioxarray writes descriptions of bands in this way.
    made = cube(ENTRIES, ("time", "band", "y", "x"), "s2", long_name=["red", "ndvi", "nir"])

    _, pixels = opened(tmp_path, made)

    np.testing.assert_array_equal(pixels, PIXELS + 1)


def test_the_only_variable_needs_no_name(tmp_path):
    _, pixels = opened(tmp_path, cube(name="__xarray_dataarray_variable__"))

    np.testing.assert_array_equal(pixels, PIXELS)


def test_topography_has_no_time(tmp_path):
    found, pixels = opened(tmp_path, cube(PIXELS[0], ("y", "x"), "dem"), DEM)

    assert found.names == ("dem",)
    np.testing.assert_array_equal(pixels, PIXELS[:1])


def test_a_single_composite_needs_no_time(tmp_path):
    found, pixels = opened(tmp_path, cube(PIXELS[1], ("y", "x")), years=(2008,))

    assert found.names == ("2008",)
    np.testing.assert_array_equal(pixels, PIXELS[1:])


def test_a_time_without_a_dimension_counts(tmp_path):
    made = cube(PIXELS[1], ("y", "x")).assign_coords(time=np.datetime64("2008-08-01", "ns"))

    assert opened(tmp_path / "right", made, years=(2008,))[0].names == ("2008",)
    with pytest.raises(InputError, match="has no time in 2004; its years are those of 2008"):
        opened(tmp_path / "wrong", made, years=(2004,))


@pytest.mark.parametrize(
    "place",
    [
        lambda made: made.assign_attrs(crs=UTM),
        lambda made: made.assign_attrs({"proj:code": UTM}),
        lambda made: made.assign_coords(epsg=32606),
        lambda made: made.assign_coords(spatial_ref=((), 0, {"spatial_ref": _wkt()})),
        lambda made: made.assign(ndvi=made.ndvi.assign_attrs(grid_mapping="utm")).assign_coords(
            utm=((), 0, {"crs_wkt": _wkt()})
        ),
        # CF without WKT; and what GDAL writes into Zarr.
        lambda made: made.assign(ndvi=made.ndvi.assign_attrs(grid_mapping="utm")).assign_coords(utm=((), 0, _cf())),
        lambda made: made.assign(ndvi=made.ndvi.assign_attrs(_CRS={"wkt": _wkt()})),
    ],
)
def test_the_crs_is_found_where_programs_write_it(tmp_path, place):
    found, _ = opened(tmp_path, place(cube(crs=None)))

    assert is_same_crs(found.lattice.crs, UTM)
    assert found.lattice.left == LATTICE.left


def _wkt():
    return str(pyproj.CRS(UTM).to_wkt())


def _cf():
    return {key: value for key, value in pyproj.CRS(UTM).to_cf().items() if key != "crs_wkt"}


def test_a_geotransform_is_more_exact_than_rounded_coordinates_unless_it_is_stale(tmp_path):
    rounded = cube().assign_coords(y=Y.astype(np.float32) + np.float32(0.5))
    told = {"crs_wkt": _wkt(), "GeoTransform": "500000 30 0 7000000 0 -30"}

    found, _ = opened(tmp_path / "exact", rounded.assign_coords(spatial_ref=((), 0, told)))
    part, _ = opened(tmp_path / "part", rounded.isel(y=slice(5, None)).assign_coords(spatial_ref=((), 0, told)))

    assert found.lattice == LATTICE
    assert part.lattice.top == LATTICE.top - 150 + 0.5


def test_a_geotransform_from_the_north_fits_rows_from_the_south(tmp_path):
    told = {"crs_wkt": _wkt(), "GeoTransform": "500000 30 0 7000000 0 -30"}
    made = cube().assign_coords(y=Y + 0.4).isel(y=slice(None, None, -1)).assign_coords(spatial_ref=((), 0, told))

    found, pixels = opened(tmp_path, made)

    assert found.lattice == LATTICE
    np.testing.assert_array_equal(pixels, PIXELS)


def test_kilometres_are_understood_and_unknown_units_refused(tmp_path):
    made = cube().assign_coords(x=("x", X / 1000, {"units": "km"}), y=("y", Y / 1000, {"units": "km"}))

    assert opened(tmp_path / "km", made)[0].lattice == LATTICE
    made["x"].attrs["units"] = "US survey foot"
    with pytest.raises(InputError, match="the axis x is in us survey foot"):
        opened(tmp_path / "feet", made)


def test_degrees_are_refused(tmp_path):
    with pytest.raises(LatticeError, match="degrees"):
        opened(tmp_path, cube(crs="EPSG:4326"))


def test_two_variables_with_the_entry_need_the_name_of_one(tmp_path):
    both = cube(ENTRIES, ("time", "band", "y", "x"), "first").assign_coords(band=["ndvi", "red", "nir"])
    both = both.assign(second=both["first"] + 5)

    with pytest.raises(InputError, match=r"there are first \(ndvi, red, nir\), second \(ndvi, red, nir\)"):
        opened(tmp_path / "unclear", both, zarr_format=2)
    _, pixels = opened(tmp_path / "clear", both, wanted="second/ndvi", zarr_format=2)
    np.testing.assert_array_equal(pixels, PIXELS + 5)


def test_a_variable_of_several_bands_needs_an_entry(tmp_path):
    made = cube(ENTRIES, ("time", "band", "y", "x")).assign_coords(band=["red", "nir", "swir"])

    with pytest.raises(InputError, match="the dimension band of ndvi has several entries; there are red, nir, swir"):
        opened(tmp_path, made, zarr_format=2)


class Trap:
    """Removes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.unlink, (self.path,)


def test_a_store_of_pickled_objects_is_refused_before_they_are_read(tmp_path):
    path, bait = tmp_path / "cube.zarr", tmp_path / "bait"
    made = cube(ENTRIES, ("time", "band", "y", "x"), "s2").assign_coords(band=[1, 2, 3])
    made.to_zarr(path, consolidated=False, zarr_format=2)
    bait.touch()
    array = json.loads((path / "band/.zarray").read_text())
    array |= {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "fill_value": None}
    (path / "band/.zarray").write_text(json.dumps(array).replace("pickle", "p\\u0069ckle"))
    (path / "band/0").write_bytes(pickle.dumps(Trap(str(bait))))

    with pytest.raises(InputError, match="holds pickled objects"), open_cube(path, Request(NDVI, 1, YEARS)):
        pass

    assert bait.exists()


@pytest.mark.parametrize("kind", ["link", "external", "virtual"])
def test_a_netcdf_file_that_takes_values_from_elsewhere_is_refused(tmp_path, kind):
    path, other = tmp_path / "cube.nc", tmp_path / "other.nc"
    for name in (path, other):
        cube().to_netcdf(name, engine="h5netcdf")
    with h5py.File(path, "a") as file:
        del file["ndvi"]
        if kind == "link":
            file["ndvi"] = h5py.ExternalLink(str(other), "/ndvi")
        elif kind == "external":
            file.create_dataset("ndvi", PIXELS.shape, PIXELS.dtype, external=[(str(other), 0, PIXELS.nbytes)])
        else:
            layout = h5py.VirtualLayout(PIXELS.shape, PIXELS.dtype)
            layout[:] = h5py.VirtualSource(str(other), "ndvi", PIXELS.shape)
            file.create_virtual_dataset("ndvi", layout)

    with (
        pytest.raises(InputError, match="its variable /ndvi is in another file"),
        open_cube(path, Request(NDVI, None, YEARS)),
    ):
        pass


def test_a_file_that_is_no_cube_is_refused(tmp_path):
    (tmp_path / "text.nc").write_text("not a cube")

    with (
        pytest.raises(InputError, match="is neither a netCDF file nor a Zarr directory"),
        open_cube(tmp_path / "text.nc", Request(NDVI, None, YEARS)),
    ):
        pass
