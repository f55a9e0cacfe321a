"""A deflated block that libtiff takes although it is damaged is refused."""

import zlib

import numpy as np
import pytest
import rasterio

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.header import check_deflated
from gcn_luigi.lattice import Lattice
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from tests.reference.tile_tree import write_tif

BLOCKS = {"tiled": True, "blockxsize": 16, "blockysize": 16}


def pixels(count=2):
    rng = np.random.default_rng(1)
    return rng.integers(-50, 50, (count, 40, 50)).astype(np.int16)


def check(path):
    with rasterio.open(path) as dataset:
        check_deflated(dataset, path)


def replace_block(path, make, *, band=1, place="1_0"):
    """Put a stream of the same length in place of a block's."""
    with rasterio.open(path) as dataset:
        start, length = (
            int(dataset.get_tag_item(f"BLOCK_{what}_{place}", "TIFF", bidx=band)) for what in ("OFFSET", "SIZE")
        )
    data = bytearray(path.read_bytes())
    stream = make(bytes(data[start : start + length]))
    assert len(stream) <= length
    data[start : start + len(stream)] = stream
    path.write_bytes(data)


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd", None])
@pytest.mark.parametrize(
    "form", [BLOCKS, {"interleave": "pixel"}, {"blockysize": 7}, {**BLOCKS, "interleave": "pixel"}]
)
def test_sound_files_pass(tmp_path, compress, form):
    check(write_tif(tmp_path / "a.tif", pixels(), compress=compress, **form))


def test_a_sparse_file_passes(tmp_path):
    check(write_tif(tmp_path / "a.tif", np.zeros((2, 40, 50), np.int16), nodata=0, sparse_ok=True, **BLOCKS))


@pytest.mark.fault
def test_a_block_that_holds_too_much_is_refused_although_gdal_reads_it(tmp_path):
    path = write_tif(tmp_path / "a.tif", pixels(), **BLOCKS)

    replace_block(path, lambda _: zlib.compress(bytes(4000)))

    with rasterio.open(path) as dataset:
        assert dataset.read().shape == (2, 40, 50)
    with pytest.raises(InputError, match="the checksum of the block at row 0, column 16") as caught:
        check(path)
    assert caught.value.where == str(path)


@pytest.mark.fault
@pytest.mark.parametrize("form", [BLOCKS, {**BLOCKS, "interleave": "pixel"}])
def test_flipped_bits_of_a_block_are_noticed(tmp_path, form):
    path = write_tif(tmp_path / "a.tif", pixels(), **form)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)

    for _ in range(100):

        def flip(stream):
            broken = bytearray(stream)
            # Two bits in the first byte say for what window it was made, which nobody needs to know.
            broken[rng.integers(2, len(stream))] ^= 1 << rng.integers(8)
            return bytes(broken)

        path.write_bytes(whole)
        replace_block(path, flip, place=f"{rng.integers(3)}_{rng.integers(2)}")
        with pytest.raises(InputError, match="it is damaged"):
            check(path)


@pytest.mark.fault
def test_a_damaged_label_is_refused_before_it_is_read(tmp_path):
    path = write_tif(tmp_path / "label.tif", pixels(1), **BLOCKS)
    replace_block(path, lambda _: zlib.compress(bytes(4000)))

    with pytest.raises(InputError, match="it is damaged"):
        AlignedRaster.open(path, Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 40, 50))
