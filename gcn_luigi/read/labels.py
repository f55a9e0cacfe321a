"""Map the classes of the label to those that a model needs."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_DEBRIS, LABEL_ICE, LABEL_IGNORE, LABEL_NONE
from gcn_luigi.errors import ConfigError, InputError

LabelMapping = Literal["three", "binary", "debris"]

_TABLES: dict[str, dict[int, int]] = {
    "three": {LABEL_NONE: 0, LABEL_DEBRIS: 1, LABEL_ICE: 2, LABEL_IGNORE: LABEL_IGNORE},
    "binary": {LABEL_NONE: 0, LABEL_DEBRIS: 1, LABEL_ICE: 1, LABEL_IGNORE: LABEL_IGNORE},
    "debris": {LABEL_NONE: 0, LABEL_DEBRIS: 1, LABEL_ICE: 0, LABEL_IGNORE: LABEL_IGNORE},
}


def map_label(label: NDArray[np.uint8], mapping: LabelMapping) -> NDArray[np.uint8]:
    """Return the label with some classes merged.

    A missing label stays 255 in every mapping. Give this value to the loss as the class to ignore.

    Parameters
    ----------
    label : ndarray of uint8
        Any shape: 0 none, 1 debris, 2 debris-free ice, 255 missing. Not modified.
    mapping : str
        ``"three"`` keeps the classes. ``"binary"`` separates glacier (1: debris and debris-free ice) from none (0), as
        in the published training. ``"debris"`` separates debris (1) from everything else (0).

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
    if mapping not in _TABLES:
        raise ConfigError(
            f"there is no mapping {mapping!r} of labels",
            where="map_label, mapping",
            fix=f"use {', '.join(get_args(LabelMapping))}",
        )
    if label.dtype != np.uint8:
        raise InputError(
            f"the label is {label.dtype}", where="map_label", fix="give the label as stored in the shard, uint8"
        )
    table, is_known = np.zeros(256, np.uint8), np.zeros(256, bool)
    for value, mapped in _TABLES[mapping].items():
        table[value], is_known[value] = mapped, True
    if not is_known[label].all():
        raise InputError(
            f"the label holds {', '.join(map(str, np.unique(label[~is_known[label]])))}",
            where="map_label",
            fix="map the label only once, as stored in the shard: 0 none, 1 debris, 2 debris-free ice, 255 missing",
        )
    return np.asarray(table[label], np.uint8)
