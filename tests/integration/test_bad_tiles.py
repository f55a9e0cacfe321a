"""What is said, or mended, when a tile of the Columbia data is broken."""

import json

import numpy as np
import pytest
import rasterio

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.raster.header import read_header, window_on
from gcn_luigi.io.raster.vrt import write_vrt
from gcn_luigi.io.raster.windows import read_window
from gcn_luigi.lattice import Window
from gcn_luigi.settings import ConvertSettings
from gcn_luigi.stages.layers.conversion import Target, convert_mosaic
from gcn_luigi.stages.layers.mosaics import mosaic_band
from tests.reference.tile_tree import broken_tree, columbia_settings

TILE = Window(340, 700, 300, 300)
OPTICAL, TOPO = "optical/1125/ltsim_1125_", "topo/1125/ltsim_1125_"


@pytest.fixture
def tree(columbia, columbia_bad, tmp_path):
    """Return a function that lays out the tree of one case."""

    def build(case):
        removed = json.loads((columbia_bad / case / "case.json").read_text())["remove"]
        return broken_tree(columbia, columbia_bad / case, removed, tmp_path / case)

    return build


def mosaic_of(root, name, *, source_band=1, **changes):
    settings = columbia_settings(**changes)
    inventory = scan_tiles(root, settings)
    band = next(table.as_band() for table in settings.bands if table.name == name)
    path = root / f"{name}.vrt"
    write_vrt(path, inventory.lattice, [mosaic_band(inventory.of_band(name), band, root, source_band=source_band)])
    return path, band


@pytest.mark.parametrize(
    ("case", "named", "said"),
    [
        ("truncated_tif", f"{OPTICAL}nbr.tif", "damaged or cut short"),
        ("zero_byte_tif", f"{OPTICAL}ndvi.tif", "0 bytes"),
        ("html_instead_of_tif", f"{OPTICAL}ndvi.tif", "web page"),
        ("wrong_crs", f"{OPTICAL}ndsi.tif", "EPSG:32606"),
        ("no_crs", f"{OPTICAL}ndsi.tif", "no coordinate system"),
        ("float32_unscaled", f"{OPTICAL}ndsi.tif", "float32"),
        ("missing_band_file", "tile 1125 band tcw", "no file ends in _tcw.tif"),
        ("missing_topo_tile", "tile 1125 topo", "no file of any band"),
        ("half_pixel_shift", f"{OPTICAL}ndsi.tif", "(-0.500, -0.500) pixel"),
        ("flipped_south_up", f"{OPTICAL}ndvi.tif", "south-up"),
        ("wrong_size", f"{OPTICAL}ndvi.tif", "297 x 295"),
        ("missing_epoch_band", f"{OPTICAL}nbr.tif", "4 bands, 5 expected"),
        ("duplicate_tile_id", "optical/123", "0123 is the same tile"),
        ("two_files_same_suffix", "optical/1125/old_copy_nbr.tif", "same band"),
    ],
)
def test_a_broken_tile_is_refused_by_name_with_a_remedy(tree, capfd, case, named, said):
    root = tree(case)

    with pytest.raises(InputError) as caught:
        scan_tiles(root, columbia_settings())

    assert named in caught.value.where
    assert said in caught.value.what
    assert said in caught.value.where
    assert caught.value.what.startswith("1 problem with the tiles")
    assert caught.value.fix
    assert capfd.readouterr() == ("", "")


def test_float32_in_place_of_int16_is_told_to_be_converted(tree):
    with pytest.raises(InputError, match="optical bands are int16") as caught:
        scan_tiles(tree("float32_unscaled"), columbia_settings())

    assert "convert = true" in caught.value.fix


@pytest.mark.parametrize(("case", "band", "removed"), [("missing_band_file", "tcw", 1), ("missing_topo_tile", "", 4)])
def test_a_gap_is_recorded_and_stays_nodata_when_that_is_configured(tree, case, band, removed):
    root = tree(case)
    changes = {"tiles": {"on_missing": "gap"}}

    inventory = scan_tiles(root, columbia_settings(**changes))
    path, sought = mosaic_of(root, band or "dem", **changes)

    assert [(note.tile, note.band) for note in inventory.missing] == [("1125", band)]
    assert len(inventory.files) == 60 - removed
    assert (read_window(path, TILE, fill=0) == sought.nodata).all()


def test_the_first_of_two_tile_directories_is_kept_and_the_other_recorded(tree):
    inventory = scan_tiles(tree("duplicate_tile_id"), columbia_settings(tiles={"on_duplicate": "first"}))

    assert [note.path for note in inventory.duplicates] == ["optical/123"]
    assert {file.path for file in inventory.files if file.tile == "123" and file.band == "nbr"} == {
        "optical/0123/ltsim_0123_nbr.tif"
    }


def test_the_first_of_two_files_of_a_band_is_kept_and_the_other_recorded(tree):
    inventory = scan_tiles(tree("two_files_same_suffix"), columbia_settings(tiles={"on_duplicate": "first"}))

    assert [(note.band, note.path) for note in inventory.duplicates] == [("nbr", "optical/1125/old_copy_nbr.tif")]


@pytest.mark.parametrize("case", ["silent_garbage", "corrupt_block"])
def test_damage_behind_the_header_passes_the_scan(tree, case):
    assert len(scan_tiles(tree(case), columbia_settings()).files) == 60


def test_a_block_that_cannot_be_decoded_is_blamed_on_its_own_file(tree, capfd):
    root = tree("corrupt_block")
    failures = set()

    for source_band in range(1, 6):
        path, _ = mosaic_of(root, "nbr", source_band=source_band)
        try:
            read_window(path, TILE, fill=0)
        except InputError as error:
            failures.add((error.where, error.what.split(":")[0]))

    assert failures == {(str(root / f"{OPTICAL}nbr.tif"), "cannot be decoded")}
    assert capfd.readouterr() == ("", "")


def test_a_damaged_tile_does_not_disturb_its_neighbours(tree, columbia):
    path, _ = mosaic_of(tree("corrupt_block"), "nbr", source_band=1)

    west = read_window(path, Window(0, 0, 340, 360), fill=0)

    with rasterio.open(columbia / "optical/0123/ltsim_0123_nbr.tif") as dataset:
        np.testing.assert_array_equal(west[0], dataset.read(1)[:, :360])


def test_bytes_that_decode_to_garbage_are_read_as_they_are(tree):
    path, _ = mosaic_of(tree("silent_garbage"), "nbr", source_band=1)

    assert read_window(path, TILE, fill=0).shape == (1, 300, 300)


def test_an_elevation_tile_with_nan_as_nodata_ends_as_the_bands_nodata(tree):
    root = tree("nan_nodata_dem")
    path, band = mosaic_of(root, "dem")

    convert_mosaic(path, root / "dem.tif", band, Target(ConvertSettings()))

    with rasterio.open(root / f"{TOPO}dem_cubic_temp.tif") as source, rasterio.open(root / "dem.tif") as made:
        expected = source.read(1)
        assert made.nodata == -9999
        stored = made.read(1, window=((340, 640), (700, 1000)))
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(stored, np.where(np.isnan(expected), -9999, np.rint(expected)))


def test_a_file_without_a_nodata_tag_is_masked_by_the_configured_nodata(tree, columbia):
    path, band = mosaic_of(tree("no_nodata_tag"), "tcb")

    with rasterio.open(path) as mosaic, rasterio.open(columbia / f"{OPTICAL}tcb.tif") as plain:
        assert mosaic.nodata == band.nodata
        tagged = plain.read_masks(1) > 0
        assert not tagged.all()
        np.testing.assert_array_equal(mosaic.read_masks(1)[340:, 700:] > 0, tagged)


def test_a_tile_with_another_nodata_is_masked_through_its_own_tag(tree):
    root = tree("mixed_optical_nodata")
    path, band = mosaic_of(root, "tcw")

    with rasterio.open(root / f"{OPTICAL}tcw.tif") as source:
        raw = source.read(1)
    assert (raw == -9999).any()
    np.testing.assert_array_equal(
        read_window(path, TILE, fill=0)[0], np.where(raw == -9999, np.int16(band.nodata), raw)
    )


@pytest.mark.parametrize("policy", ["nodata", "saturate"])
def test_elevations_beyond_int16_never_wrap_around(tree, policy):
    root = tree("dem_inf_and_overflow")
    path, band = mosaic_of(root, "dem")

    convert_mosaic(path, root / "dem.tif", band, Target(ConvertSettings(overflow=policy)))

    with rasterio.open(root / f"{TOPO}dem_cubic_temp.tif") as source:
        raw = source.read(1)
    stored = read_window(root / "dem.tif", TILE, fill=0)[0]
    low, high = (-9999, -9999) if policy == "nodata" else (-32768, 32767)
    beyond, infinite = np.abs(raw) > 32767, np.isinf(raw)
    assert (beyond & ~infinite).any()
    assert infinite.any()
    np.testing.assert_array_equal(stored[infinite], -9999)
    np.testing.assert_array_equal(stored[(raw > 32767) & ~infinite], high)
    np.testing.assert_array_equal(stored[(raw < -32768) & ~infinite], low)
    np.testing.assert_array_equal(stored[~beyond], np.rint(raw[~beyond]))


def test_elevations_beyond_int16_are_refused_with_the_file_they_come_from(tree):
    root = tree("dem_inf_and_overflow")
    path, band = mosaic_of(root, "dem")

    with pytest.raises(InputError, match="pixels of dem do not fit int16") as caught:
        convert_mosaic(path, root / "dem.tif", band, Target(ConvertSettings()))

    assert caught.value.where == str(root / f"{TOPO}dem_cubic_temp.tif")


def test_a_tile_of_nodata_alone_is_a_tile(tree):
    path, band = mosaic_of(tree("all_nodata_tile"), "ndvi")

    assert (read_window(path, TILE, fill=0) == band.nodata).all()


def test_votes_that_lie_between_the_pixels_are_refused(tree):
    root = tree("stem_other_grid")
    inventory = scan_tiles(root, columbia_settings())

    with pytest.raises(LatticeError, match=r"0\.367"):
        window_on(read_header(root / "stem/stem_2010_debris_free_ice_votes.tif").lattice, inventory.lattice, where="")


def test_votes_that_reach_beyond_the_region_are_placed_by_their_coordinates(columbia):
    inventory = scan_tiles(columbia, columbia_settings())

    path = columbia / "stem/stem_2010_debris_free_ice_votes.tif"
    window = window_on(read_header(path).lattice, inventory.lattice, where=str(path))

    assert window == Window(-5, -7, 654, 1010)


def test_several_broken_files_are_told_at_once(tree):
    root = tree("zero_byte_tif")
    (root / "optical/0124/ltsim_0124_tcw.tif").unlink()
    (root / "topo/1123/ltsim_1123_north_temp.tif").unlink()

    with pytest.raises(InputError, match="3 problems") as caught:
        scan_tiles(root, columbia_settings())

    for named in ("tile 124 band tcw", "tile 1123 band north", f"{OPTICAL}ndvi.tif"):
        assert named in caught.value.where


def test_a_role_that_is_made_is_no_band_of_the_tiles(columbia):
    names = {file.band for file in scan_tiles(columbia, columbia_settings()).files}

    assert Band("label", Role.LABEL).name not in names
