"""A directory of files goes from `gcn init` to a dataset whose chips hold what rasterio reads from the files."""

import re
import shutil
import tomllib

import numpy as np
import pytest
import rasterio
from rasterio.merge import merge
from rasterio.shutil import copy
from rasterio.windows import Window

import gcn_luigi
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset
from tests.integration.user_files import OPTICAL, YEARS, World, arrays_of

SIZE = (160, 200)


@pytest.fixture(scope="module")
def arrays(tiny):
    return arrays_of(tiny.sources)


@pytest.fixture
def world(tiny, arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, tiny.sources, *arrays)
    made.files.mkdir()
    return made


def build(world, gcn, *options):
    """Propose settings for the user's directory, build from them, and compare every chip with the files."""
    code, out, err = gcn("init", world.files, *options)
    assert code == 0, err
    config = world.root / "config/kenai.toml"
    text = config.read_text()
    build_inline(dataset("kenai", world.root / "out", None, world.root / "config"))
    assert list(validate(world.root / "out/kenai", deep=True)) == []
    compare(world, tomllib.loads(text))
    return text, out


def compare(world, settings):
    made = gcn_luigi.open_dataset(world.root / "out/kenai")
    tables = [band for role in ("optical", "topo") for band in settings["bands"] if band["role"] == role]
    # Bands that are computed from elevations have no files.
    names = {number: band["name"] for number, band in enumerate(tables) if "derive" not in band}
    assert {name for name, _ in world.originals} == set(names.values())
    compared = 0
    for split in ("train", "dev"):
        table = made.chip_table[made.chip_table["split"] == split].set_index("chip_id")
        for chip in made.chips(split):
            row = table.loc[chip["chip_id"]]
            bounds = tuple(row[["left", "bottom", "right", "top"]])
            valid = chip["flags"] == 0
            for number, name in names.items():
                key = (name, int(row["year"])) if (name, int(row["year"])) in world.originals else (name, None)
                paths, band, scale, offset = world.originals[key]
                source, _ = merge(paths, bounds=bounds, indexes=[band])
                wanted = np.rint(source[0].astype(np.float64) * scale + offset)
                np.testing.assert_array_equal(chip["image"][number][valid], wanted[valid])
                compared += int(valid.sum())
    assert compared > 10_000


def questions(text):
    """Return the open questions of a file, without the one that every area of a few cells gets."""
    found = re.split(r"^# \d+\. ", text.partition("\n\n")[0], flags=re.MULTILINE)[1:]
    return [" ".join(question.replace("#", "").split()) for question in found if "buffer between" not in question]


@pytest.mark.long
def test_a_tree_of_tiles(world, gcn, tiny):
    shutil.copytree(tiny.sources / "optical", world.files / "optical")
    shutil.copytree(tiny.sources / "topo", world.files / "topo")
    world.votes_and_outlines()
    for name in ("nbr", "ndsi", "ndvi", "tcb", "tcw"):
        for number, year in enumerate(YEARS, 1):
            world.expect(name, year, sorted(world.files.glob(f"optical/*/*_{name}.tif")), number)
    for name, scale in {"curvature": 100, "dem_cubic": 1, "north": 10000, "south": 10000}.items():
        files = sorted(world.files.glob(f"topo/*/*_{name}_temp.tif"))
        world.expect(name.removesuffix("_cubic"), None, files, 1, scale)

    text, _ = build(world, gcn)

    assert 'optical = "optical"\ntopo = "topo"' in text
    assert "path" not in text.split("[outlines]")[0]
    assert questions(text) == []


@pytest.mark.long
def test_one_file_of_several_bands_for_each_year(world, gcn):
    for year in YEARS:
        planes = {name: world.planes[name, year] for name in OPTICAL}
        path = world.write(f"composites/{year}/summer.tif", planes)
        for number, name in enumerate(OPTICAL, 1):
            world.expect(name, year, path, number)
    world.elevation()
    world.votes_and_outlines()

    text, _ = build(world, gcn)

    assert 'path = "composites/{year}/summer.tif"' in text
    assert questions(text) == []


@pytest.mark.parametrize(
    ("driver", "ending"),
    [
        ("GTiff", "tif"),
        pytest.param("COG", "tiff", marks=pytest.mark.long),
        pytest.param("VRT", "vrt", marks=pytest.mark.long),
    ],
)
def test_one_file_for_each_band_and_year(world, gcn, driver, ending):
    for name in (*OPTICAL, "rmse"):
        for year in YEARS:
            plain = world.write(f"plain/{name}_{year}.tif", {"#": world.planes[name, year]})
            target = world.files / f"{name}_{year}.{ending}"
            copy(plain, target, driver=driver)
            if name != "rmse":
                world.expect(name, year, target)
            if driver != "VRT":
                plain.unlink()
    world.elevation("topography/dem_5m.tif")
    world.votes_and_outlines()

    text, _ = build(world, gcn)

    assert f'path = "{{name}}_{{year}}.{ending}"' in text
    assert questions(text) == []


@pytest.mark.long
def test_one_file_for_each_band_whose_bands_are_years_in_any_order(world, gcn):
    for name in OPTICAL:
        path = world.write(f"{name}.tif", {f"y{year}": world.planes[name, year] for year in reversed(YEARS)})
        for number, year in enumerate(reversed(YEARS), 1):
            world.expect(name, year, path, number)
    world.elevation()
    world.votes_and_outlines()

    text, _ = build(world, gcn)

    assert 'band = "{year}"' in text
    assert questions(text) == []


@pytest.mark.long
def test_one_file_for_everything(world, gcn):
    planes = {f"{name} {year}": world.planes[name, year] for year in YEARS for name in OPTICAL}
    path = world.write("all.tif", planes)
    for number, (name, year) in enumerate(((name, year) for year in YEARS for name in OPTICAL), 1):
        world.expect(name, year, path, number)
    world.elevation()
    world.votes_and_outlines()

    text, _ = build(world, gcn)

    assert 'band = "{name} {year}"' in text
    assert questions(text) == []


def test_an_export_in_parts_of_several_bands_as_floats(world, gcn):
    for year in YEARS:
        stored = {name: world.planes[name, year] for name in OPTICAL}
        planes = {
            name: np.where(plane == -32768, np.nan, plane / 1000).astype(np.float32) for name, plane in stored.items()
        }
        height, width = planes["nbr"].shape
        paths = []
        for row in range(0, height, SIZE[0]):
            for col in range(0, width, SIZE[1]):
                part = Window(col, row, min(SIZE[1], width - col), min(SIZE[0], height - row))
                name = f"export/kenai_{year}-{row:010d}-{col:010d}.tif"
                paths.append(world.write(name, planes, part, nodata=None))
        for number, name in enumerate(OPTICAL, 1):
            world.expect(name, year, paths, number, scale=10000)
    world.elevation()
    world.votes_and_outlines()

    text, out = build(world, gcn)

    assert 'path = "export/kenai_{year}-{tile}.tif"' in text
    assert "scale = 10000  # guess" in text
    assert "8 files, 4 tiles, years 2004, 2008" in out
    assert questions(text) == []


def test_names_of_sentinel_2(world, gcn):
    for year, date in zip(YEARS, ("20040716T211521", "20080702T211519"), strict=True):
        for number, band in enumerate(("B02", "B11"), 1):
            plane = world.planes["nbr", year].astype(np.int32) * number + 2000
            plane = np.where(world.planes["nbr", year] == -32768, 0, plane).astype(np.uint16)
            path = world.write(f"T06VUN_{date}_{band}_10m.tif", {"#": plane}, nodata=0)
            world.expect(band, year, path)
    world.elevation("Copernicus_DSM_COG_10_N61_00_W148_00_DEM.tif")
    world.originals["DEM", None] = world.originals.pop(("dem", None))
    world.votes_and_outlines()

    text, _ = build(world, gcn)

    assert 'path = "T06VUN_{year}*_{name}_10m.tif"' in text
    assert text.count("convert = true") == 2
    assert questions(text) == []


@pytest.mark.long
def test_names_of_landsat(world, gcn):
    for year, date in zip(YEARS, ("20040716", "20080702"), strict=True):
        stored = world.planes["nbr", year].astype(np.int32)
        plane = np.where(stored == -32768, 0, stored * 10 + 20000)
        name = f"LT05_L2SP_066017_{date}_{date[:4]}0911_02_T1_SR_B4.TIF"
        path = world.write(name, {"#": plane.astype(np.uint16)}, nodata=0)
        world.expect("SR_B4", year, path, scale=0.275, offset=-2000)
    world.elevation("33_10_2_1_2m_v4.1_dem.tif")
    world.votes_and_outlines()

    text, _ = build(world, gcn)

    assert "scale = 0.275  # guess: Landsat" in text
    assert questions(text) == []


@pytest.mark.long
def test_a_finished_label_of_two_values(world, gcn):
    for year in YEARS:
        world.expect("nbr", year, world.write(f"nbr_{year}.tif", {"#": world.planes["nbr", year]}))
    world.elevation()
    world.votes_and_outlines()
    shutil.rmtree(world.files / "stem")
    with rasterio.open(world.sources / "stem/stem_2008_debris_free_ice_votes.tif") as source:
        votes, profile = source.read(1), source.profile
    profile |= {"dtype": "uint8", "nodata": 255}
    with rasterio.open(world.files / "glacier_mask.tif", "w", **profile) as out:
        out.write(np.where(votes == -32768, 255, votes > 3).astype(np.uint8), 1)

    text, _ = build(world, gcn)

    assert 'classes = { "0" = "none", "1" = "ice", "255" = "ignore" }  # guess' in text
    (question,) = questions(text)
    assert question.startswith("What do the values of glacier_mask.tif mean? Found were 0, 1.")
