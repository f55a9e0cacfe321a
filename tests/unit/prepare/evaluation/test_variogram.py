"""Variograms of simulated fields, whose range is known."""

import sys
from unittest import mock

import numpy as np
import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.evaluation import variogram
from gcn_luigi.prepare.evaluation.sampling import ChipPlaces, choose_pixels
from gcn_luigi.prepare.evaluation.variogram import FEWEST_PAIRS, Finding, lag_edges, measure_variogram

pytest.importorskip("gstools", reason="gstools is an extra: pip install 'gcn-luigi[variogram]'")

EDGE, CHIP = 1024, 64


def simulated(length, seed):
    """Return a Gaussian field, (EDGE, EDGE), of variance 1 and exponential covariance exp(-h / length), in pixels.

    The covariance on a torus of twice the edge is diagonal in Fourier space (circulant embedding).
    """
    steps = np.minimum(np.arange(2 * EDGE), 2 * EDGE - np.arange(2 * EDGE))
    covariance = np.exp(-np.hypot(*np.meshgrid(steps, steps)) / length)
    spectrum = np.fft.fft2(covariance).real.clip(0)
    white = np.random.default_rng(seed).normal(size=covariance.shape)
    return np.fft.ifft2(np.sqrt(spectrum) * np.fft.fft2(white)).real[:EDGE, :EDGE]


@pytest.fixture(scope="module")
def sample():
    """Return the places of chips, every 32 px, in partitions of 128 px, and pixels chosen from them."""
    left, top = (axis.ravel().astype(float) for axis in np.meshgrid(*[np.arange(0, EDGE - CHIP + 1, 32)] * 2))
    partition = (top // 128 * 8 + left // 128).astype(np.int64)
    places = ChipPlaces(left, top, partition, np.where(partition % 2, 2000, 2004), CHIP)
    return places, choose_pixels(places, seed=3)


def measured(sample, field, unit=30.0):
    places, pixels = sample
    positions = np.stack([pixels.x, pixels.y]) * unit
    values = field[pixels.y.astype(int), pixels.x.astype(int)]
    return measure_variogram(positions, values, pixels.of_year, lag_edges(places.reach(), unit))


@pytest.mark.parametrize(("length", "seed"), [(8, 1), (15, 2), (25, 0)])
def test_the_range_of_a_simulated_field_is_found_within_a_quarter(sample, length, seed):
    found = measured(sample, simulated(length, seed))

    # The covariance has fallen to 5 % at ln(20) times the length.
    assert found.finding is Finding.RANGE
    assert found.range == pytest.approx(np.log(20) * length * 30.0, rel=0.25)
    assert found.model.sill == pytest.approx(1.0, abs=0.25)
    assert found.model.nugget < 0.1
    assert found.spread[0] <= found.range * 1.05
    assert found.spread[1] >= found.range * 0.95


def test_a_nugget_is_told_from_the_rest_and_does_not_shorten_the_range(sample):
    noise = np.random.default_rng(5).normal(0, 0.5, (EDGE, EDGE))

    found = measured(sample, simulated(15, 2) + noise)

    assert found.model.nugget == pytest.approx(0.25, abs=0.08)
    assert found.range == pytest.approx(np.log(20) * 15 * 30.0, rel=0.25)


def test_pure_noise_has_no_correlation_and_no_range(sample):
    found = measured(sample, np.random.default_rng(1).normal(size=(EDGE, EDGE)))

    assert (found.finding, found.range, found.model, found.spread) == (Finding.NO_CORRELATION, None, None, ())
    assert found.semivariance == pytest.approx(np.ones(18), abs=0.2)


@pytest.mark.parametrize("slope", [(1.0, 0.0), (0.0, 1.0), (1.0, -1.0)])
def test_a_linear_trend_has_no_plateau_and_no_range(sample, slope):
    rows, cols = np.mgrid[:EDGE, :EDGE]

    found = measured(sample, slope[0] * rows + slope[1] * cols)

    assert (found.finding, found.range) == (Finding.NO_PLATEAU, None)
    assert found.longest > EDGE * 30.0 / 2


def test_equal_values_are_constant(sample):
    found = measured(sample, np.full((EDGE, EDGE), 7.0))

    assert (found.finding, found.range, found.variance) == (Finding.CONSTANT, None, 0.0)
    assert found.n_values > 5000


def test_missing_pixels_count_for_nothing(sample):
    field = simulated(15, 2)
    broken = field.copy()
    broken[:, ::3] = np.nan

    with_gaps, without = measured(sample, broken), measured(sample, np.where(np.isnan(broken), np.nan, field))

    assert with_gaps.n_values < 0.7 * measured(sample, field).n_values
    np.testing.assert_array_equal(with_gaps.semivariance, without.semivariance)
    assert with_gaps.range == pytest.approx(np.log(20) * 15 * 30.0, rel=0.3)


def test_too_few_pairs_give_no_range():
    chance = np.random.default_rng(2)
    positions, values = chance.uniform(0, 100, (2, 8)), chance.normal(size=8)

    found = measure_variogram(positions, values, np.zeros(8, np.int64), lag_edges(100))

    assert (found.finding, found.range) == (Finding.TOO_FEW, None)
    assert (found.pairs >= FEWEST_PAIRS).all()


def test_nothing_but_missing_pixels_gives_no_range():
    found = measure_variogram(np.zeros((2, 3)), np.full(3, np.nan), np.zeros(3, np.int64), lag_edges(10))

    assert (found.finding, found.n_values, found.longest) == (Finding.TOO_FEW, 0, None)


def test_semivariances_are_those_of_all_pairs_within_draws():
    chance = np.random.default_rng(4)
    positions, values, draws = chance.uniform(0, 40, (2, 90)), chance.normal(size=90), np.arange(90) % 3
    edges = np.linspace(0.5, 40.5, 9)

    found = measure_variogram(positions, values, draws, edges)

    first, second = np.triu_indices(90, 1)
    inside = draws[first] == draws[second]
    distance = np.hypot(*(positions[:, first] - positions[:, second]))[inside]
    halves = ((values[first] - values[second]) ** 2 / 2)[inside]
    bins = np.digitize(distance, edges) - 1
    counts = np.bincount(bins[(bins >= 0) & (bins < 8)], minlength=8)
    kept = np.flatnonzero(counts >= FEWEST_PAIRS)
    np.testing.assert_array_equal(found.pairs, counts[kept])
    np.testing.assert_allclose(found.semivariance, [halves[bins == number].mean() for number in kept])


def test_without_the_library_the_error_names_the_extra():
    with mock.patch.dict(sys.modules, {"gstools": None}), pytest.raises(ConfigError) as caught:
        variogram.geostatistics()

    assert "gcn-luigi[variogram]" in caught.value.fix
