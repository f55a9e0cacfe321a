"""The ground under the maps: the class label, shaded by the elevation, decimated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError

from gcn_luigi.bands import CLASS_NAMES, Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.prepare.appearance import CLASS_COLOURS, colour
from gcn_luigi.prepare.layers.terrain import gradient
from gcn_luigi.report.quality.data import Evidence

# Pixels along the longer side; larger rasters are decimated to this.
_LONGEST = 1000
_ELEVATION = ("dem", "elevation", "dsm", "dtm", "height", "altitude")


def draw_relief(evidence: Evidence, paths: DatasetPaths, *, classes: bool = True) -> NDArray[np.uint8]:
    """Return (y, x, 3): the label's colours, or paper, shaded by the elevation where there is one."""
    label, _ = read_overview(paths.label, Resampling.nearest)
    rgb = np.full((*label.shape, 3), 255.0)
    for value, name in enumerate(CLASS_NAMES):
        rgb[label == value] = colour(CLASS_COLOURS[name]) if classes else (240, 240, 238)
    light = _light(evidence, paths, label.shape)
    return np.asarray((rgb * light[..., None]).round(), np.uint8)


def read_overview(path: Path, resampling: Resampling) -> tuple[NDArray[Any], float | None]:
    """Return a raster's first band with at most 1000 pixels along either side, (y, x), and its nodata.

    Raises
    ------
    InputError
        The file cannot be opened or decoded.
    """
    with open_raster(path) as dataset:
        factor = max(max(dataset.shape) / _LONGEST, 1.0)
        shape = tuple(max(round(length / factor), 1) for length in dataset.shape)
        try:
            return dataset.read(1, out_shape=shape, resampling=resampling), dataset.nodata
        except RasterioIOError as error:
            raise InputError(f"cannot be decoded: {error}", where=str(path), fix="delete it and run again") from error


def hillshade(elevation: NDArray[Any], pixel_size: float, nodata: float | None) -> NDArray[np.float64]:
    """Return how bright a surface is in light from the north-west, 45 degrees high.

    Parameters
    ----------
    elevation : ndarray
        (y, x), metres; `nodata`, NaN and infinities are missing.
    pixel_size : float
        In metres.
    nodata : float or None
        Sentinel.

    Returns
    -------
    ndarray of float64
        (y, x), 0 to 1, the cosine of the angle to the light (Horn 1981); NaN where missing.
    """
    east, north = gradient(elevation.astype(float), pixel_size, nodata)
    light = (0.5 * east - 0.5 * north + np.sqrt(0.5)) / np.sqrt(1 + east**2 + north**2)
    bounded: NDArray[np.float64] = np.clip(light, 0.0, 1.0)
    return bounded


def elevation_band(bands: Sequence[Band]) -> Band | None:
    """Return the topographic band that holds heights, by its name; None where there is none."""
    return next((band for band in bands if band.role is Role.TOPO and band.name in _ELEVATION), None)


def _light(evidence: Evidence, paths: DatasetPaths, shape: tuple[int, ...]) -> NDArray[np.float64]:
    band = elevation_band(evidence.bands)
    if band is None or min(shape) < 2:
        return np.ones(shape)
    heights, nodata = read_overview(paths.mosaic(band), Resampling.average)
    lattice = evidence.inventory.lattice
    # A scaled height is as steep as a true one on pixels scaled alike.
    light = hillshade(heights, band.scale * lattice.pixel_size * lattice.height / shape[0], nodata)
    # Flat ground is the paper itself, so that the classes keep the colours of the key.
    return np.where(np.isnan(light), 1.0, np.clip(0.55 + 0.45 * light / np.sqrt(0.5), 0.55, 1.0))
