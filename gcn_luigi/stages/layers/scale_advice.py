"""Look at a few pixels of each band, and advise a scale if an int16 stack would not hold them or their fractions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.masks import hidden_pixels
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.layers.scale_advice import advised_scale
from gcn_luigi.prepare.layers.source_values import missing_values, scaled_values
from gcn_luigi.stages.layers.mosaics import read_inventory

# Files of a band, evenly spaced, and pixels along the edge of a window. A file is read at a quarter, half and three
# quarters of its diagonal.
_MOST_FILES, _EDGE = 4, 256
_PLACES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class ScaleAdvice:
    """The name of a band, the smallest and largest value seen, and the scale that int16 needs."""

    band: str
    low: float
    high: float
    scale: float

    def __str__(self) -> str:
        """Return the advice as one line."""
        lost = "lose their fractions in int16" if self.scale > 1 else "do not fit int16"
        return (
            f"{self.band}: values from {self.low:g} to {self.high:g} {lost}; set scale = {self.scale:g} for the band, "
            'or [stack] dtype = "float32"'
        )


def scale_advice(region: Region, paths: DatasetPaths) -> Iterator[ScaleAdvice]:
    """Yield an advice for each band of an int16 stack that is converted with scale 1 and needs another scale.

    Only a few windows of at most four files of each band are read, so values elsewhere may be larger. The inventory
    must exist. Raise InputError if a file cannot be read.
    """
    if region.settings.stack.dtype != "int16":
        return
    inventory = read_inventory(paths)
    for band in region.settings.checked_bands:
        if not band.is_converted or band.scale != 1:
            continue
        files = inventory.of_band(band.name)
        chosen = np.linspace(0, len(files) - 1, min(len(files), _MOST_FILES)).round().astype(int).tolist()
        parts = [_values(files[number].place(region.root, paths.root), files[number], band) for number in chosen]
        seen = np.concatenate(parts) if parts else np.empty(0)
        if seen.size:
            low, high = float(seen.min()), float(seen.max())
            scale = advised_scale(low, high, bool((seen != np.rint(seen)).any()))
            if scale is not None:
                yield ScaleAdvice(band.name, low, high, scale)


def _values(path: Path, file: SourceFile, band: Band) -> NDArray[np.float64]:
    """Return the valid values of some windows of a file, (sample,), in the units that the band's scale multiplies."""
    number = next(number for number in (*file.numbers, 1) if number)
    found = []
    with open_raster(path) as dataset:
        whole = Window(0, 0, dataset.height, dataset.width)
        for place in _PLACES:
            row, col = (int(place * length) - _EDGE // 2 for length in (whole.height, whole.width))
            window = Window(row, col, _EDGE, _EDGE).intersection(whole)
            values = read_dataset(dataset, window, bands=[number], fill=0)[0]
            missing = missing_values(values, file.tag_of(number), band.nodata)
            missing |= hidden_pixels(dataset, file.mask, number, window)
            found.append(scaled_values(values, band, file.scaling, missing)[~missing])
    return np.concatenate(found)
