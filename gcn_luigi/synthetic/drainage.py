"""Where water and ice flow: a tree over the pixels of a coarse elevation model.

The tree is the minimum spanning tree of the pixels under the height of the passes between them. It leaves every
hollow over its lowest pass, so that no hollow has to be filled first. Valleys are cut along it with the implicit
stream-power scheme of Braun and Willett (2013, Geomorphology 180-181, 170-179).
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

Nodes = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]

# Downhill steepness decides between equal passes; far too little to change their order.
_STEEPNESS_WEIGHT = 1e-3


@dataclass(frozen=True)
class FlowTree:
    """The way down from every pixel.

    Attributes
    ----------
    parent : ndarray of int, (pixel,)
        Pixel that each pixel flows into; outlets flow into the last, extra one.
    length : ndarray of float, (pixel,)
        Pixels from each pixel to its parent: 1, or the diagonal.
    levels : tuple of ndarray of int
        Pixels by their number of steps to the outlet, outlets first.
    """

    parent: Nodes
    length: Values
    levels: tuple[Nodes, ...]

    def gather(self, local: Values) -> Values:
        """Return the sum of `local` over each pixel and all that flows through it."""
        total = np.append(local, 0.0)
        for level in reversed(self.levels):
            np.add.at(total, self.parent[level], total[level])
        return total[:-1]


def flow_tree(elevation: Values, outlets: npt.NDArray[np.bool_]) -> FlowTree:
    """Return the flow tree of an elevation model.

    Parameters
    ----------
    elevation : ndarray of float, (row, col)
        Heights in metres, no gaps.
    outlets : ndarray of bool, (row, col)
        Where water leaves; at least one pixel.

    Returns
    -------
    FlowTree
        Over the pixels in row-major order.
    """
    count = elevation.size
    height = elevation.ravel()
    starts, ends, lengths = _neighbours(elevation.shape)
    drop = np.abs(height[starts] - height[ends]) / lengths
    passes = np.maximum(height[starts], height[ends]) - _STEEPNESS_WEIGHT * drop
    lowest = passes.min()
    doors = np.flatnonzero(outlets)
    weights = np.concatenate([passes - lowest + 1.0, np.full(doors.size, 0.5)])
    rows = np.concatenate([starts, np.full(doors.size, count)])
    cols = np.concatenate([ends, doors])
    graph = coo_array((weights, (rows, cols)), shape=(count + 1, count + 1)).tocsr()
    order, parent = breadth_first_order(minimum_spanning_tree(graph), count, directed=False)
    parent = parent.astype(np.intp)[:count]
    width = elevation.shape[1]
    nodes = np.arange(count)
    inner = parent < count
    diagonal = inner & (nodes // width != parent // width) & (nodes % width != parent % width)
    return FlowTree(parent, np.where(diagonal, np.sqrt(2.0), 1.0), _levels(order.astype(np.intp), parent))


def carve(elevation: Values, uplift: Values, tree: FlowTree, strength: float) -> Values:
    """Return the heights after one step of uplift and of valleys cutting down.

    Parameters
    ----------
    elevation, uplift : ndarray of float, (pixel,)
        Metres; pixels with an uplift of zero keep their height if they are outlets.
    tree : FlowTree
        Of this elevation.
    strength : float
        Erodibility times duration.

    Returns
    -------
    ndarray of float, (pixel,)
        Metres.
    """
    area = tree.gather(np.ones(elevation.size))
    factor = strength * np.sqrt(area) / tree.length
    raised = elevation + uplift
    new = raised.copy()
    for level in tree.levels[1:]:
        below = new[tree.parent[level]]
        cut = (raised[level] + factor[level] * below) / (1 + factor[level])
        new[level] = np.where(raised[level] > below, cut, raised[level])
    return new


def _neighbours(shape: tuple[int, ...]) -> tuple[Nodes, Nodes, Values]:
    pixels = np.arange(shape[0] * shape[1]).reshape(shape)
    pairs = (
        (pixels[:, :-1], pixels[:, 1:], 1.0),
        (pixels[:-1], pixels[1:], 1.0),
        (pixels[:-1, :-1], pixels[1:, 1:], np.sqrt(2.0)),
        (pixels[:-1, 1:], pixels[1:, :-1], np.sqrt(2.0)),
    )
    starts = np.concatenate([first.ravel() for first, _, _ in pairs])
    ends = np.concatenate([second.ravel() for _, second, _ in pairs])
    lengths = np.concatenate([np.full(first.size, length) for first, _, length in pairs])
    return starts, ends, lengths


def _levels(order: Nodes, parent: Nodes) -> tuple[Nodes, ...]:
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    # Breadth first: parents stand in the order of their children, so each level is one run.
    parents = place[parent[order[1:]]]
    edges = [0, 1]
    while edges[-1] < order.size:
        edges.append(1 + int(np.searchsorted(parents, edges[-1])))
    return tuple(order[start:stop] for start, stop in itertools.pairwise(edges[1:]))
