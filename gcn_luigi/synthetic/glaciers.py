"""Invented glaciers: where there is ice, which glacier it belongs to, and where rock covers it.

The flux of ice is summed down the flow tree, like that of a river, but melting reduces it on the way: a glacier ends
where no flux is left. The height of its surface above the bed grows with the flux, and there is ice wherever this
surface is above the ground. A rising equilibrium line then makes every front retreat. Moraines follow the flow, and
debris covers the fronts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator, smoothstep
from gcn_luigi.synthetic.terrain import NODE, NOMINAL_PIXEL, Mask, Terrain, Values

Ids = npt.NDArray[np.int32]

# Metres of ice gained or lost per year for each metre of height above or below the equilibrium line.
_BALANCE_GRADIENT, _BALANCE_MOST = 0.0058, 3.0
# Metres per year lost in the sea, in addition to melting.
_CALVING = 5.0
# Width in nodes and thickness in metres of a glacier with the flux of one node.
_WIDTH, _THICKNESS = 0.47, 33.0
# Nodes of the smallest ice cover that counts as a glacier.
_SMALLEST_NODES = 14
# Pixels; smaller detached parts are dropped.
_SMALLEST_PART = 500
# Pixels by which a glacier extends into ice that belongs to no glacier.
_REACH = 20
# Moraines are traced on pixels twice as large.
_MORAINE_PIXEL = 2
_MORAINE_STEPS, _MORAINE_STRIDE = 130, 1.2


@dataclass(frozen=True)
class Ice:
    """The glaciers of one year: where they are, and their smooth surface in metres, each (row, col).

    `vigour` is the flux relative to the largest flux upstream: 1 near the equilibrium line, 0 at the front.
    """

    mask: Mask
    surface: Field
    vigour: Field


def make_ice(terrain: Terrain, equilibrium: Values, shape: tuple[int, int]) -> Ice:
    """Return the glaciers, of `shape` pixels, that an equilibrium line, (node row, node col) in metres, feeds."""
    balance = np.clip(_BALANCE_GRADIENT * (terrain.nodes - equilibrium), -6.0, _BALANCE_MOST)
    balance = np.where(terrain.fjord, balance - _CALVING, balance)
    flux, strongest = _flow(terrain, balance)
    size = terrain.nodes.shape
    flux, strongest = flux.reshape(size), strongest.reshape(size)
    thickness = _THICKNESS * flux**0.31
    weight = flux**0.8 + 1e-6
    level = _spread((terrain.nodes + thickness) * weight, 1.6) / _spread(weight, 1.6)
    body = _spread((flux > 0).astype(np.float64), 1.2)
    steep = ndimage.gaussian_filter(np.hypot(*np.gradient(terrain.nodes, NOMINAL_PIXEL * NODE)), 0.7)
    level -= 90 * smoothstep(steep, 0.45, 0.95) + 150 * smoothstep(body, 0.5, 0.1)
    surface = enlarge(level, shape, NODE)
    mask = (surface > terrain.ground) & (enlarge(body, shape, NODE, order=1) > 0.22)
    vigour = _spread(flux, 1.6) / np.maximum(_spread(strongest, 1.6), 1e-6)
    return Ice(_tidied(mask), surface, np.clip(enlarge(vigour, shape, NODE, order=1), 0, 1))


def equilibrium_line(terrain: Terrain, seed: int, share: float) -> Values:
    """Return the height of the equilibrium line: lower near the sea and in the shade, with waves added.

    (node row, node col) in metres; `share` of the land is above it.
    """
    size = terrain.nodes.shape
    # Storms drop their snow near the sea.
    sea = ndimage.distance_transform_edt(~terrain.fjord) / size[0]
    inland = 700 * (1 - np.exp(-sea / 0.20))
    north = np.gradient(terrain.nodes, NOMINAL_PIXEL * NODE, axis=0)
    # Rows run south, so ground that slopes down to the north rises along them.
    shade = -150 * np.clip(ndimage.gaussian_filter(north, 1.5), -0.8, 0.8)
    waves = 45 * fractal(generator(seed, "equilibrium line"), size, max(size) / 2)
    local = inland + shade + waves
    line: Values = local + float(np.quantile((terrain.nodes - local)[~terrain.fjord], 1 - share))
    return line


def _flow(terrain: Terrain, balance: Values) -> tuple[Values, Values]:
    """Return the flux through each node, and the largest flux upstream of it."""
    gain = balance.ravel()
    flux = np.zeros(gain.size + 1)
    strongest = np.zeros(gain.size + 1)
    for level in reversed(terrain.tree.levels):
        arriving = flux[level]
        # A wide glacier melts over its whole width.
        width = np.maximum(_WIDTH * arriving**0.4, 1.0)
        leaving = np.maximum(arriving + np.where(gain[level] < 0, gain[level] * width, gain[level]), 0)
        flux[level] = leaving
        strongest[level] = np.maximum(strongest[level], leaving)
        parent = terrain.tree.parent[level]
        np.add.at(flux, parent, leaving)
        alive = leaving > 0
        np.maximum.at(strongest, parent[alive], strongest[level][alive])
    return flux[:-1], strongest[:-1]


def _spread(values: Values, nodes: float) -> Values:
    spread: Values = ndimage.gaussian_filter(values, nodes, mode="nearest", truncate=3.0)
    return spread


def _tidied(mask: Mask) -> Mask:
    """Return the mask without specks and pinholes."""
    smooth = ndimage.uniform_filter(mask.astype(np.float32), 5) > 0.5
    parts, count = ndimage.label(smooth)
    large = np.bincount(parts.ravel(), minlength=count + 1) >= 60
    large[0] = False
    kept = large[parts]
    holes, count = ndimage.label(~kept)
    small = np.bincount(holes.ravel(), minlength=count + 1) < 25
    small[0] = False
    tidy: Mask = kept | small[holes]
    return tidy


def glacier_ids(terrain: Terrain, mask: Mask) -> Ids:
    """Return the glaciers of an ice cover, numbered from 1, the largest first; 0 for no ice and for small patches.

    Nodes belong together if their ice leaves through the same front; the parts are then drawn at full detail.
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
    """Give a glacier the pixels that are closer to its nodes than to those of earlier glaciers, in place."""
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


def trace_moraines(ice: Ice, ground: Field) -> Field:
    """Return how much rock the ice, at its largest extent, has picked up on the way to each pixel: 0 (clean ice) to 1.

    The function follows each pixel's path up the surface. Where two glaciers join, the paths next to the seam lead back
    to the foot of the spur between them, which makes a medial moraine.
    """
    mask = ice.mask[::_MORAINE_PIXEL, ::_MORAINE_PIXEL]
    height = np.maximum(ice.surface, ground)[::_MORAINE_PIXEL, ::_MORAINE_PIXEL]
    height = ndimage.gaussian_filter(height, 2.5)
    down_rows, down_cols = np.gradient(height)
    length = np.hypot(down_rows, down_cols) + 1e-3
    up_row, up_col = _MORAINE_STRIDE * down_rows / length, _MORAINE_STRIDE * down_cols / length
    inside = ndimage.distance_transform_cdt(np.pad(mask, 1, mode="edge"), "chessboard")[1:-1, 1:-1]
    source = mask & (inside <= 1)
    row, col = (part.astype(np.float32) for part in np.nonzero(mask))
    load = np.zeros(row.size, dtype=np.float32)
    here_row, here_col = row.astype(np.intp), col.astype(np.intp)
    for step in range(_MORAINE_STEPS):
        load += source[here_row, here_col] * np.float32(np.exp(-step / 70))
        row, col = row + up_row[here_row, here_col], col + up_col[here_row, here_col]
        np.clip(row, 0, mask.shape[0] - 1, out=row)
        np.clip(col, 0, mask.shape[1] - 1, out=col)
        here_row, here_col = np.rint(row).astype(np.intp), np.rint(col).astype(np.intp)
    carried = np.zeros(mask.shape, dtype=np.float32)
    carried[mask] = 1 - np.exp(-load / 4)
    return enlarge(ndimage.gaussian_filter(carried, 0.8), ice.mask.shape, _MORAINE_PIXEL, order=1)


def cover_with_debris(ice: Ice, moraines: Field, above_line: Field, patches: Field, share: float) -> Field:
    """Return the part of each pixel of one year's ice that rock covers, (row, col), 0 to 1; 0 off the ice.

    `above_line` is the height of the surface above the equilibrium line in metres, `patches` is a fractal field, and
    `share` is the share of all ice to cover.
    """
    covered = np.zeros(ice.mask.shape, dtype=np.float32)
    if not ice.mask.any():
        return covered
    height, load, unrest = (layer[ice.mask] for layer in (above_line, moraines, patches))
    low = smoothstep(height, 0, -450)
    front = smoothstep(ice.vigour[ice.mask], 0.55, 0.0)
    score = low * (0.15 + 0.9 * load * (0.5 + low) + 0.75 * front + 0.13 * unrest)
    # Above the line new snow buries the debris.
    score += 2 * smoothstep(height, 120, -120)
    threshold = float(np.quantile(score, 1 - share))
    covered[ice.mask] = smoothstep(score, threshold - 0.07, threshold + 0.07)
    return covered
