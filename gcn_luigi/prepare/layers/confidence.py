"""How sure the label of a pixel is, in percent: from votes, from outlines, and from the years in between.

Analysts who draw the same glacier differ by about 5 % of its area on clean ice, and by up to 30 % where debris covers
the ice (Paul et al., 2013, Annals of Glaciology 54(63), doi:10.3189/2013AoG63A296). They differ at the outline, and
where the image leaves a choice, so these are the pixels that get a low confidence.

Each source gives a percentage, and the least of them is the confidence of the pixel. The sources are not independent:
pixels of mixed ground lie at outlines, and retreat moves outlines. A product would count such a doubt twice.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from gcn_luigi.prepare.missing.fill import NO_CONFIDENCE

# Percent. A pixel at the threshold or on the outline may as well belong to the other class.
EVEN, SURE = 50, 100

Percent = NDArray[np.uint8]


def confidence_of_votes(votes: NDArray[np.generic], min_votes: int, max_votes: int) -> Percent:
    """Return how clear a vote is: 50 % at the threshold, 100 % if all models agree, and linear in between.

    The threshold lies half a vote below `min_votes`, between the votes for either class.

    Parameters
    ----------
    votes : ndarray
        Any shape, any number type: votes for debris-free ice, 0 to `max_votes`. Other values are clipped.
    min_votes : int
        Pixels with this many votes or more are debris-free ice; at least 1.
    max_votes : int
        The votes of a pixel about which all models agree; at least `min_votes`.

    Returns
    -------
    ndarray
        Shape of `votes`, uint8, percent: 50 to 100, rounded half to even.

    Examples
    --------
    >>> confidence_of_votes(np.arange(8), 4, 7).tolist()
    [100, 86, 71, 57, 57, 71, 86, 100]
    """
    threshold = min_votes - 0.5
    above = np.clip(votes.astype(np.float32), 0, max_votes) - threshold
    room = np.where(above > 0, max_votes - threshold, threshold)
    return _percent(EVEN + (SURE - EVEN) * np.abs(above) / room)


def confidence_of_edge(inside: NDArray[np.bool_], edge_px: int) -> Percent:
    """Return how far pixels are from an outline: 50 % on it, 100 % at `edge_px` pixels or more, linear in between.

    If the position of a straight outline is wrong by up to `edge_px` pixels, all errors being equally likely, this is
    the chance that the pixel lies on the side on which it was drawn. The outline runs between pixels, so the distance
    of a pixel is that to the nearest centre on the other side (exact and Euclidean: Maurer et al., 2003, as implemented
    by scipy), less half a pixel. A block with `edge_margin` more pixels on every side gives, when trimmed, the same
    as the whole.

    Parameters
    ----------
    inside : ndarray
        Axes (y, x), bool: True where the pixel centre is inside an outline.
    edge_px : int
        Half the width of the uncertain band, in pixels; at least 1.

    Returns
    -------
    ndarray
        Axes (y, x), uint8, percent: 50 to 100, rounded half to even.

    Examples
    --------
    >>> confidence_of_edge(np.array([[False, False, False, True, True, True]]), 2).tolist()
    [[100, 88, 62, 62, 88, 100]]
    """
    found = np.full(inside.shape, SURE, np.uint8)
    if not inside.any() or inside.all():
        return found
    # Only rows and columns near the other side need distances; in most blocks these are few.
    rows, cols = (_near_change(inside, axis, edge_margin(edge_px)) for axis in (0, 1))
    part = inside[rows, cols]
    distance = (
        np.where(part, scipy.ndimage.distance_transform_edt(part), scipy.ndimage.distance_transform_edt(~part)) - 0.5
    )
    found[rows, cols] = _percent(EVEN + (SURE - EVEN) * np.minimum(distance / edge_px, 1.0))
    return found


def edge_margin(edge_px: int) -> int:
    """Return how far around a block pixels can affect its confidence, in pixels."""
    return edge_px + 1


def confidence_of_years(year_gap: int, lost_per_year: float) -> int:
    """Return what the years between outline and image leave, in percent: 100, less `lost_per_year` for each year.

    A gap below 0 means that no outline is dated; then nothing is known, and nothing is taken away.

    Examples
    --------
    >>> confidence_of_years(4, 1.5), confidence_of_years(-1, 1.5), confidence_of_years(200, 1.5)
    (94, 100, 0)
    """
    return int(max(np.rint(SURE - lost_per_year * max(year_gap, 0)), 0))


def least(*terms: Percent | int, known: NDArray[np.bool_]) -> Percent:
    """Return the least of several confidences, uint8 (y, x); 255 where the label is not `known`, bool (y, x).

    Terms are percentages, (y, x) or one for all pixels. Without terms, known pixels get 100.

    Examples
    --------
    >>> votes = np.array([[57, 100, 100]], np.uint8)
    >>> least(votes, 90, known=np.array([[True, True, False]])).tolist()
    [[57, 90, 255]]
    """
    found = np.full(known.shape, SURE, np.uint8)
    for term in terms:
        np.minimum(found, np.uint8(term) if isinstance(term, int) else term, out=found)
    found[~known] = NO_CONFIDENCE
    return found


def _percent(values: NDArray[np.floating]) -> Percent:
    rounded: Percent = np.rint(values).astype(np.uint8)
    return rounded


def _near_change(inside: NDArray[np.bool_], axis: int, margin: int) -> slice:
    """Return the rows (axis 0) or columns (axis 1) in which, or next to which, both sides occur, and a margin."""
    lines = np.moveaxis(inside, axis, 0).reshape(inside.shape[axis], -1)
    changes = (lines[1:] != lines[:-1]).any(axis=1)
    is_mixed = np.asarray(lines.any(axis=1) & ~lines.all(axis=1))
    is_mixed[1:] |= changes
    is_mixed[:-1] |= changes
    found = np.flatnonzero(is_mixed)
    return slice(max(int(found[0]) - margin, 0), int(found[-1]) + margin + 1)
