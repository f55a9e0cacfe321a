"""Partitions put together from their chips."""

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.chips.chips import Edge, Origins, check_origins
from gcn_luigi.prepare.dtypes import Array


def uncut(chips: Array, origins: Origins, extent: tuple[int, int], *, edge: Edge, fill: float) -> Array:
    """Return the plane or stack that chips were cut from, as far as they show it.

    ``cut_chips(uncut(chips, origins, ...), origins, ...)`` gives the chips back, to the bit.

    Parameters
    ----------
    chips : ndarray
        (chip, band, y, x) or (chip, y, x), any dtype.
    origins : ndarray of int64
        (chip, 2): row and column, not negative.
    extent : tuple of int
        Rows and columns of the result.
    edge : {"clamp", "drop", "pad", "legacy"}
        Policy by which the chips were cut; what hangs over the edge is left out, or shrunk back where ``legacy``
        stretched it.
    fill : float
        Value of pixels that no chip shows.

    Returns
    -------
    ndarray
        (band, y, x) or (y, x), dtype of `chips`.

    Raises
    ------
    InputError
        There is not one origin a chip, or an origin is negative.
    """
    size = chips.shape[-1]
    origins = check_origins(origins, size)
    if len(origins) != len(chips):
        raise InputError(f"{len(chips)} chips at {len(origins)} places", where="uncut", fix="give an origin a chip")
    whole = np.full((*chips.shape[1:-2], *extent), fill, chips.dtype)
    for chip, (row, col) in zip(chips, origins.tolist(), strict=True):
        height, width = min(size, extent[0] - row), min(size, extent[1] - col)
        if min(height, width) < 1:
            continue
        rows, cols = np.arange(height), np.arange(width)
        if edge == "legacy" and min(height, width) < size:
            rows, cols = _first_shown(height, size), _first_shown(width, size)
        whole[..., row : row + height, col : col + width] = chip[..., rows[:, np.newaxis], cols]
    return whole


def _first_shown(length: int, size: int) -> NDArray[np.int64]:
    """Return for each of `length` source pixels the first of `size` that shows it: ``floor(i * length / size)``."""
    return -(-np.arange(length) * size // length)
