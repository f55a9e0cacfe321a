"""Find constant values that fill too much of a tile to be measurements: undeclared missing pixels look like this."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# About this many pixels, on an even grid, are enough to detect a few per cent. Edges are examined completely.
_SAMPLED = 1 << 16
# One value is suspect if it fills more than this share of a tile, or at least this share of one of its edges.
_OF_TILE, _OF_EDGE = 0.03, 0.9
# Fewer pixels, or a shorter edge, may repeat a value by chance.
_FEWEST, _SHORTEST_EDGE = 32, 16
# A value is apart if its distance from all others exceeds this share of their range.
_APART = 0.1
# If a measured value is frequent, the values next to it are frequent as well. A spike exceeds both by this factor.
_SPIKE = 3

IsMeasured = Callable[[NDArray[np.number]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Constant:
    """One value that fills much of a tile.

    Attributes
    ----------
    value : float
        The value as stored.
    share : float
        Share of all pixels of the tile, estimated from a sample.
    is_edge : bool
        True if the value fills one of the tile's four edges.
    is_apart : bool
        True if the value is far from all others. The level of flat water, by contrast, is close to that of its shore.
    """

    value: float
    share: float
    is_edge: bool
    is_apart: bool


class PixelSample:
    """An even sample of one band of a tile of `height` x `width` pixels, and all pixels of the tile's edges."""

    def __init__(self, height: int, width: int) -> None:
        self._shape = height, width
        self._step = max(1, int(np.ceil(np.sqrt(height * width / _SAMPLED))))
        self._sample: list[NDArray[np.number]] = []
        self._edges: dict[str, list[NDArray[np.number]]] = {}

    def add(self, row: int, col: int, pixels: NDArray[np.number]) -> None:
        """Add the needed pixels of a window, (y, x) of any real dtype, which begins at `row` and `col` of the tile."""
        self._sample.append(pixels[-row % self._step :: self._step, -col % self._step :: self._step].flatten())
        (height, width), (rows, cols) = self._shape, pixels.shape
        for name, is_on_edge, edge in (
            ("top", row == 0, pixels[:1]),
            ("bottom", row + rows == height, pixels[-1:]),
            ("left", col == 0, pixels[:, :1]),
            ("right", col + cols == width, pixels[:, -1:]),
        ):
            if is_on_edge:
                self._edges.setdefault(name, []).append(edge.flatten())

    def share_of(self, value: float) -> float:
        """Return the share of the sampled pixels that equal `value`."""
        return float((np.concatenate(self._sample) == value).mean())

    def constant(self, is_measured: IsMeasured) -> Constant | None:
        """Return the value with the largest share among those that fill an edge or a few per cent of the tile, if any.

        `is_measured` returns which of the given values count as measurements. Other values are never suspect.
        """
        sample = np.concatenate(self._sample)
        edges = (_value_of_edge(np.concatenate(parts), is_measured) for parts in self._edges.values())
        on_edge = {value for value in edges if value is not None}
        found = {value: float((sample == value).mean()) for value in on_edge} | _spikes(sample, is_measured)
        if not found:
            return None
        value = max(found, key=lambda value: (found[value], value in on_edge, -abs(value)))
        others = sample[is_measured(sample) & (sample != value)].astype(np.float64)
        is_apart = bool(others.size) and np.abs(others - value).min() > _APART * np.ptp(others)
        # Adding 0.0 turns -0.0 into 0.0.
        return Constant(value + 0.0, found[value], value in on_edge, bool(is_apart))


def _value_of_edge(edge: NDArray[np.number], is_measured: IsMeasured) -> float | None:
    values, counts = np.unique(edge[is_measured(edge)], return_counts=True)
    fills = values.size and edge.size >= _SHORTEST_EDGE and counts.max() >= _OF_EDGE * edge.size
    return float(values[counts.argmax()]) if fills else None


def _spikes(sample: NDArray[np.number], is_measured: IsMeasured) -> dict[float, float]:
    """Return the values that are far more frequent than the next lower and higher value, each with its share."""
    values, counts = np.unique(sample[is_measured(sample)], return_counts=True)
    padded = np.pad(counts, 1)
    neighbours = np.maximum(padded[:-2], padded[2:])
    is_spike = (counts > _OF_TILE * sample.size) & (counts >= _FEWEST) & (counts >= _SPIKE * neighbours)
    spikes = zip(values[is_spike], counts[is_spike], strict=True)
    return {float(value): float(count / sample.size) for value, count in spikes}
