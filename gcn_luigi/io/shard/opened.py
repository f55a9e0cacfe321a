"""The bytes of an open shard: a descriptor of a file, or an object of a store."""

import io
import os
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class OpenObject(Protocol):
    """A shard that is not a file of this machine. All numbers are of bytes."""

    @property
    def size(self) -> int:
        """Size of the shard."""

    def read_into(self, out: NDArray[np.uint8], offset: int) -> int:
        """Read bytes from `offset` on into `out`; return how many there were."""

    def will_need(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Begin to read ranges that will be asked for soon."""

    def keep(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Read ranges, and keep them until `let_go`."""

    def let_go(self) -> None:
        """Forget what was kept."""

    def outside_pixels(self) -> io.RawIOBase:
        """Return the shard as a file in which all that is kept can be read."""

    def close(self) -> None:
        """Forget what was read."""


Handle = int | OpenObject


def read_into(handle: Handle, out: NDArray[np.uint8], offset: int) -> int:
    """Read bytes of an open shard into `out`; return how many there were."""
    if not isinstance(handle, int):
        return handle.read_into(out, offset)
    if hasattr(os, "preadv"):
        return os.preadv(handle, [out.data], offset)
    # macOS before 11: one copy more.
    content = os.pread(handle, out.size, offset)
    out[: len(content)] = np.frombuffer(content, np.uint8)
    return len(content)


def will_need(handle: Handle, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Let the system, or the store, read ranges in the background, if it can."""
    if not isinstance(handle, int):
        handle.will_need(offsets, sizes)
    elif hasattr(os, "posix_fadvise"):
        for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True):
            os.posix_fadvise(handle, offset, size, os.POSIX_FADV_WILLNEED)


def close(handle: Handle) -> None:
    """Close an open shard."""
    if isinstance(handle, int):
        os.close(handle)
    else:
        handle.close()
