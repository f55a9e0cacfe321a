"""A few of many, evenly along their order."""

import numpy as np
import numpy.typing as npt


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return the positions of at most `most` of `count` things, evenly spread, the first and the last among them.

    Examples
    --------
    >>> evenly(10, 4).tolist(), evenly(3, 5).tolist(), evenly(0, 5).tolist()
    ([0, 3, 6, 9], [0, 1, 2], [])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
