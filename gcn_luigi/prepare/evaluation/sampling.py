"""Choose pixels for variograms: few enough for seconds, and placed so that short and long distances both occur.

Independent pixels of a large area are almost never close to each other. The sample is therefore nested: around a few
chips, further chips at distances that double; in each chip, a pixel and others around it, again at distances that
double. Webster and Oliver, Geostatistics for Environmental Scientists (2007), chapter 6, describe such samples.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

# A draw is a set of pixels of one year that are compared with each other: about 500 in these many stars.
N_DRAWS, _MOST_DRAWS = 16, 24
_SEEDS, _RINGS, _ARMS = 8, 6, 11


@dataclass(frozen=True)
class ChipPlaces:
    """Where the chips of a dataset are.

    Attributes
    ----------
    left, top : ndarray of float64
        (chip,), first column and row on the lattice, in pixels.
    partition, year : ndarray of int64
        (chip,), a number for each partition, and the year of the composite.
    size : int
        Edge of a chip, in pixels.
    """

    left: NDArray[np.float64]
    top: NDArray[np.float64]
    partition: NDArray[np.int64]
    year: NDArray[np.int64]
    size: int

    def reach(self, rows: NDArray[np.int64] | None = None) -> float:
        """Return the longest distance to examine among the chips `rows`, or all, in pixels.

        It is half of the diagonal of their area, and at least a chip: beyond, few pairs remain, and only of the edges.
        """
        left, top = (self.left, self.top) if rows is None else (self.left[rows], self.top[rows])
        if not len(left):
            return float(self.size)
        return max(math.hypot(np.ptp(left) + self.size, np.ptp(top) + self.size) / 2, float(self.size))

    def reach_in_a_year(self) -> float:
        """Return the longest distance to examine among chips of one year, in pixels, for the year with the largest."""
        reaches = [self.reach(np.flatnonzero(self.year == year)) for year in np.unique(self.year)]
        return max(reaches, default=self.reach())


@dataclass(frozen=True)
class PixelSample:
    """The chosen pixels.

    Attributes
    ----------
    chip : ndarray of int64
        (pixel,), the row of the chip in `ChipPlaces`.
    row, col : ndarray of int64
        (pixel,), position in the chip.
    x, y : ndarray of float64
        (pixel,), position on the lattice, in pixels.
    of_year : ndarray of int64
        (pixel,), number of the draw. All pixels of a draw belong to one year, and each year has equally many draws.
    of_any_year : ndarray of int64
        (pixel,), number of the draw for what does not change from year to year. Such a draw mixes years.
    """

    chip: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    of_year: NDArray[np.int64]
    of_any_year: NDArray[np.int64]


def choose_pixels(places: ChipPlaces, seed: int) -> PixelSample:
    """Return a nested sample of pixels.

    Every draw begins at chips of partitions that are chosen at random, so that partitions with many chips do not count
    more. A region of any size gives 16 to 24 draws of about 500 pixels. If there are more than 24 years, 24 of them
    are chosen at random.

    Parameters
    ----------
    places : ChipPlaces
        All chips.
    seed : int
        Decides all choices; 0 or more.

    Returns
    -------
    PixelSample
        No pixel if there is no chip. Two pixels of a draw may be the same one.
    """
    chance = np.random.default_rng([seed, 52])
    years = np.unique(places.year)
    if len(years) > _MOST_DRAWS:
        years = np.sort(chance.choice(years, _MOST_DRAWS, replace=False))
    draws = [year for year in years for _ in range(math.ceil(N_DRAWS / len(years)))]
    chips, stars = [], []
    for year in draws:
        rows = np.flatnonzero(places.year == year)
        starts = _starts(places, rows, chance)
        chips.append(_around(places, rows, starts, chance))
        stars.append(np.repeat(np.arange(_SEEDS), _RINGS + 1))
    if not chips:
        nothing = np.zeros(0, np.int64)
        return PixelSample(nothing, nothing, nothing, nothing.astype(float), nothing.astype(float), nothing, nothing)
    chip = np.concatenate(chips)
    of_year = np.repeat(np.arange(len(draws)), len(chips[0]))
    # The same groups of stars, dealt to draws regardless of the year.
    star = of_year * _SEEDS + np.concatenate(stars)
    dealt = chance.permutation(len(draws) * _SEEDS) % len(draws)
    which, row, col = _pixels(len(chip), places.size, chance)
    chip = chip[which]
    return PixelSample(
        chip=chip,
        row=row,
        col=col,
        x=places.left[chip] + col,
        y=places.top[chip] + row,
        of_year=of_year[which],
        of_any_year=dealt[star[which]],
    )


def _starts(places: ChipPlaces, rows: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Return the first chip of each group: one of each of several partitions, or any if there are too few."""
    shuffled = chance.permutation(rows)
    _, first = np.unique(places.partition[shuffled], return_index=True)
    if len(first) >= _SEEDS:
        chosen: NDArray[np.int64] = shuffled[chance.choice(first, _SEEDS, replace=False)]
        return chosen
    return np.concatenate([shuffled[first], chance.choice(rows, _SEEDS - len(first))])


def _around(
    places: ChipPlaces, rows: NDArray[np.int64], starts: NDArray[np.int64], chance: np.random.Generator
) -> NDArray[np.int64]:
    """Return each start and, for each of several distances in a random direction, the chip nearest to that place."""
    corners = np.column_stack([places.left[rows], places.top[rows]])
    shape = len(starts), _RINGS
    distance = np.geomspace(places.size / 2, places.reach(rows), _RINGS) * chance.uniform(0.75, 1.0, shape)
    angle = chance.uniform(0, 2 * np.pi, shape)
    aims = np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=-1)
    aims += np.column_stack([places.left[starts], places.top[starts]])[:, np.newaxis]
    _, nearest = scipy.spatial.cKDTree(corners).query(aims.reshape(-1, 2))
    return np.column_stack([starts, rows[nearest].reshape(shape)]).ravel()


def _pixels(
    n_chips: int, size: int, chance: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each pixel of a star in each of `n_chips` chips: the chip, the row and the column."""
    middle = chance.integers(0, size, (n_chips, 1, 2))
    length = np.concatenate([[0.0], np.geomspace(1, size, _ARMS)])
    angle = chance.uniform(0, 2 * np.pi, (n_chips, _ARMS + 1))
    arms = np.rint(np.stack([length * np.sin(angle), length * np.cos(angle)], axis=-1)).astype(np.int64)
    pixels = middle + arms
    chip, arm = np.nonzero(((pixels >= 0) & (pixels < size)).all(axis=-1))
    row, col = pixels[chip, arm].T
    return chip, row, col
