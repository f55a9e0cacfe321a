"""Divide an ice cover into glaciers along its ice divides."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.synthetic.glaciers import Mask
from gcn_luigi.synthetic.noise import Field, enlarge
from gcn_luigi.synthetic.terrain import NODE, Terrain

Ids = npt.NDArray[np.int32]

# Nodes of the smallest cover that still counts as a glacier of its own.
_SMALLEST_NODES = 14
# Pixels; detached scraps below this are given up.
_SMALLEST_PART = 500
# Pixels that a glacier reaches into ice nobody claims.
_REACH = 20


def glacier_ids(terrain: Terrain, mask: Mask) -> Ids:
    """Return the numbered glaciers of an ice cover.

    Nodes belong together if their ice leaves through the same front; the parts are then drawn at full detail.

    Parameters
    ----------
    terrain : Terrain
        Bare ground.
    mask : ndarray of bool, (row, col)
        The largest extent of all ice.

    Returns
    -------
    ndarray of int32, (row, col)
        Glaciers from 1, the largest first; 0 where there is no ice, or patches too small to count.
    """
    size = terrain.nodes.shape
    cover = ndimage.uniform_filter(mask.astype(np.float32), NODE)
    rows, cols = (
        np.minimum(np.arange(nodes) * NODE + NODE // 2, pixels - 1)
        for nodes, pixels in zip(size, mask.shape, strict=True)
    )
    icy = (cover[np.ix_(rows, cols)] > 0.4).ravel()
    front = np.arange(icy.size)
    for level in terrain.tree.levels[1:]:
        parent = terrain.tree.parent[level]
        front[level] = np.where(icy[level] & icy[parent], front[parent], level)
    found, counts = np.unique(front[icy], return_counts=True)
    best = np.zeros(mask.shape, dtype=np.float32)
    ids = np.zeros(mask.shape, dtype=np.int32)
    for number, node in enumerate(found[counts >= _SMALLEST_NODES], start=1):
        _claim(((front == node) & icy).reshape(size), number, best, ids)
    away, nearest = ndimage.distance_transform_edt(ids == 0, return_indices=True)
    ids = np.where(away <= _REACH, ids[tuple(nearest)], 0).astype(np.int32)
    ids[~mask] = 0
    return _largest_first(ids)


def _claim(part: Mask, number: int, best: Field, ids: Ids) -> None:
    """Give a glacier the pixels that lie nearer to its nodes than to any claimed before, in place."""
    (rows, cols) = ndimage.find_objects(part.astype(np.int8))[0]
    rows = slice(max(rows.start - 3, 0), min(rows.stop + 3, part.shape[0]))
    cols = slice(max(cols.start - 3, 0), min(cols.stop + 3, part.shape[1]))
    soft = ndimage.gaussian_filter(part[rows, cols].astype(np.float32), 0.8)
    here = (slice(rows.start * NODE, rows.stop * NODE), slice(cols.start * NODE, cols.stop * NODE))
    held = best[here]
    claim = enlarge(soft, (soft.shape[0] * NODE, soft.shape[1] * NODE), NODE, order=1)
    claim = claim[: held.shape[0], : held.shape[1]]
    won = claim > np.maximum(held, 0.02)
    held[won] = claim[won]
    ids[here][won] = number


def _largest_first(ids: Ids) -> Ids:
    """Make every connected part that is large enough a glacier, and number the glaciers by size."""
    split = np.zeros_like(ids)
    count = 0
    for number, window in enumerate(ndimage.find_objects(ids), start=1):
        if window is not None:
            parts, found = ndimage.label(ids[window] == number)
            split[window][parts > 0] = parts[parts > 0] + count
            count += found
    sizes = np.bincount(split.ravel(), minlength=count + 1)
    sizes[0] = 0
    ranked = np.argsort(-sizes, kind="stable")
    order = np.zeros(count + 1, dtype=np.int32)
    large = int((sizes >= _SMALLEST_PART).sum())
    order[ranked[:large]] = np.arange(1, large + 1)
    return order[split]
