"""Draw a mosaic of masked files. GDAL cannot if they also have nodata values, or alpha in a file of three bands."""

from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.raster.compositor import DatasetCache
from gcn_luigi.io.raster.masks import hidden_pixels
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Window


class MaskedMosaic:
    """The mosaic of one band, as `write_vrt` describes it, in which masked pixels are transparent as nodata is.

    This is a context manager that belongs to one process. The number of open files is limited.
    """

    def __init__(self, band: VrtBand) -> None:
        self._band = band
        self._datasets = DatasetCache()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all files. If there was no other error, make sure that no file was replaced meanwhile."""
        with self._datasets:
            pass
        if error is None:
            self._datasets.check_unchanged()

    def read(self, window: Window) -> NDArray[Any]:
        """Return one window, (1, y, x), in the type of the band. Pixels that no source shows hold its nodata value.

        Raises
        ------
        InputError
            A file is gone, damaged, or was replaced. The message names it.
        """
        drawn = np.full((1, window.height, window.width), self._band.nodata or 0, self._band.dtype)
        for source in self._band.sources:
            seen = source.window.intersection(window)
            if not seen.is_empty:
                row, col = seen.row - window.row, seen.col - window.col
                target = drawn[0, row : row + seen.height, col : col + seen.width]
                values, is_shown = self._pixels(source, seen)
                np.copyto(target, values, where=is_shown, casting="safe")
        return drawn

    def _pixels(self, source: VrtSource, seen: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        dataset = self._datasets.get(str(source.path), seen, self._band.name)
        own = Window(seen.row - source.window.row, seen.col - source.window.col, seen.height, seen.width)
        values = read_dataset(dataset, own, bands=[source.band], fill=0)[0]
        is_shown = ~hidden_pixels(dataset, source.mask, source.band, own)
        if source.nodata is not None:
            # nan never equals itself. In the precision of the pixels, as GDAL compares.
            with np.errstate(over="ignore", invalid="ignore"):
                tag = np.asarray(source.nodata).astype(values.dtype)
            is_same_tag = np.isnan(source.nodata) or values.dtype.kind == "f" or float(tag) == source.nodata
            if is_same_tag:
                is_shown &= ~np.isnan(values) if np.isnan(source.nodata) else values != tag
        return values, is_shown
