"""Topographic bands that are derived from a band of elevations, from the TOML file to the chips."""

import contextlib
import dataclasses
import json
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from rasterio.merge import merge

import gcn_luigi
from gcn_luigi.config import load_region
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.layers import terrain
from gcn_luigi.read.validate import validate
from gcn_luigi.report.quality.data import read_report_data
from gcn_luigi.report.quality.maps import read_relief
from gcn_luigi.settings.derived import DERIVED
from gcn_luigi.stages.layers import derived
from gcn_luigi.tasks import DerivedBand, TileInventory, TopoMosaic
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import CONFIG, build_inline, dataset

ALL = tuple(DERIVED)


def write_config(directory, text, *tables, stacked=True):
    """Write the TOML file `text` with derived bands added after the elevations, which may be left out of the stack."""
    head, *bands = text.split("[[bands]]")
    place = next(number for number, band in enumerate(bands) if 'name = "dem"' in band)
    lines = "" if stacked else "stacked = false\n"
    bands[place] = "\n" + lines + bands[place].lstrip("\n")
    last, _, rest = bands[-1].partition("\n[")
    bands[-1] = last + "\n"
    more = ["\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items()) for table in tables]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tiny.toml").write_text("[[bands]]".join([head, *bands, *more]) + "\n[" + rest)
    return directory


def table(name, **keys):
    return {"name": f"my_{name}", "role": "topo", "derive": name, **keys}


def stored(surface, scale, nodata=-9999):
    """Return a float surface as it is stored, by hand."""
    return np.where(np.isnan(surface), nodata, np.rint(surface * scale)).astype(np.int16)


def joined(files):
    """Return the elevations of tiles joined by rasterio, float64, NaN where they are missing."""
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(rasterio.open(path)) for path in files]
        dem = merge(sources)[0][0].astype(np.float64)
        dem[dem == sources[0].nodata] = np.nan
    return dem


@pytest.fixture(scope="module")
def built(tiny, tmp_path_factory):
    """Return a tiny dataset with all derived bands and without the elevations, and its elevations, joined by hand."""
    root = tmp_path_factory.mktemp("derived")
    shutil.copytree(tiny.sources, root / "input")
    files = sorted((root / "input/topo").glob("*/*_dem_cubic_temp.tif"))
    with rasterio.open(files[0], "r+") as tile:
        heights = tile.read(1)
        # One pixel, a void across the seam of the two tiles, and a lake.
        heights[40, 30] = tile.nodata
        heights[100:103, -8:] = np.nan
        heights[160:190, 20:60] = 312.5
        tile.write(heights, 1)
    config = write_config(
        root / "config", (tiny.config / "tiny.toml").read_text(), *(table(name) for name in ALL), stacked=False
    )
    build_inline(dataset("tiny", root / "out", root / "input", config))
    return root, joined(files)


def by_hand(name, dem):
    """Return a derived band of the whole area as stored, from the functions on arrays and the documented scales."""
    degrees = 180 / np.pi
    if name == "aspect":
        facing = terrain.aspect(dem, 30.0) * degrees
        is_flat = np.isnan(facing) & ~np.isnan(terrain.slope(dem, 30.0))
        return stored(np.where(is_flat, -1, facing), 10)
    if name == "slope":
        return stored(terrain.slope(dem, 30.0) * degrees, 100)
    if name.endswith("curvature"):
        return stored(getattr(terrain, name)(dem, 30.0), 100)
    layer = {"north": "northness", "south": "southness"}.get(name, name)
    return stored(getattr(terrain, layer)(dem, 30.0), 1000)


@pytest.mark.parametrize("name", ALL)
def test_the_mosaic_is_that_of_the_joined_elevations_without_seams(built, name):
    root, dem = built

    with rasterio.open(root / f"out/tiny/mosaics/topo_my_{name}.tif") as mosaic:
        made = mosaic.read(1)
        assert (mosaic.dtypes, mosaic.nodata, mosaic.descriptions) == (("int16",), -9999, (f"my_{name}",))

    np.testing.assert_array_equal(made, by_hand(name, dem))
    # The voids and their neighbours, and no pixel else.
    assert (made == -9999).any()
    assert (made == -9999).mean() < 0.01


def test_every_chip_holds_the_derived_bands_and_not_the_elevations(built):
    root, dem = built
    made = gcn_luigi.open_dataset(root / "out/tiny")
    names = [band.name for band in made.bands]
    topo = [by_hand(name, dem) for name in ALL]
    lost = np.any([layer == -9999 for layer in topo], axis=0)
    catalog = made.partition_table.set_index("partition")

    assert names == ["ndsi", *(f"my_{name}" for name in ALL), "distance"]
    assert list(validate(root / "out/tiny", deep=True)) == []
    for split in ("train", "dev"):
        index = made.chip_table[made.chip_table["split"] == split]
        for chip, row in zip(made.chips(split), index.itertuples(), strict=True):
            partition = catalog.loc[row.partition]
            top, left = partition["row"] + row.row, partition["col"] + row.col
            window = np.s_[top : top + 32, left : left + 32]
            expected = [np.where(lost[window], 0, layer[window]) for layer in topo]
            np.testing.assert_array_equal(chip["image"][1:-1], expected)
            np.testing.assert_array_equal(chip["flags"] & 2 > 0, lost[window])


def test_nothing_asks_for_files_of_a_derived_band(built):
    root, _ = built
    inventory = json.loads((root / "out/tiny/inventory.json").read_text())
    checked = {path.stem for path in (root / "out/tiny/tile_quality").iterdir()}

    assert {file["band"] for tile in inventory["tiles"] for file in tile["files"]} == {"ndsi", "rmse", "dem"}
    assert inventory["missing"] == []
    assert checked == {"ndsi", "dem"}
    assert not (root / "out/tiny/mosaics/topo_dem.tif").exists()


@pytest.mark.long
def test_the_quality_page_lists_derived_bands_and_their_elevations(built, tmp_path):
    root, _ = built
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "copy/out/tiny/report.html").unlink()

    build_inline(dataset("tiny", tmp_path / "copy/out", tmp_path / "copy/input", tmp_path / "copy/config"), page=True)

    page = (tmp_path / "copy/out/tiny/report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("dem_cubic_temp", *(f"my_{name}" for name in ALL)))
    paths = gcn_luigi.open_dataset(tmp_path / "copy/out/tiny").paths
    settings = load_region(tmp_path / "copy/config/tiny.toml").settings
    assert read_relief(read_report_data(settings, paths), paths).light.std() > 0.05


@pytest.mark.parametrize("name", ["slope", "aspect", "planform_curvature"])
def test_strips_have_no_edges(built, tmp_path, monkeypatch, name):
    root, dem = built
    region = load_region(root / "config/tiny.toml", root / "input")
    (band,) = [band for band in region.settings.derived_bands if band.derive == name]
    monkeypatch.setattr(derived, "_STRIP", (64, 96))
    said = []

    derived.write_derived(
        region, gcn_luigi.open_dataset(root / "out/tiny").paths, band, tmp_path / "a.tif", lambda *now: said.append(now)
    )

    with rasterio.open(tmp_path / "a.tif") as made:
        np.testing.assert_array_equal(made.read(1), by_hand(name, dem))
    assert said[-1] == (f"my_{name}: row 192 of 256", 0.75)


@pytest.mark.parametrize("quantity", ["slope", "aspect"])
def test_slope_and_aspect_are_those_of_gdaldem(built, tmp_path, quantity):
    if shutil.which("gdaldem") is None:
        pytest.skip("no gdaldem: apt-get install gdal-bin")
    root, dem = built
    with rasterio.open(root / "out/tiny/mosaics/topo_dem_source.vrt") as source:
        profile = source.profile | {"driver": "GTiff", "dtype": "float32", "nodata": -9999}
    with rasterio.open(tmp_path / "dem.tif", "w", **profile) as out:
        out.write(np.where(np.isnan(dem), -9999, dem).astype(np.float32), 1)
    subprocess.run(["gdaldem", quantity, "-q", "dem.tif", "gdal.tif"], cwd=tmp_path, check=True)

    with (
        rasterio.open(tmp_path / "gdal.tif") as theirs,
        rasterio.open(root / f"out/tiny/mosaics/topo_my_{quantity}.tif") as ours,
    ):
        expected, made = theirs.read(1)[1:-1, 1:-1], ours.read(1)[1:-1, 1:-1]

    scale = {"slope": 100, "aspect": 10}[quantity]
    # GDAL gives flat pixels no aspect.
    is_missing = (made == -9999) | ((made == -scale) if quantity == "aspect" else False)
    np.testing.assert_array_equal(expected == -9999, is_missing)
    # It computes in single precision, so values in the middle between two stored ones may be rounded the other way.
    np.testing.assert_allclose(made[~is_missing], expected[~is_missing] * scale, atol=0.501)


def test_tiles_give_the_same_as_one_raster_of_the_whole_area(built, tmp_path):
    root, dem = built
    shutil.copytree(root / "input", tmp_path / "input")
    with rasterio.open(root / "out/tiny/mosaics/topo_dem_source.vrt") as source:
        profile = source.profile | {"driver": "GTiff", "dtype": "float64", "nodata": np.nan}
    shutil.rmtree(tmp_path / "input/topo")
    with rasterio.open(tmp_path / "input/whole.tif", "w", **profile) as out:
        out.write(dem, 1)
    text = (root / "config/tiny.toml").read_text(encoding="utf-8")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tiny.toml").write_text(text.replace("stacked = false", 'stacked = false\npath = "whole.tif"'))
    final = dataset("tiny", tmp_path / "out", tmp_path / "input", tmp_path / "config")

    for task in upstream(final):
        if isinstance(task, (TileInventory, TopoMosaic, DerivedBand)):
            task.run()

    for name in ALL:
        place = f"out/tiny/mosaics/topo_my_{name}.tif"
        assert (tmp_path / place).read_bytes() == (root / place).read_bytes()


def test_values_that_do_not_fit_stop_the_build_or_are_what_the_settings_say(built, tmp_path):
    root, dem = built
    region = load_region(root / "config/tiny.toml", root / "input")
    paths = gcn_luigi.open_dataset(root / "out/tiny").paths
    (band,) = [band for band in region.settings.derived_bands if band.derive == "slope"]
    fine = dataclasses.replace(band, scale=1000.0)

    with pytest.raises(InputError, match="pixels of my_slope do not fit int16") as caught:
        derived.write_derived(region, paths, fine, tmp_path / "a.tif", lambda *_: None)
    assert "topo_dem_source.vrt, 256 x 320 pixels from row 0, column 0" in caught.value.where
    assert caught.value.fix.startswith("give the band a smaller scale")

    convert = region.settings.convert.model_copy(update={"overflow": "saturate"})
    accepting = dataclasses.replace(region, settings=region.settings.model_copy(update={"convert": convert}))
    derived.write_derived(accepting, paths, fine, tmp_path / "b.tif", lambda *_: None)
    with rasterio.open(tmp_path / "b.tif") as made:
        steep = np.degrees(terrain.slope(dem, 30.0)) > 32.768
        np.testing.assert_array_equal(made.read(1)[steep], 32767)
        assert steep.any()


def test_elevations_in_feet_need_a_z_factor(built, tmp_path):
    root, dem = built
    shutil.copytree(root / "input/topo", tmp_path / "topo")
    for path in (tmp_path / "topo").glob("*/*_dem_cubic_temp.tif"):
        with rasterio.open(path, "r+") as tile:
            tile.units = ("US survey foot",)
    text = (root / "config/tiny.toml").read_text(encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(text.replace('"my_slope"', '"my_slope"\nz_factor = 0.3048'))
    paths = gcn_luigi.open_dataset(root / "out/tiny").paths
    plain, scaled = load_region(root / "config/tiny.toml", tmp_path), load_region(tmp_path / "tiny.toml", tmp_path)
    (band,) = [band for band in plain.settings.derived_bands if band.derive == "slope"]

    with pytest.raises(InputError, match="the elevations of dem are in the unit US survey foot") as caught:
        derived.write_derived(plain, paths, band, tmp_path / "a.tif", lambda *_: None)
    assert caught.value.fix.startswith("set z_factor = 0.3048")

    derived.write_derived(scaled, paths, band, tmp_path / "b.tif", lambda *_: None)
    with rasterio.open(tmp_path / "b.tif") as made:
        np.testing.assert_array_equal(made.read(1), by_hand("slope", dem * 0.3048))


@pytest.mark.long
def test_columbias_bands_are_those_of_its_elevations(columbia, tmp_path):
    text = (CONFIG / "columbia.toml").read_text(encoding="utf-8")
    names = ("north", "south", "curvature")
    for name in names:
        old = f'name = "{name}"\nrole = "topo"\nsuffix = "{name}_temp"\n'
        assert text.count(old) == 1
        text = text.replace(old, f'name = "{name}"\nrole = "topo"\nderive = "{name}"\n')
    (tmp_path / "config").mkdir()
    (tmp_path / "config/columbia.toml").write_text(text)
    build_inline(dataset("columbia", tmp_path / "out", columbia, tmp_path / "config"))
    made = gcn_luigi.open_dataset(tmp_path / "out/columbia")
    dem = joined(sorted(columbia.glob("topo/*/*_dem_cubic_temp.tif")))
    topo = np.array([by_hand(name, dem) for name in names])

    lost = (topo == -9999).any(axis=0) | np.isnan(dem) | (np.rint(dem) < -50)
    catalog = made.partition_table.set_index("partition")
    n_chips = 0
    for split in ("train", "dev"):
        index = made.chip_table[made.chip_table["split"] == split]
        for chip, row in zip(made.chips(split), index.itertuples(), strict=True):
            partition = catalog.loc[row.partition]
            y = np.arange(partition["row"] + row.row, partition["row"] + row.row + 128)
            x = np.arange(partition["col"] + row.col, partition["col"] + row.col + 128)
            inside = ((y >= 0) & (y < 640))[:, None] & ((x >= 0) & (x < 1000))[None, :]
            window = np.ix_(y.clip(0, 639), x.clip(0, 999))
            expected = np.where(lost[window] | ~inside, 0, topo[:, *window])
            np.testing.assert_array_equal(chip["image"][5:8], expected)
            n_chips += 1
    assert n_chips > 100
