"""One composite year as a satellite would have seen it."""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.prepare.layers.terrain import gradient
from gcn_luigi.synthetic.glaciers import Mask
from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator, smoothstep
from gcn_luigi.synthetic.spectra import INDICES, indices, mix
from gcn_luigi.synthetic.terrain import NODE, NOMINAL_PIXEL, Terrain

NODATA = -32768
# Rows that are seen at once.
_STRIPE = 96
# The sun over Alaska on a summer morning, in radians: clockwise from north, and above the horizon.
_AZIMUTH, _ELEVATION = np.radians(157.0), np.radians(47.0)


@dataclass(frozen=True)
class Setting:
    """What stays the same from year to year.

    Attributes
    ----------
    height, steepness, light : ndarray of float32, (row, col)
        Metres; metres per metre; brightness relative to level ground.
    tree_line : float
        Metres.
    river, texture, patches : ndarray of float32, (row, col)
        Likelihood of river gravel, 0 to 1; two fractal fields.
    sea : ndarray of bool, (row, col)
        Salt water and ice that floats in it.
    """

    height: Field
    steepness: Field
    light: Field
    tree_line: float
    river: Field
    texture: Field
    patches: Field
    sea: Mask


@dataclass(frozen=True)
class Season:
    """What one composite year shows.

    Attributes
    ----------
    ice : ndarray of float32, (row, col)
        Part of each pixel that is glacier.
    debris : ndarray of float32, (row, col)
        Part of each pixel that rock on the ice covers.
    above_line : ndarray of float32, (row, col)
        Metres above the equilibrium line.
    snow_line : float
        Metres from the equilibrium line to this year's snow line; positive in a bad year for glaciers.
    bare : ndarray of float32, (row, col)
        Part that is ground which ice has left.
    lake : ndarray of float32, (row, col)
        Part that is water which filled its bed.
    """

    ice: Field
    debris: Field
    above_line: Field
    snow_line: float
    bare: Field
    lake: Field


Layers = TypeVar("Layers", Setting, Season)


def make_setting(terrain: Terrain, height: Field, tree_line: float, seed: int) -> Setting:
    """Return all that does not depend on the year.

    Parameters
    ----------
    terrain : Terrain
        Bare ground.
    height : ndarray of float32, (row, col)
        Surface in metres, for pixels of 30 m.
    tree_line : float
        Metres.
    seed : int
        Decides the textures.

    Returns
    -------
    Setting
        For `observe`.
    """
    east, north = (rise.astype(np.float32) for rise in gradient(height, NOMINAL_PIXEL))
    steepness = np.hypot(east, north)
    facing = np.sin(_AZIMUTH) * east + np.cos(_AZIMUTH) * north
    level = np.sin(_ELEVATION)
    light = (level - np.cos(_ELEVATION) * facing) / (level * np.sqrt(1 + steepness**2))
    shape = height.shape
    upstream = terrain.tree.gather(np.ones(terrain.nodes.size)).reshape(terrain.nodes.shape)
    trunk = ndimage.gaussian_filter(ndimage.maximum_filter(np.log10(upstream), 2), 0.7)
    river = enlarge(smoothstep(trunk, 2.2, 2.9), shape, NODE) * smoothstep(steepness, 0.30, 0.08)
    texture = fractal(generator(seed, "texture"), shape, 16, 1.3)
    patches = fractal(generator(seed, "patches"), shape, 90, 1.7)
    light = np.clip(light, 0.15, 1.6)
    return Setting(height, steepness, light, tree_line, np.clip(river, 0, 1), texture, patches, terrain.ground < 0)


def observe(setting: Setting, season: Season, noise: Field) -> tuple[dict[str, npt.NDArray[np.int16]], Field]:
    """Return the optical bands of one year, without gaps, and what is white in them.

    Parameters
    ----------
    setting : Setting
        The land.
    season : Season
        The year.
    noise : ndarray of float32, (row, col)
        Of the sensor; mean 0, standard deviation 1.

    Returns
    -------
    bands : dict of ndarray of int16, (row, col)
        The indices and ``rmse``.
    white : ndarray of float32, (row, col)
        Share of snow and of ice without debris, 0 to 1.
    """
    shape = setting.height.shape
    bands = {name: np.empty(shape, dtype=np.int16) for name in (*INDICES, "rmse")}
    white = np.empty(shape, dtype=np.float32)
    # In stripes: they stay in the processor's cache.
    for start in range(0, shape[0], _STRIPE):
        rows = slice(start, start + _STRIPE)
        seen, bright = _observe_rows(_rows(setting, rows), _rows(season, rows), noise[rows])
        white[rows] = bright
        for name, band in seen.items():
            bands[name][rows] = band
    return bands, white


def clouds_and_edges(seed: int, year: int, shape: tuple[int, int], *, scan_lines: bool, edge: bool) -> Mask:
    """Return where a year has no data.

    Parameters
    ----------
    seed, year : int
        Decide the clouds.
    shape : tuple of int
        Rows and columns.
    scan_lines : bool
        Wedges that widen away from the middle, as Landsat 7 has left them since 2003.
    edge : bool
        A corner lies beyond the slanted edge of the scene.

    Returns
    -------
    ndarray of bool, (row, col)
        True where there is nothing.
    """
    rng = generator(seed, f"clouds {year}")
    amount = rng.uniform(2.1, 2.6)
    half = (-(-shape[0] // 2), -(-shape[1] // 2))
    missing = enlarge(fractal(rng, half, min(half) / 9, 1.9), shape, 2, order=1) > amount
    row = np.arange(shape[0])[:, np.newaxis] / shape[0]
    col = np.arange(shape[1])[np.newaxis, :] / shape[1]
    if edge:
        missing |= 0.22 * row + col < rng.uniform(0.08, 0.11)
    if scan_lines:
        phase = (np.arange(shape[0])[:, np.newaxis] + 0.21 * np.arange(shape[1])[np.newaxis, :]) % 33
        missing |= phase < 13 * (np.abs(col - 0.46) - 0.27)
    return missing


def _observe_rows(setting: Setting, season: Season, noise: Field) -> tuple[dict[str, npt.NDArray[np.int16]], Field]:
    layers = _cover_layers(setting, season)
    reflectance = mix(layers)
    # Half of the shading was taken out when the images were made; skylight fills the shadows.
    shading = np.where(setting.sea & (season.ice < 0.5), 1, 0.42 + 0.58 * setting.light)
    shading *= 1 + 0.045 * setting.texture
    for band, haze in enumerate((0.012, 0.007, 0.004, 0.002, 0.001, 0.0005)):
        reflectance[band] *= shading
        reflectance[band] += haze + 0.0035 * np.roll(noise, (7 * band, 101 * band), axis=(0, 1))
    np.clip(reflectance, 0.002, None, out=reflectance)
    bands = indices(reflectance)
    unrest = 32 + 26 * layers["snow"] + 9 * setting.patches + 7 * np.abs(noise) + 18 * season.bare
    bands["rmse"] = np.rint(np.clip(unrest, 4, 400)).astype(np.int16)
    return bands, (1 - (1 - layers["snow"]) * (1 - layers["ice"])) * (1 - layers["debris"])


def _rows(layers: Layers, rows: slice) -> Layers:
    """Return a view of some rows of all arrays of a value."""
    cut = {
        part.name: getattr(layers, part.name)[rows]
        for part in fields(layers)
        if isinstance(getattr(layers, part.name), np.ndarray)
    }
    return replace(layers, **cut)


def _cover_layers(setting: Setting, season: Season) -> dict[str, Field]:
    """Return the covers from the top down, as `spectra.mix` takes them."""
    above = season.above_line - np.float32(season.snow_line)
    uneven = 75 * setting.patches + 28 * setting.texture
    sticks = smoothstep(setting.steepness, 1.1, 0.6)
    on_ice = smoothstep(above + uneven, -70, 70)
    # Snow lies higher and in patches off the ice.
    off_ice = smoothstep(above + 1.5 * uneven, 60, 420) * sticks
    height = setting.height + 55 * setting.patches + 22 * setting.texture
    line = setting.tree_line
    steep = setting.steepness
    land = (~setting.sea).astype(np.float32)
    channels = smoothstep(np.abs(setting.texture - 0.4 * setting.patches), 0.30, 0.14)
    bog = smoothstep(setting.patches - 0.5 * setting.texture, 0.3, 1.4) * smoothstep(steep, 0.12, 0.04)
    pond = smoothstep(setting.patches + 0.45 * setting.texture, 2.0, 2.3) * smoothstep(steep, 0.10, 0.05)
    return {
        "debris": season.debris * (1 - 0.85 * on_ice),
        "snow": np.maximum(season.ice * on_ice, (1 - season.ice) * off_ice * land),
        "firn": season.ice * smoothstep(season.above_line + uneven, -60, 60),
        "ice": season.ice,
        "water": np.maximum(0.92 * (1 - land), pond),
        "silt": np.maximum(1 - land, np.maximum(season.lake, setting.river * channels)),
        "gravel": np.maximum(0.95 * season.bare, setting.river),
        "forest": smoothstep(height, line, 0.72 * line) * smoothstep(steep, 1.0, 0.6) * (0.94 - 0.8 * bog),
        "shrub": smoothstep(height, 1.7 * line, 1.1 * line) * smoothstep(steep, 0.95, 0.5) * (0.85 - 0.6 * bog),
        "tundra": smoothstep(height, 3.0 * line, 1.8 * line) * smoothstep(steep, 0.85, 0.4) * 0.85,
        "rock": np.ones_like(height),
    }
