"""A mosaic, one pixel at a time in the reader's mind: plain numpy."""

import numpy as np


def mosaic(tiles, shape, nodata, dtype):
    """Return the first valid pixel of `tiles`, given as (array, row, col, sentinel) from top to bottom."""
    result = np.full(shape, nodata, dtype)
    is_open = np.ones(shape, bool)
    for values, row, col, sentinel in tiles:
        for y in range(values.shape[0]):
            for x in range(values.shape[1]):
                r, c = row + y, col + x
                value = values[y, x]
                if not (0 <= r < shape[0] and 0 <= c < shape[1] and is_open[r, c]):
                    continue
                if value == sentinel or (np.isnan(sentinel) and np.isnan(value)):
                    continue
                result[r, c] = value
                is_open[r, c] = False
    return result
