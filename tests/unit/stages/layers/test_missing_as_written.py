"""What a file says of its missing pixels and its years is believed, told or refused; it is never passed over."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.merge import merge
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.lattice import Lattice
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from gcn_luigi.stages.layers.mosaics import mosaic_band
from gcn_luigi.stages.layers.tile_quality import write_tile_quality
from tests.reference.tile_tree import region, write_tif, write_tile

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 32, 48)
LEFT_OUT = (16, 32)


def write_sparse(path, values, *, left=LATTICE.left, **extra):
    """Write (band, y, x) in blocks of 16 x 16, but for one of them."""
    count, height, width = values.shape
    profile = {
        "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype, "crs": LATTICE.crs,
        "transform": Affine(10, 0, left, 0, -10, LATTICE.top), "tiled": True, "blockxsize": 16, "blockysize": 16,
        "sparse_ok": True,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **(profile | extra)) as file:
        for row, col in product(range(0, height, 16), range(0, width, 16)):
            if (row, col) != LEFT_OUT:
                block = values[:, row : row + 16, col : col + 16]
                file.write(block, window=RasterioWindow(col, row, block.shape[2], block.shape[1]))
    with rasterio.open(path) as file:
        assert file.get_tag_item("BLOCK_OFFSET_2_1", "TIFF", bidx=1) is None
    return path


def write_tags(path, tags):
    """Give each band of a GeoTIFF its own nodata, where GDAL keeps it."""
    rows = "".join(
        f'<PAMRasterBand band="{band}"><NoDataValue>{tag}</NoDataValue></PAMRasterBand>'
        for band, tag in enumerate(tags, 1)
        if tag is not None
    )
    Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{rows}</PAMDataset>", encoding="utf-8")


def measured(seed=0, shape=(2, 32, 48)):
    return np.random.default_rng(seed).integers(1, 900, shape).astype(np.int16)


@pytest.fixture
def tree(tmp_path):
    """Return the root of two tiles side by side, 32 x 48 pixels together."""
    for tile, left in (("0007", 0), ("0008", 32)):
        size = {"left": LATTICE.left + 10 * left}
        write_tif(tmp_path / f"optical/{tile}/x_{tile}_a.tif", measured()[:, :, left : left + 32], **size)
        dem = measured()[0, :, left : left + 32].astype(np.float32)
        write_tif(tmp_path / f"topo/{tile}/x_{tile}_dem_temp.tif", dem, nodata=-9999, **size)
    return tmp_path


def scan(tree, **changes):
    inventory = scan_tiles(tree, region(**changes))
    assert Inventory.from_json(inventory.to_json()) == inventory
    return inventory


class TestBlocksThatWereNeverWritten:
    @pytest.mark.parametrize("interleave", ["band", "pixel"])
    @pytest.mark.parametrize("dtype", ["int16", "uint8"])
    def test_without_a_tag_the_tile_is_refused_with_both_remedies(self, tmp_path, interleave, dtype):
        write_tile(tmp_path, "0007", size=48)
        values = np.full((2, 48, 48), 5, dtype)
        write_sparse(tmp_path / "optical/0007/x_0007_a.tif", values, interleave=interleave)

        with pytest.raises(InputError, match=r"of \d+ blocks were never written") as caught:
            scan_tiles(tmp_path, region())

        assert ("1 of 9" if interleave == "pixel" else "2 of 18") in caught.value.where
        tag = -32768 if dtype == "int16" else 255
        assert f"rio edit-info --nodata {tag} FILE" in caught.value.fix
        assert "rio convert" in caught.value.fix

    def test_nor_is_topography_taken_for_zero(self, tmp_path):
        write_tile(tmp_path, "0007", size=48)
        write_sparse(tmp_path / "topo/0007/x_0007_dem_temp.tif", np.full((1, 48, 48), 5, np.float32))

        with pytest.raises(InputError, match="1 of 9 blocks were never written"):
            scan_tiles(tmp_path, region())

    @pytest.mark.parametrize("tags", [(-32768, -32768), (-9999, 7777)], ids=["as declared", "each its own"])
    @pytest.mark.parametrize("interleave", ["band", "pixel"])
    def test_with_a_tag_they_are_missing_for_gdal_and_for_our_own_reader(self, tmp_path, tags, interleave):
        values = measured()
        path = write_sparse(tmp_path / "optical/0007/x_0007_a.tif", values, interleave=interleave)
        write_tif(tmp_path / "topo/0007/x_0007_dem_temp.tif", values[0].astype(np.float32), nodata=-9999)
        write_tags(path, tags)
        inventory = scan(tmp_path)

        absent = np.zeros(LATTICE.shape, bool)
        absent[16:, 32:] = True
        for year, plane in enumerate(values):
            expected = np.where(absent, -32768, plane)
            for found in shown(tmp_path, inventory, year + 1):
                np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("beside", ["", ".vrt"])
    def test_votes_without_a_tag_are_refused_in_a_vrt_as_well(self, tmp_path, beside):
        path = write_sparse(tmp_path / "votes.tif", measured(shape=(1, 32, 48)))
        if beside:
            whole = VrtSource(path, 1, LATTICE.window, None)
            path = tmp_path / "votes.vrt"
            write_vrt(path, LATTICE, [VrtBand("votes", "int16", -32768, (whole,))])

        with pytest.raises(InputError, match="1 of 6 blocks were never written") as caught:
            AlignedRaster.open(path, LATTICE)

        assert caught.value.where.endswith("votes.tif")

    @pytest.mark.parametrize("hides", ["nothing", "a column", "a value"])
    @pytest.mark.parametrize("nodata", [None, -1])
    def test_pixels_of_a_vrt_that_no_source_shows_need_a_nodata_value(self, tmp_path, hides, nodata):
        values = measured(shape=(32, 47 if hides == "a column" else 48))
        path = write_tif(tmp_path / "votes.tif", values, nodata=None)
        seen = values != 5 if hides == "a value" else np.ones(values.shape, bool)
        source = VrtSource(path, 1, replace(LATTICE.window, width=values.shape[1]), 5 if hides == "a value" else None)
        write_vrt(tmp_path / "votes.vrt", LATTICE, [VrtBand("votes", "int16", nodata, (source,))])

        if hides != "nothing" and nodata is None:
            with pytest.raises(InputError, match="no nodata value for them"):
                AlignedRaster.open(tmp_path / "votes.vrt", LATTICE)
            return
        found, missing = AlignedRaster.open(tmp_path / "votes.vrt", LATTICE).read(LATTICE.window)

        seen = np.pad(seen, ((0, 0), (0, 48 - seen.shape[1])))
        np.testing.assert_array_equal(missing, ~seen)
        np.testing.assert_array_equal(found[seen], values[seen[:, : values.shape[1]]])

    def test_votes_with_a_tag_are_missing_there(self, tmp_path):
        values = measured(shape=(1, 32, 48))
        path = write_sparse(tmp_path / "votes.tif", values, nodata=-1)

        found, missing = AlignedRaster.open(path, LATTICE).read(LATTICE.window)

        absent = np.zeros(LATTICE.shape, bool)
        absent[16:, 32:] = True
        np.testing.assert_array_equal(missing, absent)
        np.testing.assert_array_equal(found[~missing], values[0][~absent])


def shown(root, inventory, source_band):
    """Return the mosaic of one year, as GDAL shows it and as our own reader does."""
    band = region().bands[0].as_band()
    mosaic = mosaic_band(inventory.of_band("a"), band, root, source_band=source_band)
    write_vrt(root / f"mosaic_{source_band}.vrt", LATTICE, [mosaic])
    whole = VrtSource(root / f"mosaic_{source_band}.vrt", 1, LATTICE.window, -32768, mosaic)
    stack = Vrt(root / f"stack_{source_band}.vrt", LATTICE, (VrtBand("a", "int16", -32768, (whole,)),))
    write_vrt(stack.path, LATTICE, stack.bands)
    with rasterio.open(stack.path) as dataset:
        yield dataset.read(1)
    with StackReader({0: stack}) as reader:
        yield reader.read(0, LATTICE.window)[0]


class TestTagsOfEachBand:
    @pytest.fixture
    def tagged(self, tree):
        """Return the tree with year one of the first tile tagged 0, year two -9999, and such pixels in both."""
        path = tree / "optical/0007/x_0007_a.tif"
        values = measured()[:, :, :32]
        values[0, 3:9, 4:30] = 0
        values[1, 5:12, 2:20] = -9999
        # A measurement of one year has the value of the other year's tag.
        values[1, 20, 20] = 0
        write_tif(path, values, nodata=None)
        write_tags(path, (0, -9999))
        return tree

    def test_a_mosaic_masks_each_year_by_its_own_tag(self, tagged):
        inventory = scan(tagged)
        paths = [tagged / file.path for file in inventory.of_band("a")]
        assert inventory.of_band("a")[0].tags == (0.0, -9999.0)

        for number in (1, 2):
            layers = []
            for path in paths:
                with rasterio.open(path) as dataset:
                    values = dataset.read(number, masked=True).filled(-32768)
                    profile = {**dataset.profile, "count": 1, "nodata": -32768}
                single = tagged / f"single/{number}_{path.name}"
                single.parent.mkdir(exist_ok=True)
                with rasterio.open(single, "w", **profile) as dataset:
                    dataset.write(values, 1)
                layers.append(single)
            expected = merge(layers, nodata=-32768)[0][0]
            assert (expected == -32768).sum() in {6 * 26, 7 * 18}
            for found in shown(tagged, inventory, number):
                np.testing.assert_array_equal(found, expected)

    def test_the_quality_of_tiles_counts_each_year_by_its_own_tag(self, tagged):
        rows = quality(tagged)["tiles"]

        assert [(row["tile"], row["year"], row["missing"]) for row in rows] == [
            ("7", 1990, 6 * 26), ("7", 2000, 7 * 18), ("8", 1990, 0), ("8", 2000, 0),
        ]  # fmt: skip
        assert all(row["min"] >= 0 for row in rows)

    def test_a_band_without_one_keeps_the_declared_nodata(self, tree):
        path = tree / "optical/0007/x_0007_a.tif"
        values = measured()[:, :, :32]
        values[0, 3:9, 4:30] = 7
        values[1, 5:12, 2:20] = -32768
        write_tif(path, values, nodata=None)
        write_tags(path, (7, None))

        found = [(row["year"], row["missing"]) for row in quality(tree)["tiles"][:2]]

        # 7 is measured in some other pixels, too, and missing there for GDAL as well.
        assert found == [(1990, int((values[0] == 7).sum())), (2000, 7 * 18)]


def quality(tree, bands=None, **changes):
    """Return what the stage says of the optical band."""
    settings = region(**({"bands": bands} if bands else {}), **changes)
    paths, out = DatasetPaths(tree / "out"), tree / "a.json"
    paths.root.mkdir(exist_ok=True)
    paths.inventory.write_text(scan_tiles(tree, settings).to_json(), encoding="utf-8")
    name = settings.bands[0].name
    write_tile_quality(Region(settings, tree), paths, name, out, lambda _line, _share: None)
    return json.loads(out.read_text(encoding="utf-8"))


def declared(**facts):
    return [{"name": "a", "role": "optical", **facts}, {"name": "dem", "role": "topo", "suffix": "dem_temp"}]


class TestPixelsThatLookMissing:
    @pytest.fixture
    def export(self, tree):
        """Return a function that writes the second tile without a tag, a corner or an edge of it filled."""

        def write(value, where=np.s_[1, :16], *, nodata=None):
            values = measured()[:, :, 32:]
            values[where] = value
            write_tif(tree / "optical/0008/x_0008_a.tif", values, left=LATTICE.left + 320, nodata=nodata)
            return tree

        return write

    @pytest.mark.parametrize("value", [0, -1, 255, 32767, -9999])
    @pytest.mark.parametrize(
        "where", [np.s_[1, 4:16, 2:14], np.s_[1, 0], np.s_[1, :, -1]], ids=["area", "row", "column"]
    )
    def test_without_tag_and_declaration_they_stop_the_build(self, export, value, where):
        tree = export(value, where)

        with pytest.raises(InputError, match="1 of 2 files of band a hold one value so often") as caught:
            quality(tree)

        assert "optical/0008/x_0008_a.tif, 2000: " in caught.value.where
        assert f"hold {value}" in caught.value.where
        assert f"rio edit-info --nodata {value} FILE" in caught.value.fix
        assert "tiles.on_suspect_nodata = 'accept'" in caught.value.fix

    def test_they_are_taken_and_told_where_that_is_accepted(self, export):
        found = quality(export(0), tiles={"on_suspect_nodata": "accept"})["suspect"]

        assert [(row["tile"], row["year"], row["value"], row["is_error"]) for row in found] == [("8", 2000, 0, True)]
        assert found[0]["share"] == pytest.approx(0.5, abs=0.01)

    def test_the_remedy_that_is_named_is_one(self, export):
        tree = export(0)
        with rasterio.open(tree / "optical/0008/x_0008_a.tif", "r+") as file:
            file.nodata = 0

        content = quality(tree)

        assert content["suspect"] == []
        assert content["totals"]["missing"] == 256

    def test_a_declared_nodata_that_the_tile_holds_is_believed_and_the_rest_told(self, export):
        tree = export(0)
        path = tree / "optical/0008/x_0008_a.tif"
        with rasterio.open(path, "r+") as file:
            values = file.read()
            values[:, 30, 3] = -32768
            file.write(values)

        found = quality(tree, declared(nodata=-32768))["suspect"]

        assert [(row["value"], row["is_error"]) for row in found] == [(0, False)]

    def test_a_declared_nodata_that_no_pixel_of_an_optical_tile_holds_is_not(self, export):
        with pytest.raises(InputError, match="hold one value so often"):
            quality(export(0), declared(nodata=-32768))

    def test_flat_water_of_a_declared_elevation_is_told_and_taken(self, tree):
        dem = measured()[0, :, :32].astype(np.float32)
        dem[:, :10] = 0
        write_tif(tree / "topo/0007/x_0007_dem_temp.tif", dem, nodata=None)
        bands = [{"name": "dem", "role": "topo", "suffix": "dem_temp"}, {"name": "a", "role": "optical"}]

        with pytest.raises(InputError, match="1 of 2 files of band dem"):
            quality(tree, bands)
        found = quality(tree, [{**bands[0], "nodata": -9999}, bands[1]])["suspect"]

        assert [(row["value"], row["is_error"]) for row in found] == [(0, False)]

    def test_zero_among_mountains_is_not_taken_for_water_whatever_is_declared(self, tree):
        dem = measured()[0, :, :32].astype(np.float32) + 800
        dem[:, :10] = 0
        write_tif(tree / "topo/0007/x_0007_dem_temp.tif", dem, nodata=None)
        dem_first = {"name": "dem", "role": "topo", "suffix": "dem_temp", "nodata": -9999}

        with pytest.raises(InputError, match="1 of 2 files of band dem"):
            quality(tree, [dem_first, {"name": "a", "role": "optical"}])

    def test_a_limit_of_the_valid_range_is_where_an_index_saturates(self, export):
        assert quality(export(1000), declared(valid_min=-1000, valid_max=1000))["suspect"] == []

    def test_a_tag_within_the_valid_range_is_believed_and_told(self, export):
        content = quality(export(0, nodata=0), declared(valid_min=-1000, valid_max=1000))

        assert [(row["year"], row["value"], row["is_error"]) for row in content["suspect"]] == [(2000, 0, False)]
        assert "valid range" in content["suspect"][0]["reason"]
        assert content["totals"]["missing"] == 256


class TestYearsThatBandsAreDescribedAs:
    @staticmethod
    def describe(tree, *names, tile="0007"):
        with rasterio.open(tree / f"optical/{tile}/x_{tile}_a.tif", "r+") as file:
            file.descriptions = names

    @pytest.mark.parametrize(
        ("names", "told"),
        [
            (("2000", "1990"), "2000, 1990"),
            (("1986", "1990"), "1986, 1990"),
            (("yr2000", "nbr"), "2000, ?"),
            (("1991-07-21_1991-09-20", "2001-07-21_2001-09-20"), "1991, 2001"),
        ],
    )
    def test_another_year_is_an_error_that_shows_both_lists(self, tree, names, told):
        self.describe(tree, "1990", "2000")
        self.describe(tree, *names, tile="0008")

        with pytest.raises(InputError, match="1 problem") as caught:
            scan_tiles(tree, region())

        said = f"tile 8 optical/0008: bands of a are described as {told}; years are 1990, 2000"
        assert said in caught.value.where
        assert "correct years" in caught.value.fix

    def test_every_tile_has_a_line(self, tree):
        self.describe(tree, "1990", "2000")
        self.describe(tree, "1990", "2000", tile="0008")

        with pytest.raises(InputError, match="2 problems") as caught:
            scan_tiles(tree, region(years=(1995, 2000)))

        assert caught.value.where.count("are described as 1990, 2000; years are 1995, 2000") == 2

    @pytest.mark.parametrize(
        "names", [("1990", "2000"), ("", ""), ("nbr", "band 2"), ("a 2020", "b 2020"), ("", "2000")]
    )
    def test_descriptions_that_agree_or_say_nothing_pass(self, tree, names):
        self.describe(tree, *names)

        assert scan(tree).suspect == ()

    def test_metadata_of_a_band_speaks_as_well(self, tree):
        with rasterio.open(tree / "optical/0007/x_0007_a.tif", "r+") as file:
            file.update_tags(1, year="2000")
            file.update_tags(2, year="1990")

        with pytest.raises(InputError, match="described as 2000, 1990"):
            scan_tiles(tree, region())

    def test_wrong_descriptions_can_be_accepted_and_are_noted(self, tree):
        self.describe(tree, "2000", "1990")

        (note,) = scan(tree, tiles={"on_described_years": "accept"}).suspect

        assert (note.tile, note.reason) == ("7", "bands of a are described as 2000, 1990; years are 1990, 2000")
