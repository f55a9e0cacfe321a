"""The order in which an epoch sees its chips: a matter of numbers alone, the same on every machine."""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def shuffled(n_chips: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return the positions 0 to `n_chips` - 1, each once, all orders equally likely.

    Parameters
    ----------
    n_chips : int
        How many.
    seed, epoch : int
        Not negative. Equal numbers give the equal order, whatever the version of numpy.

    Returns
    -------
    ndarray of int64
        (chip,).
    """
    return _order(np.random.PCG64([seed, epoch]), n_chips)


def shuffled_in_groups(rows: NDArray[np.int64], group: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return an order that needs only `group` rows of storage in memory at a time.

    Rows are put in random order and taken `group` at a time; the chips of a group are mixed. A group is what other
    loaders call a shuffle buffer.

    Parameters
    ----------
    rows : ndarray of int64
        (chip,): which row of storage a chip is cut from, by any numbering.
    group : int
        Rows mixed at once; at least 1.
    seed, epoch : int
        As in `shuffled`.

    Returns
    -------
    ndarray of int64
        (chip,): every position once.
    """
    source = np.random.PCG64([seed, epoch])
    _, numbers = np.unique(rows, return_inverse=True)
    n_rows = int(numbers.max(initial=-1)) + 1
    rank = np.empty(n_rows, np.int64)
    rank[_order(source, n_rows)] = np.arange(n_rows)
    mixed = _order(source, len(rows))
    # Mixed chips sorted, without changing the mixture, by the group that their row came into.
    return mixed[np.argsort(rank[numbers[mixed]] // group, kind="stable")]


def _order(source: np.random.PCG64, count: int) -> Positions:
    # Sorting raw numbers: numpy promises these, but not what its own shuffle makes of them.
    return np.argsort(source.random_raw(count), kind="stable").astype(np.int64)
