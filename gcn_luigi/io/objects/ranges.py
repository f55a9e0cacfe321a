"""Join ranges of bytes that are close to each other, so that a store gets few requests."""

import numpy as np
from numpy.typing import NDArray

# A request takes about as long as the transfer of so many bytes: 10 ms at 25 MB/s.
GAP = 250_000
# Long requests are divided, because a store sends several parts at once faster than one after the other.
MOST = 16_000_000


def joined(
    starts: NDArray[np.int64], sizes: NDArray[np.int64], *, gap: int = GAP, most: int = MOST
) -> NDArray[np.int64]:
    """Return requests that together hold all ranges: (request, 2) int64, the first byte and the end, ascending.

    Parameters
    ----------
    starts, sizes : ndarray of int64
        (range,): the first byte and the number of bytes of each range. In any order; they may overlap.
    gap : int
        Ranges with at most so many bytes between them share a request. The bytes between them are read and dropped.
    most : int
        A request has at most so many bytes, unless one range alone, or several that overlap, have more.

    Examples
    --------
    >>> joined(np.array([100, 0, 5000]), np.array([10, 50, 1]), gap=60).tolist()
    [[0, 110], [5000, 5001]]
    """
    order = np.argsort(starts, kind="stable")
    found: list[list[int]] = []
    for start, size in zip(starts[order].tolist(), sizes[order].tolist(), strict=True):
        last = found[-1] if found else None
        end = start + size
        if last is not None and (start < last[1] or (start - last[1] <= gap and end - last[0] <= most)):
            last[1] = max(last[1], end)
        else:
            found.append([start, end])
    return np.array(found, np.int64).reshape(-1, 2)
