"""Count the pixels that the votes call debris-free ice, inside and outside the outlines, and say what that means."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.settings import LabelSettings

# A warning is given if more than this share of the ice lies outside. Errors along the edges of outlines are smaller.
_MANY = 0.05
_INSIDE, _OUTSIDE = "ice_pixels_inside", "ice_pixels_outside"


class VoteCounts:
    """How many pixels have enough votes for debris-free ice, inside and outside all outlines.

    Pixels without votes do not count. What the label makes of those outside is the choice of ``[label] ice_outside``.
    """

    def __init__(self) -> None:
        self._n_inside = self._n_outside = 0

    def add(self, inside: NDArray[np.bool_], is_ice: NDArray[np.bool_], missing: NDArray[np.bool_]) -> None:
        """Count one block: three bool arrays (y, x), inside an outline, with enough votes, and without votes."""
        ice = is_ice & ~missing
        total = int(np.count_nonzero(ice))
        here = int(np.count_nonzero(ice & inside))
        self._n_inside += here
        self._n_outside += total - here

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as ``label.json`` has them."""
        return {_INSIDE: self._n_inside, _OUTSIDE: self._n_outside, "notes": []}


def share_outside(notes: Mapping[str, Any]) -> float | None:
    """Return which share of the ice in the votes lies outside all outlines, from ``label.json``; None without ice.

    Examples
    --------
    >>> share_outside({"ice_pixels_inside": 30, "ice_pixels_outside": 10}), share_outside({})
    (0.25, None)
    """
    total = notes.get(_INSIDE, 0) + notes.get(_OUTSIDE, 0)
    return notes[_OUTSIDE] / total if total else None


def is_much_outside(notes: Mapping[str, Any]) -> bool:
    """Return whether so much of the ice lies outside that a person should look at it."""
    return (share_outside(notes) or 0.0) > _MANY


def vote_warnings(notes: Mapping[str, Any], settings: LabelSettings) -> Iterator[str]:
    """Yield a warning if much of the ice in the votes lies outside all outlines and the label calls it none.

    `notes` is the content of ``label.json``; it may lack the counts, as that of a label without votes does. Settings
    that say ``ice_outside = "none"`` themselves need no warning.
    """
    if "ice_outside" not in settings.model_fields_set and is_much_outside(notes):
        yield (
            f"{share_outside(notes):.0%} of the pixels with {settings.min_votes} votes or more lie outside every "
            f"outline ({notes[_OUTSIDE]:,} pixels), and the label calls them none. Are they late snow, or glaciers "
            f'without an outline? [label] ice_outside = "ignore" leaves these pixels out, "ice" labels them as ice, '
            'and "none" accepts this'
        )
