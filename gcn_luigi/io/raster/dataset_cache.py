"""Open rasters kept for the next window, within a bound on files and on memory."""

import warnings
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.provenance import unreadable
from gcn_luigi.lattice import Window

# GDAL holds one decoded block of every open GeoTIFF, all its bands where they are interleaved by pixel.
_MOST_FILES = 64
_MOST_BLOCK_BYTES = 8_000_000


class Handles:
    """Rasters of this process, opened when first asked for; those not used for longest are closed.

    A file that is replaced meanwhile would give pixels of both: it is refused when it is opened again, and by
    `check_unchanged`.

    Examples
    --------
    >>> with Handles() as handles:
    ...     pass
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._stamps: dict[str, tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1][0].close()

    def get(self, path: str, window: Window, whose: str) -> Any:
        """Return the open dataset of `path`.

        Parameters
        ----------
        path : str
            The file.
        window : Window
            What is needed, on the pixels of `whose`; for the message.
        whose : str
            Name of the raster that is read by way of the file; for the message.

        Raises
        ------
        InputError
            The file is gone, cannot be opened, or was replaced after it was opened first.
        """
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path][0]
        try:
            self._check(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                dataset = open_local(Path(path))
        except (RasterioIOError, OSError) as error:
            raise unreadable(Path(path), window, whose) from error
        self._open[path] = dataset, _block_bytes(dataset)
        while len(self._open) > 1 and not self._is_within_bounds():
            self._open.popitem(last=False)[1][0].close()
        return dataset

    def block_bytes(self, path: str) -> int:
        """Return the bytes of a decoded block of an open file: of one band, or of all that are decoded with it."""
        return self._open[path][1]

    def check_unchanged(self) -> None:
        """Raise InputError when a file that was opened is no longer the same on disk."""
        for path in sorted(self._stamps):
            try:
                self._check(path)
            except OSError as error:
                raise _replaced(path) from error

    def _check(self, path: str) -> None:
        status = Path(path).stat()
        stamp = status.st_size, status.st_mtime_ns, status.st_ino
        if self._stamps.setdefault(path, stamp) != stamp:
            raise _replaced(path)

    def _is_within_bounds(self) -> bool:
        return len(self._open) <= _MOST_FILES and sum(size for _, size in self._open.values()) <= _MOST_BLOCK_BYTES


def _block_bytes(dataset: Any) -> int:
    """Return the bytes of a decoded block: of one band, or of all where they are interleaved by pixel."""
    sizes = [
        height * width * np.dtype(dtype).itemsize
        for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    ]
    return sum(sizes) if dataset.interleaving is Interleaving.pixel else max(sizes)


def _replaced(path: str) -> InputError:
    return InputError(
        "was replaced, or removed, while it was read", where=path, fix="leave the sources alone and run the build again"
    )
