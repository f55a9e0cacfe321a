"""Invented votes of an ensemble that looks for ice without debris, mistakes included."""

import numpy as np
import numpy.typing as npt

from gcn_luigi.synthetic.noise import fractal, generator

NODATA = -32768
MOST_VOTES = 7


def make_votes(bright: npt.NDArray[np.float32], seed: int, margins: tuple[int, int, int, int]) -> npt.NDArray[np.int16]:
    """Return how many of seven classifiers took each pixel for debris-free ice.

    They see snow and clean ice alike, so that late snow patches outside all glaciers get votes too; they waver
    where a pixel is mixed, and err in patches.

    Parameters
    ----------
    bright : ndarray of float32, (row, col)
        Share of snow and clean ice in each pixel, 0 to 1.
    seed : int
        Decides the mistakes.
    margins : tuple of int
        Pixels that the votes reach beyond `bright` on the top, left, bottom and right.

    Returns
    -------
    ndarray of int16, (row + top + bottom, col + left + right)
        0 to 7; -32768 beyond a slanted edge.
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
