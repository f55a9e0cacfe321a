"""Every single bit of a stored chunk is flipped, for every codec: our reader and HDF5 notice each of them."""

import os
import zlib

import h5py
import numpy as np
import pytest

from gcn_luigi.io.shard.codecs import CODECS, crc32, decode, encode, filters, fletcher32, inflate
from gcn_luigi.io.shard.reader import find_chunks

pytestmark = pytest.mark.fault

COMPRESSING = [codec for codec in CODECS if codec != "none"]


def terrain(shape=(3, 8, 8)):
    """Return smooth ground with a little noise, so that a codec has something to compress."""
    rng = np.random.default_rng(8)
    return (1000 + np.add.outer(np.arange(shape[1]), np.arange(shape[2])) + rng.integers(0, 9, shape)).astype(np.int16)


class StoredChunk:
    """A file of one chunk, whose bits can be flipped."""

    def __init__(self, path, codec, image, chunk=None):
        self.path, self.image = path, image
        if codec in ("zstd", "bitshuffle-lz4"):
            pytest.importorskip("hdf5plugin")
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            shape = (1, *image.shape)
            made = file.create_dataset("x", shape, image.dtype, chunks=shape, **filters(codec, image.dtype))
            made.id.write_direct_chunk((0,) * len(shape), encode(codec, image) if chunk is None else chunk)
        with h5py.File(path) as file:
            self.array = find_chunks(file["x"], image.dtype, np.array([crc32(image)], np.uint32))
        (self.offset,), (self.size,) = self.array.offsets.tolist(), self.array.sizes.tolist()
        self.handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.handle)

    def each_bit(self):
        """Flip one bit after the other, and back again."""
        whole = os.pread(self.handle, self.size, self.offset)
        for bit in range(self.size * 8):
            byte = bytes([whole[bit // 8] ^ 1 << bit % 8])
            os.pwrite(self.handle, byte, self.offset + bit // 8)
            yield bit
            os.pwrite(self.handle, whole[bit // 8 : bit // 8 + 1], self.offset + bit // 8)

    def ours(self):
        out = np.empty_like(self.image)
        self.array.read(self.handle, 0, out)
        return out

    def of_hdf5(self):
        with h5py.File(self.path) as file:
            return file["x"][0]


def missed(chunk, read):
    """Return the flipped bits that reading did not notice."""
    found = []
    for bit in chunk.each_bit():
        try:
            read()
        except OSError:
            continue
        found.append(bit)
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_our_reader_notices_every_single_bit(tmp_path, codec):
    image = terrain()
    with StoredChunk(tmp_path / "a.h5", codec, image) as chunk:
        np.testing.assert_array_equal(chunk.ours(), image)
        assert chunk.size > 100
        assert missed(chunk, chunk.ours) == []
        np.testing.assert_array_equal(chunk.ours(), image)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_plain_h5py_notices_every_single_bit(tmp_path, codec):
    image = terrain()
    with StoredChunk(tmp_path / "a.h5", codec, image) as chunk:
        np.testing.assert_array_equal(chunk.of_hdf5(), image)
        assert missed(chunk, chunk.of_hdf5) == []
        np.testing.assert_array_equal(chunk.of_hdf5(), image)


def test_pixels_that_are_not_compressed_are_checked_by_our_reader_alone(tmp_path):
    # HDF5 knows nothing of the column of CRC-32: docs/dataset.md says so.
    image = terrain()
    with StoredChunk(tmp_path / "a.h5", "none", image) as chunk:
        next(bits := chunk.each_bit())
        assert (chunk.of_hdf5() != image).sum() == 1
        with pytest.raises(OSError, match="checksum"):
            chunk.ours()
        bits.close()


class TestBlindSpot:
    """A stream of deflate in which one bit chooses what is copied: 10 11 10 9, or 11 10 9 10 one byte further on."""

    LITERALS = (10, 11, 10, 9, 10, 7)

    def streams(self):
        """Return two zlib streams that differ in one bit and in no checksum, and what each stands for."""
        # RFC 1951, fixed codes: literals 0 to 143 are 8 bits from 0x30 on, the most significant bit first.
        bits = "1" + "10" + "".join(f"{0x30 + literal:08b}" for literal in self.LITERALS)
        # Copy 4 bytes (258) from a distance of 5 or, with the one bit more, 6 (code 4); then the end.
        copied = bits + "0000010" + "00100"
        streams = []
        for further in "10":
            whole = copied + further + "0000000"
            padded = whole + "0" * (-len(whole) % 8)
            body = bytes(int(padded[at : at + 8][::-1], 2) for at in range(0, len(padded), 8))
            plain = zlib.decompress(body, wbits=-15)
            streams.append((b"\x78\x01" + body + zlib.adler32(plain).to_bytes(4, "big"), plain))
        return streams

    def test_one_flipped_bit_can_leave_the_adler_32_as_it_was(self):
        (sound, right), (damaged, wrong) = self.streams()

        changed = np.frombuffer(sound, np.uint8) ^ np.frombuffer(damaged, np.uint8)
        assert np.unpackbits(changed).sum() == 1
        assert np.subtract(list(wrong), list(right)).tolist() == [0] * 6 + [1, -1, -1, 1]
        assert zlib.decompress(sound) == right
        assert zlib.decompress(damaged) == wrong
        out = np.empty(10, np.uint8)
        inflate(np.frombuffer(damaged, np.uint8), out)
        assert out.tobytes() == wrong

    def test_the_checksum_behind_the_stream_notices_it(self, tmp_path):
        (sound, right), (damaged, _) = self.streams()
        checksum = fletcher32(np.frombuffer(sound, np.uint8)).to_bytes(4, "little")
        image = np.frombuffer(right, np.uint8)

        with StoredChunk(tmp_path / "sound.h5", "deflate", image, sound + checksum) as chunk:
            np.testing.assert_array_equal(chunk.ours(), image)
            np.testing.assert_array_equal(chunk.of_hdf5(), image)
        with StoredChunk(tmp_path / "damaged.h5", "deflate", image, damaged + checksum) as chunk:
            for read in (chunk.ours, chunk.of_hdf5):
                with pytest.raises(OSError, match=r"checksum|filter"):
                    read()
        with pytest.raises(OSError, match="checksum"):
            decode("deflate", np.frombuffer(damaged + checksum, np.uint8), np.empty(10, np.uint8))
