"""An invented mountain range: crests and valleys carved by water, a fjord, crags.

Water flows along a tree over the nodes of a coarse elevation model: the minimum spanning tree of the nodes, weighted by
the height of the passes between them. Water leaves every hollow over its lowest pass, so hollows need not be filled
first. Valleys are cut along the tree with the implicit stream-power scheme of Braun and Willett (2013, Geomorphology
180-181, 170-179).
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator, smoothstep

Nodes = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Pixels along the edge of a node of the drainage model.
NODE = 8
# Metres. Heights are made for pixels of this size; the world scales them for other sizes, so that slopes stay equal.
NOMINAL_PIXEL = 30.0
_STEPS_COARSE, _STEPS_FINE = 24, 8
# Metres of uplift per step, and erodibility times the duration of a step; together they set the relief.
_UPLIFT, _STRENGTH = 62.0, 0.19
_FJORD_DEEPEST = -9.0
# As a share of the height of the map.
_FJORD_LENGTH = 0.57
# Downhill steepness decides between equal passes; its weight is too small to change the order of others.
_STEEPNESS_WEIGHT = 1e-3


@dataclass(frozen=True)
class FlowTree:
    """The flow path down from every node, in row-major order.

    `parent` is the node that each node flows into; outlets flow into an extra node after the last. `length` is the
    distance to the parent in nodes: 1, or the diagonal. `levels` groups the nodes by their number of steps to the
    outlet.
    """

    parent: Nodes
    length: Values
    levels: tuple[Nodes, ...]

    def gather(self, local: Values) -> Values:
        """Return, for each node, the sum of `local` over the node and all nodes that flow through it."""
        total = np.append(local, 0.0)
        for level in reversed(self.levels):
            np.add.at(total, self.parent[level], total[level])
        return total[:-1]


def flow_tree(elevation: Values, outlets: Mask) -> FlowTree:
    """Return the flow tree of heights, (row, col) in metres; water leaves at `outlets`, at least one node."""
    count = elevation.size
    height = elevation.ravel()
    starts, ends, lengths = _neighbours(elevation.shape)
    drop = np.abs(height[starts] - height[ends]) / lengths
    passes = np.maximum(height[starts], height[ends]) - _STEEPNESS_WEIGHT * drop
    lowest = passes.min()
    doors = np.flatnonzero(outlets)
    weights = np.concatenate([passes - lowest + 1.0, np.full(doors.size, 0.5)])
    # scipy before 1.17 takes no wider indices here.
    rows = np.concatenate([starts, np.full(doors.size, count)]).astype(np.int32)
    cols = np.concatenate([ends, doors]).astype(np.int32)
    graph = coo_array((weights, (rows, cols)), shape=(count + 1, count + 1)).tocsr()
    order, parent = breadth_first_order(minimum_spanning_tree(graph), count, directed=False)
    parent = parent.astype(np.intp)[:count]
    width = elevation.shape[1]
    nodes = np.arange(count)
    inner = parent < count
    diagonal = inner & (nodes // width != parent // width) & (nodes % width != parent % width)
    return FlowTree(parent, np.where(diagonal, np.sqrt(2.0), 1.0), _levels(order.astype(np.intp), parent))


def carve(elevation: Values, uplift: Values, tree: FlowTree, strength: float) -> Values:
    """Return the heights, (node,) in metres, after one step of uplift and erosion.

    `strength` is erodibility times duration. Outlets with an uplift of zero keep their height.
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
    # In breadth-first order the parents are in the order of their children, so each level is one run.
    parents = place[parent[order[1:]]]
    edges = [0, 1]
    while edges[-1] < order.size:
        edges.append(1 + int(np.searchsorted(parents, edges[-1])))
    return tuple(order[start:stop] for start, stop in itertools.pairwise(edges[1:]))


@dataclass(frozen=True)
class Terrain:
    """Bare ground, without ice.

    `ground` is (row, col) in metres above the sea. The others are (node row, node col): the smooth heights that the
    flow tree was made from, the arms of the sea, and the tree.
    """

    ground: Field
    nodes: Values
    fjord: Mask
    tree: FlowTree


def make_terrain(seed: int, shape: tuple[int, int]) -> Terrain:
    """Raise and carve a mountain range for pixels of 30 m; the sea is in the south."""
    size = (-(-shape[0] // NODE), -(-shape[1] // NODE))
    fjord = _fjord(seed, size)
    outlets = fjord.copy()
    outlets[0] = True
    uplift = _uplift(seed, size)
    half = (-(-size[0] // 2), -(-size[1] // 2))
    rough = fractal(generator(seed, "first relief"), half, 12)
    start = 300 + 30 * rough.astype(np.float64)
    nodes = _evolve(start, uplift[::2, ::2], outlets[::2, ::2], _STEPS_COARSE, 2.0)
    relief = enlarge(nodes, size, 2.0) + 4 * fractal(generator(seed, "second relief"), size, 6)
    nodes = _evolve(relief.astype(np.float64), uplift, outlets, _STEPS_FINE, 1.0)
    nodes[fjord] = _fjord_floor(fjord)[fjord]
    tree = flow_tree(nodes, outlets)
    return Terrain(_crags(seed, nodes, fjord, shape), nodes, fjord, tree)


def _uplift(seed: int, size: tuple[int, int]) -> Values:
    """Return metres per step: a crest across the middle, lower towards coast and inland, with a trunk valley."""
    row = np.linspace(0, 1, size[0])[:, np.newaxis]
    col = np.linspace(0, 1, size[1])[np.newaxis, :]
    bend = 0.08 * np.sin(2 * np.pi * (col * 0.9 + 0.15))
    away = (row - 0.37 - bend - 0.12 * (col - 0.5)) / np.where(row < 0.37 + bend, 0.30, 0.34)
    crest = 0.22 + 0.9 * np.exp(-(away**2))
    blocks = fractal(generator(seed, "uplift"), size, max(size) / 3.5, 2.4)
    raised = np.clip(crest * (1 + 0.28 * blocks), 0.12, None)
    # High ground on both sides of a low trunk valley collects the ice that reaches the sea.
    offset = np.abs(col - _fjord_axis(seed, size)) * size[1]
    inland = smoothstep(row, 0.62, 0.44) * smoothstep(row, 0.10, 0.20)
    raised *= 1 + 0.55 * inland * np.exp(-((offset / (0.2 * size[1])) ** 2))
    raised *= 1 - 0.62 * inland * np.exp(-((offset / 6) ** 2))
    uplift: Values = raised * _UPLIFT
    return uplift


def _fjord_axis(seed: int, size: tuple[int, int]) -> Values:
    """Return the column, as a share of the width, of the fjord and of the valley behind it, for each row."""
    rng = generator(seed, "fjord axis")
    phase, mouth, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.42, 0.60), rng.uniform(-0.12, 0.12)
    inland = np.clip(1 - np.arange(size[0]) / size[0], 0, 1)[:, np.newaxis] / _FJORD_LENGTH
    axis = mouth + lean * inland + 0.05 * (np.sin(4.6 * inland + phase) - np.sin(phase))
    clipped: Values = np.clip(axis, 0.15, 0.85)
    return clipped


def _fjord(seed: int, size: tuple[int, int]) -> Mask:
    """Return the arms of the sea: a winding inlet that narrows inland, and the open coast at its mouth."""
    rows, cols = size
    row = np.arange(rows)[:, np.newaxis] / rows
    col = np.arange(cols)[np.newaxis, :] / cols
    inland = (1 - row) / _FJORD_LENGTH
    ragged = 0.006 * fractal(generator(seed, "fjord"), size, 14)
    half_width = (0.056 - 0.032 * inland) * (inland < 1)
    offset = np.abs(col - _fjord_axis(seed, size)) * (cols / max(size))
    inlet = offset < half_width + ragged * (half_width > 0)
    coast = row > 0.975 + 3 * ragged
    parts, _ = ndimage.label(inlet | coast)
    fjord: Mask = parts == parts[-1, int(_fjord_axis(seed, size)[-1, 0] * cols)]
    return fjord


def _fjord_floor(fjord: Mask) -> Values:
    """Return heights a little below the sea, falling towards the open water."""
    rows = np.linspace(0, 1, fjord.shape[0])[:, np.newaxis]
    shore = ndimage.distance_transform_edt(fjord)
    floor: Values = _FJORD_DEEPEST * np.clip(0.15 + 0.6 * (rows - 0.5) + 0.08 * shore, 0.15, 1)
    return floor


def _evolve(start: Values, uplift: Values, outlets: Mask, steps: int, node: float) -> Values:
    """Return the heights after `steps` of uplift, cutting and slumping, on nodes `node` times as large."""
    height = np.where(outlets, 0.0, start)
    # Inland rivers leave the map at this height, southern rivers at sea level.
    inland = np.zeros_like(height)
    inland[0] = 380.0
    height = np.where(outlets, inland, height)
    rise = np.where(outlets, 0.0, uplift)
    for _ in range(steps):
        tree = flow_tree(height, outlets)
        height = carve(height.ravel(), rise.ravel(), tree, _STRENGTH).reshape(height.shape)
        slumped = height + 0.10 / node * ndimage.laplace(height, mode="nearest")
        height = np.where(outlets, height, slumped)
    return height


def _crags(seed: int, nodes: Values, fjord: Mask, shape: tuple[int, int]) -> Field:
    """Return the nodes as smooth ground, with spurs, crags and gullies on steep slopes."""
    ground = enlarge(nodes, shape, NODE)
    rise = np.hypot(*np.gradient(nodes, NOMINAL_PIXEL * NODE))
    steep = enlarge(smoothstep(ndimage.gaussian_filter(rise, 1), 0.05, 0.7), shape, NODE, order=1)
    # Crests follow the zero lines of a fractal field, which are long and crooked and not closed rings.
    crest = 0.55 - np.abs(fractal(generator(seed, "crags"), shape, 34, 2.0))
    crest += 0.3 * (0.55 - np.abs(fractal(generator(seed, "spurs"), shape, 15, 1.8)))
    gullies = fractal(generator(seed, "gullies"), shape, 40, 1.8)
    detail = steep * (80 * crest + 14 * gullies) + 1.5 * gullies
    sea = enlarge(ndimage.gaussian_filter(fjord.astype(np.float32), 1.2), shape, NODE) + 0.06 * gullies
    floor = enlarge(_fjord_floor(fjord), shape, NODE)
    shore = smoothstep(sea, 0.5, 0.1)
    return np.where(sea > 0.5, np.minimum(floor, -0.5), np.maximum((ground + detail) * shore, 1.0)).astype(np.float32)
