"""Images as a network takes them: mean 0, deviation 1, and 0 where nothing was seen."""

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
    """Return ``(image - mean) / std``, band by band, with missing pixels 0: the mean of their band.

    The fill of missing pixels (0 in the shards, unless configured otherwise) is an arbitrary value, for elevation
    not even a likely one; it is never normalised. `flags` still tells which zeros are no measurement.

    Parameters
    ----------
    image : ndarray
        (..., band, y, x) of any real dtype: a chip, or several. Not modified.
    flags : ndarray of uint8
        (..., y, x): set bits mean missing, see `Flag`. A pixel missing in a role is missing in all bands of it.
    statistics : mapping
        ``statistics.json`` as `Dataset.statistics` gives it: each pixel of train once; or its entry ``as_sampled``. Dev
        and whatever is predicted later are normalised by the same numbers, those of train.
    bands : sequence of Band
        The bands of `image` in order, `Dataset.bands` or a part of it. Statistics are found by their names.

    Returns
    -------
    ndarray of float32
        Shape of `image`.

    Raises
    ------
    InputError
        `image`, `flags` and `bands` do not fit together.
    ShardError
        The statistics lack a band, or a band has no deviation to divide by.
    """
    if image.ndim < 3 or image.shape[-3] != len(bands) or flags.shape != (*image.shape[:-3], *image.shape[-2:]):
        raise InputError(
            f"an image of {image.shape} with flags of {flags.shape} does not fit {len(bands)} bands",
            where=", ".join(band.name for band in bands) or "no bands",
            fix="give image (..., band, y, x), flags (..., y, x) and the image's bands in order",
        )
    mean, std = _scales(statistics, [band.name for band in bands])
    missing = np.array([Flag[band.role.name] for band in bands], np.uint8)[:, np.newaxis, np.newaxis]
    # In double precision first: single precision would lose digits of large means.
    scaled = np.asarray((image - mean) / std, np.float32)
    scaled[(np.expand_dims(flags, -3) & missing) != 0] = 0
    return scaled


def _scales(statistics: Mapping[str, Any], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation, each (band, 1, 1)."""
    known = statistics.get("bands", {})
    problems, scales = [], []
    for name in names:
        mean, std = (known.get(name, {}).get(key) for key in ("mean", "std"))
        if name not in known:
            problems.append(f"{name} is not there")
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
            fix="leave such bands out of image and bands, or use the statistics of the dataset the image comes from",
        )
    mean, std = np.array(scales, np.float64).reshape(-1, 2).T
    return mean[:, np.newaxis, np.newaxis], std[:, np.newaxis, np.newaxis]
