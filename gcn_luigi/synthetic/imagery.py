"""One composite year as a satellite would have seen it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.synthetic.glaciers import Mask
from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator, smoothstep
from gcn_luigi.synthetic.spectra import indices, mix
from gcn_luigi.synthetic.terrain import NODE, Terrain

NODATA = -32768
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
    ice : ndarray of bool, (row, col)
        Glaciers.
    debris : ndarray of float32, (row, col)
        Part of each pixel that rock on the ice covers.
    above_line : ndarray of float32, (row, col)
        Metres above the equilibrium line.
    snow_line : float
        Metres from the equilibrium line to this year's snow line; positive in a bad year for glaciers.
    bare : ndarray of bool, (row, col)
        Ground that ice has left.
    lake : ndarray of bool, (row, col)
        Water that filled its bed.
    """

    ice: Mask
    debris: Field
    above_line: Field
    snow_line: float
    bare: Mask
    lake: Mask


def make_setting(terrain: Terrain, height: Field, gradients: tuple[Field, Field], tree_line: float, seed: int) -> Setting:
    """Return all that does not depend on the year.

    Parameters
    ----------
    terrain : Terrain
        Bare ground.
    height : ndarray of float32, (row, col)
        Surface in metres.
    gradients : tuple of ndarray of float32, (row, col)
        Rise to the east and to the north.
    tree_line : float
        Metres.
    seed : int
        Decides the textures.

    Returns
    -------
    Setting
        For `observe`.
    """
    east, north = gradients
    steepness = np.hypot(east, north)
    facing = np.sin(_AZIMUTH) * east + np.cos(_AZIMUTH) * north
    level = np.sin(_ELEVATION)
    light = (level - np.cos(_ELEVATION) * facing) / (level * np.sqrt(1 + steepness**2))
    shape = height.shape
    upstream = terrain.tree.gather(np.ones(terrain.nodes.size)).reshape(terrain.nodes.shape)
    trunk = ndimage.gaussian_filter(np.log10(upstream), 0.9)
    river = enlarge(smoothstep(trunk, 1.5, 2.5), shape, NODE) * smoothstep(steepness, 0.16, 0.04)
    texture = fractal(generator(seed, "texture"), shape, 16, 1.3)
    patches = fractal(generator(seed, "patches"), shape, 90, 1.7)
    return Setting(
        height, steepness, np.clip(light, 0.15, 1.6), tree_line, np.clip(river, 0, 1), texture, patches, terrain.ground < 0
    )


def observe(
    setting: Setting, season: Season, layers: dict[str, Field], rng: np.random.Generator
) -> dict[str, npt.NDArray[np.int16]]:
    """Return the optical bands of one year, without gaps.

    Parameters
    ----------
    setting : Setting
        The land.
    season : Season
        The year.
    layers : dict of ndarray, (row, col)
        From `cover_layers` of the two.
    rng : Generator
        Sensor noise.

    Returns
    -------
    dict of ndarray of int16, (row, col)
        The indices and ``rmse``.
    """
    reflectance = mix(layers)
    # Half of the shading was taken out when the images were made; skylight fills the shadows.
    shading = 0.42 + 0.58 * setting.light
    shading = np.where(setting.sea & ~season.ice, 1, shading) * (1 + 0.045 * setting.texture)
    noise = rng.standard_normal(setting.height.shape, dtype=np.float32)
    for band, haze in enumerate((0.012, 0.007, 0.004, 0.002, 0.001, 0.0005)):
        shifted = np.roll(noise, (37 * band, 101 * band), axis=(0, 1))
        reflectance[band] *= shading
        reflectance[band] += haze + 0.0035 * shifted
    np.clip(reflectance, 0.002, None, out=reflectance)
    bands = indices(reflectance)
    unrest = 32 + 26 * layers["snow"] + 9 * setting.patches + 7 * np.abs(noise) + 18 * season.bare
    bands["rmse"] = np.rint(np.clip(unrest, 4, 400)).astype(np.int16)
    return bands


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
    missing = fractal(rng, shape, min(shape) / 9, 1.9) > amount
    row = np.arange(shape[0])[:, np.newaxis] / shape[0]
    col = np.arange(shape[1])[np.newaxis, :] / shape[1]
    if edge:
        missing |= 0.22 * row + col < rng.uniform(0.08, 0.11)
    if scan_lines:
        phase = (np.arange(shape[0])[:, np.newaxis] + 0.21 * np.arange(shape[1])[np.newaxis, :]) % 33
        missing |= phase < 13 * (np.abs(col - 0.46) - 0.27)
    return missing


def cover_layers(setting: Setting, season: Season) -> dict[str, Field]:
    """Return what covers the land, from the top down.

    Parameters
    ----------
    setting : Setting
        The land.
    season : Season
        The year.

    Returns
    -------
    dict of ndarray of float32, (row, col)
        How much each cover hides of those below it, as `spectra.mix` takes them.
    """
    ice = ndimage.uniform_filter(season.ice.astype(np.float32), 3)
    above = season.above_line - np.float32(season.snow_line)
    uneven = 75 * setting.patches + 28 * setting.texture
    sticks = smoothstep(setting.steepness, 1.1, 0.6)
    on_ice = smoothstep(above + uneven, -70, 70)
    # Snow lies higher and in patches off the ice.
    off_ice = smoothstep(above + 1.5 * uneven, 60, 420) * sticks
    land = ~setting.sea
    height = setting.height + 55 * setting.patches + 22 * setting.texture
    line = setting.tree_line
    fresh = ndimage.uniform_filter(season.bare.astype(np.float32), 3)
    channels = smoothstep(np.abs(setting.texture - 0.4 * setting.patches), 0.22, 0.10)
    return {
        "debris": season.debris * (1 - 0.85 * on_ice),
        "snow": np.maximum(ice * on_ice, (1 - ice) * off_ice * land),
        "firn": ice * smoothstep(season.above_line + uneven, -60, 60),
        "ice": ice,
        "water": np.where(land, 0, 0.92).astype(np.float32),
        "silt": np.maximum(np.where(land, 0, 1), np.maximum(season.lake, setting.river * channels)).astype(np.float32),
        "gravel": np.maximum(0.95 * fresh, setting.river),
        "forest": smoothstep(height, line, 0.75 * line) * smoothstep(setting.steepness, 1.0, 0.6) * 0.92,
        "shrub": smoothstep(height, 1.75 * line, 1.15 * line) * smoothstep(setting.steepness, 0.95, 0.5) * 0.85,
        "tundra": smoothstep(height, 3.1 * line, 1.9 * line) * smoothstep(setting.steepness, 0.85, 0.4) * 0.85,
        "rock": np.ones_like(height),
    }
