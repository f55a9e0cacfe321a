"""Every pixel of every tile is counted as what it is, and every damaged file is named."""

import json
import zlib

import numpy as np
import pytest
import rasterio

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.stages.layers import tile_quality as stage
from gcn_luigi.stages.layers.tile_quality import write_tile_quality
from tests.reference.tile_tree import region, write_tif

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 100, 100)
BANDS = [
    {"name": "a", "role": "optical", "valid_min": -1000, "valid_max": 1000},
    {"name": "dem", "role": "topo", "scale": 10, "offset": 5, "valid_min": -500, "valid_max": 65_000},
    {"name": "rmse", "role": "quality"},
]


def counts(values, missing, low, high):
    """Return what a plane holds, by numpy at once; limits are in source units."""
    missing = missing | ~np.isfinite(values.astype(float))
    wild = ~missing & ((values < low) | (values > high))
    valid = ~(missing | wild)
    extremes = (float(values[valid].min()), float(values[valid].max())) if valid.any() else (None, None)
    return {
        "valid": int(valid.sum()),
        "missing": int(missing.sum()),
        "out_of_range": int(wild.sum()),
        **dict(zip(("min", "max"), extremes, strict=True)),
    }


@pytest.fixture
def make(tmp_path):
    """Return a function that writes tiles of one band and returns what the stage says of them."""

    def make(band, tiles, bands=BANDS, **extra):
        files = []
        for tile, values, tag in tiles:
            write_tif(tmp_path / f"{tile}_{band}.tif", values, nodata=tag, **extra)
            shape = values.shape[-2:]
            files.append(SourceFile(tile, band, f"{tile}_{band}.tif", Window(0, 0, *shape), values.dtype.name, tag, 1))
        return run(band, files, bands)

    def run(band, files, bands=BANDS):
        paths, out = DatasetPaths(tmp_path / "out"), tmp_path / f"{band}.json"
        paths.root.mkdir(exist_ok=True)
        paths.inventory.write_text(Inventory(LATTICE, tuple(files)).to_json(), encoding="utf-8")
        said = []
        place = Region(region(bands=bands), tmp_path)
        write_tile_quality(place, paths, band, out, lambda line, share: said.append((line, share)))
        return json.loads(out.read_text(encoding="utf-8")), said

    make.run = run
    return make


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let a small tile be read in many blocks."""
    monkeypatch.setattr(stage, "_STRIP", (16, 32))


def optical(seed, shape=(2, 40, 50)):
    rng = np.random.default_rng(seed)
    values = rng.integers(-1200, 1200, shape).astype(np.int16)
    values[rng.random(shape) < 0.1] = -32768
    return values


@pytest.mark.parametrize("extra", [{}, {"interleave": "pixel"}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_optical_tiles_are_counted_year_by_year(make, extra):
    one, two = optical(1), optical(2)
    two[1] = -32768

    content, _ = make("a", [("0123", one, -32768), ("0124", two, -32768)], **extra)

    expected = [
        {"tile": tile, "path": f"{tile}_a.tif", "year": year, **counts(plane, plane == -32768, -1000, 1000)}
        for tile, values in (("0123", one), ("0124", two))
        for year, plane in zip((1990, 2000), values, strict=True)
    ]
    assert content["tiles"] == expected
    assert content["totals"] == {key: sum(row[key] for row in expected) for key in ("valid", "missing", "out_of_range")}
    assert sum(content["totals"].values()) == one.size + two.size
    assert (content["band"], content["valid_min"], content["valid_max"]) == ("a", -1000, 1000)


def test_topography_is_checked_after_scaling_and_described_before_it(make):
    values = np.random.default_rng(3).uniform(-100, 7000, (40, 50)).astype(np.float32)
    values[0, :4] = np.nan, np.inf, -np.inf, -9999
    values[1, :2] = -50.5, -50.6

    content, _ = make("dem", [("0123", values, -9999)])

    # value * 10 + 5 within -500 .. 65 000
    expected = counts(values, values == -9999, -50.5, 6499.5)
    assert content["tiles"] == [{"tile": "0123", "path": "0123_dem.tif", "year": None, "infinite": 2, **expected}]


def test_both_the_files_own_tag_and_the_bands_nodata_are_missing(make):
    values = optical(4)
    values[0, 0, :3] = 0

    content, _ = make("a", [("0123", values, 0)])

    missing = (values == 0) | (values == -32768)
    for row, plane, absent in zip(content["tiles"], values, missing, strict=True):
        assert {key: row[key] for key in ("valid", "missing", "out_of_range")} == {
            key: value for key, value in counts(plane, absent, -1000, 1000).items() if key not in ("min", "max")
        }


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float64"])
def test_any_type_is_counted(make, dtype):
    values = np.random.default_rng(5).integers(0, 200, (40, 50)).astype(dtype)

    content, _ = make("dem", [("0123", values, None)])

    assert {key: content["tiles"][0][key] for key in ("valid", "missing", "min", "max")} == {
        "valid": 2000, "missing": 0, "min": float(values.min()), "max": float(values.max()),
    }  # fmt: skip


@pytest.mark.parametrize(("limits", "wild"), [({}, 0), ({"valid_min": 0}, 1), ({"valid_max": 0}, 1)], ids=str)
def test_a_range_may_be_open_on_either_side(make, limits, wild):
    values = np.array([[-7.0, 0.0, 7.0, np.inf]], np.float32)

    content, _ = make("dem", [("0123", values, -9999)], bands=[BANDS[0], {"name": "dem", "role": "topo", **limits}])

    assert content["totals"] == {"valid": 3 - wild, "missing": 1, "out_of_range": wild}


def test_progress_counts_tiles(make):
    _, said = make("a", [(f"{tile}", optical(tile), -32768) for tile in range(1, 5)])

    assert [share for _, share in said] == [0.25, 0.5, 0.75, 1.0]
    assert said[-1][0].startswith("4 of 4 tiles, ")


def test_equal_tiles_give_equal_bytes(make, tmp_path):
    make("a", [("0123", optical(1), -32768)])
    first = (tmp_path / "a.json").read_bytes()

    make("a", [("0123", optical(1), -32768)])

    assert (tmp_path / "a.json").read_bytes() == first


def test_bands_of_the_stack_that_come_from_tiles_are_checked():
    settings = region(bands=BANDS, distance={"enabled": True})

    assert [band.name for band in settings.checked_bands] == ["a", "dem"]


@pytest.mark.fault
def test_every_damaged_file_is_named_and_nothing_written(make, tmp_path):
    for tile in ("0123", "0124", "0125"):
        write_tif(tmp_path / f"{tile}_a.tif", optical(int(tile)), compress=None)
    whole = (tmp_path / "0124_a.tif").read_bytes()
    (tmp_path / "0124_a.tif").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "0125_a.tif").write_bytes(b"")
    tiles = ("0123", "0124", "0125", "0126")
    files = [SourceFile(tile, "a", f"{tile}_a.tif", Window(0, 0, 40, 50), "int16", -32768, 2) for tile in tiles]

    with pytest.raises(InputError, match="3 of 4 files of band a are damaged") as caught:
        make.run("a", files)

    assert [line.split(":")[0].strip() for line in caught.value.where.splitlines()] == [
        "0124_a.tif",
        "0125_a.tif",
        "0126_a.tif",
    ]
    assert "0 bytes" in caught.value.where
    assert not (tmp_path / "a.json").exists()


@pytest.mark.fault
def test_of_very_many_damaged_files_the_first_are_named(make):
    files = [SourceFile(f"{tile}", "a", f"{tile}.tif", Window(0, 0, 4, 4), "int16", None, 2) for tile in range(30)]

    with pytest.raises(InputError, match="30 of 30") as caught:
        make.run("a", files)

    assert len(caught.value.where.splitlines()) == 20


@pytest.mark.fault
def test_pixels_that_are_no_numbers_are_missing_without_a_word(make):
    values = np.ones((1, 20, 20), np.float32)
    # A signalling NaN, as damage leaves it behind.
    values.view(np.uint32)[0, 3, 4] = 0x7F800001

    content, _ = make("dem", [("0123", values, -9999.0)])

    assert content["totals"] == {"valid": 399, "missing": 1, "out_of_range": 0}


@pytest.mark.fault
def test_a_block_that_only_its_checksum_betrays_is_damage(make, tmp_path):
    plain = zlib.compress(bytes(4000))
    values = np.random.default_rng(1).integers(-50, 50, (2, 16, 16)).astype(np.int16)
    write_tif(tmp_path / "0123_a.tif", values, tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(tmp_path / "0123_a.tif") as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=2))
    data = bytearray((tmp_path / "0123_a.tif").read_bytes())
    data[start : start + len(plain)] = plain
    (tmp_path / "0123_a.tif").write_bytes(data)

    with pytest.raises(InputError, match="1 of 1 files of band a are damaged") as caught:
        make.run("a", [SourceFile("0123", "a", "0123_a.tif", Window(0, 0, 16, 16), "int16", -32768, 2)])
    assert "checksum" in caught.value.where


@pytest.mark.parametrize("below", [0, 77])
def test_hidden_pixels_are_missing_and_never_suspect(make, tmp_path, below):
    # One value fills a third of the tile, below the mask, and bytes cannot hold the band's nodata.
    values = np.random.default_rng(2).integers(1, 200, (40, 50)).astype(np.uint8)
    hidden = np.zeros(values.shape, bool)
    hidden[:, :17] = True
    values[hidden] = below
    write_tif(tmp_path / "0123_dem.tif", values, nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(tmp_path / "0123_dem.tif", "r+") as file:
        file.write_mask(~hidden)
    tile = SourceFile("0123", "dem", "0123_dem.tif", Window(0, 0, 40, 50), "uint8", None, 1, mask=-1)

    content, _ = make.run("dem", [tile])

    assert content["totals"] == {"valid": 40 * 33, "missing": 40 * 17, "out_of_range": 0}
    assert content["suspect"] == []
    assert content["tiles"][0]["max"] == values[~hidden].max()


def test_infinite_pixels_are_missing_and_counted_in_their_tile(make):
    fine, odd = (np.random.default_rng(seed).normal(500, 9, (20, 20)).astype(np.float32) for seed in (1, 2))
    odd[0, :3], odd[5, 5] = np.inf, -np.inf

    content, _ = make("dem", [("1", fine, -9999.0), ("2", odd, -9999.0)])

    assert content["infinite"] == 4
    assert [row.get("infinite") for row in content["tiles"]] == [None, 4]
    assert content["totals"]["missing"] == 4


def test_values_are_compared_with_the_valid_range_after_the_tags_of_the_file(make, tmp_path):
    values = np.array([[0, 1000, 20000, 65535]], np.uint16)
    write_tif(tmp_path / "1_a.tif", np.stack([values, values]), nodata=65535)
    window = Window(0, 0, 1, 4)
    tile = SourceFile("1", "a", "1_a.tif", window, "uint16", 65535.0, 2, scaling=(0.0001, -0.1))
    bands = [{"name": "a", "role": "optical", "use_tags": True, "scale": 1000, "valid_min": 0, "valid_max": 1000}]

    content, _ = make.run("a", [tile], bands)

    # After the tags: -0.1, 0, 1.9.
    assert content["totals"] == {"valid": 2, "missing": 2, "out_of_range": 4}
