"""Positions of chips: those that a user asks for, and the order of an epoch, which is the same on every machine."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import InputError

Positions = NDArray[np.int64]


def checked_positions(indices: Sequence[int] | Positions, n_chips: int) -> Positions:
    """Return the positions 0 to `n_chips` - 1 that `indices` name, (chip,) int64. Negative ones count from the end.

    Raises
    ------
    InputError
        The indices are not a one-dimensional sequence of whole numbers.
    IndexError
        There is no such chip.
    """
    positions = np.asarray(indices)
    if positions.size == 0:
        return np.empty(0, np.int64)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise InputError(
            f"positions of shape {positions.shape} and dtype {positions.dtype} cannot be used",
            where="ChipReader.batch",
            fix="give a one-dimensional sequence of whole numbers",
        )
    wrong = (positions < -n_chips) | (positions >= n_chips)
    if wrong.any():
        raise IndexError(f"chip {positions[wrong][0]} of {n_chips}")
    return np.where(positions < 0, positions + n_chips, positions).astype(np.int64)


def shuffled(n_chips: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return the positions 0 to `n_chips` - 1 in random order, (chip,) int64. All orders are equally likely.

    Equal arguments, which must not be negative, give the same order on every machine and with every version of numpy.
    """
    return _order(np.random.PCG64([seed, epoch]), n_chips)


def shuffled_in_groups(rows: NDArray[np.int64], group: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return an order that needs only `group` rows of storage in memory at a time: (chip,) int64.

    `rows` (chip,) gives, in any numbering, the row of storage that each chip is cut from. Rows are put in random order
    and taken `group` at a time, and the chips of a group are mixed. Other loaders call such a group a shuffle buffer.
    """
    source = np.random.PCG64([seed, epoch])
    _, numbers = np.unique(rows, return_inverse=True)
    n_rows = int(numbers.max(initial=-1)) + 1
    rank = np.empty(n_rows, np.int64)
    rank[_order(source, n_rows)] = np.arange(n_rows)
    mixed = _order(source, len(rows))
    # Sort the mixed chips by the group of their row. The stable sort keeps the random order within a group.
    return mixed[np.argsort(rank[numbers[mixed]] // group, kind="stable")]


def _order(source: np.random.PCG64, count: int) -> Positions:
    # Sort raw random numbers: numpy guarantees these, but not the result of its own shuffle.
    return np.argsort(source.random_raw(count), kind="stable").astype(np.int64)
