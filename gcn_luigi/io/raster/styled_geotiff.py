"""GeoTIFFs for people: bands with units, classes with colours, and a mask where no number can say what is missing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from gcn_luigi.io.raster.geotiff import open_geotiff
from gcn_luigi.io.raster.windows import rasterio_window
from gcn_luigi.lattice import Lattice, Window


@dataclass(frozen=True)
class Look:
    """What a GeoTIFF says of its pixels.

    Attributes
    ----------
    names, units, descriptions : tuple of str
        By band; a unit or description may be empty, and there may be none at all.
    dtype : str
        numpy name.
    nodata : int or None
        The nodata tag.
    is_masked : bool
        Write a mask: for values of which none is free to mean nodata.
    colours : mapping
        Red, green, blue and alpha, 0 to 255, by value: a colour table.
    tags : mapping
        Further items of the file.
    """

    names: tuple[str, ...]
    dtype: str
    units: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    nodata: int | None = None
    is_masked: bool = False
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def open_shown(path: Path, lattice: Lattice, look: Look) -> Iterator["ShownTif"]:
    """Yield a new GeoTIFF to write into; windows as for `open_geotiff`.

    Raises
    ------
    PublishError
        The file cannot be created or written, or is not whole after it was closed.
    """
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        open_geotiff(path, lattice, dtype=look.dtype, nodata=look.nodata, names=look.names) as dataset,
    ):
        if look.units:
            dataset.units = look.units
        for band, text in enumerate(look.descriptions, 1):
            if text:
                dataset.update_tags(band, description=text)
        dataset.update_tags(**look.tags)
        if look.colours:
            dataset.write_colormap(1, dict(look.colours))
        yield ShownTif(dataset, look)


class ShownTif:
    """An open GeoTIFF; made by `open_shown`."""

    def __init__(self, dataset: Any, look: Look) -> None:
        self._dataset, self._look = dataset, look

    def write(self, pixels: NDArray[Any], window: Window, present: NDArray[np.bool_]) -> None:
        """Write a window.

        Parameters
        ----------
        pixels : ndarray
            (band, y, x) or (y, x), of the file's dtype.
        window : Window
            Where, in the file.
        present : ndarray of bool
            (y, x): what the mask shows, where the file has one.
        """
        stack = pixels[np.newaxis] if pixels.ndim == 2 else pixels
        self._dataset.write(np.ascontiguousarray(stack), window=rasterio_window(window))
        if self._look.is_masked:
            self._dataset.write_mask(present, window=rasterio_window(window))
