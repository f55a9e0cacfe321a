"""Feature vectors of windows: the mean and the standard deviation of each band over its valid pixels.

A network sees a chip as a whole, so a chip is one point of feature space, and not each of its pixels. The mean says how
bright or how high a place is, and the standard deviation how much it varies. A window of any raster has features of the
same kind if it has as many pixels as a chip, of the same size on the ground.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.missing.fill import Flag

Floats = NDArray[np.float64]

# A window has features if at least this share of its pixels is valid in each band.
LEAST_VALID = 0.5


def feature_names(bands: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the features in order: the means of all bands, then the standard deviations.

    Examples
    --------
    >>> feature_names(["red", "slope"])
    ('red_mean', 'slope_mean', 'red_std', 'slope_std')
    """
    return (*(f"{name}_mean" for name in bands), *(f"{name}_std" for name in bands))


def chip_features(images: NDArray[Any], flags: NDArray[np.uint8], bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features of chips.

    Parameters
    ----------
    images : ndarray
        (chip, band, y, x), in the type of the stack. Missing pixels hold any value; they do not count.
    flags : ndarray of uint8
        (chip, y, x): bits of `Flag`.
    bits : ndarray of uint8
        (band,): the bit that is set where the band is missing, as from `band_flags`.

    Returns
    -------
    ndarray of float32
        (chip, feature), in the order of `feature_names` and in the unit of the bands: mean and population standard
        deviation. The features of a band are NaN if less than `LEAST_VALID` of the chip's pixels are valid in it.
    """
    n_chips, n_bands, *shape = images.shape
    out = np.full((n_chips, 2 * n_bands), np.nan, np.float32)
    area = float(np.prod(shape))
    for band, bit in enumerate(bits.tolist()):
        missing = (flags & (bit | int(Flag.OUTSIDE))) != 0
        # Chip by chip, which stays in the cache of the processor and takes less than half the time.
        for chip, lost in enumerate(missing):
            values = images[chip, band][~lost] if lost.any() else images[chip, band]
            if values.size >= max(LEAST_VALID * area, 1.0):
                mean = values.mean(dtype=np.float64, keepdims=True)
                out[chip, band] = mean.item()
                out[chip, n_bands + band] = values.std(dtype=np.float64, mean=mean)
    return out


def window_features(
    values: NDArray[Any], missing: NDArray[np.bool_], cols: NDArray[np.int64], near: Floats
) -> NDArray[np.float32]:
    """Return the features of square windows side by side in a strip of a raster, as `chip_features` defines them.

    Parameters
    ----------
    values : ndarray
        (band, y, x), of any real type; the windows are as high as the strip.
    missing : ndarray of bool
        (band, y, x): True where a band is missing. The values there may be anything, also NaN.
    cols : ndarray of int64
        (window,): first column of each window. Windows may overlap.
    near : ndarray of float64
        (band,): a number near the values of each band, such as their mean in training; sums count from it, so that
        they lose no digits.

    Returns
    -------
    ndarray of float32
        (window, feature).
    """
    n_bands, size, _ = values.shape
    out = np.full((len(cols), 2 * n_bands), np.nan, np.float32)
    for band in range(n_bands):
        gone = missing[band]
        apart = np.where(gone, 0.0, values[band].astype(np.float64) - near[band])
        count = _sums(np.count_nonzero(~gone, axis=0).astype(np.float64), cols, size)
        has = count >= max(LEAST_VALID * size * size, 1.0)
        mean = _sums(apart.sum(axis=0), cols, size)[has] / count[has]
        square = _sums(np.einsum("yx,yx->x", apart, apart), cols, size)[has] / count[has] - mean * mean
        out[has, band], out[has, n_bands + band] = mean + near[band], np.sqrt(np.maximum(square, 0.0))
    return out


def _sums(columns: Floats, cols: NDArray[np.int64], size: int) -> Floats:
    """Return the sums of `size` columns from each of `cols` on."""
    total = np.concatenate([[0.0], np.cumsum(columns)])
    sums: Floats = total[cols + size] - total[cols]
    return sums


def missing_pixels(
    values: NDArray[Any],
    bands: Sequence[Band],
    nodata: Sequence[float | None],
    largest: float | None,
    masked: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return which pixels are missing, by the rules of `strict_nodata`: a band is missing with others of its role.

    Parameters
    ----------
    values : ndarray
        (band, y, x), of any real type, in the order of `bands`.
    bands : sequence of Band
        Roles and valid ranges.
    nodata : sequence of float or None
        The value of missing pixels of each band; None if no value means missing. NaN and infinity always do.
    largest : float or None
        The value that marks a saturated conversion in topography: the largest of the stack's type.
    masked : ndarray of bool, optional
        (band, y, x): pixels that are missing for another reason, such as the mask of a file.

    Returns
    -------
    ndarray of bool
        (band, y, x).
    """
    planes = zip(values, bands, nodata, strict=True)
    missing = np.array([_missing_in(plane, band, mark, largest) for plane, band, mark in planes])
    if masked is not None:
        missing |= masked
    # Quality is flagged together with distance.
    kinds = np.array([Role.DISTANCE if band.role is Role.QUALITY else band.role for band in bands], object)
    for kind in dict.fromkeys(kinds.tolist()):
        missing[kinds == kind] = missing[kinds == kind].any(axis=0)
    return missing


def is_complete(features: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows of `features` (place, feature) have no NaN: (place,) bool."""
    complete: NDArray[np.bool_] = np.logical_and.reduce(~np.isnan(features), axis=1)
    return complete


def _missing_in(plane: NDArray[Any], band: Band, mark: float | None, largest: float | None) -> NDArray[np.bool_]:
    missing = ~np.isfinite(plane) if plane.dtype.kind == "f" else np.zeros(plane.shape, bool)
    for sentinel in (mark, largest if band.role is Role.TOPO else None):
        if sentinel is not None:
            missing |= plane == sentinel
    if band.valid_min is not None:
        missing |= plane < band.valid_min
    if band.valid_max is not None:
        missing |= plane > band.valid_max
    return missing


@dataclass(frozen=True)
class Scaling:
    """How features become coordinates: standardised by the training chips, then multiplied by a weight.

    Attributes
    ----------
    names : tuple of str
        The features.
    mean, std : ndarray of float64
        (feature,): mean and population standard deviation over the training chips that have features.
    weights : ndarray of float64
        (feature,): 0 for a feature that is constant in training, which cannot be standardised.
    """

    names: tuple[str, ...]
    mean: Floats
    std: Floats
    weights: Floats

    @classmethod
    def of(cls, names: Sequence[str], features: NDArray[Any], weights: Mapping[str, float] | None = None) -> Self:
        """Return the scaling by `features` (chip, feature) of training chips, at least one and none of them missing.

        Without `weights`, features count equally. With `weights`, each feature that is not named counts 0.
        Raise ConfigError if a weight names no feature, is negative or not finite, or if all features end up with 0.
        """
        values = features.astype(np.float64)
        wanted = _weights(names, weights)
        wanted[values.max(axis=0) == values.min(axis=0)] = 0.0
        if weights is not None and not wanted.any():
            raise ConfigError(
                "no feature with a weight varies among the training chips, so there is no distance",
                where=f"weights: {', '.join(weights)}",
                fix=f"give weights to some of {', '.join(names)}",
            )
        return cls(tuple(names), values.mean(axis=0), values.std(axis=0), wanted)

    @property
    def constant(self) -> tuple[str, ...]:
        """The features that count nothing."""
        return tuple(name for name, weight in zip(self.names, self.weights, strict=True) if not weight)

    def apply(self, features: NDArray[Any]) -> Floats:
        """Return the coordinates (chip, axis) of `features` (chip, feature): only features with a weight have an axis.

        A chip that lacks one of them has NaN on each axis.
        """
        used = self.weights > 0
        scaled: Floats = (features[:, used] - self.mean[used]) / self.std[used] * self.weights[used]
        scaled[~is_complete(scaled)] = np.nan
        return scaled

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return mean, std and weight by feature."""
        columns = (self.mean.tolist(), self.std.tolist(), self.weights.tolist())
        return {
            name: {"mean": mean, "std": std, "weight": weight}
            for name, mean, std, weight in zip(self.names, *columns, strict=True)
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Mapping[str, float]]) -> Self:
        """Return the scaling that `as_dict` described."""
        mean, std, weights = (
            np.array([float(each[key]) for each in described.values()]) for key in ("mean", "std", "weight")
        )
        return cls(tuple(described), mean, std, weights)


def _weights(names: Sequence[str], weights: Mapping[str, float] | None) -> Floats:
    if weights is None:
        return np.ones(len(names))
    unknown = [name for name in weights if name not in names]
    wrong = [name for name, weight in weights.items() if not (np.isfinite(weight) and weight >= 0)]
    if unknown or wrong:
        raise ConfigError(
            f"there is no feature {unknown[0]!r}" if unknown else f"the weight of {wrong[0]} is {weights[wrong[0]]}",
            where="weights",
            fix=f"give weights of 0 or more to features of {', '.join(names)}",
        )
    return np.array([float(weights.get(name, 0.0)) for name in names])
