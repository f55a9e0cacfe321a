"""Reading of stacks: blocks decoded once, bounded memory, and errors that name the file."""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.raster.geotiff import write_geotiff
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.io.raster.windows import read_window
from gcn_luigi.lattice import Lattice, Window, hilbert_order
from gcn_luigi.stages.layers.mosaics import mosaic_band
from tests.reference.tile_tree import write_tif

# Tiles as STEM delivers them, at a quarter of their scale: 1667 px, blocks and partitions of 256 px.
EDGE, BLOCK, N_YEARS, N_TILES = 417, 64, 18, 2
LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, EDGE * N_TILES, EDGE * N_TILES)
BAND = Band("nbr", Role.OPTICAL)
LAYOUTS = {
    "blocks of all years": {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "interleave": "pixel"},
    "large blocks": {"tiled": True, "blockxsize": 2 * BLOCK, "blockysize": 2 * BLOCK, "interleave": "pixel"},
    "strips of all years": {"blockysize": 2, "interleave": "pixel"},
    "strips of a year": {"blockysize": 2, "interleave": "band", "compress": "lzw"},
    "blocks of a year": {"tiled": True, "blockxsize": 2 * BLOCK, "blockysize": 2 * BLOCK, "interleave": "band"},
}
# Shares of the default for the one band and the sixteenth of the area that there are here.
SMALL = {"block_bytes": 600_000, "ahead_bytes": 600_000}


def stacks_of(root, lattice, files, years):
    """Write the mosaics and stacks of one band; return the stacks by year."""
    made = {}
    for year in years:
        mosaic = mosaic_band(files, BAND, root, source_band=year + 1)
        write_vrt(root / f"mosaic_{year}.vrt", lattice, [mosaic])
        whole = VrtSource(root / f"mosaic_{year}.vrt", 1, lattice.window, -32768, mosaic)
        made[year] = Vrt(root / f"stack_{year}.vrt", lattice, (VrtBand("nbr", "int16", -32768, (whole,)),))
        write_vrt(made[year].path, lattice, made[year].bands)
    return made


def make_region(root: Path, **layout):
    """Write four tiles of one band and 18 years, their mosaics and stacks; return the stacks by year."""
    rng = np.random.default_rng(1)
    files = []
    for row, col in product(range(N_TILES), range(N_TILES)):
        values = rng.integers(-200, 200, (N_YEARS, EDGE, EDGE)).astype(np.int16)
        place = {"left": LATTICE.left + 10 * EDGE * col, "top": LATTICE.top - 10 * EDGE * row}
        name = f"{N_TILES * row + col + 1}.tif"
        write_tif(root / name, values, **place, **layout)
        window = Window(row * EDGE, col * EDGE, EDGE, EDGE)
        files.append(SourceFile(name[:-4], "nbr", name, window, "int16", -32768, N_YEARS))
    return stacks_of(root, LATTICE, files, range(N_YEARS))


def cells():
    """Return partitions of some year each, along the curve."""
    rng = np.random.default_rng(2)
    places = [
        (int(rng.integers(N_YEARS)), Window(row, col, BLOCK, BLOCK))
        for row, col in product(range(0, LATTICE.height - BLOCK, BLOCK), range(0, LATTICE.width - BLOCK, BLOCK))
    ]
    return [places[i] for i in hilbert_order([at.row for _, at in places], [at.col for _, at in places])]


def needed_bytes(root: Path, requests) -> int:
    """Return the compressed bytes of all blocks that hold a pixel asked for: each once."""
    blocks = {}
    for tile, (row, col) in enumerate(product(range(N_TILES), range(N_TILES)), 1):
        with rasterio.open(root / f"{tile}.tif") as dataset:
            height, width = dataset.block_shapes[0]
            for year, window in requests:
                own = window.intersection(Window(row * EDGE, col * EDGE, EDGE, EDGE))
                if own.is_empty:
                    continue
                top, left = own.row - row * EDGE, own.col - col * EDGE
                for down in range(top // height, (top + own.height - 1) // height + 1):
                    for along in range(left // width, (left + own.width - 1) // width + 1):
                        place = f"{along}_{down}"
                        # Blocks of all years are one block, whichever band names it.
                        at = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=year + 1)
                        size = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=year + 1)
                        blocks[tile, at] = int(size)
    return sum(blocks.values())


def bytes_read() -> int:
    """Return the bytes that this process has asked the system for."""
    return int(Path("/proc/self/io").read_text().split("rchar:")[1].split()[0])


def cost(stacks, requests, *, is_expected):
    with StackReader(stacks, **SMALL) as reader:
        if is_expected:
            reader.expect(requests)
        before = bytes_read()
        for request in requests:
            reader.read(*request)
        return bytes_read() - before


@pytest.mark.skipif(sys.platform != "linux", reason="counts bytes by /proc")
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_block_is_read_and_decoded_about_once(tmp_path, name):
    stacks = make_region(tmp_path, **LAYOUTS[name])
    requests = cells()

    least = needed_bytes(tmp_path, requests)
    spent = cost(stacks, requests, is_expected=True)

    # Not 1: a group of windows read ahead shares every block, and neighbouring groups decode those along their common
    # edge once each. Groups here are 9 windows wide at most: an edge of blocks twice as large weighs more, and strips,
    # which pass through all groups of a row, are decoded once for each. Then there are headers.
    assert least <= spent < (1.7 if name in ("large blocks", "strips of all years") else 1.3) * least


@pytest.mark.skipif(sys.platform != "linux", reason="counts bytes by /proc")
@pytest.mark.parametrize("name", ["blocks of all years", "large blocks", "strips of all years"])
def test_windows_one_by_one_would_decode_blocks_again(tmp_path, name):
    stacks = make_region(tmp_path, **LAYOUTS[name])
    requests = cells()

    one_by_one, ahead = (cost(stacks, requests, is_expected=is_expected) for is_expected in (False, True))

    # The count of bytes sees it: so the test above can fail.
    assert one_by_one > 1.4 * ahead


@pytest.mark.parametrize("name", LAYOUTS)
def test_windows_read_ahead_are_those_of_gdal(tmp_path, name):
    stacks = make_region(tmp_path, **LAYOUTS[name])
    requests = cells()[::7]
    with StackReader(stacks, **SMALL) as reader:
        reader.expect(requests)
        for year, window in requests:
            expected = read_window(tmp_path / f"stack_{year}.vrt", window, fill=-32768)
            np.testing.assert_array_equal(reader.read(year, window), expected)


@pytest.fixture
def small(tmp_path):
    """Return a directory with two tiles of 20 x 20 px side by side, and the stacks of two years."""
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 20, 40)
    files = []
    for col in (0, 20):
        values = np.arange(800, dtype=np.int16).reshape(2, 20, 20) + 1000 * col
        write_tif(tmp_path / f"{col}.tif", values, left=lattice.left + 10 * col)
        files.append(SourceFile(str(col), "nbr", f"{col}.tif", Window(0, col, 20, 20), "int16", -32768, 2))
    return tmp_path, stacks_of(tmp_path, lattice, files, (0, 1))


EAST, WEST = Window(0, 20, 20, 20), Window(0, 0, 20, 20)


def test_a_window_beyond_everything_is_nodata(small):
    _, stacks = small
    with StackReader(stacks) as reader:
        assert (reader.read(0, Window(-50, -50, 4, 6)) == -32768).all()


def test_a_file_that_is_gone_is_named_and_its_neighbour_still_read(small, capfd):
    root, stacks = small
    (root / "20.tif").unlink()
    with StackReader(stacks) as reader:
        assert reader.read(1, WEST)[0, 0, 0] == 400
        with pytest.raises(InputError, match="is gone; needed for 20 x 20 pixels from row 0, column 20") as caught:
            reader.read(1, EAST)

    assert caught.value.where == str(root / "20.tif")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_cannot_be_decoded_is_named(small, capfd):
    root, stacks = small
    path = root / "20.tif"
    with rasterio.open(path) as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    whole = bytearray(path.read_bytes())
    whole[start : start + 40] = bytes(40)
    path.write_bytes(whole)

    with StackReader(stacks) as reader, pytest.raises(InputError, match="cannot be decoded") as caught:
        reader.read(0, EAST)

    assert caught.value.where == str(path)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_became_text_is_named(small):
    root, stacks = small
    (root / "0.tif").write_text("<html>moved</html>")

    with StackReader(stacks) as reader, pytest.raises(InputError, match="cannot be decoded") as caught:
        reader.read(0, WEST)

    assert caught.value.where == str(root / "0.tif")


@pytest.mark.parametrize("shape", [(2, 19, 20), (2, 20, 12), (1, 20, 20)])
def test_a_file_replaced_by_a_smaller_one_is_never_stretched(small, shape):
    root, stacks = small
    write_tif(root / "0.tif", np.ones(shape, np.int16))

    with StackReader(stacks) as reader, pytest.raises(InputError, match=r"fewer than stack_1\.vrt needs") as caught:
        reader.read(1, WEST)

    assert caught.value.where == str(root / "0.tif")


def test_a_file_replaced_while_it_is_read_is_refused_at_the_end(small):
    root, stacks = small
    reader = StackReader(stacks)
    reader.__enter__()
    reader.read(0, WEST)
    write_tif(root / "new.tif", np.ones((2, 20, 20), np.int16))
    (root / "new.tif").replace(root / "0.tif")

    with pytest.raises(InputError, match="was replaced") as caught:
        reader.__exit__(None, None, None)

    assert caught.value.where == str(root / "0.tif")


def test_an_error_is_not_hidden_by_the_look_for_replaced_files(small):
    root, stacks = small
    reader = StackReader(stacks)
    reader.__enter__()
    reader.read(0, WEST)
    (root / "0.tif").unlink()

    error = InputError("something else", where="elsewhere", fix="")

    reader.__exit__(InputError, error, None)


def test_bands_of_one_geotiff_are_read_without_a_mosaic(tmp_path):
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 20, 40)
    values = np.arange(1600, dtype=np.int16).reshape(2, 20, 40)
    write_geotiff(tmp_path / "a.tif", lattice, values, nodata=-7, names=("a", "b"))
    bands = [VrtBand(f"{n}", "int16", -7, (VrtSource(tmp_path / "a.tif", n, lattice.window, -7),)) for n in (1, 2)]

    with StackReader({0: Vrt(tmp_path / "stack_0.vrt", lattice, tuple(bands))}) as reader:
        read = reader.read(0, Window(-1, 5, 10, 10))

    np.testing.assert_array_equal(read[:, 1:], values[:, :9, 5:15])
    assert (read[:, 0] == -7).all()


def test_a_stack_of_a_type_that_no_shard_has_is_refused(tmp_path):
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 20, 40)
    values = np.full((1, 20, 40), 0.5, np.float64)
    write_geotiff(tmp_path / "a.tif", lattice, values, nodata=None, names=("a",))
    band = VrtBand("a", "float64", None, (VrtSource(tmp_path / "a.tif", 1, lattice.window, None),))
    stack = Vrt(tmp_path / "stack_0.vrt", lattice, (band,))
    write_vrt(stack.path, lattice, stack.bands)

    with StackReader({0: stack}) as reader, pytest.raises(InputError, match="float64, but the stack must be int16"):
        reader.read(0, WEST)


def test_a_stack_that_gdal_has_to_read_and_is_not_there_is_named(tmp_path):
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 20, 40)
    stack = Vrt(tmp_path / "stack_0.vrt", lattice, (VrtBand("a", "float64", None, ()),))

    with StackReader({0: stack}) as reader, pytest.raises(InputError, match="is gone") as caught:
        reader.read(0, WEST)

    assert caught.value.where == str(tmp_path / "stack_0.vrt")


def test_gdals_cache_is_bounded_while_reading_and_as_before_afterwards(small):
    _, stacks = small
    before = get_gdal_config("GDAL_CACHEMAX")
    with StackReader(stacks, block_bytes=5_000_000) as reader:
        reader.read(0, WEST)
        assert get_gdal_config("GDAL_CACHEMAX") == 5_000_000

    assert get_gdal_config("GDAL_CACHEMAX") == before
