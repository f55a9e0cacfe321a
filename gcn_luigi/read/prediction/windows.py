"""Predict a raster by windows, in strips from the left and rows from the top; finished rows come out in order.

A strip bounds the memory: it does not depend on the size of the raster. At the edges of a strip, windows of both sides
are computed, so that each pixel is the mean of all windows that show it, in the same order as without strips.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.chips.blending import BlendedRows, Blending, shares_of, window_starts, window_weights
from gcn_luigi.read.normalise import scaled
from gcn_luigi.read.prediction.card import ModelCard
from gcn_luigi.read.prediction.progress import Rows
from gcn_luigi.read.rasters import Raster

# Takes (chip, band, y, x) float32, and returns the scores of the classes (chip, class, y, x), before softmax.
Score = Callable[[NDArray[np.float32]], NDArray[Any]]
# About so many pixels of each band are in memory at a time. A strip is as wide as some blocks of the file.
_PIXELS, _BLOCK = 1 << 20, 512
# Scores whose sums over classes differ from 1 by less than this are shares already, also those of half precision.
_ROUNDING = 0.01


@dataclass(frozen=True)
class Strip:
    """Columns of the map from `first` to `stop`, and where the windows start that show some of them."""

    number: int
    first: int
    stop: int
    lefts: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """How a raster is covered by windows.

    Attributes
    ----------
    size, overlap : int
        Edge of a window, and how many pixels neighbours share along one axis.
    blending : str
        As in `window_weights`.
    batch : int
        Windows that the model gets at a time. The last batch of a row is filled up with zeros, because the shape of a
        batch may decide how a device rounds.
    missing : str
        ``any`` or ``all``: the map has no class where any band is missing, or only where all are.
    strip_pixels : int
        About the largest number of pixels of a strip of windows.
    """

    size: int
    overlap: int
    blending: Blending
    batch: int
    missing: str
    strip_pixels: int = _PIXELS

    @property
    def step(self) -> int:
        """The distance of windows in pixels."""
        return self.size - self.overlap

    def strips(self, width: int) -> Iterator[Strip]:
        """Yield the strips of a raster from the left."""
        wide = -(-max(self.strip_pixels // self.size, 4 * self.size) // _BLOCK) * _BLOCK
        lefts = window_starts(width, self.size, self.step)
        for number, first in enumerate(range(0, width, wide)):
            stop = min(first + wide, width)
            yield Strip(number, first, stop, lefts[(lefts < stop) & (lefts + self.size > first)])


def finished_rows(
    raster: Raster, card: ModelCard, plan: Plan, score: Score, reached: Mapping[int, int]
) -> Iterator[tuple[Rows, float]]:
    """Yield rows of the map as soon as no further window shows them, and which share of all is done, 0 to 1.

    Parameters
    ----------
    raster : Raster
        With the bands of the model in order.
    card : ModelCard
        Statistics and classes.
    plan : Plan
        The windows.
    score : callable
        The model.
    reached : mapping
        How many rows of each strip are finished already; they are not yielded.

    Raises
    ------
    ConfigError
        The model takes other images, returns scores of another shape, or shares instead of scores.
    InputError
        The raster cannot be read, or the model returns a score that is not a finite number.
    """
    for strip in plan.strips(raster.width):
        yield from _strip_rows(raster, card, plan, _Scorer(score, card, plan), (strip, reached.get(strip.number, 0)))


def _strip_rows(
    raster: Raster, card: ModelCard, plan: Plan, scorer: "_Scorer", place: tuple[Strip, int]
) -> Iterator[tuple[Rows, float]]:
    strip, reached = place
    left, size = int(strip.lefts[0]), plan.size
    right = int(strip.lefts[-1]) + size
    blended = BlendedRows(len(card.classes), right - left, window_weights(size, plan.overlap, plan.blending))
    values_of = card.classes.value_array
    tops = window_starts(raster.height, size, plan.step).tolist()
    ends = [*tops[1:], raster.height]
    for top, end in zip(tops, ends, strict=True):
        # Windows above show no row that is not finished.
        if top + size <= reached:
            continue
        image, is_missing = _read(raster, card, plan, (top, left, right))
        shown = [col for col in (strip.lefts - left).tolist() if not is_missing[:, col : col + size].all()]
        for first in range(0, len(shown), plan.batch):
            cols = shown[first : first + plan.batch]
            for col, scores in zip(cols, scorer([image[..., col : col + size] for col in cols]), strict=False):
                blended.add(col, shares_of(scores))
        means = blended.take(end - top)[..., strip.first - left : strip.stop - left]
        if end <= reached:
            continue
        gone = is_missing[: end - top, strip.first - left : strip.stop - left]
        # A pixel that is not missing is in a window that was computed.
        classes = np.where(gone, LABEL_IGNORE, values_of[np.where(gone, 0.0, means).argmax(axis=0)]).astype(np.uint8)
        shares = np.where(gone, np.float32(np.nan), means.astype(np.float32))
        done = (strip.first + (strip.stop - strip.first) * end / raster.height) / raster.width
        yield Rows(strip.number, top, classes, shares), done


def _read(
    raster: Raster, card: ModelCard, plan: Plan, at: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a row of windows normalised, (band, y, x), and where the map has no class, (y, x) bool.

    What lies beyond a raster that is smaller than a window is missing.
    """
    top, left, right = at
    values, missing = raster.read(
        slice(top, min(top + plan.size, raster.height)), slice(left, min(right, raster.width))
    )
    # Missing pixels may hold anything, also numbers that float32 cannot hold once they are divided.
    with np.errstate(over="ignore", invalid="ignore"):
        image = scaled(values, missing, card.scales)
    together = np.logical_or if plan.missing == "any" else np.logical_and
    gone: NDArray[np.bool_] = together.reduce(missing, axis=0)
    over = ((0, plan.size - image.shape[1]), (0, right - left - image.shape[2]))
    if any(after for _, after in over):
        return np.pad(image, ((0, 0), *over)), np.pad(gone, over, constant_values=True)
    return image, gone


class _Scorer:
    """Calls the model with full batches, and checks what it returns."""

    def __init__(self, score: Score, card: ModelCard, plan: Plan) -> None:
        self._score, self._classes = score, len(card.classes)
        self._images = np.zeros((plan.batch, len(card.bands), plan.size, plan.size), np.float32)

    def __call__(self, windows: list[NDArray[np.float32]]) -> NDArray[Any]:
        """Return the scores of windows (band, y, x), as (window, class, y, x)."""
        self._images[len(windows) :] = 0
        for place, window in enumerate(windows):
            self._images[place] = window
        scores = self._score(self._images)
        expected = (len(self._images), self._classes, *self._images.shape[2:])
        if getattr(scores, "shape", None) != expected:
            raise ConfigError(
                f"the model returns {getattr(scores, 'shape', type(scores).__name__)} for images of "
                f"{self._images.shape}, and not {expected}",
                where="the model",
                fix=f"it must return a score for each of {self._classes} classes at each pixel, (chip, class, y, x); "
                "pad within the model if it returns fewer pixels",
            )
        own = scores[: len(windows)]
        if not np.isfinite(own).all():
            raise InputError(
                "the model returns scores that are not finite numbers",
                where="the model",
                fix="look whether the loss became NaN in training; look for bands whose values differ from training",
            )
        if _are_shares(own):
            raise ConfigError(
                "the model returns shares that add up to 1, and softmax would be applied a second time",
                where="the model",
                fix="leave out its last softmax, so that it returns the scores that a cross entropy takes",
            )
        return own


def _are_shares(scores: NDArray[Any]) -> bool:
    """Return whether scores look like the result of softmax. Constant ones may be anything, and are taken as scores."""
    within = scores.min() >= 0 and scores.max() <= 1
    return bool(within and np.ptp(scores[:, 0]) > 0 and np.abs(scores.sum(axis=1) - 1).max() < _ROUNDING)
