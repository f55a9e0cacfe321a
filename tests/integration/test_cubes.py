"""Zarr stores and netCDF files as sources, through the whole graph; chips are compared with xarray reading the cube."""

import json
import shutil
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.errors import ConfigError, GcnLuigiError
from gcn_luigi.read.validate import validate
from gcn_luigi.tasks import TileInventory
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config

xr = pytest.importorskip("xarray", reason="xarray is an extra: pip install 'gcn-luigi[cubes]'")
zarr = pytest.importorskip("zarr", reason="zarr is an extra: pip install 'gcn-luigi[cubes]'")

YEARS = (2004, 2008)
DATES = np.array(["2004-09-01", "2008-08-15"], "datetime64[ns]")
FILL = -32768


@pytest.fixture(scope="module")
def layers(tiny_output):
    """Return the pixels of each band, (year, y, x) or (y, x), the coordinates of their centres, and the CRS as WKT."""
    paths = gcn_luigi.open_dataset(tiny_output / "tiny").paths
    found = {}
    for band in ("ndsi", "rmse"):
        (role,) = {path.stem.split("_")[0] for path in paths.root.glob(f"mosaics/*_{band}_*.vrt")}
        planes = []
        for year in YEARS:
            with rasterio.open(paths.root / f"mosaics/{role}_{band}_{year}.vrt") as source:
                planes.append(source.read(1))
                transform, wkt = source.transform, source.crs.to_wkt()
        found[band] = np.stack(planes)
    with rasterio.open(paths.root / "mosaics/topo_dem_source.vrt") as source:
        found["dem"] = source.read(1)
    height, width = found["dem"].shape
    x = transform.c + (np.arange(width) + 0.5) * transform.a
    y = transform.f + (np.arange(height) + 0.5) * transform.e
    return found, x, y, wkt


class Cubed:
    """A copy of the tiny region whose rasters are in cubes."""

    def __init__(self, root, tiny, layers):
        self.root, (self.layers, self.x, self.y, self.wkt) = root, layers
        shutil.copytree(tiny.sources, root / "input")
        shutil.copytree(tiny.config, root / "config")
        for tree in ("optical", "topo"):
            shutil.rmtree(root / "input" / tree)

    def cube(self, **variables):
        """Return a cube of the given variables, or of all bands, with CF coordinates and a grid mapping."""
        if not variables:
            variables = {
                "ndsi": (("time", "y", "x"), self.layers["ndsi"], {"_FillValue": FILL}),
                "rmse": (("time", "y", "x"), self.layers["rmse"], {"_FillValue": FILL}),
                "dem": (("y", "x"), self.layers["dem"]),
            }
        coordinates = {
            "time": DATES,
            "y": ("y", self.y, {"standard_name": "projection_y_coordinate", "units": "m"}),
            "x": ("x", self.x, {"standard_name": "projection_x_coordinate", "units": "m"}),
            "spatial_ref": ((), 0, {"crs_wkt": self.wkt}),
        }
        made = xr.Dataset(variables, coordinates)
        for name in variables:
            made[name].attrs["grid_mapping"] = "spatial_ref"
        return made

    def write(self, cube, name="cube.zarr", **how):
        path = self.root / "input" / name
        # Attributes name the fill value; xarray writes it only from there.
        if name.endswith(".zarr"):
            cube.to_zarr(path, consolidated=False, **how)
        else:
            cube.to_netcdf(path, **how)
        return path

    def configure(self, **bands):
        config = self.root / "config/tiny.toml"
        head, *tables = config.read_text().split("[[bands]]")
        for name, keys in bands.items():
            (position,) = [n for n, table in enumerate(tables) if f'name = "{name}"' in table]
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            tables[position] = f"\n{lines}{tables[position].lstrip()}"
        config.write_text("[[bands]]".join([head, *tables]))
        return dataset("tiny", self.root / "out", self.root / "input", self.root / "config")

    def build(self, **bands):
        build_inline(self.configure(**bands))
        assert list(validate(self.root / "out/tiny", deep=True)) == []
        return gcn_luigi.open_dataset(self.root / "out/tiny")


@pytest.fixture
def cubed(tiny, layers, tmp_path):
    return Cubed(tmp_path, tiny, layers)


def every_band(path, **keys):
    return {band: {"path": path, **keys} for band in ("ndsi", "rmse", "dem")}


def is_the_same(made, tiny_output):
    first = gcn_luigi.open_dataset(tiny_output / "tiny")
    assert made.chip_table["chip_id"].tolist() == first.chip_table["chip_id"].tolist()
    for split in ("train", "dev"):
        for ours, theirs in zip(made.chips(split), first.chips(split), strict=True):
            for name in ("image", "label", "flags"):
                np.testing.assert_array_equal(ours[name], theirs[name])


def equals_the_original(made, path, variable="ndsi", band="ndsi", select=None, **how):
    """Compare a band of every chip with xarray reading the cube by coordinates."""
    position = [known.name for known in made.bands].index(band)
    n_valid = 0
    with xr.open_dataset(path, **how) as cube:
        source = cube[variable].sel(select or {}).sortby("y", ascending=False).sortby("x")
        for split in ("train", "dev"):
            table = made.chip_table[made.chip_table["split"] == split]
            for row, chip in zip(table.itertuples(), made.chips(split), strict=True):
                window = {"y": slice(row.top, row.bottom), "x": slice(row.left, row.right)}
                own = source.isel(time=YEARS.index(row.year)) if "time" in source.dims else source
                expected = own.sel(window).to_numpy()
                is_valid = np.isfinite(expected) & (chip["flags"] == 0)
                n_valid += is_valid.sum()
                np.testing.assert_array_equal(chip["image"][position][is_valid], np.rint(expected[is_valid]))
    assert n_valid > 10_000


def test_a_zarr_store_of_variables(cubed, tiny_output):
    path = cubed.write(cubed.cube(), encoding={"ndsi": {"chunks": (1, 100, 90)}})

    made = cubed.build(**every_band("cube.zarr"))

    is_the_same(made, tiny_output)
    equals_the_original(made, path, engine="zarr", consolidated=False)
    tile = made.paths.root / "cubes/ndsi.tif"
    with rasterio.open(tile) as source:
        assert source.descriptions == ("2004", "2008")
        assert (source.dtypes, source.nodata) == (("int16", "int16"), FILL)
    assert "cubes/ndsi.tif" in {entry["path"] for entry in made.description["files"]}


@pytest.mark.long
def test_entries_of_a_band_dimension_in_a_cube_whose_rows_rise(cubed, tiny_output):
    stack = np.stack([cubed.layers["ndsi"], cubed.layers["rmse"]], axis=1)
    cube = cubed.cube(
        composite=(("time", "band", "y", "x"), stack, {"_FillValue": FILL}), elevation=(("y", "x"), cubed.layers["dem"])
    )
    cube = cube.assign_coords(band=["NDSI", "rmse"]).isel(y=slice(None, None, -1))
    path = cubed.write(cube, encoding={"composite": {"chunks": (2, 1, 128, 128)}}, zarr_format=2)

    made = cubed.build(
        ndsi={"path": "cube.zarr", "band": "NDSI"},
        rmse={"path": "cube.zarr"},
        dem={"path": "cube.zarr", "band": "elevation"},
    )

    is_the_same(made, tiny_output)
    equals_the_original(made, path, "composite", "ndsi", {"band": "NDSI"}, engine="zarr", consolidated=False)


@pytest.mark.parametrize("file_format", ["NETCDF4", pytest.param("NETCDF3_64BIT", marks=pytest.mark.long)])
def test_a_netcdf_file_with_packed_values(cubed, tiny_output, file_format):
    cube = cubed.cube()
    cube["time"] = [2004, 2008]
    cube = cube.rename(x="easting", y="northing")
    valid = np.where(cubed.layers["ndsi"] == FILL, np.nan, cubed.layers["ndsi"] / 1000)
    cube["ndsi"] = cube["ndsi"].copy(data=valid)
    del cube["ndsi"].attrs["_FillValue"]
    packed = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 0.0, "_FillValue": FILL}
    engine = "h5netcdf" if file_format == "NETCDF4" else "scipy"
    path = cubed.write(cube, "all.nc", engine=engine, format=file_format, encoding={"ndsi": packed})

    made = cubed.build(
        ndsi={"path": "all.nc", "convert": True, "scale": 1000}, rmse={"path": "all.nc"}, dem={"path": "all.nc"}
    )

    is_the_same(made, tiny_output)
    with xr.open_dataset(path, engine=engine) as source, rasterio.open(made.paths.root / "cubes/ndsi.tif") as tile:
        np.testing.assert_array_equal(tile.read(), source["ndsi"].to_numpy())
        assert np.isnan(tile.nodata)


@pytest.mark.long
def test_a_cube_for_each_tile(cubed, tiny_output):
    whole = cubed.cube()
    for tile, columns in (("w", slice(0, 160)), ("e", slice(160, None))):
        cubed.write(whole.isel(x=columns), f"{tile}.zarr")

    made = cubed.build(**every_band("{tile}.zarr"))

    is_the_same(made, tiny_output)
    assert sorted(path.name for path in (made.paths.root / "cubes/dem").iterdir()) == ["e.tif", "w.tif"]


def refusal(cubed, **bands):
    """Return the error of the first task that fails up to the inventory."""
    with pytest.raises(GcnLuigiError) as caught:
        build_inline(cubed.configure(**bands).clone(TileInventory))
    return caught.value


WHOLE = {"path": "cube.zarr"}


@pytest.mark.parametrize(
    ("change", "what", "fix"),
    [
        (lambda cube: cube.drop_vars("spatial_ref"), "has no coordinate reference system", "rio.write_crs"),
        (
            lambda cube: cube.assign_coords(x=np.where(np.arange(cube.x.size) > 9, cube.x + 7, cube.x)),
            "the axis x is not regular: its steps are 30 to 37",
            "interpolate the cube",
        ),
        (
            lambda cube: cube.assign_coords(time=np.array(["2004-09-01", "2012-08-15"], "datetime64[ns]")),
            "has no time in 2008; its years are those of 2004, 2012",
            "correct years",
        ),
        (
            lambda cube: cube.isel(time=[0, 1, 1]).assign_coords(
                time=np.array(["2004-09-01", "2008-08-15", "2008-09-20"], "datetime64[ns]")
            ),
            "has 2 times in 2008: 2008-08-15, 2008-09-20",
            "keep one composite for each year",
        ),
        (lambda cube: cube.drop_vars("time"), "has no time coordinate, and years are 2004, 2008", "time coordinate"),
        (lambda cube: cube.drop_vars("ndsi"), "has no band ndsi; there are dem, rmse", 'band = "ndvi"'),
        (lambda cube: cube.assign_coords(y=cube.y * 2), "has oblong pixels of 30 x 60 m", "square pixels"),
        (lambda cube: cube.drop_vars(["x"]), "the dimension x has no coordinates", "coordinates of pixel centres"),
    ],
)
def test_a_cube_that_does_not_fit_is_refused(cubed, change, what, fix):
    path = cubed.write(change(cubed.cube()))

    error = refusal(cubed, ndsi=WHOLE, rmse=WHOLE, dem=WHOLE)

    assert what in error.what
    assert str(path) in error.where
    assert "band ndsi" in error.where
    assert fix in error.fix
    assert not list((cubed.root / "out/tiny/cubes").glob("*ndsi*"))


def test_a_path_that_leads_to_no_cube_is_refused(cubed):
    cubed.write(cubed.cube())

    error = refusal(cubed, ndsi={"path": "cub.zarr"}, rmse=WHOLE, dem=WHOLE)

    assert "band ndsi cub.zarr: no file fits this path" in error.what


def test_years_in_the_path_of_a_cube_are_refused(cubed):
    with pytest.raises(ConfigError, match="the years of a cube are those of its time coordinate"):
        cubed.configure(ndsi={"path": "{year}.nc"}).configured  # noqa: B018  reading it checks it


def test_a_damaged_file_is_refused(cubed):
    path = cubed.write(cubed.cube(), "all.nc", engine="h5netcdf")
    path.write_bytes(path.read_bytes()[:3000])

    error = refusal(cubed, **every_band("all.nc"))

    assert error.what.startswith("the cube cannot be read")
    assert str(path) in error.where


def test_without_xarray_the_message_says_what_to_install(cubed, monkeypatch):
    cubed.write(cubed.cube())
    monkeypatch.setitem(sys.modules, "xarray", None)

    error = refusal(cubed, **every_band("cube.zarr"))

    assert "xarray is not installed" in error.what
    assert error.fix == "pip install 'gcn-luigi[cubes]'"


def ran(cubed, **bands):
    """Return the families of tasks that a build ran."""
    return {name.split("(")[0].removeprefix("gcn.") for name in build_inline(cubed.configure(**bands))}


def test_a_changed_chunk_rebuilds_its_band_and_what_shows_it(cubed):
    path = cubed.write(cubed.cube())
    ran(cubed, **every_band("cube.zarr"))
    assert ran(cubed) == set()
    with rasterio.open(cubed.root / "out/tiny/cubes/ndsi.tif") as tile:
        before = tile.read()
    changed = cubed.layers["ndsi"].copy()
    changed[:, 40:90, 40:90] += 1

    # The store keeps its metadata; only chunks are written again.
    zarr.open_group(path, mode="r+")["ndsi"][:] = changed

    # All tiles of the store are looked at, but only those of other pixels go on.
    families = ran(cubed)
    assert {"CubeTiles", "OpticalMosaic", "YearStack", "ChipShard"} <= families
    assert not families & {"TopoMosaic", "ClassLabel", "PartitionGrid"}
    with rasterio.open(cubed.root / "out/tiny/cubes/ndsi.tif") as tile:
        np.testing.assert_array_equal(tile.read(), changed)
    assert (before != changed).any()
    assert path.is_dir()


@pytest.mark.long
def test_a_tile_that_was_made_before_an_error_is_kept(cubed, tiny_output):
    whole = cubed.cube()
    west, east = whole.isel(x=slice(0, 160)), whole.isel(x=slice(160, None))
    cubed.write(east, "a.zarr")
    path = cubed.write(west.drop_vars("spatial_ref"), "b.zarr")
    assert "no coordinate reference system" in refusal(cubed, **every_band("{tile}.zarr")).what
    first = cubed.root / "out/tiny/cubes/ndsi/a.tif"
    inode = first.stat().st_ino

    shutil.rmtree(path)
    cubed.write(west, "b.zarr")
    made = cubed.build()

    assert first.stat().st_ino == inode
    is_the_same(made, tiny_output)


def test_a_lost_tile_is_made_again_and_nothing_else(cubed):
    cubed.write(cubed.cube())
    ran(cubed, **every_band("cube.zarr"))
    (cubed.root / "out/tiny/cubes/ndsi.tif").unlink()

    assert ran(cubed) == {"CubeTiles"}


@pytest.mark.long
def test_a_sentinel_2_cube_is_shown_in_its_colours(cubed, tiny, tmp_path):
    names = ["B02", "B03", "B04", "B08", "B11"]
    stack = np.stack([cubed.layers["ndsi"]] * len(names), axis=1)
    cube = cubed.cube(reflectance=(("time", "band", "y", "x"), stack, {"_FillValue": FILL}))
    cubed.write(cube.assign_coords(band=names), zarr_format=2)
    bands = [{"name": name, "role": "optical", "path": "cube.zarr"} for name in names]

    def shown(**more):
        config = write_config(tmp_path / "config", tiny, {"bands": bands, **more})
        root = dataset("tiny", cubed.root / "out", cubed.root / "input", config)
        ran_now = build_inline(root)
        renderer = ET.fromstring((root.paths.root / "stacks/2004.qml").read_text().split("\n", 1)[1])  # noqa: S314  our own
        found = renderer.find("pipe/rasterrenderer")
        with rasterio.open(root.paths.root / "stacks/2004.vrt") as layer:
            inks = [layer.descriptions[int(found.get(f"{ink}Band")) - 1] for ink in ("red", "green", "blue")]
        return inks, {name.split("(")[0].removeprefix("gcn.") for name in ran_now}

    assert shown()[0] == ["B11", "B08", "B04"]
    inks, families = shown(**{"report.composite": ["B04", "B03", "B02"]})
    assert inks == ["B04", "B03", "B02"]
    assert families == {"LayerStyles", "QualityReport", "Dataset"}
