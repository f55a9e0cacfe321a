"""What `gcn init` proposes for sources that need keys of their own: other lattices, cubes, outlines alone."""

import shutil
import tomllib

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT

import gcn_luigi
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset
from tests.integration.user_files import YEARS, World, arrays_of, cube_of_all, scenes_of_two_zones


@pytest.fixture
def world(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, tiny.sources, *arrays_of(tiny.sources))
    made.files.mkdir()
    made.votes_and_outlines()
    return made


def build(world, gcn):
    code, out, err = gcn("init", world.files)
    assert code == 0, err
    build_inline(dataset("kenai", world.root / "out", None, world.root / "config"))
    assert list(validate(world.root / "out/kenai", deep=True)) == []
    text = (world.root / "config/kenai.toml").read_text()
    return tomllib.loads(text), gcn_luigi.open_dataset(world.root / "out/kenai"), out


def chips(made):
    for split in ("train", "dev"):
        table = made.chip_table.set_index("chip_id")
        for chip in made.chips(split):
            row = table.loc[chip["chip_id"]]
            yield chip, int(row["year"]), row[["left", "bottom", "right", "top"]].to_numpy(float)


@pytest.mark.long
def test_scenes_of_two_zones_and_elevations_in_degrees(world, gcn):
    paths = scenes_of_two_zones(world)

    settings, made, out = build(world, gcn)

    assert settings["align"] == {"resampling": "bilinear"}
    assert settings["lattice"]["pixel_size"] == 30
    assert "DEM (in EPSG:4326)" in out
    compared, differ = 0, dict.fromkeys(("B04", "B11", "DEM"), 0)
    for chip, year, (left, _, _, top) in chips(made):
        valid = chip["flags"] == 0
        for number, (name, own) in enumerate((("B04", year), ("B11", year), ("DEM", None))):
            seen = []
            for path in paths[name, own]:
                with rasterio.open(path) as source:
                    keys = {"tolerance": 0.01, "XSCALE": 1, "YSCALE": 1, "UNIFIED_SRC_NODATA": "NO"}
                    grid = {"crs": settings["lattice"]["crs"], "transform": from_origin(left, top, 30, 30)}
                    grid |= {"height": valid.shape[0], "width": valid.shape[1], "resampling": Resampling.bilinear}
                    with WarpedVRT(source, src_nodata=source.nodata, nodata=source.nodata, **grid, **keys) as vrt:
                        seen.append(vrt.read(1).astype(float))
            # Where zones overlap, either is right. GDAL places pixels to an eighth of a pixel: some metres on a slope.
            gap = np.min([np.abs(chip["image"][number] - plane) for plane in seen], axis=0)[valid]
            differ[name] += int((gap > (8 if name == "DEM" else 3)).sum())
            compared += gap.size
    assert compared > 10_000
    assert max(differ.values()) < 0.01 * compared, differ


@pytest.mark.parametrize("name", ["kenai.zarr", "kenai.nc"])
def test_a_cube(world, gcn, name):
    pytest.importorskip("xarray")
    pytest.importorskip("zarr" if name.endswith("zarr") else "h5netcdf")
    cube = cube_of_all(world, name)

    settings, made, _ = build(world, gcn)

    own = [band for band in settings["bands"] if "derive" not in band]
    assert {band["name"]: band["path"] for band in own} == dict.fromkeys(("nbr", "ndvi", "dem"), name)
    assert settings["years"] == list(YEARS)
    compared = 0
    for chip, year, (left, bottom, right, top) in chips(made):
        valid = chip["flags"] == 0
        part = cube.sel(x=slice(left, right), y=slice(top, bottom))
        for number, band in enumerate(band["name"] for band in own):
            wanted = part[band] if band == "dem" else part[band].sel(time=str(year)).squeeze("time")
            np.testing.assert_array_equal(chip["image"][number][valid], np.rint(wanted.to_numpy())[valid])
            compared += int(valid.sum())
    assert compared > 10_000


def test_outlines_alone_with_outlines_of_debris(world, gcn):
    shutil.rmtree(world.files / "stem")
    outlines = gpd.read_file(world.files / "rgi/outlines.gpkg")
    outlines.iloc[::2].to_file(world.files / "supraglacial_debris.gpkg")
    for year in YEARS:
        world.write(f"nbr_{year}.tif", {"#": world.planes["nbr", year]})

    settings, made, _ = build(world, gcn)

    assert settings["label"] == {"source": "outlines", "debris_outlines": "supraglacial_debris.gpkg"}
    labels = np.concatenate([np.unique(chip["label"]) for chip, _, _ in chips(made)])
    # Half of the glaciers are covered by debris.
    assert set(np.unique(labels)) == {0, 1, 2}


def test_topography_from_elevations(world, gcn):
    for year in YEARS:
        world.write(f"nbr_{year}.tif", {"#": world.planes["nbr", year]})
    world.elevation()

    settings, made, _ = build(world, gcn)

    names = [band["name"] for band in settings["bands"]]
    assert names == ["nbr", "dem", "slope", "northness", "eastness", "curvature"]
    for chip, _, _ in chips(made):
        slope = chip["image"][names.index("slope")][chip["flags"] == 0]
        assert ((slope >= 0) & (slope <= 9000)).all()


def test_scale_tags_of_files(world, gcn):
    for year, day in zip(YEARS, ("2004198T211521", "2008195T210519"), strict=True):
        path = world.write(f"HLS.L30.T06VUN.{day}.v2.0.B04.tif", {"#": world.planes["nbr", year]})
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (0.0001,), (0.0,)
    world.elevation()

    settings, made, _ = build(world, gcn)

    assert settings["bands"][0]["use_tags"]
    for chip, year, (left, _, _, top) in chips(made):
        valid = chip["flags"] == 0
        row = round((world.profile["transform"].f - top) / 30)
        col = round((left - world.profile["transform"].c) / 30)
        size = valid.shape[0]
        wanted = world.planes["nbr", year][row : row + size, col : col + size]
        np.testing.assert_array_equal(chip["image"][0][valid], wanted[valid])
