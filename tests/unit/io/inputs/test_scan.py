import shutil

import numpy as np
import pytest
import rasterio

from gcn_luigi.errors import ConfigError, InputError, LatticeError
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.lattice import Lattice, Window
from tests.reference.tile_tree import region, write_tif, write_tile

EAST = {"left": 600040.0}


def optical(root, tile, name="x_a.tif", *, shape=(2, 4, 4), dtype=np.int16, **extra):
    return write_tif(root / "optical" / tile / name, np.ones(shape, dtype), **extra)


@pytest.fixture
def two(tmp_path):
    """Return the root of two tiles side by side: 0007 and 0012."""
    write_tile(tmp_path, "0007")
    write_tile(tmp_path, "0012", col=4)
    return tmp_path


def test_the_lattice_is_the_union_of_the_optical_tiles(two):
    inventory = scan_tiles(two, region())

    assert inventory.lattice == Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 4, 8)
    assert [(file.tile, file.band, file.window) for file in inventory.files] == [
        ("7", "a", Window(0, 0, 4, 4)),
        ("7", "dem", Window(0, 0, 4, 4)),
        ("12", "a", Window(0, 4, 4, 4)),
        ("12", "dem", Window(0, 4, 4, 4)),
    ]
    assert inventory.files[0].path == "optical/0007/x_0007_a.tif"


def test_tile_ids_keep_their_zeros_when_that_is_configured(two):
    assert scan_tiles(two, region(tiles={"strip_zeros": False})).tiles == ("0007", "0012")


def test_two_scans_give_equal_bytes(two):
    assert scan_tiles(two, region()).to_json() == scan_tiles(two, region()).to_json()


def test_bounds_widen_the_lattice_beyond_the_tiles(two):
    bounds = (599980.0, 6999900.0, 600100.0, 7000010.0)

    inventory = scan_tiles(two, region(lattice={"bounds": bounds}))

    assert inventory.lattice.bounds == bounds
    assert inventory.of_band("a")[0].window == Window(1, 2, 4, 4)


def test_bounds_cut_tiles_away_and_say_so(two):
    inventory = scan_tiles(two, region(lattice={"bounds": (600000.0, 6999970.0, 600030.0, 7000000.0)}))

    assert inventory.tiles == ("7",)
    assert [(note.tile, note.band) for note in inventory.rejected] == [("12", "a"), ("12", "dem")]
    assert inventory.lattice.shape == (3, 3)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((600005.0, 6999970.0, 600035.0, 7000000.0), r"-0.500"),
        ((600030.0, 6999970.0, 600000.0, 7000000.0), "contain no pixel"),
    ],
)
def test_bounds_that_hold_no_whole_pixels_are_refused(two, bounds, said):
    with pytest.raises(LatticeError, match=said) as caught:
        scan_tiles(two, region(lattice={"bounds": bounds}))

    assert caught.value.where == "lattice.bounds"


def test_bounds_far_from_all_tiles_are_refused(two):
    with pytest.raises(InputError, match="no tile has a pixel"):
        scan_tiles(two, region(lattice={"bounds": (0.0, 0.0, 100.0, 100.0)}))


def test_the_configured_crs_rules_over_what_the_files_say(two):
    with pytest.raises(InputError, match="is in EPSG:32606, but the region is in EPSG:3338"):
        scan_tiles(two, region(lattice={"crs": "EPSG:3338"}))


def test_the_configured_pixel_size_rules_over_what_the_files_say(two):
    with pytest.raises(InputError, match="pixels of 10 m, but the region has pixels of 30 m"):
        scan_tiles(two, region(lattice={"pixel_size": 30}))


@pytest.mark.parametrize(
    ("crs", "said"), [("EPSG:4326", "degrees"), ("EPSG:2225", "US survey foot"), ("x", "not a known")]
)
def test_a_configured_crs_that_is_not_in_metres_is_refused(two, crs, said):
    with pytest.raises(LatticeError, match=said):
        scan_tiles(two, region(lattice={"crs": crs}))


def test_geographic_tiles_are_refused(tmp_path):
    optical(tmp_path, "7", crs="EPSG:4326", left=10.0, top=60.0, px=0.001)
    settings = region(bands=[{"name": "a", "role": "optical"}])

    with pytest.raises(InputError, match="degrees"):
        scan_tiles(tmp_path, settings)


def test_one_odd_file_is_named_even_when_it_is_scanned_first(two):
    write_tile(two, "0013", col=8)
    optical(two, "0012", "x_0012_a.tif", left=600045.0)

    with pytest.raises(InputError, match="1 problem with the tiles, first: tile 12 band a"):
        scan_tiles(two, region())


def test_the_crs_of_esri_software_is_the_same_crs(two):
    esri = (
        'PROJCS["WGS_1984_UTM_Zone_6N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,'
        '298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
        'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",-147.0],'
        'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
    )

    assert scan_tiles(two, region(lattice={"crs": esri})).tiles == ("7", "12")


def test_tiles_of_another_place_and_sensor_are_scanned_alike(tmp_path):
    for tile, left in (("north", 2600000.0), ("south", 2600080.0)):
        optical(tmp_path, tile, "scene_B8.tif", shape=(3, 5, 4), crs="EPSG:2056", left=left, top=1200000.0, px=20.0)
    settings = region(years=(2001, 2004, 2020), bands=[{"name": "nir", "role": "optical", "suffix": "B8"}])

    inventory = scan_tiles(tmp_path, settings)

    assert inventory.lattice == Lattice("EPSG:2056", 2600000.0, 1200000.0, 20.0, 5, 8)
    assert inventory.tiles == ("north", "south")


def test_the_longest_suffix_decides(two):
    both = [{"name": "t", "role": "topo", "suffix": "temp"}, {"name": "dem", "role": "topo", "suffix": "dem_temp"}]
    for tile, left in (("0007", 600000.0), ("0012", 600040.0)):
        write_tif(two / "topo" / tile / "y_temp.tif", np.ones((4, 4), np.float32), left=left)

    inventory = scan_tiles(two, region(bands=[{"name": "a", "role": "optical"}, *both]))

    assert [file.path for file in inventory.of_band("t")] == ["topo/0007/y_temp.tif", "topo/0012/y_temp.tif"]


def test_bands_of_both_kinds_may_lie_in_one_directory(two):
    for tile in ("0007", "0012"):
        shutil.copyfile(two / "topo" / tile / f"x_{tile}_dem_temp.tif", two / "optical" / tile / "x_dem_temp.tif")

    inventory = scan_tiles(two, region(tiles={"topo": "./optical"}))

    assert [file.path for file in inventory.of_band("dem")] == [
        "optical/0007/x_dem_temp.tif",
        "optical/0012/x_dem_temp.tif",
    ]


def test_files_of_no_band_are_listed_with_the_reason(two):
    optical(two, "0007", "x_b.tif")
    optical(two, "0007", "x_northa.tif")
    optical(two, "0007", "x_A.tif")
    optical(two, "0007", "x_dem_temp.tif")
    (two / "optical/0007/readme.txt").touch()
    (two / "optical/0007/old").mkdir()
    (two / "optical/list.csv").touch()
    (two / "optical/.hidden").touch()

    notes = {note.path.removeprefix("optical/"): note.reason for note in scan_tiles(two, region()).unmatched}

    assert notes == {
        "0007/x_b.tif": "ends like no band",
        "0007/x_northa.tif": "ends like no band",
        "0007/x_A.tif": "ends like no band",
        "0007/x_dem_temp.tif": "ends like band dem, whose files lie below topo",
        "0007/readme.txt": "does not end in .tif or .tiff",
        "0007/old": "a directory inside a tile directory is not searched",
        "list.csv": "not inside a tile directory",
    }


@pytest.mark.parametrize("ending", [".TIF", ".Tiff"])
def test_an_ending_in_capitals_is_one_and_stands_beside_no_other(two, ending):
    path = next((two / "optical/0007").glob("*_a.tif"))
    again = path.with_suffix(ending)
    path.rename(again)

    assert f"optical/0007/{again.name}" in {file.path for file in scan_tiles(two, region()).files}
    shutil.copy(again, path)
    with pytest.raises(InputError, match="stands for the same band"):
        scan_tiles(two, region())


def test_a_directory_that_is_no_tile_can_be_excluded_as_the_message_says(two):
    expected = scan_tiles(two, region()).files
    (two / "optical/@eaDir/0007").mkdir(parents=True)
    with pytest.raises(InputError, match="tile @eaDir optical: no file of any band") as caught:
        scan_tiles(two, region())
    assert "if it is not a tile, name it in tiles.exclude" in caught.value.fix

    assert scan_tiles(two, region(tiles={"exclude": ["@eaDir"]})).files == expected


def test_excluded_files_and_directories_are_recorded(two):
    optical(two, "0007", "negate_a.tif")
    optical(two, "negated", "x_a.tif")

    inventory = scan_tiles(two, region())

    assert [note.path for note in inventory.rejected] == ["optical/negated", "optical/0007/negate_a.tif"]


def test_a_tile_with_topography_alone_is_noted_and_kept(two):
    shutil.rmtree(two / "optical/0012")

    inventory = scan_tiles(two, region(lattice={"bounds": (600000.0, 6999960.0, 600080.0, 7000000.0)}))

    assert [(note.tile, note.reason) for note in inventory.unmatched] == [("12", "a tile without optical files")]
    assert [file.tile for file in inventory.of_band("dem")] == ["7", "12"]


def test_an_empty_tile_directory_counts_as_missing(two):
    (two / "optical/0099").mkdir()
    (two / "topo/0099").mkdir()

    with pytest.raises(InputError, match="2 problems") as caught:
        scan_tiles(two, region())

    assert "tile 99 optical: no file of any band" in caught.value.where


def test_links_that_leave_the_root_are_followed_and_noted(two, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (two / "optical/0012").rename(elsewhere / "0012")
    (two / "optical/0012").symlink_to(elsewhere / "0012")

    inventory = scan_tiles(two, region())

    assert [(note.tile, note.path) for note in inventory.linked] == [("12", "optical/0012")]
    assert len(inventory.files) == 4


def test_a_broken_link_is_a_problem(two):
    target = two / "optical/0012/x_0012_a.tif"
    target.unlink()
    target.symlink_to(two / "nowhere.tif")

    with pytest.raises(InputError, match="there is no such file"):
        scan_tiles(two, region())


@pytest.mark.parametrize("name", ["00\n12", "00\x1b[31m"])
def test_names_with_control_characters_are_refused(two, name):
    (two / "optical" / name).mkdir()

    with pytest.raises(InputError, match="unprintable") as caught:
        scan_tiles(two, region())

    assert name not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"dtype": np.uint16, "nodata": 0}, "holds uint16"),
        ({"dtype": np.float32}, "holds float32"),
        ({"shape": (3, 4, 4)}, "has 3 bands, 2 expected"),
        ({"shape": (2, 4, 3)}, "4 x 3 pixels"),
        ({"px": 20.0}, "pixels of 20 m"),
        ({"crs": "EPSG:32607"}, "EPSG:32607"),
        ({"crs": None}, "no coordinate system"),
        ({"top": 7000000.02}, "off the pixel lattice"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(two, extra, said):
    tables = [{"name": name, "role": "optical"} for name in ("a", "b", "c")]
    for name in ("x_b.tif", "x_c.tif"):
        optical(two, "0007", name)
        optical(two, "0012", name, **EAST)
    optical(two, "0007", "x_c.tif", **extra)

    with pytest.raises(InputError, match="1 problem") as caught:
        scan_tiles(two, region(bands=tables))

    assert said in caught.value.what
    assert "optical/0007/x_c.tif" in caught.value.where


def test_a_noise_of_stored_coordinates_is_no_shift(two):
    optical(two, "0007", "x_0007_a.tif", left=600000.004, top=7000000.004)

    assert scan_tiles(two, region()).of_band("a")[0].window == Window(0, 0, 4, 4)


def test_unsigned_bytes_widen_to_int16(two):
    optical(two, "0007", "x_0007_a.tif", dtype=np.uint8, nodata=None)

    assert scan_tiles(two, region()).of_band("a")[0].dtype == "uint8"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float64"])
def test_topography_may_have_any_real_type(two, dtype):
    for tile, left in (("0007", 600000.0), ("0012", 600040.0)):
        write_tif(two / f"topo/{tile}/x_{tile}_dem_temp.tif", np.ones((4, 4), dtype), left=left, nodata=0)

    assert {file.dtype for file in scan_tiles(two, region()).of_band("dem")} == {dtype}


def test_complex_numbers_are_refused(two):
    write_tif(two / "topo/0007/x_0007_dem_temp.tif", np.ones((4, 4), np.complex64), nodata=None)

    with pytest.raises(InputError, match="complex64"):
        scan_tiles(two, region())


def test_many_problems_are_counted_and_the_first_shown(two):
    for number in range(100, 130):
        (two / "optical" / str(number)).mkdir()

    with pytest.raises(InputError, match="60 problems") as caught:
        scan_tiles(two, region())

    assert caught.value.where.count("\n") == 21
    assert "and 40 more" in caught.value.where


def test_overlapping_tiles_are_noted_once_a_kind(two):
    write_tile(two, "0013", col=7, row=2)

    notes = scan_tiles(two, region()).overlaps

    assert [(note.tile, note.path, note.reason) for note in notes] == [
        ("12", "optical", "shares 2 x 1 pixels with tile 13"),
        ("12", "topo", "shares 2 x 1 pixels with tile 13"),
    ]


def test_no_tiles_at_all_is_an_error(tmp_path):
    (tmp_path / "optical").mkdir()
    (tmp_path / "topo").mkdir()

    with pytest.raises(InputError, match="no file of any optical band was found"):
        scan_tiles(tmp_path, region())


def test_topography_alone_is_no_region(two):
    shutil.rmtree(two / "optical")
    (two / "optical").mkdir()

    with pytest.raises(InputError, match="no file of any optical band was found"):
        scan_tiles(two, region())


def test_an_absent_directory_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be listed") as caught:
        scan_tiles(tmp_path, region())

    assert caught.value.where == str(tmp_path / "optical")


@pytest.mark.parametrize(
    "changes",
    [
        {"tiles": {"topo": "/data/topo"}},
        {"bands": [{"name": "a", "role": "optical"}, {"name": "b", "role": "optical", "suffix": "a"}]},
    ],
)
def test_settings_that_cannot_work_are_refused(two, changes):
    with pytest.raises(ConfigError):
        scan_tiles(two, region(**changes))


def _tag_units(root, tile, unit):
    with rasterio.open(next((root / "topo" / tile).glob("*.tif")), "r+") as file:
        file.units = (unit,)


class TestUnits:
    """A number of feet looks like a number of metres."""

    @pytest.mark.parametrize("unit", ["ft", "US survey foot", "Feet"])
    def test_a_tile_in_feet_among_others_is_refused(self, two, unit):
        write_tile(two, "0013", col=8)
        _tag_units(two, "0012", unit)

        with pytest.raises(InputError, match="is tagged as feet, but most files of the band are not") as caught:
            scan_tiles(two, region())
        assert "0012" in caught.value.where

    def test_feet_are_refused_where_the_band_is_in_metres(self, two):
        for tile in ("0007", "0012"):
            _tag_units(two, tile, "ft")
        tables = [{"name": "a", "role": "optical"}, {"name": "dem", "role": "topo", "suffix": "dem_temp", "unit": "m"}]

        with pytest.raises(InputError, match="is tagged as feet, but the unit of the band is m"):
            scan_tiles(two, region(bands=tables))
        for stated in ({"unit": "ft"}, {"unit": ""}, {"unit": "m", "scale": 0.3048}):
            scan_tiles(two, region(bands=[tables[0], {**tables[1], **stated}]))

    def test_metres_are_refused_where_the_band_is_in_feet(self, two):
        _tag_units(two, "0007", "metre")
        tables = [{"name": "a", "role": "optical"}, {"name": "dem", "role": "topo", "suffix": "dem_temp", "unit": "ft"}]

        with pytest.raises(InputError, match="is tagged as metres, but the unit of the band is ft"):
            scan_tiles(two, region(bands=tables))

    @pytest.mark.parametrize("units", [("m", ""), ("metre", "m"), ("kelvin", "m"), ("", "")])
    def test_other_tags_say_nothing_about_feet(self, two, units):
        for tile, unit in zip(("0007", "0012"), units, strict=True):
            _tag_units(two, tile, unit)

        assert len(scan_tiles(two, region()).tiles) == 2
