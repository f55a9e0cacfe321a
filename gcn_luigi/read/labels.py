"""Map the classes of the label to those that a model needs."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import ConfigError, InputError

# "three", "classes", "binary", or the name of a class.
LabelMapping = str


def map_label(
    label: NDArray[np.uint8], mapping: LabelMapping, classes: ClassTable = DEFAULT_CLASSES
) -> NDArray[np.uint8]:
    """Return the label with some classes merged.

    A missing label stays 255 in every mapping. Give this value to the loss as the class to ignore.

    Parameters
    ----------
    label : ndarray of uint8
        Any shape: values of `classes`, 255 missing. Not modified.
    mapping : str
        ``"classes"`` numbers the classes from 0, in the order of their values; ``"three"`` does the same for the three
        default classes. ``"binary"`` separates glacier (1: by default debris and debris-free ice) from everything else
        (0), as in the published training. The name of a class, such as ``"debris"``, separates it (1) from everything
        else (0).
    classes : ClassTable
        The classes of the dataset, `Dataset.classes`; by default none, debris and ice.

    Returns
    -------
    ndarray of uint8
        Same shape, a new array.

    Raises
    ------
    ConfigError
        There is no such mapping.
    InputError
        The array is not uint8, or holds other values, so it is not a label.

    Examples
    --------
    >>> map_label(np.array([0, 1, 2, 255], np.uint8), "binary").tolist()
    [0, 1, 1, 255]
    """
    if label.dtype != np.uint8:
        raise InputError(
            f"the label is {label.dtype}", where="map_label", fix="give the label as stored in the shard, uint8"
        )
    table, is_known = np.zeros(256, np.uint8), np.zeros(256, bool)
    for value, mapped in _mapped(mapping, classes).items():
        table[value], is_known[value] = mapped, True
    if not is_known[label].all():
        raise InputError(
            f"the label holds {', '.join(map(str, np.unique(label[~is_known[label]])))}",
            where="map_label",
            fix=f"map the label only once, as stored in the shard: {classes.described()}, 255 missing; if these are "
            "not the classes of the dataset, give Dataset.classes",
        )
    return np.asarray(table[label], np.uint8)


def _mapped(mapping: str, classes: ClassTable) -> Mapping[int, int]:
    """Return the new value of each value of a label."""
    if mapping == "classes" or (mapping == "three" and classes.is_default):
        new = {each.value: place for place, each in enumerate(classes)}
    elif mapping == "binary" and classes.glacier:
        new = {each.value: int(each.glacier) for each in classes}
    elif mapping in classes.names:
        new = {each.value: int(each.name == mapping) for each in classes}
    else:
        known = ["classes", *(["three"] if classes.is_default else []), *(["binary"] if classes.glacier else [])]
        raise ConfigError(
            f"there is no mapping {mapping!r} of labels",
            where="map_label, mapping",
            fix=f"use {', '.join([*known, *classes.names])}",
        )
    return {**new, LABEL_IGNORE: LABEL_IGNORE}
