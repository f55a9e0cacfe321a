"""Normalise images for a network: mean 0, standard deviation 1, and 0 where pixels are missing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.errors import InputError, ShardError
from gcn_luigi.prepare.missing.fill import Flag


def normalise(
    image: NDArray[Any], flags: NDArray[np.uint8], statistics: Mapping[str, Any], bands: Sequence[Band]
) -> NDArray[np.float32]:
    """Return ``(image - mean) / std`` for each band. Missing pixels become 0, which is the mean of their band.

    The fill value of missing pixels (0 in the shards, unless configured otherwise) is arbitrary and, for elevation, not
    even likely. It is never normalised. `flags` still says which zeros are not measurements.

    Parameters
    ----------
    image : ndarray
        (..., band, y, x) of any real dtype: one chip or several. Not modified.
    flags : ndarray of uint8
        (..., y, x): set bits mean missing, see `Flag`. A pixel missing in a role is missing in all bands of this role.
    statistics : mapping
        ``statistics.json`` from `Dataset.statistics`, where each pixel of train counts once, or its entry
        ``as_sampled``. Normalise dev, and images to predict later, with the same numbers of train.
    bands : sequence of Band
        The bands of `image` in order: `Dataset.bands` or a part of it. Statistics are found by the names of bands.

    Returns
    -------
    ndarray of float32
        Shape of `image`.

    Raises
    ------
    InputError
        `image`, `flags` and `bands` do not match.
    ShardError
        The statistics lack a band, or the standard deviation of a band is missing or 0.
    """
    if image.ndim < 3 or image.shape[-3] != len(bands) or flags.shape != (*image.shape[:-3], *image.shape[-2:]):
        raise InputError(
            f"an image of {image.shape} with flags of {flags.shape} does not fit {len(bands)} bands",
            where=", ".join(band.name for band in bands) or "no bands",
            fix="give image (..., band, y, x), flags (..., y, x) and the bands of the image in order",
        )
    mean, std = scales_of(statistics, [band.name for band in bands])
    missing = np.array([Flag[band.role.name] for band in bands], np.uint8)[:, np.newaxis, np.newaxis]
    return scaled(image, (np.expand_dims(flags, -3) & missing) != 0, (mean, std))


def scaled(
    image: NDArray[Any], missing: NDArray[np.bool_], scales: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Return ``(image - mean) / std``, and 0 where `missing`: the formula of `normalise` and of predictions.

    Parameters
    ----------
    image : ndarray
        (..., band, y, x) of any real dtype. Not modified.
    missing : ndarray of bool
        Shape of `image`.
    scales : tuple of ndarray of float64
        Mean and standard deviation of the bands, each (band, 1, 1), as from `scales_of`.

    Returns
    -------
    ndarray of float32
        Shape of `image`.
    """
    mean, std = scales
    # Computed in double precision, because single precision would lose digits of large means.
    found = np.asarray((image - mean) / std, np.float32)
    found[missing] = 0
    return found


def scales_of(statistics: Mapping[str, Any], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and standard deviation, each (band, 1, 1)."""
    known = statistics.get("bands", {})
    problems, scales = [], []
    for name in names:
        mean, std = (known.get(name, {}).get(key) for key in ("mean", "std"))
        if name not in known:
            problems.append(f"{name} is missing")
        elif mean is None or std is None:
            problems.append(f"{name} has no valid pixel")
        elif not (math.isfinite(mean) and math.isfinite(std) and std > 0):
            problems.append(f"{name} has mean {mean} and deviation {std}")
        else:
            scales.append((mean, std))
    if problems:
        raise ShardError(
            f"bands cannot be normalised: {'; '.join(problems)}",
            where="statistics.json",
            fix="leave such bands out of image and bands, or use the statistics of the image's own dataset",
        )
    mean, std = np.array(scales, np.float64).reshape(-1, 2).T
    return mean[:, np.newaxis, np.newaxis], std[:, np.newaxis, np.newaxis]
