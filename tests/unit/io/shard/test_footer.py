"""The footer of a shard covers every byte that no chunk's own checksum does, and hinders nobody."""

import hashlib
import os
import struct

import h5py
import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.io.shard.format import PIXELS, check_footer, write_footer
from gcn_luigi.io.shard.reader import ShardReader
from tests.reference.shards import write_shard

pytestmark = pytest.mark.fault


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train-00000-of-00002.h5"


def pixel_bytes(path):
    """Return which bytes of the file are of a pixel chunk, as HDF5 tells."""
    covered = np.zeros(path.stat().st_size, bool)
    with h5py.File(path) as file:
        for name in PIXELS:
            dataset = file[name].id
            for number in range(dataset.get_num_chunks()):
                info = dataset.get_chunk_info(number)
                covered[info.byte_offset : info.byte_offset + info.size] = True
    return covered


def is_sound(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        check_footer(handle)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def footer_of(content):
    """Return digest, runs and offset of the footer, read by hand."""
    digest, count, mark = struct.unpack("<32sQ8s", content[-48:])
    assert mark == b"GCN-TAIL"
    end = len(content) - 48 - 16 * count
    numbers = struct.unpack(f"<{2 * count}Q", content[end:-48])
    return digest, list(zip(numbers[::2], numbers[1::2], strict=True)), end


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [0, 1, 200])
def test_it_covers_all_that_is_no_pixel_and_no_pixel(path, codec, count):
    write_shard(path, count, codec=codec, batches=3)
    content = path.read_bytes()
    digest, runs, end = footer_of(content)

    covered = np.zeros(end, bool)
    for offset, size in runs:
        assert not covered[offset : offset + size].any()
        covered[offset : offset + size] = True
    pixels = pixel_bytes(path)

    np.testing.assert_array_equal(covered, ~pixels[:end])
    assert not pixels[end:].any()
    said = struct.pack("<Q", end) + content[end:-48]
    assert digest == hashlib.sha256(said + b"".join(content[at : at + size] for at, size in runs)).digest()


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_outside_the_pixels_is_found_before_hdf5_sees_it(path, codec, monkeypatch):
    write_shard(path, 12, codec=codec)
    whole, rng = path.read_bytes(), np.random.default_rng(5)
    others = np.flatnonzero(~pixel_bytes(path))
    footer = range(footer_of(whole)[2], len(whole))
    monkeypatch.setattr(h5py, "File", lambda *_, **__: pytest.fail("HDF5 was shown the file"))

    for place in (*rng.choice(others, 300), *footer):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        with pytest.raises(OSError, match="the shard"):
            ShardReader(path)


def test_a_bit_of_a_pixel_is_left_to_the_checksum_of_its_chunk(path):
    write_shard(path, 3)
    content = bytearray(path.read_bytes())
    content[np.flatnonzero(pixel_bytes(path))[40]] ^= 1
    path.write_bytes(content)

    assert is_sound(path)


@pytest.mark.parametrize("lost", [1, 8, 47, 48, 49, 64, 5000])
def test_a_footer_cut_short_is_found(path, lost):
    write_shard(path, 3)
    path.write_bytes(path.read_bytes()[:-lost])

    assert not is_sound(path)


@pytest.mark.parametrize(
    "footer",
    [
        struct.pack("<32sQ8s", b"", 0, b"GCN-TAIL"),
        struct.pack("<32sQ8s", b"", 2**60, b"GCN-TAIL"),
        struct.pack("<QQ32sQ8s", 0, 2**63, b"", 1, b"GCN-TAIL"),
        struct.pack("<QQQQ32sQ8s", 8, 8, 0, 8, b"", 2, b"GCN-TAIL"),
        struct.pack("<QQ32sQ8s", 2**64 - 8, 16, b"", 1, b"GCN-TAIL"),
        b"",
    ],
    ids=["nothing covered", "too many runs", "a run too long", "runs that overlap", "a run that wraps", "none"],
)
def test_a_footer_that_makes_no_sense_is_refused(path, footer):
    path.write_bytes(b"x" * 1000 + footer)

    assert not is_sound(path)


@pytest.mark.parametrize("size", [0, 1, 47, 48])
def test_a_file_too_short_for_a_footer_has_none(path, size):
    path.write_bytes(b"\0" * size)

    assert not is_sound(path)


def test_a_shard_that_hdf5_changed_has_no_footer_until_it_is_written_again(path):
    pixels = write_shard(path, 3)
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "changed"
    assert not is_sound(path)

    write_footer(path)

    with ShardReader(path) as shard:
        assert shard.attributes["note"] == "changed"
        np.testing.assert_array_equal(shard.pixels("image", 2), pixels["image"][2])


@pytest.mark.parametrize(
    "lay",
    [
        lambda file, other: file.__setitem__("image", h5py.ExternalLink(other, "image")),
        lambda file, _: file.__setitem__("image", h5py.SoftLink("/label")),
        lambda file, other: file.create_dataset("image", (4,), "u1", external=[(other, 0, 4)]),
        lambda file, other: file.create_virtual_dataset("image", _virtual(other)),
        lambda file, _: file.create_group("deep").__setitem__("deep", file["deep"]),
    ],
    ids=["external link", "soft link", "external storage", "virtual", "endless"],
)
def test_a_shard_that_takes_pixels_from_elsewhere_is_refused(path, tmp_path, lay, monkeypatch):
    write_shard(path, 4)
    write_shard(tmp_path / "other.h5", 4)
    with h5py.File(path, "r+") as file:
        del file["image"]
        lay(file, str(tmp_path / "other.h5"))
    # Whoever makes such a shard gives it a footer that fits.
    monkeypatch.setattr("gcn_luigi.io.shard.reader.check_footer", lambda _: None)

    with pytest.raises(OSError, match=r"link to something else|in another file|contains itself"):
        ShardReader(path)


def _virtual(other):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(other, "chip_id", (4,))
    return layout


@pytest.mark.filterwarnings(f"ignore::{NotGeoreferencedWarning.__module__}.{NotGeoreferencedWarning.__name__}")
@pytest.mark.parametrize("codec", ["deflate", "none"])
@pytest.mark.parametrize("name", ['HDF5:"{}"://label', 'NETCDF:"{}":label'], ids=["HDF5", "netCDF"])
def test_gdal_reads_the_file_as_ever(path, codec, name):
    pixels = write_shard(path, 4, codec=codec)

    with rasterio.open(name.format(path)) as dataset:
        # GDAL's driver of netCDF turns rows over where no axis says that they run south.
        found = dataset.read()
        assert any(np.array_equal(found[:, ::step], pixels["label"]) for step in (1, -1))
