"""What a made-up satellite sees: land covers, their reflectances, and the indices made from them."""

import numpy as np
import numpy.typing as npt

from gcn_luigi.synthetic.noise import Field

Cube = npt.NDArray[np.float32]

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
_GREEN, _RED, _NIR, _SWIR1, _SWIR2 = 1, 2, 3, 4, 5


def mix(layers: dict[str, Field]) -> Cube:
    """Return the reflectance of covers painted over each other.

    Parameters
    ----------
    layers : dict of ndarray, (row, col)
        How much of what lies below each cover hides, 0 to 1; the uppermost first, the last one hides all the rest.

    Returns
    -------
    ndarray of float32, (band, row, col)
        Six reflectances.
    """
    left = np.ones_like(next(iter(layers.values())))
    shares = np.empty((len(layers), *left.shape), dtype=np.float32)
    for share, opacity in zip(shares, layers.values(), strict=True):
        np.multiply(left, opacity, out=share)
        left -= share
    shares[-1] += left
    colours = np.array([ENDMEMBERS[name] for name in layers], dtype=np.float32)
    return (colours.T @ shares.reshape(len(layers), -1)).reshape(colours.shape[1], *left.shape)


def indices(reflectance: Cube) -> dict[str, npt.NDArray[np.int16]]:
    """Return the optical bands: normalised differences x 1000, brightness and wetness x 10000.

    Parameters
    ----------
    reflectance : ndarray of float32, (band, row, col)
        Six positive reflectances.

    Returns
    -------
    dict of ndarray of int16, (row, col)
        By band name.
    """
    green, red, nir, swir1, swir2 = (reflectance[band] for band in (_GREEN, _RED, _NIR, _SWIR1, _SWIR2))
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
