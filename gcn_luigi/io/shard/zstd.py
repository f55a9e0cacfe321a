"""HDF5's filter 32015: one Zstandard frame a chunk, here with HDF5's shuffle before it."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.shard.filters import shuffled, unshuffled

FILTER = 32015
_LEVEL = 1
# cd_values that a dataset is created with: the level.
OPTIONS = (_LEVEL,)


def _library() -> Any:
    try:
        return import_module("zstandard")
    except ImportError as error:
        raise ConfigError(
            f"the codec zstd is not installed: {error}",
            where="shards.codec",
            fix="pip install zstandard (the extra gcn-luigi[codecs]), or use the codec deflate",
        ) from error


def compressed(chunk: NDArray[Any]) -> bytes:
    """Return the bytes that HDF5's shuffle (wide types only) and Zstandard filters stand for.

    Parameters
    ----------
    chunk : ndarray
        Any shape, made C-contiguous if it is not.

    Returns
    -------
    bytes
        A frame that states its content's size, which the filter needs.

    Raises
    ------
    ConfigError
        zstandard is not installed.
    """
    # A compressor must not be shared by threads.
    frame: bytes = _library().ZstdCompressor(level=_LEVEL).compress(shuffled(chunk).data)
    return frame


def decompress(stored: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Write the chunk that `compressed` made `stored` of into `out`.

    Parameters
    ----------
    stored : ndarray of uint8
        (byte,), C-contiguous.
    out : ndarray
        C-contiguous, of the chunk's shape and dtype; written to.

    Raises
    ------
    OSError
        The frame cannot be decoded or is of another chunk.
    ConfigError
        zstandard is not installed.
    """
    library = _library()
    target = out.reshape(-1).view(np.uint8)
    try:
        plain = np.frombuffer(library.ZstdDecompressor().decompress(stored.data, max_output_size=target.size), np.uint8)
    except library.ZstdError as error:
        raise OSError(f"a Zstandard frame is damaged: {error}") from error
    if plain.size != target.size:
        raise OSError(f"a Zstandard frame holds {plain.size} bytes, not {target.size}")
    unshuffled(plain, out)
