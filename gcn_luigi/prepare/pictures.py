"""Pictures of chips: false colour, label and missing pixels, as arrays of colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.prepare.appearance import MISSING_COLOURS, colour
from gcn_luigi.prepare.missing.fill import MISSING, Flag

# For red, green and blue: the position of the band, the value shown dark, and the value shown bright.
Stretch = Sequence[tuple[int, float, float]]


def stretch_of(statistics: Mapping[str, Any], bands: Sequence[Band], shown: Sequence[int]) -> Stretch:
    """Return the bands at the positions `shown`, each with the 1st and 99th percentile of train.

    `statistics` is ``bands`` of ``statistics.json``. So all chips share one stretch.
    """
    stretch = []
    for position in shown:
        summary = statistics.get(bands[position].name, {})
        low, high = (summary["p1"], summary["p99"]) if summary.get("count") else (0, 1)
        stretch.append((position, float(low), float(high)))
    return stretch


def hiding_flags(bands: Sequence[Band], shown: Sequence[int]) -> int:
    """Return the bits of `Flag` that mean that a pixel of the bands at the positions `shown` cannot be seen."""
    hiding = Flag.OUTSIDE
    for position in shown:
        hiding |= Flag[bands[position].role.name]
    return int(hiding)


def false_colour(image: NDArray[Any], flags: NDArray[np.uint8], stretch: Stretch, hiding: int) -> NDArray[np.uint8]:
    """Return (y, x, 3): three bands of `image`, (band, y, x), chequered where `flags` has one of the bits `hiding`."""
    planes = [np.clip((image[band] - low) / ((high - low) or 1.0), 0, 1) for band, low, high in stretch]
    # Neither black nor white is used, because pure primaries hide all texture.
    rgb = np.stack([(18 + 222 * plane**0.8).round().astype(np.uint8) for plane in planes], axis=-1)
    return np.where((flags & hiding)[..., None] > 0, chequered(flags.shape), rgb)


def label_picture(label: NDArray[np.uint8], classes: ClassTable = DEFAULT_CLASSES) -> NDArray[np.uint8]:
    """Return (y, x, 3): the classes in their colours, and a chequered pattern where there is no class."""
    rgb = chequered(label.shape)
    for each in classes:
        rgb[label == each.value] = colour(each.colour)
    return rgb


def missing_picture(flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (y, x, 3): the missing pixels, in one colour per layer."""
    rgb = np.empty((*flags.shape, 3), np.uint8)
    rgb[...] = colour(MISSING_COLOURS["several"])
    rgb[flags == 0] = colour(MISSING_COLOURS["present"])
    for flag in MISSING:
        rgb[flags == flag] = colour(MISSING_COLOURS[str(flag.name).lower()])
    rgb[flags & Flag.OUTSIDE > 0] = colour(MISSING_COLOURS["outside"])
    return rgb


def chequered(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return (y, x, 3): the pattern of missing pixels, for `shape` (y, x)."""
    row, col = np.indices(shape)
    # The pattern is grey because snow is white and rock is dark, and fine because a gap may be three pixels wide.
    return np.where(((row // 2 + col // 2) % 2)[..., None] > 0, 190, 128).astype(np.uint8).repeat(3, axis=-1)
