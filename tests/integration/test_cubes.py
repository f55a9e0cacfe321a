"""Zarr stores and netCDF files as sources, through the whole graph; chips are compared with xarray reading the cube."""

import json
import shutil

import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset

xr = pytest.importorskip("xarray", reason="xarray is an extra: pip install 'gcn-luigi[cubes]'")
pytest.importorskip("zarr", reason="zarr is an extra: pip install 'gcn-luigi[cubes]'")

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
