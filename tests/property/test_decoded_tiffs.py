"""A GeoTIFF that is decoded here has the pixels that GDAL reads, whatever its layout."""

import tempfile
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from gcn_luigi.io.tiff import opened
from gcn_luigi.io.tiff.opened import BlockCache, DecodedTiff

PLACE = Affine(10.0, 0.0, 600000.0, 0.0, -10.0, 7000000.0)
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "uint64", "int64"]


@contextmanager
def decoded(path, cache=None):
    """Yield an open dataset and its blocks, also those that GDAL would decode faster."""
    with mock.patch.object(opened, "_SMALLEST", 0), rasterio.open(path) as dataset:
        blocks = DecodedTiff.of(dataset, cache or BlockCache(1 << 20))
        try:
            yield dataset, blocks
        finally:
            if blocks is not None:
                blocks.close()


def write(path, pixels, **profile):
    form = {"count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2], "dtype": pixels.dtype.name}
    form["transform"] = PLACE
    with rasterio.open(path, "w", driver="GTiff", **form, **profile) as dataset:
        dataset.write(pixels)


def assert_same(dataset, blocks, bands, row, col, height, width):
    wanted = dataset.read(bands, window=((row, row + height), (col, col + width)))
    got = np.empty_like(wanted)
    blocks.read(bands, row, col, got)
    # As bytes, so that a nan equals itself and -0.0 is not 0.0.
    assert got.tobytes() == wanted.tobytes()


@st.composite
def files(draw):
    """Draw pixels and the profile with which GDAL writes them."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 70)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
    if draw(st.booleans()):
        # Smooth values and flat areas.
        pixels = (pixels // 7 if dtype.kind != "f" else rng.normal(size=shape).round(1)).astype(dtype)
        pixels[:, : shape[1] // 2] = 3
    compress = draw(st.sampled_from([None, "deflate", "zstd", "lzw"]))
    predictors = [1] + [2] * (dtype.itemsize < 8) + [3] * (dtype.kind == "f")
    profile = {
        "compress": compress,
        "predictor": draw(st.sampled_from(predictors)) if compress else 1,
        "interleave": draw(st.sampled_from(["band", "pixel"])),
        "BIGTIFF": draw(st.sampled_from(["YES", "NO"])),
        "ENDIANNESS": draw(st.sampled_from(["LITTLE", "BIG"])),
        "nodata": draw(st.sampled_from([None, 3])),
        "SPARSE_OK": draw(st.booleans()),
    }
    if draw(st.booleans()):
        profile |= {"tiled": True, "blockxsize": draw(st.sampled_from([16, 32, 64])), "blockysize": 16}
    else:
        profile |= {"blockysize": draw(st.integers(1, 80))}
    return pixels, profile


@given(files(), st.data())
@settings(max_examples=300, deadline=None)
def test_any_window_of_any_layout_is_what_gdal_reads(file, data):
    pixels, profile = file
    with tempfile.TemporaryDirectory() as root:
        path = Path(root, "a.tif")
        write(path, pixels, **profile)
        with decoded(path) as (dataset, blocks):
            if blocks is None:
                # GDAL cuts uncompressed strips that are long, and reads them as others than the file lists. It decodes
                # LZW faster without differences.
                is_cut = profile["compress"] is None and "tiled" not in profile
                assert is_cut or (profile["compress"], profile["predictor"]) == ("lzw", 1)
                return
            for _ in range(3):
                row, col = data.draw(st.integers(0, dataset.height - 1)), data.draw(st.integers(0, dataset.width - 1))
                height = data.draw(st.integers(1, dataset.height - row))
                width = data.draw(st.integers(1, dataset.width - col))
                bands = data.draw(st.lists(st.sampled_from(dataset.indexes), min_size=1, max_size=4))
                assert_same(dataset, blocks, bands, row, col, height, width)


@pytest.mark.parametrize("nodata", [None, -32768, 0, 7.5, 70000])
@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_a_block_that_was_never_written_is_as_gdal_fills_it(tmp_path, nodata, interleave):
    profile = {"tiled": True, "blockxsize": 16, "blockysize": 16, "SPARSE_OK": True, "compress": "deflate"}
    pixels = np.full((2, 40, 40), -32768 if nodata is None else 0, np.int16)
    form = {"count": 2, "height": 40, "width": 40, "dtype": "int16", "interleave": interleave, "transform": PLACE}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **form, **profile) as dataset:
        dataset.write(pixels[:, :16, :16] + 5, window=((0, 16), (0, 16)))
    if nodata is not None:
        path = tmp_path / "a.tif.aux.xml"
        bands = "".join(
            f'<PAMRasterBand band="{band}"><NoDataValue>{nodata}</NoDataValue></PAMRasterBand>' for band in (1, 2)
        )
        path.write_text(f"<PAMDataset>{bands}</PAMDataset>")

    with decoded(tmp_path / "a.tif") as (dataset, blocks):
        if blocks is None:
            # Only GDAL knows what a tag that no pixel can hold means.
            assert nodata in (None, 7.5, 70000)
        else:
            assert_same(dataset, blocks, [1, 2], 0, 0, 40, 40)


@pytest.mark.parametrize(
    "profile",
    [
        {"compress": "lzw"},
        {"compress": "lzma"},
        {"compress": "packbits"},
        {"NBITS": 5},
        {"compress": "jpeg", "photometric": "ycbcr", "interleave": "pixel"},
        {"compress": "jpeg"},
    ],
)
def test_what_is_not_decoded_here_is_left_to_gdal(tmp_path, profile):
    write(tmp_path / "a.tif", np.ones((3, 32, 32), np.uint8), tiled=True, blockxsize=16, blockysize=16, **profile)

    with decoded(tmp_path / "a.tif") as (_, blocks):
        assert blocks is None


def test_each_block_is_decoded_once_for_all_windows(tmp_path):
    pixels = np.arange(64 * 64, dtype=np.int16).reshape(1, 64, 64)
    write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=32, blockysize=32, compress="deflate", predictor=2)
    cache = BlockCache(1 << 20)

    with decoded(tmp_path / "a.tif", cache) as (dataset, blocks):
        for row in range(0, 60, 3):
            assert_same(dataset, blocks, [1], row, 10, 4, 40)

    assert cache.decoded_bytes == pixels.nbytes


def test_a_full_cache_drops_what_was_used_longest_ago(tmp_path):
    pixels = np.arange(64 * 64, dtype=np.int16).reshape(1, 64, 64)
    write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    block = 2 * 32 * 32
    cache = BlockCache(2 * block)

    with decoded(tmp_path / "a.tif", cache) as (dataset, blocks):
        for row, col in ((0, 0), (0, 32), (0, 0), (32, 0), (0, 0), (0, 32)):
            assert_same(dataset, blocks, [1], row, col, 32, 32)

    # The third and fifth window find their block; the second block was dropped for the one of the fourth window.
    assert cache.decoded_bytes == 4 * block
