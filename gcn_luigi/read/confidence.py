"""Weights for a loss, from the confidence of the label."""

import functools

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import InputError

# Percent. Higher values are missing.
_SURE = 100


def weights(confidence: NDArray[np.uint8], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Return a weight for each pixel: its confidence as a share, 0 to 1, and 0 where the label is missing.

    Parameters
    ----------
    confidence : ndarray of uint8
        Any shape: percent, 255 missing, as ``confidence`` in a chip or a batch.
    out : ndarray of float32, optional
        A buffer of the same shape, which is filled and returned.

    Raises
    ------
    InputError
        The array is not uint8.

    Examples
    --------
    >>> weights(np.array([50, 100, 255], np.uint8)).tolist()
    [0.5, 1.0, 0.0]
    """
    if confidence.dtype != np.uint8:
        raise InputError(
            f"the confidence is {confidence.dtype}",
            where="weights",
            fix="give the confidence as stored in the shard, uint8 in percent",
        )
    # With "clip", numpy writes into `out` without a copy; a byte is never out of range.
    return np.take(_table(), confidence, out=out, mode="clip")


@functools.lru_cache(maxsize=1)
def _table() -> NDArray[np.float32]:
    """Return the weight of each byte, (256,)."""
    table = np.zeros(256, np.float32)
    table[: _SURE + 1] = np.arange(_SURE + 1) / np.float32(_SURE)
    table.flags.writeable = False
    return table
