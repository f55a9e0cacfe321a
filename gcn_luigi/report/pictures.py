"""Pictures of chips and rasters: false colour, label, missing pixels, and overviews of large rasters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError

from gcn_luigi.bands import Band
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.prepare.appearance import MISSING_COLOURS, colour
from gcn_luigi.prepare.missing.fill import MISSING, Flag
from gcn_luigi.report.drawing import png_uri

# Pixels along the longer side; larger chips and rasters are decimated to this length.
_LONGEST_CHIP, _LONGEST_RASTER = 256, 1000

# For red, green and blue: the position of the band, the value shown dark, and the value shown bright.
Stretch = Sequence[tuple[int, float, float]]


def read_overview(path: Path, resampling: Resampling) -> tuple[NDArray[Any], float | None]:
    """Return a raster's first band with at most 1000 pixels along either side, (y, x), and its nodata.

    Raises InputError if the file cannot be opened or decoded.
    """
    with open_raster(path) as dataset:
        factor = max(max(dataset.shape) / _LONGEST_RASTER, 1.0)
        shape = tuple(max(round(length / factor), 1) for length in dataset.shape)
        try:
            return dataset.read(1, out_shape=shape, resampling=resampling), dataset.nodata
        except RasterioIOError as error:
            what = f"the file cannot be decoded: {error}"
            raise InputError(what, where=str(path), fix="delete it and run again") from error


def chip_pictures(
    shard: ShardReader, row: int, bands: Sequence[Band], stretch: Stretch, classes: ClassTable = DEFAULT_CLASSES
) -> tuple[tuple[str, str, str], float]:
    """Return a chip in false colour, its label and its missing pixels as data URIs, and the share of missing pixels."""
    image, label, flags = (shard.pixels(name, row) for name in ("image", "label", "flags"))
    flags = flags & np.uint8(MISSING)
    thin = slice(None, None, -(-max(label.shape) // _LONGEST_CHIP))
    image, label, flags = image[:, thin, thin], label[thin, thin], flags[thin, thin]
    hiding = Flag.OUTSIDE
    for position, _, _ in stretch:
        hiding |= Flag[bands[position].role.name]
    pictures = (false_colour(image, flags, stretch, int(hiding)), label_picture(label, classes), missing_picture(flags))
    in_colour, of_label, of_missing = (png_uri(picture) for picture in pictures)
    return (in_colour, of_label, of_missing), float((flags > 0).mean())


def false_colour(image: NDArray[Any], flags: NDArray[np.uint8], stretch: Stretch, hiding: int) -> NDArray[np.uint8]:
    """Return (y, x, 3): three bands of `image`, (band, y, x), chequered where `flags` has one of the bits `hiding`."""
    planes = [np.clip((image[band] - low) / ((high - low) or 1.0), 0, 1) for band, low, high in stretch]
    # Neither black nor white is used, because pure primaries hide all texture.
    rgb = np.stack([(18 + 222 * plane**0.8).round().astype(np.uint8) for plane in planes], axis=-1)
    return np.where((flags & hiding)[..., None] > 0, _chequered(flags.shape), rgb)


def label_picture(label: NDArray[np.uint8], classes: ClassTable = DEFAULT_CLASSES) -> NDArray[np.uint8]:
    """Return (y, x, 3): the classes in their colours, and a chequered pattern where there is no class."""
    rgb = _chequered(label.shape)
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


def _chequered(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    row, col = np.indices(shape)
    # The pattern is grey because snow is white and rock is dark, and fine because a gap may be three pixels wide.
    return np.where(((row // 2 + col // 2) % 2)[..., None] > 0, 190, 128).astype(np.uint8).repeat(3, axis=-1)
