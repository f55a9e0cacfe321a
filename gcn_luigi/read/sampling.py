"""Weights against rare classes: of chips, for drawing them more often, and of classes, for a loss."""

import difflib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError, ShardError

if TYPE_CHECKING:
    from gcn_luigi.read.reader import ChipReader

_SHARE = "share_"


def chip_weights(
    reader: "ChipReader", wanted: Mapping[str, float] | None = None, *, balance: float = 1.0
) -> NDArray[np.float64]:
    """Return the probability of drawing each chip, so that rare classes are drawn as often as frequent ones.

    Drawing a chip by these probabilities is the same as drawing a class first, by `wanted`, and then a chip by its
    share of this class: class-aware sampling (Shen, Lin and Huang 2016, "Relay backpropagation for effective learning
    of deep convolutional neural networks", ECCV), where an image has not one class but shares of several. With the
    share s of class c in chip i, the probability is ::

        p(i) = sum over c of wanted(c) * s(i, c) / (sum over all chips j of s(j, c))

    Pixels of a drawn chip are not balanced by this, because a chip with debris mostly shows other ground as well.
    Combine it with `class_weights` in the loss if that matters. Pixels without a label belong to no class, so a chip
    without any labelled pixel has the weight 0.

    Parameters
    ----------
    reader : ChipReader
        The chips. Only columns of the index are read, no pixels.
    wanted : mapping, optional
        How often each class is to be drawn, by its name, in any unit: ``{"debris": 2, "ice": 1}``. Classes that are not
        named are not drawn for their own sake. By default all classes that these chips show are equally likely.
    balance : float
        0 to 1: mixes these probabilities with equal ones for all chips. 0.5 draws half of the chips by either.

    Returns
    -------
    ndarray of float64
        (chip,), in the order of the reader; the sum is 1.

    Raises
    ------
    ConfigError
        The reader is empty; `balance` is not from 0 to 1; a class does not exist, no chip shows it, or its number is
        negative or not finite; or all weights would be 0.
    ShardError
        The index has no shares of classes, or they are not numbers from 0 to 1.

    Examples
    --------
    >>> from torch.utils.data import DataLoader, WeightedRandomSampler  # doctest: +SKIP
    >>> sampler = WeightedRandomSampler(chip_weights(chips), num_samples=len(chips))  # doctest: +SKIP
    >>> DataLoader(ChipDataset(chips), batch_size=64, sampler=sampler, collate_fn=collate)  # doctest: +SKIP
    """
    names, shares = _shares_of(reader)
    if not 0 <= balance <= 1:
        raise ConfigError(f"the balance is {balance}", where="chip_weights", fix="give a number from 0 to 1")
    totals = shares.sum(axis=0)
    asked = _asked(names, wanted, totals)
    if not asked.any():
        raise ConfigError(
            "no chip would have a weight",
            where="chip_weights",
            fix="choose chips that have a label" if wanted is None else "give at least one class a number above 0",
        )
    drawn = shares @ np.divide(asked / asked.sum(), totals, out=np.zeros_like(totals), where=asked > 0)
    mixed = balance * drawn + (1 - balance) / len(drawn)
    # Rounding leaves a sum that differs from 1 in the last digits.
    return np.asarray(mixed / mixed.sum(), np.float64)


def class_weights(
    statistics: Mapping[str, Any], classes: ClassTable, kind: str = "median_frequency"
) -> NDArray[np.float32]:
    """Return a weight for each class, for the loss, from the pixels of train.

    Parameters
    ----------
    statistics : mapping
        `Dataset.statistics`.
    classes : ClassTable
        `Dataset.classes`.
    kind : str
        ``"median_frequency"``: median of the pixels of all classes / pixels of this class (Eigen and Fergus 2015,
        "Predicting depth, surface normals and semantic labels with a common multi-scale convolutional architecture",
        ICCV). ``"inverse_frequency"``: all pixels / (number of classes * pixels of this class).

    Returns
    -------
    ndarray of float32
        (class,), by rising value of the classes, as `map_label` with ``"classes"`` numbers them. 0 for a class that
        train does not show.

    Raises
    ------
    ConfigError
        There is no such kind.
    ShardError
        The statistics are not those of these classes.
    """
    known: Mapping[str, Mapping[str, float]] = statistics.get("classes", {}).get("weights", {})
    if kind not in known and known:
        raise ConfigError(
            f"there are no weights {kind!r}", where="class_weights", fix=f"use one of {', '.join(sorted(known))}"
        )
    lost = [name for name in classes.names if name not in known.get(kind, {})]
    if lost:
        raise ShardError(
            f"it has no weights of {', '.join(lost)}",
            where="statistics.json",
            fix="use the statistics and the classes of one dataset",
        )
    return np.array([known[kind][name] for name in classes.names], np.float32)


def _shares_of(reader: "ChipReader") -> tuple[list[str], NDArray[np.float64]]:
    """Return the names of the classes, and the share of each in every chip, (chip, class)."""
    reader.check_not_empty()
    table = reader.table
    names = [str(name).removeprefix(_SHARE) for name in table if str(name).startswith(_SHARE)]
    if not len(table):
        raise ConfigError("there is no chip", where="chip_weights", fix="choose a split that has chips")
    shares = table[[f"{_SHARE}{name}" for name in names]].to_numpy(np.float64)
    if not names or not ((shares >= 0) & (shares <= 1)).all():
        raise ShardError(
            "the shares of classes are not numbers from 0 to 1" if names else "it has no column of shares",
            where="index.parquet",
            fix="build the dataset again: gcn run <region>",
        )
    return names, shares


def _asked(names: list[str], wanted: Mapping[str, float] | None, totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often each class is to be drawn, (class,)."""
    if wanted is None:
        return (totals > 0).astype(np.float64)
    for name, number in wanted.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            what, fix = f"there is no class {name!r}{guess}", f"use {', '.join(names)}"
        elif not (math.isfinite(number) and number >= 0):
            what, fix = f"{name} is to be drawn {number} times", "give finite numbers from 0"
        elif number > 0 and not totals[names.index(name)]:
            what, fix = f"no chip shows {name}", "leave this class out, or choose other chips"
        else:
            continue
        raise ConfigError(what, where=f"chip_weights, wanted={dict(wanted)!r}", fix=fix)
    return np.array([float(wanted.get(name, 0)) for name in names])
