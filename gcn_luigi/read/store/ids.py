"""Find a chip by its id."""

import difflib
from bisect import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np

from gcn_luigi.errors import ConfigError

# Ids that are compared letter by letter to find similar ones, and how many of them a message names.
_MOST_COMPARED, _MOST_NAMED = 200, 3


def position_of(name: str, ids: Any) -> int:
    """Return the position of the chip `name` in `ids`, a column of the index.

    Raises
    ------
    ConfigError
        There is no such chip. The message names similar ids.
    """
    found = np.flatnonzero(np.asarray(ids == name, bool))
    if len(found):
        return int(found[0])
    near = similar(name, [str(each) for each in ids])
    raise ConfigError(
        f"this reader has no chip {name[:200]!r}",
        where="ChipReader",
        fix=f"similar ids are {', '.join(near)}" if near else "it has no chips; relax the conditions",
    )


def similar(name: str, names: Sequence[str]) -> list[str]:
    """Return up to three of `names` that are most like `name`, the most similar first."""
    if not names:
        return []
    # Comparing letter by letter is slow, so it is done only for those next to it in the alphabet, which begin alike.
    ordered = sorted(names)
    place = bisect(ordered, name)
    near = ordered[max(place - _MOST_COMPARED // 2, 0) : place + _MOST_COMPARED // 2]
    return difflib.get_close_matches(name, near, n=_MOST_NAMED, cutoff=0.0)
