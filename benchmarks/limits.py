"""What the machine itself can do: copy memory, write a file, forget one."""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_PAGE = mmap.PAGESIZE


class Copy:
    """`np.copyto` between two arrays that exist already, so that no page is touched for the first time."""

    def __init__(self, n_bytes: int) -> None:
        self._source = np.ones(n_bytes, np.uint8)
        self._target = np.zeros(n_bytes, np.uint8)

    def __call__(self, times: int) -> int:
        """Copy `times` over; return the bytes written."""
        for _ in range(times):
            np.copyto(self._target, self._source)
        return times * self._target.nbytes


def write_raw(path: Path, arrays: Iterable[npt.NDArray[Any]]) -> int:
    """Write the bytes of C-contiguous arrays one after the other, and the file to the disk; return how many."""
    written = 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for array in arrays:
            view = memoryview(array).cast("B")
            while view:
                done = os.write(handle, view)
                view, written = view[done:], written + done
        os.fsync(handle)
    finally:
        os.close(handle)
    return written


def forget(paths: Iterable[Path]) -> None:
    """Let the page cache drop files; the cache of what the virtual disk stands on cannot be reached."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def resident_share(path: Path) -> float:
    """Return which share of a file's pages is in the page cache, as mincore(2) tells."""
    size = path.stat().st_size
    if not size:
        return 0.0
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    # A writable copy-on-write map, since ctypes takes no address of a read-only one; nothing is written.
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        pages = (ctypes.c_ubyte * ((size + _PAGE - 1) // _PAGE))()
        answer = libc.mincore(ctypes.addressof(first), size, pages)
        del first
    if answer:
        raise OSError(ctypes.get_errno(), "mincore", str(path))
    return sum(page & 1 for page in pages) / len(pages)
