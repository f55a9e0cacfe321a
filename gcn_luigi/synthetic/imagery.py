"""One composite year as a satellite would see it, and the votes for debris-free ice that are made from it."""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.prepare.layers.terrain import gradient
from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator, smoothstep
from gcn_luigi.synthetic.terrain import NODE, NOMINAL_PIXEL, Mask, Terrain

NODATA = -32768
MOST_VOTES = 7
# Rows that are processed at a time.
_STRIPE = 96
# The sun over Alaska on a summer morning, in radians: clockwise from north, and above the horizon.
_AZIMUTH, _ELEVATION = np.radians(157.0), np.radians(47.0)

# Reflectance in blue, green, red, near infrared and two short-wave infrared bands. Rounded, typical values.
ENDMEMBERS = {
    "snow": (0.94, 0.94, 0.92, 0.85, 0.11, 0.08),
    "firn": (0.72, 0.72, 0.69, 0.59, 0.08, 0.06),
    "ice": (0.50, 0.52, 0.47, 0.36, 0.05, 0.04),
    "debris": (0.11, 0.12, 0.13, 0.15, 0.17, 0.15),
    "water": (0.07, 0.08, 0.06, 0.025, 0.012, 0.008),
    "silt": (0.14, 0.17, 0.16, 0.07, 0.015, 0.01),
    "gravel": (0.16, 0.17, 0.18, 0.21, 0.22, 0.19),
    "rock": (0.12, 0.13, 0.15, 0.19, 0.24, 0.21),
    "forest": (0.03, 0.045, 0.03, 0.23, 0.10, 0.045),
    "shrub": (0.04, 0.07, 0.045, 0.35, 0.19, 0.085),
    "tundra": (0.055, 0.085, 0.08, 0.26, 0.25, 0.15),
}
# Crist (1985), Remote Sensing of Environment 17(3), 301-306: reflectance factors, the same six bands.
_BRIGHTNESS = (0.2043, 0.4158, 0.5524, 0.5741, 0.3124, 0.2303)
_WETNESS = (0.0315, 0.2021, 0.3102, 0.1594, -0.6806, -0.6109)
INDICES = ("nbr", "ndsi", "ndvi", "tcb", "tcw")


@dataclass(frozen=True)
class Landscape:
    """The part of the world that stays the same from year to year; all arrays are (row, col).

    Attributes
    ----------
    height, steepness, light : ndarray of float32
        Metres; metres per metre; brightness relative to level ground.
    tree_line : float
        Metres.
    river, texture, patches : ndarray of float32
        Likelihood of river gravel, 0 to 1; two fractal fields.
    sea : ndarray of bool
        Salt water and the ice that floats in it.
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
    """The part of the world that changes between composite years; all arrays are (row, col) float32.

    Attributes
    ----------
    ice, debris, bare, lake : ndarray
        Part of each pixel that is glacier, ice under debris, ground from which the ice has retreated, and water that
        filled the glacier's bed.
    above_line : ndarray
        Metres above the equilibrium line.
    snow_line : float
        Metres from the equilibrium line to this year's snow line; positive in a bad year for glaciers.
    """

    ice: Field
    debris: Field
    above_line: Field
    snow_line: float
    bare: Field
    lake: Field


Layers = TypeVar("Layers", Landscape, Season)


def make_landscape(terrain: Terrain, height: Field, tree_line: float, seed: int) -> Landscape:
    """Return everything that does not depend on the year; `height` is (row, col) in metres, for pixels of 30 m."""
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
    return Landscape(height, steepness, light, tree_line, np.clip(river, 0, 1), texture, patches, terrain.ground < 0)


def observe(landscape: Landscape, season: Season, noise: Field) -> tuple[dict[str, npt.NDArray[np.int16]], Field]:
    """Return the optical bands of one year, (row, col) int16 without gaps, and the white share of each pixel, 0 to 1.

    Snow and ice without debris are white. `noise` is the sensor's noise: mean 0, standard deviation 1.
    """
    shape = landscape.height.shape
    bands = {name: np.empty(shape, dtype=np.int16) for name in (*INDICES, "rmse")}
    white = np.empty(shape, dtype=np.float32)
    # Work in stripes, which fit into the processor's cache.
    for start in range(0, shape[0], _STRIPE):
        rows = slice(start, start + _STRIPE)
        seen, bright = _observe_rows(_rows(landscape, rows), _rows(season, rows), noise[rows])
        white[rows] = bright
        for name, band in seen.items():
            bands[name][rows] = band
    return bands, white


def clouds_and_edges(seed: int, year: int, shape: tuple[int, int], *, scan_lines: bool, edge: bool) -> Mask:
    """Return where a year has no data, (row, col) bool.

    `scan_lines` are wedges that widen away from the middle, as in Landsat 7 images since 2003; with `edge` a corner is
    outside the slanted edge of the scene.
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


def _observe_rows(landscape: Landscape, season: Season, noise: Field) -> tuple[dict[str, npt.NDArray[np.int16]], Field]:
    layers = _cover_layers(landscape, season)
    reflectance = mix(layers)
    # About half of the shading is kept: processing has removed a part, and skylight fills the shadows.
    shading = np.where(landscape.sea & (season.ice < 0.5), 1, 0.42 + 0.58 * landscape.light)
    shading *= 1 + 0.045 * landscape.texture
    for band, haze in enumerate((0.012, 0.007, 0.004, 0.002, 0.001, 0.0005)):
        reflectance[band] *= shading
        reflectance[band] += haze + 0.0035 * np.roll(noise, (7 * band, 101 * band), axis=(0, 1))
    np.clip(reflectance, 0.002, None, out=reflectance)
    bands = indices(reflectance)
    unrest = 32 + 26 * layers["snow"] + 9 * landscape.patches + 7 * np.abs(noise) + 18 * season.bare
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


def _cover_layers(landscape: Landscape, season: Season) -> dict[str, Field]:
    """Return the covers from the top down, as `mix` takes them."""
    line, steep, texture, patches = landscape.tree_line, landscape.steepness, landscape.texture, landscape.patches
    above = season.above_line - np.float32(season.snow_line)
    uneven = 75 * patches + 28 * texture
    on_ice = smoothstep(above + uneven, -70, 70)
    # Off the ice, snow is only at greater heights and in patches, and does not stay on steep rock.
    off_ice = smoothstep(above + 1.5 * uneven, 60, 420) * smoothstep(steep, 1.1, 0.6)
    height = landscape.height + 55 * patches + 22 * texture
    land = (~landscape.sea).astype(np.float32)
    channels = smoothstep(np.abs(texture - 0.4 * patches), 0.30, 0.14)
    bog = smoothstep(patches - 0.5 * texture, 0.3, 1.4) * smoothstep(steep, 0.12, 0.04)
    pond = smoothstep(patches + 0.45 * texture, 2.0, 2.3) * smoothstep(steep, 0.10, 0.05)
    return {
        "debris": season.debris * (1 - 0.85 * on_ice),
        "snow": np.maximum(season.ice * on_ice, (1 - season.ice) * off_ice * land),
        "firn": season.ice * smoothstep(season.above_line + uneven, -60, 60),
        "ice": season.ice,
        "water": np.maximum(0.92 * (1 - land), pond),
        "silt": np.maximum(1 - land, np.maximum(season.lake, landscape.river * channels)),
        "gravel": np.maximum(0.95 * season.bare, landscape.river),
        "forest": smoothstep(height, line, 0.72 * line) * smoothstep(steep, 1.0, 0.6) * (0.94 - 0.8 * bog),
        "shrub": smoothstep(height, 1.7 * line, 1.1 * line) * smoothstep(steep, 0.95, 0.5) * (0.85 - 0.6 * bog),
        "tundra": smoothstep(height, 3.0 * line, 1.8 * line) * smoothstep(steep, 0.85, 0.4) * 0.85,
        "rock": np.ones_like(height),
    }


def mix(layers: dict[str, Field]) -> Field:
    """Return the six reflectances, (band, row, col) float32, of covers on top of each other.

    `layers` gives how much each cover hides of the covers below, 0 to 1, with the uppermost first; the last one hides
    everything that is left.
    """
    left = np.ones_like(next(iter(layers.values())))
    shares = np.empty((len(layers), *left.shape), dtype=np.float32)
    for share, opacity in zip(shares, layers.values(), strict=True):
        np.multiply(left, opacity, out=share)
        left -= share
    shares[-1] += left
    colours = np.array([ENDMEMBERS[name] for name in layers], dtype=np.float32)
    return (colours.T @ shares.reshape(len(layers), -1)).reshape(colours.shape[1], *left.shape)


def indices(reflectance: Field) -> dict[str, npt.NDArray[np.int16]]:
    """Return the optical bands of six reflectances: normalised differences x 1000, brightness and wetness x 10000."""
    _, green, red, nir, swir1, swir2 = reflectance
    weights = np.array([_BRIGHTNESS, _WETNESS], dtype=np.float32) * 10_000
    brightness, wetness = (weights @ reflectance.reshape(6, -1)).reshape(2, *green.shape)
    values = {
        "nbr": 1000 * (nir - swir2) / (nir + swir2),
        "ndsi": 1000 * (green - swir1) / (green + swir1),
        "ndvi": 1000 * (nir - red) / (nir + red),
        "tcb": brightness,
        "tcw": wetness,
    }
    return {name: np.rint(np.clip(value, -32_000, 32_000)).astype(np.int16) for name, value in values.items()}


def make_votes(bright: npt.NDArray[np.float32], seed: int, margins: tuple[int, int, int, int]) -> npt.NDArray[np.int16]:
    """Return how many of seven classifiers took each pixel for debris-free ice: int16, -32768 outside a slanted edge.

    They do not distinguish snow from clean ice, so late snow patches outside all glaciers also get votes. They disagree
    on mixed pixels, and make errors in patches. `bright` is the share of snow and clean ice, 0 to 1; the votes extend
    `margins` pixels beyond it at the top, left, bottom and right.
    """
    top, left, bottom, right = margins
    wide = np.pad(bright, ((top, bottom), (left, right)), mode="reflect")
    rng = generator(seed, "votes")
    doubt = fractal(rng, wide.shape, 18, 1.5)
    lone = rng.standard_normal(wide.shape, dtype=np.float32)
    votes = MOST_VOTES * wide + 0.75 * doubt + 0.55 * lone
    whole: npt.NDArray[np.int16] = np.rint(np.clip(votes, 0, MOST_VOTES)).astype(np.int16)
    row = np.arange(wide.shape[0])[:, np.newaxis] / wide.shape[0]
    col = np.arange(wide.shape[1])[np.newaxis, :] / wide.shape[1]
    whole[(1 - row) + 0.6 * (1 - col) < 0.06] = NODATA
    return whole
