"""Label and distance rasters made by blocks equal those made at once."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy import ndimage

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Lattice
from gcn_luigi.stages.layers import label as stage
from gcn_luigi.stages.layers.label import write_distance, write_label
from gcn_luigi.stages.sources import distance_sources, label_sources
from tests.reference.tile_tree import region, write_tif

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 70, 90)
SHAPES = [
    shapely.Point(600_300, 6_999_700).buffer(180),
    shapely.box(600_600, 6_999_350, 600_850, 6_999_600),
    shapely.Point(600_950, 6_999_900).buffer(120),
]


class Said:
    """Remembers what a stage told about its progress."""

    def __init__(self):
        self.lines = []

    def __call__(self, line, share):
        self.lines.append((line, share))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let a small raster be made of many blocks."""
    monkeypatch.setattr(stage, "_STRIP", (16, 32))


@pytest.fixture
def votes():
    rng = np.random.default_rng(5)
    values = rng.integers(0, 8, LATTICE.shape).astype(np.int16)
    values[rng.random(LATTICE.shape) < 0.2] = -32768
    return values


@pytest.fixture
def make(tmp_path, votes):
    """Return a function that sets a region up and returns it with its layout."""

    def make(**changes):
        gpd.GeoDataFrame({"RGIId": ["a", "b", "c"]}, geometry=SHAPES, crs=LATTICE.crs).to_file(tmp_path / "rgi.gpkg")
        write_tif(tmp_path / "stem.tif", votes)
        paths = DatasetPaths(tmp_path / "out")
        paths.root.mkdir()
        paths.inventory.write_text(Inventory(LATTICE, ()).to_json(), encoding="utf-8")
        return Region(region(**changes), tmp_path), paths

    return make


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.profile


def inside_at_once(lattice=LATTICE):
    """Return which pixel centres lie in an outline, for the whole lattice by rasterio alone."""
    transform = Affine(*lattice.transform)
    return rasterize(SHAPES, out_shape=lattice.shape, transform=transform).astype(bool)


class TestLabel:
    @pytest.mark.parametrize(("ice_outside", "value"), [("none", 0), ("ignore", 255), ("ice", 2)])
    def test_votes_and_outlines_give_the_classes(self, make, tmp_path, votes, ice_outside, value):
        place, layout = make(label={"stem": "stem.tif", "min_votes": 4, "ice_outside": ice_outside})

        write_label(place, layout, tmp_path / "label.tif", Said())

        made, profile = read(tmp_path / "label.tif")
        inside = inside_at_once()
        expected = np.where(inside, np.where(votes > 3, 2, 1), np.where(votes > 3, value, 0))
        expected[votes == -32768] = 255
        np.testing.assert_array_equal(made, expected)
        assert (profile["dtype"], profile["nodata"], profile["crs"]) == ("uint8", 255, LATTICE.crs)
        assert {1, 2} <= set(np.unique(made))

    def test_what_the_votes_do_not_cover_is_missing(self, make, tmp_path, votes):
        place, layout = make()
        write_tif(tmp_path / "stem.tif", votes[10:40, 20:50], left=600_200.0, top=6_999_900.0)

        write_label(place, layout, tmp_path / "label.tif", Said())

        made, _ = read(tmp_path / "label.tif")
        beyond = np.ones(LATTICE.shape, bool)
        beyond[10:40, 20:50] = False
        assert (made[beyond] == 255).all()
        np.testing.assert_array_equal(made == 255, beyond | (votes == -32768))

    def test_a_ready_made_label_is_taken_as_it_is(self, make, tmp_path):
        given = np.random.default_rng(1).choice(np.array([0, 1, 2, 255, 9], np.uint8), LATTICE.shape)
        write_tif(tmp_path / "given.tif", given, nodata=9)
        place, layout = make(label={"raster": "given.tif"})

        write_label(place, layout, tmp_path / "label.tif", Said())

        np.testing.assert_array_equal(read(tmp_path / "label.tif")[0], np.where(given == 9, 255, given))

    def test_a_ready_made_label_with_another_class_is_refused_by_name(self, make, tmp_path):
        given = np.zeros(LATTICE.shape, np.uint8)
        given[69, 89] = 7
        write_tif(tmp_path / "given.tif", given, nodata=None)
        place, layout = make(label={"raster": "given.tif"})

        with pytest.raises(InputError, match="7") as caught:
            write_label(place, layout, tmp_path / "label.tif", Said())

        assert caught.value.where == str(tmp_path / "given.tif")

    def test_a_map_says_what_the_values_of_a_ready_made_label_mean(self, make, tmp_path):
        given = np.random.default_rng(2).choice(np.array([0, 1, 7, 100], np.float32), LATTICE.shape)
        write_tif(tmp_path / "given.tif", given, nodata=None)
        classes = {"0": "none", "1": "ice", "7": "ignore", "100": "debris"}
        place, layout = make(label={"raster": "given.tif", "classes": classes})

        write_label(place, layout, tmp_path / "label.tif", Said())

        expected = np.select([given == 0, given == 1, given == 7], [0, 2, 255], 1)
        np.testing.assert_array_equal(read(tmp_path / "label.tif")[0], expected)

    @pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 2), (1, 2), (0, 1, 255), (1,), (0,)])
    def test_a_ready_made_label_that_can_be_read_in_two_ways_is_refused(self, make, tmp_path, values):
        given = np.random.default_rng(2).choice(np.array(values, np.uint8), LATTICE.shape)
        write_tif(tmp_path / "given.tif", given, nodata=None)
        place, layout = make(label={"raster": "given.tif"})

        with pytest.raises(InputError, match="could be read in two ways") as caught:
            write_label(place, layout, tmp_path / "label.tif", Said())

        assert all(f"{value} ({(given == value).sum():,} pixels)" in caught.value.what for value in values)
        assert "[label] classes = {" in caught.value.fix

    def test_a_label_without_debris_is_taken_as_it_is_where_that_is_allowed(self, make, tmp_path):
        given = np.random.default_rng(2).choice(np.array([0, 2, 255], np.uint8), LATTICE.shape)
        write_tif(tmp_path / "given.tif", given, nodata=None)
        place, layout = make(label={"raster": "given.tif", "allow_absent": ["debris"]})

        write_label(place, layout, tmp_path / "label.tif", Said())

        np.testing.assert_array_equal(read(tmp_path / "label.tif")[0], given)

    def test_a_label_that_was_averaged_is_refused(self, make, tmp_path):
        given = np.random.default_rng(2).choice(np.array([0, 1, 2, 1.5], np.float32), LATTICE.shape)
        write_tif(tmp_path / "given.tif", given, nodata=None)
        place, layout = make(label={"raster": "given.tif"})

        with pytest.raises(InputError, match=r"not whole numbers, for example 1\.5"):
            write_label(place, layout, tmp_path / "label.tif", Said())

    def test_votes_that_were_averaged_are_refused_with_their_number(self, make, tmp_path, votes):
        place, layout = make()
        averaged = votes.astype(np.float32)
        averaged[10:20, 10:20][votes[10:20, 10:20] >= 0] += 0.25
        write_tif(tmp_path / "stem.tif", averaged)
        broken, total = (votes[10:20, 10:20] >= 0).sum(), (votes >= 0).sum()

        with pytest.raises(InputError, match=f"not whole numbers in {broken} of {total:,} pixels") as caught:
            write_label(place, layout, tmp_path / "label.tif", Said())

        assert "nearest" in caught.value.fix
        assert caught.value.where == str(tmp_path / "stem.tif")

    def test_probabilities_in_place_of_votes_are_named(self, make, tmp_path, votes):
        place, layout = make()
        write_tif(tmp_path / "stem.tif", np.where(votes < 0, -32768, votes / 7).astype(np.float32))

        with pytest.raises(InputError, match="between 0 and 1, like probabilities") as caught:
            write_label(place, layout, tmp_path / "label.tif", Said())

        assert "number of classifications" in caught.value.fix

    def test_fractions_below_zero_are_called_fractions_and_no_missing_pixels(self, make, tmp_path, votes):
        place, layout = make()
        sharpened = votes.astype(np.float32)
        sharpened[votes == 0] = -0.25
        write_tif(tmp_path / "stem.tif", sharpened)

        with pytest.raises(InputError, match=r"not whole numbers .* for example -0\.25") as caught:
            write_label(place, layout, tmp_path / "label.tif", Said())

        assert "nodata" not in caught.value.fix

    def test_percentages_in_place_of_votes_are_refused_until_their_range_is_confirmed(self, make, tmp_path, votes):
        place, layout = make()
        percent = np.where(votes < 0, votes, votes * 100 // 7).astype(np.int16)
        write_tif(tmp_path / "stem.tif", percent)

        with pytest.raises(InputError, match="votes reach 100, although 4 or more are called ice") as caught:
            write_label(place, layout, tmp_path / "label.tif", Said())

        assert "min_votes" in caught.value.fix
        inside = inside_at_once()
        for label in ({"stem": "stem.tif", "min_votes": 51}, {"stem": "stem.tif", "max_votes": 100}):
            write_label(Region(region(label=label), tmp_path), layout, tmp_path / "label.tif", Said())
            is_ice = percent >= label.get("min_votes", 4)
            expected = np.where(inside, np.where(is_ice, 2, 1), 0)
            expected[votes == -32768] = 255
            np.testing.assert_array_equal(read(tmp_path / "label.tif")[0], expected)

    def test_whole_votes_stored_as_float_are_votes(self, make, tmp_path, votes):
        place, layout = make()
        write_label(place, layout, tmp_path / "whole.tif", Said())
        write_tif(tmp_path / "stem.tif", votes.astype(np.float64))

        write_label(place, layout, tmp_path / "label.tif", Said())

        np.testing.assert_array_equal(read(tmp_path / "label.tif")[0], read(tmp_path / "whole.tif")[0])

    @pytest.mark.parametrize("key", ["stem", "raster"])
    def test_complex_numbers_are_neither_votes_nor_classes(self, make, tmp_path, votes, key):
        place, layout = make(label={key: "given.tif"})
        write_tif(tmp_path / "given.tif", (np.abs(votes) % 3 + 1j).astype(np.complex64), nodata=None)

        with pytest.raises(InputError, match="complex"):
            write_label(place, layout, tmp_path / "label.tif", Said())

    def test_shares_that_rounding_lifted_above_one_are_shares(self, make, tmp_path, votes):
        place, layout = make()
        shares = np.where(votes < 0, -32768, votes / 7).astype(np.float32)
        shares[votes == 7] = np.nextafter(np.float32(1), np.float32(2))
        write_tif(tmp_path / "stem.tif", shares)

        with pytest.raises(InputError, match="between 0 and 1, like probabilities"):
            write_label(place, layout, tmp_path / "label.tif", Said())

    def test_votes_between_the_pixels_are_refused(self, make, tmp_path, votes):
        place, layout = make()
        write_tif(tmp_path / "stem.tif", votes, left=600_004.0)

        with pytest.raises(LatticeError, match="off the pixel lattice"):
            write_label(place, layout, tmp_path / "label.tif", Said())

    def test_its_progress_is_told(self, make, tmp_path):
        place, layout = make()
        said = Said()

        write_label(place, layout, tmp_path / "label.tif", said)

        shares = [share for _, share in said.lines]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert said.lines[-1][0] == "row 70 of 70"

    def test_its_sources_are_those_it_reads(self, make, tmp_path):
        assert label_sources(make()[0]) == (tmp_path / "stem.tif", tmp_path / "rgi.gpkg")
        given = Region(region(label={"raster": "given.tif"}), tmp_path)
        assert label_sources(given) == (tmp_path / "given.tif",)


class TestDistance:
    @pytest.mark.parametrize("unit", ["m", "px"])
    @pytest.mark.parametrize("max_m", [200, 900])
    def test_outlines_beyond_the_edge_and_across_blocks_count(self, make, tmp_path, unit, max_m):
        place, layout = make(distance={"enabled": True, "unit": unit, "max_m": max_m})

        write_distance(place, layout, tmp_path / "distance.tif", Said())

        # As if the lattice were wide enough to hold every outline that can matter.
        wide = Lattice(LATTICE.crs, LATTICE.left - 600, LATTICE.top + 600, 10.0, 190, 210)
        scale, limit = (10.0, max_m) if unit == "m" else (1.0, max_m / 10)
        expected = np.minimum(ndimage.distance_transform_edt(~inside_at_once(wide)) * scale, limit)[60:130, 60:150]
        made, profile = read(tmp_path / "distance.tif")
        np.testing.assert_array_equal(made, np.rint(expected))
        assert (profile["dtype"], profile["nodata"]) == ("int16", -32768)

    def test_the_label_decides_where_it_is_asked_to(self, make, tmp_path):
        place, paths = make(distance={"enabled": True, "source": "label", "max_m": 300})
        drawn = np.zeros(LATTICE.shape, np.uint8)
        drawn[20, 31], drawn[50, 64], drawn[5, 5] = 1, 2, 255
        write_tif(paths.label, drawn, nodata=255)

        write_distance(place, paths, tmp_path / "distance.tif", Said())

        is_glacier = (drawn == 1) | (drawn == 2)
        expected = np.minimum(ndimage.distance_transform_edt(~is_glacier) * 10.0, 300)
        np.testing.assert_array_equal(read(tmp_path / "distance.tif")[0], np.rint(expected))

    def test_a_ready_made_raster_is_rounded_and_its_nodata_kept_apart(self, make, tmp_path):
        given = np.random.default_rng(1).uniform(0, 32767, LATTICE.shape).astype(np.float32)
        given[0, :4] = -1, np.nan, 0, 32767
        write_tif(tmp_path / "given.tif", given, nodata=-1)
        place, layout = make(distance={"enabled": True, "raster": "given.tif"})

        write_distance(place, layout, tmp_path / "distance.tif", Said())

        made, _ = read(tmp_path / "distance.tif")
        assert made[0, :4].tolist() == [-32768, -32768, 0, 32767]
        np.testing.assert_array_equal(made[1:], np.rint(given[1:]))

    @pytest.mark.parametrize("value", [-5.0, 40_000.0])
    def test_a_ready_made_distance_that_is_none_is_refused_by_name(self, make, tmp_path, value):
        given = np.zeros(LATTICE.shape, np.float32)
        given[69, 89] = value
        write_tif(tmp_path / "given.tif", given, nodata=None)
        place, layout = make(distance={"enabled": True, "raster": "given.tif"})

        with pytest.raises(InputError, match=f"{value:g}") as caught:
            write_distance(place, layout, tmp_path / "distance.tif", Said())

        assert caught.value.where == str(tmp_path / "given.tif")

    def test_its_sources_are_those_it_reads(self, tmp_path):
        def sources(**distance):
            return distance_sources(Region(region(distance={"enabled": True, **distance}), tmp_path))

        assert sources() == (tmp_path / "rgi.gpkg",)
        assert sources(raster="given.tif") == (tmp_path / "given.tif",)
        assert sources(source="label") == ()
