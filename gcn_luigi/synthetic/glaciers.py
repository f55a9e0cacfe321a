"""Invented glaciers: ice flows down the valleys until the snow that fell above has melted.

The flux of ice is gathered down the flow tree, as a river's is, but melting takes from it on the way: a glacier
ends where nothing is left. Its surface stands above its bed by a thickness that grows with the flux; wherever
that surface lies above the ground there is ice. A rising equilibrium line then draws every front back.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator, smoothstep
from gcn_luigi.synthetic.terrain import NODE, NOMINAL_PIXEL, Terrain

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

# Metres of ice a year gained or lost for each metre of height above or below the equilibrium line.
_BALANCE_GRADIENT, _BALANCE_MOST = 0.0058, 3.0
# Metres a year lost in the sea besides melting.
_CALVING = 5.0
# Width in nodes and thickness in metres of a glacier with the flux of one node.
_WIDTH, _THICKNESS = 0.47, 33.0


@dataclass(frozen=True)
class Ice:
    """The glaciers of one year.

    Attributes
    ----------
    mask : ndarray of bool, (row, col)
        Where there is glacier.
    surface : ndarray of float32, (row, col)
        Smooth height of the ice where there is any, in metres.
    vigour : ndarray of float32, (row, col)
        Flux relative to the largest on the way down: 1 near the equilibrium line, 0 at the front.
    """

    mask: Mask
    surface: Field
    vigour: Field


def make_ice(terrain: Terrain, equilibrium: Values, shape: tuple[int, int]) -> Ice:
    """Return the glaciers that an equilibrium line feeds.

    Parameters
    ----------
    terrain : Terrain
        Bare ground.
    equilibrium : ndarray of float64, (node row, node col)
        Height in metres where as much snow falls as melts.
    shape : tuple of int
        Rows and columns of pixels.

    Returns
    -------
    Ice
        One year's glaciers.
    """
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
    """Return the height of the equilibrium line: lower to the sea and where it is shaded, wavy between.

    Parameters
    ----------
    terrain : Terrain
        Bare ground.
    seed : int
        Decides the waves.
    share : float
        Share of the land that lies above the line.

    Returns
    -------
    ndarray of float64, (node row, node col)
        Metres.
    """
    size = terrain.nodes.shape
    # Storms leave their snow near the sea.
    sea = ndimage.distance_transform_edt(~terrain.fjord) / size[0]
    inland = 700 * (1 - np.exp(-sea / 0.20))
    north = np.gradient(terrain.nodes, NOMINAL_PIXEL * NODE, axis=0)
    # Rows run south: ground that falls to the north rises along them.
    shade = -150 * np.clip(ndimage.gaussian_filter(north, 1.5), -0.8, 0.8)
    waves = 45 * fractal(generator(seed, "equilibrium line"), size, max(size) / 2)
    local = inland + shade + waves
    line: Values = local + float(np.quantile((terrain.nodes - local)[~terrain.fjord], 1 - share))
    return line


def _flow(terrain: Terrain, balance: Values) -> tuple[Values, Values]:
    """Return the flux through each node, and the largest flux on the way to it."""
    gain = balance.ravel()
    flux = np.zeros(gain.size + 1)
    strongest = np.zeros(gain.size + 1)
    for level in reversed(terrain.tree.levels):
        arriving = flux[level]
        # A wide glacier melts over all its width.
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


def _tidied(mask: Mask, smallest: int = 60) -> Mask:
    """Return the mask without specks and pinholes."""
    smooth = ndimage.uniform_filter(mask.astype(np.float32), 5) > 0.5
    parts, count = ndimage.label(smooth)
    large = np.bincount(parts.ravel(), minlength=count + 1) >= smallest
    large[0] = False
    kept = large[parts]
    holes, count = ndimage.label(~kept)
    small = np.bincount(holes.ravel(), minlength=count + 1) < 25
    small[0] = False
    tidy: Mask = kept | small[holes]
    return tidy
