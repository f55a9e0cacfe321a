"""The tail of a shard: a digest of every byte that no pixel chunk's own checksum covers.

HDF5 keeps no checksum of attributes, indices of chunks, short columns and most else. Damage there could change values
without a word, or make the library crash. The tail stands behind all that HDF5 knows of, so that any HDF5 reads the
file as before, and it is verified before HDF5 sees a byte.

From the front: of each run of bytes that are of no pixel chunk its offset and size (little-endian, 8 bytes each); the
SHA-256 of these numbers, of the tail's own offset and of the runs; the number of runs; eight letters.
"""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.shard.format import PIXELS

_END = struct.Struct("<32sQ8s")
_MARK = b"GCN-TAIL"
_RUN = np.dtype([("offset", "<u8"), ("size", "<u8")])
_PIECE = 1 << 20


def write_tail(path: Path) -> None:
    """Append the tail to a shard that h5py has closed.

    Parameters
    ----------
    path : Path
        The file. A tail that it had before HDF5 wrote to it is gone, or is data like any other.
    """
    with h5py.File(path, "r", locking=False) as file:
        chunks = np.array(sorted(_pixel_chunks(file)), np.int64).reshape(-1, 2)
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = os.fstat(handle).st_size
        runs = _between(chunks, end)
        digest = _digest(handle, runs, end)
        os.pwrite(handle, runs.tobytes() + _END.pack(digest, len(runs), _MARK), end)
    finally:
        os.close(handle)


def check_tail(handle: int) -> None:
    """Raise OSError unless all bytes outside the pixel chunks are those that were written.

    Parameters
    ----------
    handle : int
        Descriptor of the shard; its position is neither used nor moved.
    """
    size = os.fstat(handle).st_size
    last = os.pread(handle, _END.size, max(size - _END.size, 0))
    if len(last) < _END.size or last[-len(_MARK) :] != _MARK:
        raise OSError("the shard has no tail: it is damaged, cut short, or made by an earlier version")
    digest, count, _ = _END.unpack(last)
    end = size - _END.size - count * _RUN.itemsize
    if end < 0:
        raise OSError("the shard's tail is damaged")
    runs = np.frombuffer(os.pread(handle, count * _RUN.itemsize, end), _RUN)
    # Before any is read: damaged numbers could ask for the same bytes a million times.
    if not _is_ascending(runs, end) or _digest(handle, runs, end) != digest:
        raise OSError("the shard is damaged outside its pixels: in its columns, its attributes or its index of chunks")


def _pixel_chunks(file: h5py.File) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each chunk of the pixel arrays."""
    for name in PIXELS:
        dataset = file.get(name)
        if isinstance(dataset, h5py.Dataset) and dataset.chunks is not None:
            found: list[tuple[int, int]] = []
            dataset.id.chunk_iter(lambda chunk, found=found: found.append((chunk.byte_offset, chunk.size)))
            yield from found


def _between(chunks: NDArray[np.int64], end: int) -> NDArray[np.void]:
    """Return the runs of bytes before `end` that are in none of the ascending `chunks`, (chunk, 2)."""
    starts = np.append(0, chunks.sum(axis=1))
    runs = np.empty(len(starts), _RUN)
    runs["offset"], runs["size"] = starts, np.append(chunks[:, 0], end) - starts
    return runs[runs["size"] > 0]


def _is_ascending(runs: NDArray[np.void], end: int) -> bool:
    edges = np.column_stack([runs["offset"], runs["offset"] + runs["size"]]).reshape(-1)
    return bool((edges[1:] >= edges[:-1]).all()) and bool((edges <= end).all())


def _digest(handle: int, runs: NDArray[np.void], end: int) -> bytes:
    sha = hashlib.sha256(struct.pack("<Q", end) + runs.tobytes())
    for piece in _pieces(runs.tolist()):
        sha.update(os.pread(handle, piece[1], piece[0]))
    return sha.digest()


def _pieces(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for offset, size in runs:
        for first in range(0, size, _PIECE):
            yield offset + first, min(_PIECE, size - first)
