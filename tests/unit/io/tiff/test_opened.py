"""Damaged blocks and directories: refused by file and block, or left to GDAL."""

import struct
import sys
import zlib

import numpy as np
import pytest
import rasterio
import zstandard
from rasterio.transform import Affine

from gcn_luigi.errors import InputError
from gcn_luigi.io.tiff.blocks import read_directory
from gcn_luigi.io.tiff.opened import open_blocks
from tests.unit.io.raster.test_tiff_blocks import replace_block

PLACE = Affine(10.0, 0.0, 600000.0, 0.0, -10.0, 7000000.0)
# One block is just large enough to be decoded here.
_EDGE = 128


def write(path, *, count=1, **profile):
    pixels = np.random.default_rng(1).integers(-50, 50, (count, 2 * _EDGE, 2 * _EDGE)).astype(np.int16)
    form = {"tiled": True, "blockxsize": _EDGE, "blockysize": _EDGE, "compress": "deflate", "predictor": 2} | profile
    shape = {"count": count, "height": 2 * _EDGE, "width": 2 * _EDGE, "dtype": "int16", "transform": PLACE}
    with rasterio.open(path, "w", driver="GTiff", **shape, **form) as dataset:
        dataset.write(pixels)
    return path


def read(path):
    """Return the pixels of a file, or None if GDAL must read it."""
    with rasterio.open(path) as dataset, open_blocks(dataset, 1 << 20) as blocks:
        if blocks is None:
            return None
        out = np.empty((dataset.count, dataset.height, dataset.width), dataset.dtypes[0])
        blocks.read(list(dataset.indexes), 0, 0, out)
        return out


def tag_at(data, tag):
    """Return where the entry of a tag is in a little-endian classic TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    places = [start + 2 + 12 * number for number in range(count)]
    return next(place for place in places if struct.unpack_from("<H", data, place)[0] == tag)


def set_tag(path, tag, value):
    data = bytearray(path.read_bytes())
    place = tag_at(data, tag)
    kind = struct.unpack_from("<H", data, place + 2)[0]
    struct.pack_into({3: "<H", 4: "<I"}[kind], data, place + 8, value)
    path.write_bytes(data)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("profile", "stream", "reason"),
    [
        ({}, lambda old: old[:40] + bytes([old[40] ^ 1]) + old[41:], "checksum or the length"),
        ({}, lambda _: zlib.compress(bytes(2 * _EDGE * _EDGE + 2)), "checksum or the length"),
        ({}, lambda _: zlib.compress(bytes(2 * _EDGE * _EDGE - 2)), "32,766 bytes instead of 32,768"),
        ({"compress": "zstd"}, lambda _: zstandard.compress(bytes(1 << 28)), "holds too much"),
        ({"compress": "zstd"}, lambda old: b"\0" + old[1:], "checksum or the length"),
        ({"compress": "lzw"}, lambda _: b"\x80\x7f\xff\xff", "a code that means nothing"),
        ({"compress": "lzw"}, lambda _: b"\x80\x40\x40", "instead of 32,768"),
    ],
)
def test_a_damaged_block_is_refused_by_file_and_block(tmp_path, profile, stream, reason):
    path = write(tmp_path / "a.tif", **profile)
    replace_block(path, stream, place="1_0")

    with pytest.raises(InputError, match=reason) as caught:
        read(path)

    assert caught.value.where == str(path)
    assert f"block at row 0, column {_EDGE}" in caught.value.what


@pytest.mark.fault
@pytest.mark.parametrize("predictor", [1, 2])
def test_a_flipped_bit_in_a_deflated_block_is_refused(tmp_path, predictor):
    path = write(tmp_path / "a.tif", predictor=predictor)
    sound = path.read_bytes()
    with rasterio.open(path) as dataset:
        first, length = (int(dataset.get_tag_item(f"BLOCK_{what}_1_1", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    rng = np.random.default_rng(5)
    for at in rng.integers(first, first + length, 150):
        data = bytearray(sound)
        data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)

        with pytest.raises(InputError, match=f"block at row {_EDGE}, column {_EDGE}"):
            read(path)


@pytest.mark.fault
def test_a_file_that_was_cut_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", compress=None, predictor=1)
    # GDAL writes the directory first, and the last block at the end.
    data = path.read_bytes()
    path.write_bytes(data[:-100])

    with pytest.raises(InputError, match="beyond the end of the file"):
        read(path)


@pytest.mark.fault
@pytest.mark.parametrize("claimed", [1 << 20, 1 << 31])
def test_a_block_is_not_longer_than_it_can_be(tmp_path, claimed):
    path = write(tmp_path / "a.tif")
    data = bytearray(path.read_bytes())
    (listed,) = struct.unpack_from("<I", data, tag_at(data, 325) + 8)
    struct.pack_into("<I", data, listed, claimed)
    path.write_bytes(data)

    with pytest.raises(InputError, match="more than it can have"):
        read(path)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("tag", "value"),
    [
        # Bits per sample, fill order, photometric, planar configuration, predictor, edge of a tile, sample format.
        (258, 12), (259, 7), (262, 6), (284, 7), (317, 3), (317, 9), (322, 64), (339, 4),
    ],
)  # fmt: skip
def test_a_directory_that_says_anything_uncommon_is_left_to_gdal(tmp_path, tag, value):
    path = write(tmp_path / "a.tif")
    wanted = read(path)
    set_tag(path, tag, value)

    try:
        found = read(path)
    except rasterio.errors.RasterioIOError:
        found = None
    # Bands of one plane may be laid out either way.
    assert found is None or (tag == 284 and (found == wanted).all())


def test_floats_of_a_byte_are_no_common_directory(tmp_path):
    path = write(tmp_path / "a.tif")
    set_tag(path, 258, 8)
    set_tag(path, 339, 3)

    with path.open("rb") as file:
        assert read_directory(file.fileno()) is None


def test_bits_in_reverse_are_left_to_gdal(tmp_path):
    path = write(tmp_path / "a.tif", compress=None, predictor=1)
    assert read(path) is not None
    data = bytearray(path.read_bytes())
    # The tag before FillOrder in the order of numbers is Photometric, which GDAL can do without.
    struct.pack_into("<HHII", data, tag_at(data, 262), 266, 3, 1, 2)
    path.write_bytes(data)

    assert read(path) is None


def test_the_lzw_of_1988_is_left_to_gdal(tmp_path):
    path = write(tmp_path / "a.tif", compress="lzw")
    assert read(path) is not None
    # Codes with the lowest bits first begin with a byte of 0.
    replace_block(path, lambda old: b"\0" + old[1:], place="0_0")

    assert read(path) is None


def test_zstandard_is_left_to_gdal_where_its_library_is_not_installed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", compress="zstd")
    assert read(path) is not None
    monkeypatch.setitem(sys.modules, "zstandard", None)

    assert read(path) is None


@pytest.mark.parametrize("start", [0, 1 << 31])
def test_a_directory_beyond_the_file_is_left_to_gdal(tmp_path, start):
    path = write(tmp_path / "a.tif")
    with rasterio.open(path) as dataset:
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, 4, start)
        path.write_bytes(data)
        # GDAL read the directory before.
        with open_blocks(dataset, 0) as blocks:
            assert blocks is None
