"""What HDF5 does to the bytes of a chunk beside compressing them, done outside its lock."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import filters as kernel
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.dtypes import Array, writable

_ITEM_SIZES = (1, 2, 4, 8)


def shuffled(values: Array, *, out: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
    """Return bytes of equal significance side by side, as HDF5's shuffle filter stores them.

    Parameters
    ----------
    values : ndarray
        Any shape, items of 1, 2, 4 or 8 bytes, made C-contiguous if it is not.
    out : ndarray of uint8, optional
        (byte,), written to and returned; not the memory of `values`.

    Returns
    -------
    ndarray of uint8
        (byte,): the first bytes of all items, then all second bytes and so on.

    Raises
    ------
    InputError
        The items have another size, or `out` does not fit.
    """
    _check_items(values)
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    out = np.empty(flat.shape, np.uint8) if out is None else writable(out, flat.shape, np.dtype(np.uint8))
    kernel.shuffle(flat, values.itemsize, out)
    return out


def unshuffled(stored: npt.NDArray[np.uint8], out: Array) -> Array:
    """Write the items whose bytes `shuffled` made into `out`.

    Parameters
    ----------
    stored : ndarray of uint8
        (byte,), C-contiguous; not the memory of `out`.
    out : ndarray
        As many bytes, any shape, C-contiguous, items of 1, 2, 4 or 8 bytes.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    InputError
        The items have another size, or the two do not fit each other.
    """
    _check_items(out)
    writable(out, out.shape, out.dtype)
    _check_bytes(stored)
    if stored.size != out.nbytes:
        raise InputError(
            f"{stored.size} bytes for items of {out.nbytes} bytes",
            where=f"shuffled chunk of shape {out.shape} and dtype {out.dtype}",
            fix="give the buffer the shape the chunk was stored with",
        )
    kernel.unshuffle(stored, out.itemsize, out.reshape(-1).view(np.uint8))
    return out


def fletcher32(stored: npt.NDArray[np.uint8]) -> int:
    """Return the checksum that HDF5's fletcher32 filter appends to a chunk, as four little-endian bytes.

    Parameters
    ----------
    stored : ndarray of uint8
        (byte,), C-contiguous: the chunk as it is stored, after all other filters.

    Returns
    -------
    int
        0 to 2**32 - 1. Two sums modulo 65535 of big-endian 16-bit words, the second of the running
        first (Fletcher, 1982); a last odd byte is the high one of its word.

    Raises
    ------
    InputError
        `stored` is no flat array of bytes.
    """
    _check_bytes(stored)
    checksum = np.empty(1, np.uint32)
    kernel.fletcher32(stored, checksum)
    return int(checksum[0])


def _check_items(values: npt.NDArray[Any]) -> None:
    if values.itemsize not in _ITEM_SIZES or values.dtype.hasobject:
        raise InputError(
            f"items of {values.itemsize} bytes cannot be shuffled",
            where=f"array of dtype {values.dtype}",
            fix="give items of 1, 2, 4 or 8 bytes",
        )


def _check_bytes(stored: npt.NDArray[Any]) -> None:
    if stored.ndim != 1 or stored.dtype != np.uint8 or not stored.flags.c_contiguous:
        raise InputError(
            f"an array of shape {stored.shape} and dtype {stored.dtype} is no run of bytes",
            where="stored chunk",
            fix="give C-contiguous uint8, for example np.frombuffer(chunk, np.uint8)",
        )
