"""`gcn init` writes one TOML file, and nothing else, and says what it found, guessed and cannot know."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import Affine

from gcn_luigi.config import load_region
from gcn_luigi.settings import RegionSettings


def write(path, *planes, names=(), crs="EPSG:32606", left=400000.0, px=10.0, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = planes[0].shape
    profile = {"nodata": -32768, "dtype": planes[0].dtype} | profile
    transform = Affine(px, 0.0, left, 0.0, -px, 6700000.0)
    size = {"count": len(planes), "height": height, "width": width, "transform": transform}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, **size, **profile) as out:
        for number, plane in enumerate(planes, 1):
            out.write(plane, number)
        for number, name in enumerate(names, 1):
            out.set_band_description(number, name)
    return path


def plane(dtype="int16", low=1, high=900, size=64):
    return np.linspace(low, high, size * size).reshape(size, size).astype(dtype)


def state(root):
    return {path: path.stat().st_mtime_ns for path in sorted(root.rglob("*"))}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def proposed(place, gcn, *options):
    code, out, err = gcn("init", "data", "--region", "kenai", *options)
    assert code == 0, err
    text = (place / "config/kenai.toml").read_text()
    return tomllib.loads(text), text, out


def bands(settings):
    return {band["name"]: band for band in settings["bands"]}


def test_nothing_is_written_but_the_file(place, gcn):
    for year in (2004, 2008):
        write(place / f"data/ndvi_{year}.tif", plane())
    before = state(place / "data")

    code, out, _ = gcn("init", "data")

    assert code == 0
    assert state(place / "data") == before
    assert [path.relative_to(place).as_posix() for path in place.rglob("*.toml")] == ["config/data.toml"]
    assert "settings: config/data.toml; next: gcn plan data" in out
    assert tomllib.loads((place / "config/data.toml").read_text())["data_root"] == "../data"


def test_a_file_is_never_replaced(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    (place / "config").mkdir()
    (place / "config/data.toml").write_text("mine")

    for options in ((), ("--example", "--region", "data")):
        code, _, err = gcn("init", "data", *options)

        assert code == 1
        assert "already exists and is not replaced" in err
        assert "--region" in err
    assert (place / "config/data.toml").read_text() == "mine"


def test_the_example_is_that_of_the_demo(place, gcn):
    code, _, _ = gcn("init", "--example")

    assert code == 0
    root = Path(__file__).resolve().parents[3]
    assert (place / "config/demo.toml").read_text() == (root / "config/demo.toml").read_text()
    assert gcn("init", "--example", "--region", "mine")[0] == 0
    assert load_region(place / "config/mine.toml").settings.region == "mine"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nowhere",), "no such directory"),
        (("data",), "no raster was found"),
        (("data", "--region", "Kenai Fjords"), "not a name of a region"),
        (("data", "--years", "2004;2008"), "not a list of years"),
        (("s3://bucket/data",), "file system of this machine"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(place, gcn, arguments, named):
    (place / "data").mkdir()
    (place / "data/notes.txt").write_text("nothing")

    code, _, err = gcn("init", *arguments)

    assert code
    assert named in err
    assert not (place / "config").exists()


def test_years_that_nothing_says_are_asked_for(place, gcn):
    for name in ("ndvi", "nbr"):
        write(place / f"data/{name}.tif", plane(), plane())

    settings, text, _ = proposed(place, gcn)

    assert settings["years"] == []
    assert "Which years are the 2 bands of" in text
    (place / "config/kenai.toml").unlink()
    settings, text, _ = proposed(place, gcn, "--years", "2008,2004")
    assert settings["years"] == [2004, 2008]
    assert "Which years" not in text


def test_years_that_a_band_lacks_are_left_out_and_asked_about(place, gcn):
    for name, years in {"ndvi": (2004, 2008, 2012), "nbr": (2004, 2012)}.items():
        for year in years:
            write(place / f"data/{name}_{year}.tif", plane())

    settings, text, _ = proposed(place, gcn)

    assert settings["years"] == [2004, 2012]
    assert "left out: 2008. They are missing for: nbr (2008)" in " ".join(text.replace("#", "").split())


def test_a_tile_without_a_file_is_a_gap(place, gcn):
    for tile in (1, 2, 3):
        for name in ("ndvi", "nbr"):
            if (tile, name) != (2, "nbr"):
                left = 400000.0 + 640 * tile
                write(place / f"data/{name}_{tile}_2004.tif", plane(), left=left)
                write(place / f"data/{name}_{tile}_2008.tif", plane(), left=left)

    settings, _, out = proposed(place, gcn)

    assert settings["tiles"]["on_missing"] == "gap"
    assert "nbr (2 2004, 2 2008)" in out


def test_a_band_of_a_part_of_the_area_is_asked_about(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/dem.tif", plane(size=32))

    _, _, out = proposed(place, gcn)

    assert "cover only a part of the area: dem (25%)" in out


def test_scenes_of_one_year_are_not_taken_for_tiles(place, gcn):
    for date in ("20200701T211521", "20200716T211521", "20210704T211521"):
        write(place / f"data/T06VUN_{date}_B04_10m.tif", plane())

    settings, text, _ = proposed(place, gcn)

    assert bands(settings)["B04"]["path"] == "T06VUN_{year}*_{name}_10m.tif"
    assert settings["years"] == [2020, 2021]
    assert settings["tiles"]["on_duplicate"] == "first"
    assert "Several files show the same place in the same year" in text


def test_numbers_of_files_at_one_place_are_not_tiles(place, gcn):
    for number in (101, 202):
        write(place / f"data/ndvi_{number}_2004.tif", plane())

    settings, _, _ = proposed(place, gcn)

    assert bands(settings)["ndvi"]["path"] == "{name}_*_{year}.tif"


def test_places_named_by_words_are_tiles(place, gcn):
    for number, name in enumerate(("kenai", "juneau")):
        for year in (2004, 2008):
            write(place / f"data/{name}_{year}.tif", plane(), plane(), names=("ndvi", "nbr"), left=4e5 + 640 * number)

    settings, _, _ = proposed(place, gcn)

    assert {band["path"] for band in settings["bands"]} == {"{tile}_{year}.tif"}
    assert list(bands(settings)) == ["ndvi", "nbr"]


def test_finer_pixels_of_a_band_are_preferred(place, gcn):
    write(place / "data/R10m/x_2020_B04_10m.tif", plane())
    write(place / "data/R20m/x_2020_B04_20m.tif", plane(size=32), px=20.0)

    settings, text, _ = proposed(place, gcn)

    assert bands(settings)["B04"]["path"] == "R10m/x_{year}_{name}_10m.tif"
    assert settings["lattice"]["pixel_size"] == 10
    assert "R20m/x_2020_B04_20m.tif" in text.replace("{year}", "2020")


@pytest.mark.parametrize(
    ("dtype", "low", "high", "wanted"),
    [
        ("int16", -900, 900, {}),
        ("uint16", 1, 20000, {"convert": True}),
        ("uint16", 1, 60000, {"convert": True, "scale": 0.1}),
        ("float32", -0.9, 0.93, {"convert": True, "scale": 10000}),
        ("uint8", 1, 200, {"convert": True}),
    ],
)
def test_a_type_and_its_values_give_a_scale(place, gcn, dtype, low, high, wanted):
    write(place / "data/ndvi_2004.tif", plane(dtype, low, high), nodata=None)

    settings, _, _ = proposed(place, gcn)

    found = bands(settings)["ndvi"]
    assert {key: found[key] for key in found if key not in {"name", "role", "path"}} == wanted


def test_types_that_differ_within_a_band_are_asked_about(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/ndvi_2008.tif", plane("float32", 1, 900.5), nodata=None)

    settings, _, out = proposed(place, gcn)

    assert bands(settings)["ndvi"]["convert"]
    assert "The files of band ndvi hold different types: float32, int16." in out


def test_a_constant_at_the_edge_without_a_tag_is_nodata(place, gcn):
    values = plane()
    values[:, :20] = -9999
    write(place / "data/ndvi_2004.tif", values, nodata=None)
    values = plane("float32", 300, 1900)
    values[:20] = -9999
    write(place / "data/dem.tif", values, nodata=None)

    settings, text, _ = proposed(place, gcn)

    assert [bands(settings)[name]["nodata"] for name in ("ndvi", "dem")] == [-9999, -9999]
    assert text.count("no file has a nodata tag, and -9999 fills") == 2


def test_topography_that_reaches_its_nodata_value_gets_another(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/northness.tif", plane("float32", -1, 1), nodata=-9999)

    settings, _, _ = proposed(place, gcn)

    assert bands(settings)["northness"]["nodata"] == -32768
    assert bands(settings)["northness"]["scale"] == 10000


def test_elevation_within_a_composite_is_topography_of_one_year(place, gcn):
    for year in (2004, 2008):
        write(place / f"data/all_{year}.tif", plane(), plane(), names=("ndvi", "slope"))

    settings, _, _ = proposed(place, gcn)

    assert bands(settings)["slope"] == {"name": "slope", "role": "topo", "path": "all_2008.tif"}
    assert bands(settings)["ndvi"]["path"] == "all_{year}.tif"


def test_descriptions_that_repeat_the_year_of_their_file(place, gcn):
    for year in (2004, 2008):
        write(place / f"data/ls_{year}.tif", plane(), plane(), names=(f"ndvi_{year}", f"nbr_{year}"))

    settings, _, out = proposed(place, gcn)

    assert settings["years"] == [2004, 2008]
    assert [(band["path"], band["band"]) for band in settings["bands"]] == [("ls_{year}.tif", "{name}_{year}")] * 2
    assert "will stop here: 2 problems" not in out


def test_an_alpha_band_is_no_band_of_the_image(place, gcn):
    write(place / "data/mosaic_2004.tif", *[plane()] * 3, names=("B4", "B3", "alpha"))

    assert list(bands(proposed(place, gcn)[0])) == ["B4", "B3"]


def test_a_known_product_of_elevations_is_a_dem_in_metres(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/ArcticDEM_32m.tif", plane("float32", 1, 900), nodata=-9999)

    # The values have fractions: the file says that the stack does not keep them.
    assert bands(proposed(place, gcn)[0])["dem"] == {
        "name": "dem",
        "role": "topo",
        "path": "ArcticDEM_32m.tif",
        "scale": 1,
    }


def test_bands_without_a_description_are_asked_about(place, gcn):
    for year in (2004, 2008):
        write(place / f"data/all_{year}.tif", plane(), plane())

    settings, text, _ = proposed(place, gcn)

    assert [(band["name"], band["band"]) for band in settings["bands"]] == [("band1", 1), ("band2", 2)]
    assert "What are the bands of all_{year}.tif?" in text


def test_a_single_composite_without_a_date_gets_a_question(place, gcn):
    write(place / "data/scene.tif", plane(), plane(), names=("B4", "B5"))

    settings, text, _ = proposed(place, gcn, "--years", "2019")

    assert [(band["name"], band["band"]) for band in settings["bands"]] == [("B4", "B4"), ("B5", "B5")]
    RegionSettings.model_validate(settings)
    (place / "config/kenai.toml").unlink()
    assert proposed(place, gcn)[0]["years"] == []
    assert "settings" not in text.partition("region =")[0]


def test_files_used_by_a_vrt_are_not_listed_themselves(place, gcn):
    part = write(place / "data/parts/a_ndvi_2004.tif", plane())
    rasterio.shutil.copy(part, place / "data/ndvi_2004.vrt", driver="VRT")

    settings, _, out = proposed(place, gcn)

    assert bands(settings)["ndvi"]["path"] == "{name}_{year}.vrt"
    assert "1 rasters are parts of these VRTs" in out


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_would_stop_the_build_is_said(place, gcn):
    for name in ("ndvi", "tcb"):
        write(place / f"data/{name}_2004.tif", plane())
    write(place / "data/nbr_2004.tif", plane(), crs=None)

    _, text, out = proposed(place, gcn)

    assert "nbr (without a CRS)" in out
    assert "`gcn plan` will stop here: 1 problem with the tiles, first: band nbr nbr_2004.tif: has no coordinate" in out
    assert "has no coordinate system. To fix it:" in " ".join(text.replace("#", "").split())


def test_files_between_the_pixels_of_the_others_are_named(place, gcn):
    for name, left in {"ndvi": 4e5, "tcb": 4e5, "nbr": 400003.0}.items():
        write(place / f"data/{name}_2004.tif", plane(), left=left)

    assert "nbr (between the pixels of the others)" in proposed(place, gcn)[2]


def test_a_name_that_no_pattern_can_hold_is_named(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/nbr{1}_2004.tif", plane())

    settings, _, out = proposed(place, gcn)

    assert list(bands(settings)) == ["ndvi"]
    assert "nbr{1}_2004.tif: a pattern cannot hold a brace" in out


def test_a_damaged_file_does_not_stop_the_look(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    (place / "data/nbr_2004.tif").write_bytes(b"")
    (place / "data/outlines.gpkg").write_bytes(b"SQLite format 3\0 and no more")

    settings, text, out = proposed(place, gcn)

    assert list(bands(settings)) == ["ndvi"]
    assert "unreadable: nbr_2004.tif: cannot be opened as a raster: it has 0 bytes" in out
    assert "outlines.gpkg: not a readable vector file" in text


def test_votes_that_are_shares_are_asked_about(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/ice_votes.tif", plane("float32", 0, 0.9))

    settings, text, _ = proposed(place, gcn)

    assert settings["label"] == {"stem": "ice_votes.tif"}
    assert "and not whole numbers of votes" in " ".join(text.replace("#", "").split())


@pytest.mark.parametrize(
    ("high", "wanted"),
    [(7, {"min_votes": 4}), (1, {"min_votes": 1}), (20, {"min_votes": 11}), (100, {"min_votes": 51})],
)
def test_more_than_half_of_the_votes_are_ice(place, gcn, high, wanted):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/stem/ice_2004.tif", plane("uint8", 0, high), nodata=255)

    settings, _, out = proposed(place, gcn)

    assert settings["label"] == {"stem": "stem/ice_2004.tif"} | wanted
    assert ("looks like a percentage" in out) == (high == 100)
    assert f"guess: [label] min_votes = {wanted['min_votes']}: " in out


def test_votes_are_called_after_their_file_and_not_after_a_sentence(place, gcn):
    write(place / "data/ndvi_2004.tif", plane())
    write(place / "data/ice_votes_2004.tif", plane("uint8", 0, 7), names=["votes 0..7, >3 debris-free ice"], nodata=255)

    assert "taken for: ice_votes_2004 (votes)" in proposed(place, gcn)[2]


def test_every_guess_is_printed_and_the_edge_that_cells_hang_over_is_named(place, gcn):
    write(place / "data/ndvi_2004.tif", plane("float32", 0, 0.9, size=1000), nodata=-9999)
    write(place / "data/tcb_2004.tif", plane("float32", 0, 1.9, size=1000), nodata=-9999)

    settings, text, out = proposed(place, gcn)

    assert "guess: [[bands]] scale: ndvi 10000, tcb 1000\n" in out
    assert "guess: [chips] size = " in out
    assert f"guess: [grid] size = {settings['grid']['size']}: the area is small\n" in out
    assert "those that reach beyond the bottom and right edge are not used" in text
    assert "and 10000 would leave no room for values twice as large" in text


@pytest.mark.parametrize(
    ("values", "wanted", "absent"),
    [
        ((0, 1, 2), None, None),
        ((0, 2), {"0": "none", "2": "ice"}, ["debris"]),
        ((0, 255), {"0": "none", "255": "ice"}, ["debris"]),
        ((1, 2, 7), {"1": "debris", "2": "ice", "7": "ignore"}, ["none"]),
    ],
)
def test_what_the_values_of_a_label_mean_is_guessed(place, gcn, values, wanted, absent):
    write(place / "data/ndvi_2004.tif", plane())
    classes = np.resize(np.array(values, "uint8"), (64, 64))
    write(place / "data/landcover.tif", classes, nodata=None)

    settings, _, out = proposed(place, gcn)

    label = settings["label"]
    assert label["raster"] == "landcover.tif"
    assert (label.get("classes"), label.get("allow_absent")) == (wanted, absent)
    assert ("What do the values of landcover.tif mean?" in out) == (wanted is not None)


def test_parts_of_votes_are_not_a_label(place, gcn):
    for number in (1, 2):
        left = 400000.0 + 640 * number
        write(place / f"data/ndvi_{number}_2004.tif", plane(), left=left)
        write(place / f"data/votes_{number}.tif", plane("uint8", 0, 7), left=left, nodata=255)

    _, text, _ = proposed(place, gcn)

    assert "are the parts of one raster of votes" in " ".join(text.replace("#", "").split())
