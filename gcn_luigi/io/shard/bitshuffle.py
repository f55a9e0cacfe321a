"""HDF5's filter 32008: bits shuffled in blocks, each compressed by LZ4, as the package hdf5plugin brings it.

The library is called directly, without HDF5 around it: HDF5 holds one lock for all its work, and this holds none.
"""

import ctypes
import functools
import struct
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError

FILTER = 32008
# cd_values that a dataset is created with: the library's own block size, LZ4. The filter adds its version in front.
OPTIONS = (0, 2)
# Before the blocks: bytes of the chunk, bytes of a block, both big-endian.
_HEADER = struct.Struct(">QI")


@functools.cache
def _library() -> Any:
    """Return the C library, its signatures declared; loaded once in a process, never unloaded."""
    try:
        path = Path(import_module("hdf5plugin").PLUGIN_PATH) / "libh5bshuf.so"
        library = ctypes.CDLL(str(path))
        for name, result in (("compress_lz4", ctypes.c_int64), ("decompress_lz4", ctypes.c_int64)):
            function = getattr(library, f"bshuf_{name}")
            function.restype = result
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_size_t] * 3]
        for name, arguments in (("compress_lz4_bound", 3), ("default_block_size", 1)):
            function = getattr(library, f"bshuf_{name}")
            function.restype = ctypes.c_size_t
            function.argtypes = [ctypes.c_size_t] * arguments
    except (ImportError, OSError, AttributeError) as error:
        raise ConfigError(
            f"the codec bitshuffle-lz4 is not installed: {error}",
            where="shards.codec",
            fix="pip install hdf5plugin (the extra gcn-luigi[codecs]), or use the codec deflate",
        ) from error
    return library


def register() -> None:
    """Let HDF5 know the filter; raise ConfigError where hdf5plugin is not installed."""
    _library()


def compressed(chunk: NDArray[Any]) -> bytes:
    """Return the bytes that the filter makes of a chunk.

    Parameters
    ----------
    chunk : ndarray
        Any shape, made C-contiguous if it is not.

    Returns
    -------
    bytes
        Header and blocks.

    Raises
    ------
    ConfigError
        hdf5plugin is not installed.
    """
    library = _library()
    solid = np.ascontiguousarray(chunk)
    bound = library.bshuf_compress_lz4_bound(solid.size, solid.itemsize, 0)
    target = np.empty(_HEADER.size + bound, np.uint8)
    block = library.bshuf_default_block_size(solid.itemsize)
    target[: _HEADER.size] = np.frombuffer(_HEADER.pack(solid.nbytes, block * solid.itemsize), np.uint8)
    written = library.bshuf_compress_lz4(
        solid.ctypes.data, target.ctypes.data + _HEADER.size, solid.size, solid.itemsize, 0
    )
    if written < 0:
        raise OSError(f"bitshuffle could not compress a chunk: error {written}")
    return target[: _HEADER.size + written].tobytes()


def decompress(stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Write the chunk that the filter made `stored` of into `out`.

    Parameters
    ----------
    stored : ndarray of uint8
        (byte,), C-contiguous. Its checksum has been looked at: the library does not guard against damage.
    out : ndarray
        C-contiguous, of the chunk's shape and dtype; written to.

    Raises
    ------
    OSError
        The bytes are of another chunk.
    ConfigError
        hdf5plugin is not installed.
    """
    library = _library()
    if stored.size < _HEADER.size:
        raise OSError(f"a chunk of {stored.size} bytes has no header")
    size, block = _HEADER.unpack(stored[: _HEADER.size].tobytes())
    if size != out.nbytes or block % out.itemsize:
        raise OSError(f"a chunk of {size} bytes in blocks of {block}, not of {out.nbytes}")
    read = library.bshuf_decompress_lz4(
        stored.ctypes.data + _HEADER.size, out.ctypes.data, out.size, out.itemsize, block // out.itemsize
    )
    if read != stored.size - _HEADER.size:
        raise OSError(f"bitshuffle could not read a chunk: {read} of {stored.size - _HEADER.size} bytes")
