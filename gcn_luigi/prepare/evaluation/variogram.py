"""Empirical variograms, their models and ranges; GSTools computes both.

The semivariance at a distance is half of the mean squared difference of two pixels that far apart (Matheron 1963). It
rises with the distance as long as pixels resemble each other, and is level beyond the range.
"""

import warnings
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError

# Bins of distances, each about 1.6 times as long as the last.
N_BINS = 18
# A bin with fewer pairs is left out; with fewer bins there is nothing to fit.
FEWEST_PAIRS, FEWEST_BINS = 30, 6
# Of the way from nugget to sill, at the range.
REACHED = 0.95
# Pixels are not alike if the semivariance of the closest ones is this share of that of the farthest.
_NOISE = 0.9
# Share of the variance between bins that a model has to explain.
_LEAST_R2 = 0.7
# Share of the sill that the last bin may exceed the one before, if the range is more than half of the longest distance.
_RISE = 0.05
# The stable model, exp(-(h / length) ^ exponent), is exponential at the first exponent and Gaussian at the second. A
# smaller one would let slow trends decide. Models of their own would be chosen by noise, with ranges that jump.
_EXPONENTS = (1.0, 2.0)
# Where the fit begins: the exponent, and the length as a share of the longest distance.
_START = (1.2, 0.1)
_FIRST_EDGE = 0.7
# Parts of the sample whose ranges are compared.
_PARTS = 4


class Finding(StrEnum):
    """What a variogram says."""

    RANGE = "range"
    # The semivariance still rises at the longest distance, or the model's range is beyond it.
    NO_PLATEAU = "no plateau"
    NO_CORRELATION = "no correlation"
    CONSTANT = "constant"
    TOO_FEW = "too few pairs"
    NO_MODEL = "no model fits"


@dataclass(frozen=True)
class Variogram:
    """An empirical variogram and what follows from it.

    Attributes
    ----------
    lags : ndarray of float64
        (bin,), middle of each bin of distances, in the unit of the positions.
    semivariance : ndarray of float64
        (bin,), in squared units of the values.
    pairs : ndarray of int64
        (bin,), number of pairs; never fewer than `FEWEST_PAIRS`.
    n_values : int
        Number of values that are not missing.
    variance : float
        Variance of these values.
    finding : Finding
        Whether there is a range, or why there is none.
    range : float or None
        Distance at which the model has risen by `REACHED` of the way from its nugget to its sill; None unless the
        finding is a range.
    model : Model or None
        The fitted model; None if nothing was fitted.
    spread : tuple of float or None
        The least and the greatest range of four parts of the sample, each with a quarter of the draws; infinite if a
        part has none. Empty unless the finding is a range.
    """

    lags: NDArray[np.float64]
    semivariance: NDArray[np.float64]
    pairs: NDArray[np.int64]
    n_values: int
    variance: float
    finding: Finding
    range: float | None = None
    model: "Model | None" = None
    spread: tuple[float, ...] = ()

    @property
    def longest(self) -> float | None:
        """The longest distance with enough pairs; None if there is none."""
        return float(self.lags[-1]) if len(self.lags) else None


@dataclass(frozen=True)
class Model:
    """The stable model of a variogram: nugget, sill (with the nugget), length, exponent, and R2 of the fit."""

    nugget: float
    sill: float
    length: float
    exponent: float
    r2: float

    @property
    def range(self) -> float:
        """Distance at which the semivariance has risen by 95 % of the way from the nugget to the sill."""
        return float(self._covariance().percentile_scale(REACHED))

    def at(self, lags: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the semivariance of the model at `lags`, (lag,)."""
        found: NDArray[np.float64] = self._covariance().variogram(lags)
        return found

    def _covariance(self) -> Any:
        return geostatistics().Stable(
            dim=2, var=self.sill - self.nugget, len_scale=self.length, nugget=self.nugget, alpha=self.exponent
        )


def geostatistics() -> Any:
    """Return the module of GSTools; raise ConfigError if it is not installed."""
    try:
        import gstools  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        raise _lacks_library(f", and it cannot be imported: {error}") from error
    return gstools


def check_library() -> None:
    """Raise ConfigError if GSTools is not installed, without the second or two that its import takes."""
    if find_spec("gstools") is None:
        raise _lacks_library(", which is not installed")


def _lacks_library(why: str) -> ConfigError:
    return ConfigError(
        f"variograms need the library GSTools{why}",
        where="gcn autocorrelation, or [evaluation] autocorrelation in the region's TOML file",
        fix="pip install 'gcn-luigi[variogram]'; or do not ask for autocorrelation: nothing else needs GSTools",
    )


def lag_edges(reach: float, unit: float = 1.0) -> NDArray[np.float64]:
    """Return the edges of the bins, (18 + 1,), from the distance of neighbouring pixels to `reach`.

    `reach` is in pixels and `unit` is the length of a pixel. Equal pixels, at a distance of 0, are in no bin.
    """
    return np.geomspace(_FIRST_EDGE, max(reach, 2.0), N_BINS + 1) * unit


def measure_variogram(
    positions: NDArray[np.float64], values: NDArray[np.float64], draws: NDArray[np.int64], edges: NDArray[np.float64]
) -> Variogram:
    """Return the variogram of a sample.

    Parameters
    ----------
    positions : ndarray of float64
        (2, pixel): x and y, for example in metres.
    values : ndarray of float64
        (pixel,); NaN is missing.
    draws : ndarray of int64
        (pixel,), whole numbers. Only pixels of the same draw are compared.
    edges : ndarray of float64
        (bin + 1,), of distances, rising, in the unit of the positions.

    Returns
    -------
    Variogram
        Bins with too few pairs are left out.

    Raises
    ------
    ConfigError
        GSTools is not installed.
    """
    library = geostatistics()
    is_valid = np.isfinite(values)
    positions, values, draws = positions[:, is_valid], values[is_valid], draws[is_valid]
    variance = float(values.var()) if len(values) else 0.0
    numbers = np.unique(draws) if variance > 0 else np.zeros(0, np.int64)
    sums, counts = np.zeros((len(numbers), len(edges) - 1)), np.zeros((len(numbers), len(edges) - 1), np.int64)
    for row, draw in enumerate(numbers):
        chosen = draws == draw
        if np.count_nonzero(chosen) > 1:
            _, found, pairs = library.vario_estimate(
                positions[:, chosen], values[chosen], edges, return_counts=True, estimator="matheron"
            )
            sums[row], counts[row] = found * pairs, pairs
    middles = (edges[:-1] + edges[1:]) / 2
    lags, semivariance, pairs = _pooled(middles, sums, counts)
    finding, model = _judge(lags, semivariance, variance, len(values))
    ranged = model if finding is Finding.RANGE else None
    return Variogram(
        lags,
        semivariance,
        pairs,
        len(values),
        variance,
        finding,
        None if ranged is None else ranged.range,
        model,
        () if ranged is None else _spread(middles, sums, counts, variance),
    )


def _pooled(
    lags: NDArray[np.float64], sums: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return lag, mean semivariance and number of pairs of the bins that have enough pairs in all draws together."""
    pairs = counts.sum(axis=0, dtype=np.int64)
    kept = pairs >= FEWEST_PAIRS
    return lags[kept], sums.sum(axis=0)[kept] / pairs[kept], pairs[kept]


def _spread(
    lags: NDArray[np.float64],
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
    variance: float,
) -> tuple[float, ...]:
    """Return the least and the greatest range of models of quarters of the draws."""
    ranges = []
    for part in range(_PARTS):
        # Neighbouring draws are of one year, so that every part has several years.
        of_part = _pooled(lags, sums[part::_PARTS], counts[part::_PARTS])
        fitted = _fitted(*of_part[:2], variance) if len(of_part[0]) >= FEWEST_BINS else None
        reached = np.inf if fitted is None else fitted.range
        ranges.append(reached if np.isfinite(reached) and reached <= of_part[0][-1] else np.inf)
    return float(min(ranges)), float(max(ranges))


def _judge(
    lags: NDArray[np.float64], semivariance: NDArray[np.float64], variance: float, n_values: int
) -> tuple[Finding, Model | None]:
    """Return what the variogram says, and the model that fits best."""
    if n_values and not variance:
        return Finding.CONSTANT, None
    if len(lags) < FEWEST_BINS:
        return Finding.TOO_FEW, None
    third = max(len(lags) // 3, 2)
    if np.median(semivariance[:2]) >= _NOISE * np.median(semivariance[-third:]):
        return Finding.NO_CORRELATION, None
    model = _fitted(lags, semivariance, variance)
    if model is None or model.r2 < _LEAST_R2:
        return Finding.NO_MODEL, model
    # Near the longest distance, a model may see a plateau where the values still rise.
    still_rises = model.range > lags[-1] / 2 and semivariance[-1] - semivariance[-2] > _RISE * model.sill
    return Finding.NO_PLATEAU if model.range > lags[-1] or still_rises else Finding.RANGE, model


def _fitted(lags: NDArray[np.float64], semivariance: NDArray[np.float64], variance: float) -> Model | None:
    """Return the model with the least squared errors; None if it cannot be fitted.

    Bins count equally: weighted by pairs, the many long distances would outweigh the short ones that show the rise.
    """
    # In units near 1, in which the limits and tolerances of the fit are meant.
    scale, height = float(lags[-1]), variance
    covariance = geostatistics().Stable(dim=2, alpha=_EXPONENTS[0])
    covariance.set_arg_bounds(alpha=list(_EXPONENTS))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, _, r2 = covariance.fit_variogram(
                lags / scale,
                semivariance / height,
                nugget=True,
                loss="linear",
                init_guess={"default": "default", "alpha": _START[0], "len_scale": _START[1]},
                return_r2=True,
            )
    except (RuntimeError, ValueError):
        return None
    nugget, rise = float(covariance.nugget) * height, float(covariance.var) * height
    found = Model(nugget, nugget + rise, float(covariance.len_scale) * scale, float(covariance.alpha), float(r2))
    return found if np.isfinite(found.r2) else None
