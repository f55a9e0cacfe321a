"""The chunks of one array of a finished shard, read past HDF5: by offset, from any thread, in any process."""

import os
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.shard.codecs import codec_of, crc32, decode
from gcn_luigi.settings import Codec


@dataclass(frozen=True)
class StoredArray:
    """Where the rows of an array lie in the file; one HDF5 chunk is one row.

    Attributes
    ----------
    shape : tuple of int
        (row, ...).
    dtype : dtype
        Of the values.
    codec : str
        How a chunk is stored.
    offsets, sizes : ndarray of int64
        (row,): first byte and number of bytes; offset -1 where the file's index lost the chunk.
    checksums : ndarray of uint32
        (row,): CRC-32 of each chunk, for the codec ``none``; else empty.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: Codec
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    checksums: NDArray[np.uint32]

    @property
    def n_lost(self) -> int:
        """Rows that the file's index does not know; HDF5 itself reads them as zeros."""
        return int((self.offsets < 0).sum())

    def want(self, handle: int, rows: NDArray[np.int64]) -> None:
        """Tell the system that `rows` are read soon, so that it fetches them from the disk meanwhile, where it can."""
        if not hasattr(os, "posix_fadvise"):
            return
        for offset, size in zip(self.offsets[rows].tolist(), self.sizes[rows].tolist(), strict=True):
            os.posix_fadvise(handle, offset, size, os.POSIX_FADV_WILLNEED)

    def stored(self, handle: int, row: int, start: int = 0) -> bytes:
        """Return a chunk as it stands in the file, from its byte `start` on; nothing is verified but its length.

        Raises
        ------
        OSError
            The chunk is lost, or the file is shorter than it was.
        """
        offset, size = int(self.offsets[row]), int(self.sizes[row])
        if offset < 0:
            raise OSError(f"row {row} is lost")
        content = os.pread(handle, size - start, offset + start)
        if len(content) != size - start:
            raise OSError(f"row {row} lies beyond the end of the file")
        return content

    def read(self, handle: int, row: int, out: NDArray[Any]) -> None:
        """Decode one row into `out`, its checksum verified.

        Parameters
        ----------
        handle : int
            Descriptor of the file; its position is neither used nor moved.
        row : int
            Not negative.
        out : ndarray
            C-contiguous, of the row's shape and dtype.

        Raises
        ------
        OSError
            The chunk is damaged, lost, or the file is shorter than it was.
        """
        offset, size = int(self.offsets[row]), int(self.sizes[row])
        if offset < 0:
            raise OSError(f"row {row} is lost")
        if self.codec == "none":
            # Straight to where it is wanted.
            if size != out.nbytes:
                raise OSError(f"row {row} holds {size} bytes, not {out.nbytes}")
            if os.preadv(handle, [out.reshape(-1).view(np.uint8).data], offset) == size:
                if crc32(out) != self.checksums[row]:
                    raise OSError("the checksum of a chunk is wrong: it is damaged")
                return
        else:
            stored = np.empty(size, np.uint8)
            if os.preadv(handle, [stored.data], offset) == size:
                decode(self.codec, stored, out)
                return
        raise OSError(f"row {row} lies beyond the end of the file")


def find_chunks(dataset: h5py.Dataset, dtype: np.dtype[Any], checksums: NDArray[np.uint32] | None) -> StoredArray:
    """Return where the rows of `dataset` lie; `checksums` are their CRC-32, where the file has them.

    HDF5 keeps no checksum of its own index of chunks: it reads a chunk that the index has lost as zeros, and one whose
    filters it has lost as it is stored, without a word. Looking costs three microseconds a chunk.

    Raises
    ------
    OSError
        The array is not of `dtype`, not one row a chunk, or not stored by a codec of ours.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise OSError("is no array")
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
