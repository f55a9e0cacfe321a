import struct

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.raster.crs import crs_of, is_same_crs
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.lattice import Lattice
from tests.reference.tile_tree import write_tif

ALBERS = "+proj=aea +lat_0=50 +lon_0=-154 +lat_1=55 +lat_2=65 +x_0=0 +y_0=0 +datum=NAD83 +units=m"


def noise(*shape):
    return np.random.default_rng(1).integers(0, 1000, shape).astype(np.int16)


def test_a_header_holds_what_the_file_says(tmp_path):
    path = write_tif(tmp_path / "a.tif", noise(2, 5, 7))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(2, "second")

    header = read_header(path)

    assert header.lattice == Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 5, 7)
    assert (header.count, header.dtypes, header.nodata) == (2, ("int16", "int16"), (-32768, -32768))
    assert header.names == ("", "second")
    assert not header.is_scaled


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("extra", [{}, {"tiled": True, "blockxsize": 32, "blockysize": 32}, {"interleave": "band"}])
def test_a_copy_cut_short_is_noticed_without_reading_it(tmp_path, share, extra):
    whole = write_tif(tmp_path / "a.tif", noise(2, 200, 200), **extra)
    part = tmp_path / "part.tif"
    part.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])

    with pytest.raises(InputError, match="cut short") as caught:
        read_header(part)

    assert caught.value.where == str(part)


def test_a_sparse_file_is_whole(tmp_path):
    path = tmp_path / "a.tif"
    profile = {"width": 600, "height": 600, "count": 1, "dtype": "int16", "crs": "EPSG:32606", "sparse_ok": True}
    transform = rasterio.Affine(10, 0, 600000, 0, -10, 7000000)
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile):
        pass

    assert read_header(path).lattice.shape == (600, 600)


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ((10, 0, 0, 0, 10, 0), "south-up"),
        ((-10, 0, 0, 0, -10, 0), "mirrored"),
        ((10, 1, 0, 1, -10, 0), "rotated"),
        ((10, 0, 0, 0, -20, 0), "oblong"),
    ],
)
def test_pixels_that_are_not_north_up_squares_are_refused(tmp_path, transform, said):
    path = write_tif(tmp_path / "a.tif", noise(3, 3), transform=rasterio.Affine(*transform))

    with pytest.raises(LatticeError, match=said) as caught:
        read_header(path)

    assert caught.value.where == str(path)


def test_a_directory_and_an_absent_file_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_header(tmp_path / "a.tif")
    with pytest.raises(InputError, match="directory"):
        read_header(tmp_path)


def test_a_scale_tag_is_noticed(tmp_path):
    path = write_tif(tmp_path / "a.tif", noise(3, 3))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (0.1,)

    assert read_header(path).is_scaled


def test_an_equal_crs_is_named_by_its_code_and_another_by_wkt(tmp_path):
    named = read_header(write_tif(tmp_path / "a.tif", noise(3, 3), crs="EPSG:3338")).lattice
    custom = read_header(write_tif(tmp_path / "b.tif", noise(3, 3), crs=ALBERS.replace("-154", "-153.5"))).lattice

    assert named.crs == "EPSG:3338"
    assert custom.crs.startswith("PROJCS")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("EPSG:3338", ALBERS, True),
        ("EPSG:3338", "ESRI:102006", True),
        ("EPSG:3338", ALBERS.replace("-154", "-153"), False),
        ("EPSG:32606", "EPSG:32607", False),
        ("EPSG:32606", "EPSG:26906", False),
        ("EPSG:25832", "EPSG:32632", False),
        ("EPSG:28350", "EPSG:7850", False),
        ("EPSG:31467", "EPSG:31468", False),
    ],
)
def test_crs_are_compared_by_parameters_and_datum(one, other, expected):
    assert is_same_crs(one, other) is expected
    assert is_same_crs(other, one) is expected


@pytest.mark.parametrize("text", ["[0]", "{}", '"EPSG:32606"', "EPSG:999999", "", "\0"])
def test_any_text_that_is_no_coordinate_system_is_refused(text):
    with pytest.raises(LatticeError, match="is not a known coordinate system"):
        crs_of(text, where="lattice.crs")


@pytest.mark.fault
@pytest.mark.parametrize("length", [70_000, 2**31 - 1])
@pytest.mark.parametrize("tag", [256, 257])
@pytest.mark.parametrize("form", [{"compress": "deflate"}, {"compress": None}, {"interleave": "pixel"}])
def test_a_header_that_claims_a_giant_is_refused(tmp_path, form, tag, length):
    path = tmp_path / "giant.tif"
    write_tif(path, np.ones((2, 40, 50), np.int16), tiled=True, blockxsize=16, blockysize=16, **form)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = range(start + 2, start + 2 + 12 * count, 12)
    entry = next(place for place in entries if struct.unpack_from("<H", data, place) == (tag,))
    struct.pack_into("<HII", data, entry + 2, 4, 1, length)
    path.write_bytes(data)

    with pytest.raises(InputError) as caught:
        read_header(path)
    assert caught.value.where == str(path)


@pytest.mark.fault
def test_a_header_that_claims_one_giant_strip_is_refused(tmp_path):
    path = write_tif(tmp_path / "giant.tif", noise(2, 40, 50), compress="lzw", interleave="band")
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        # Width, length, rows of a strip.
        if struct.unpack_from("<H", data, place)[0] in {256, 257, 278}:
            struct.pack_into("<HII", data, place + 2, 4, 1, 40_000)
    path.write_bytes(data)

    with pytest.raises(InputError, match="cut short"):
        read_header(path)


def test_a_sparse_file_of_many_blocks_is_whole(tmp_path):
    path = tmp_path / "sparse.tif"
    profile = {"count": 1, "height": 1600, "width": 1600, "dtype": "int16", "crs": "EPSG:32606"}
    place = Affine(10.0, 0.0, 600_000.0, 0.0, -10.0, 7_000_000.0)
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16, "sparse_ok": True, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", transform=place, **profile, **blocks) as dataset:
        dataset.write(np.ones((1, 16, 16), np.int16), window=((32, 48), (64, 80)))

    assert read_header(path).lattice.shape == (1600, 1600)


@pytest.mark.fault
def test_a_file_whose_block_list_is_beyond_its_end_is_refused(tmp_path):
    path = write_tif(tmp_path / "a.tif", noise(2, 40, 40), tiled=True, blockxsize=16, blockysize=16)
    data = bytearray(path.read_bytes())
    start = struct.unpack_from("<I", data, 4)[0]
    (count,) = struct.unpack_from("<H", data, start)
    (entry,) = (
        at for at in range(start + 2, start + 2 + 12 * count, 12) if struct.unpack_from("<H", data, at) == (324,)
    )
    struct.pack_into("<I", data, entry + 8, 0xFFFFFF00)
    path.write_bytes(data)

    with pytest.raises(InputError, match=r"damaged|cut short"):
        read_header(path)
