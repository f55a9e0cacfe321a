"""Pictures of stored chips, and overviews of large rasters."""

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
from gcn_luigi.prepare.missing.fill import MISSING
from gcn_luigi.prepare.pictures import Stretch, false_colour, hiding_flags, label_picture, missing_picture
from gcn_luigi.report.drawing import png_uri

# Pixels along the longer side; larger chips and rasters are decimated to this length.
_LONGEST_CHIP, _LONGEST_RASTER = 256, 1000


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
    hiding = hiding_flags(bands, [position for position, _, _ in stretch])
    pictures = (false_colour(image, flags, stretch, hiding), label_picture(label, classes), missing_picture(flags))
    in_colour, of_label, of_missing = (png_uri(picture) for picture in pictures)
    return (in_colour, of_label, of_missing), float((flags > 0).mean())
