"""Where the pixels of a shard are: one chunk per row, found once and then read without HDF5."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.shard.codecs import codec_of, crc32, decode
from gcn_luigi.io.shard.opened import Handle, read_into

if TYPE_CHECKING:
    # pydantic is not needed to read.
    from gcn_luigi.settings import Codec


@dataclass(frozen=True)
class StoredArray:
    """Where the rows of an array are in the file, for reading without HDF5 from any thread. A row is one HDF5 chunk."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: "Codec"
    # (row,): first byte and number of bytes. The offset is -1 if the file's index has lost the chunk.
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    # (row,): CRC-32 of each chunk, for the codec ``none``; otherwise empty.
    checksums: NDArray[np.uint32]

    @property
    def n_lost(self) -> int:
        """Number of rows that the file's index has lost. HDF5 itself would read them as zeros."""
        return int((self.offsets < 0).sum())

    def stored(self, handle: Handle, row: int, start: int = 0) -> bytes:
        """Return a chunk as stored, from its byte `start` on. Only its length is verified."""
        content = np.empty(int(self.sizes[row]) - start, np.uint8)
        self._fetch(handle, row, content, start)
        return content.tobytes()

    def read(self, handle: Handle, row: int, out: NDArray[Any]) -> None:
        """Decode one row into `out`, which is C-contiguous and has the row's shape and dtype, and verify its checksum.

        `handle` is the open file. The position of a descriptor is neither used nor changed. Raise OSError if the
        chunk is damaged or lost, or the file is shorter than before.
        """
        if self.codec != "none":
            stored = np.empty(self.sizes[row], np.uint8)
            self._fetch(handle, row, stored)
            decode(self.codec, stored, out)
            return
        if self.sizes[row] != out.nbytes:
            raise OSError(f"row {row} holds {self.sizes[row]} bytes, not {out.nbytes}")
        self._fetch(handle, row, out.reshape(-1).view(np.uint8))
        if crc32(out) != self.checksums[row]:
            raise OSError("the checksum of a chunk is wrong: it is damaged")

    def _fetch(self, handle: Handle, row: int, out: NDArray[np.uint8], start: int = 0) -> None:
        offset = int(self.offsets[row])
        if offset < 0:
            raise OSError(f"row {row} is lost")
        if read_into(handle, out, offset + start) != out.size:
            raise OSError(f"row {row} is beyond the end of the file")


def find_chunks(dataset: h5py.Dataset, dtype: np.dtype[Any], checksums: NDArray[np.uint32] | None) -> StoredArray:
    """Return where the rows of `dataset` are. `checksums` are their CRC-32, if the file has them.

    If the index of chunks has lost a chunk, HDF5 silently reads zeros. If it has lost the filters of a chunk, HDF5
    silently returns the stored bytes. The check takes three microseconds per chunk. Raise OSError if the array does not
    have `dtype`, does not have one row per chunk, or is not stored with one of our codecs.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise OSError("is not an array")
    codec = codec_of(dataset)
    if dataset.dtype != dtype or codec is None or (codec == "none" and checksums is None):
        raise OSError(f"is not stored as {dtype.str}, compressed or with a checksum")
    if dataset.chunks != (1, *dataset.shape[1:]):
        raise OSError(f"is stored in chunks of {dataset.chunks}, not row by row")
    offsets, sizes = np.full(len(dataset), -1, np.int64), np.zeros(len(dataset), np.int64)
    rest = (0,) * (dataset.ndim - 1)

    def note(chunk: Any) -> None:
        first, *others = chunk.chunk_offset
        if tuple(others) == rest and first < len(offsets) and chunk.filter_mask == 0:
            offsets[first], sizes[first] = chunk.byte_offset, chunk.size

    dataset.id.chunk_iter(note)
    if codec != "none" or checksums is None:
        checksums = np.empty(0, np.uint32)
    elif len(checksums) != len(dataset):
        raise OSError(f"has {len(checksums)} checksums for {len(dataset)} rows")
    return StoredArray(tuple(dataset.shape), dtype, codec, offsets, sizes, checksums)
