"""Write GeoTIFFs, block by block, with the same bytes on every machine."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from gcn_luigi.errors import InputError, PublishError
from gcn_luigi.io.gdal import pin_rasters
from gcn_luigi.io.raster.crs import crs_of
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.lattice import Lattice, Window

# Pixels along the edge of a GeoTIFF block. GDAL requires multiples of 16.
BLOCK, _BLOCK_UNIT = 256, 16


def blocks(lattice: Lattice, size: int | tuple[int, int] = BLOCK) -> Iterator[Window]:
    """Yield windows of at most `size` (rows and columns, or one number for both) that cover `lattice`, row-major.

    Examples
    --------
    >>> lattice = Lattice("EPSG:3338", left=0.0, top=0.0, pixel_size=30.0, height=3, width=4)
    >>> [(block.row, block.col, block.height, block.width) for block in blocks(lattice, (2, 4))]
    [(0, 0, 2, 4), (2, 0, 1, 4)]
    """
    height, width = (size, size) if isinstance(size, int) else size
    for row in range(0, lattice.height, height):
        for col in range(0, lattice.width, width):
            yield Window(row, col, min(height, lattice.height - row), min(width, lattice.width - col))


@contextmanager
def open_geotiff(
    path: Path, lattice: Lattice, *, dtype: str, nodata: float | None, names: Sequence[str]
) -> Iterator[Any]:
    """Yield an open rasterio dataset to write into, with one band for each of `names`.

    To get equal bytes on every machine, write windows of whole blocks, one block tall, in row-major order, for example
    ``blocks(lattice, (256, 4096))``. Any other write order depends on GDAL's block cache. The file has blocks of 256
    px, deflate with a predictor, and no timestamps.

    Raises
    ------
    PublishError
        The file cannot be created or written, or is incomplete after it was closed.
    """
    sides = {
        f"block{axis}size": min(BLOCK, -(-length // _BLOCK_UNIT) * _BLOCK_UNIT)
        for axis, length in (("x", lattice.width), ("y", lattice.height))
    }
    profile = {
        "driver": "GTiff",
        "crs": crs_of(lattice.crs, where="lattice.crs"),
        "transform": Affine(*lattice.transform),
        "height": lattice.height,
        "width": lattice.width,
        "count": len(names),
        "dtype": dtype,
        "nodata": nodata,
        "tiled": True,
        **sides,
        # With this, windows of any width give the same order of blocks in the file.
        "interleave": "pixel",
        "compress": "deflate",
        "predictor": _predictor(np.dtype(dtype)),
        "bigtiff": "IF_SAFER",
    }
    pin_rasters()
    try:
        with rasterio.open(path, "w", **profile) as dataset:
            for index, name in enumerate(names, start=1):
                dataset.set_band_description(index, name)
            yield dataset
    except RasterioError as error:
        raise _unwritable(path, str(error)) from error
    # GDAL writes the last blocks when it closes the file, and then does not report a full disk.
    try:
        read_header(path)
    except InputError as error:
        raise _unwritable(path, error.what) from error


def write_geotiff(
    path: Path,
    lattice: Lattice,
    data: NDArray[Any] | Iterable[tuple[Window, NDArray[Any]]],
    *,
    nodata: float | None,
    names: Sequence[str],
    dtype: str | None = None,
) -> None:
    """Write one array, (band, y, x) or (y, x), or pairs of a window and such an array, as one GeoTIFF.

    Pixels in no window get `nodata`, or 0 without one. `names` are the descriptions of the bands. `dtype` is by default
    that of the array; with pairs it must be given.

    Raises
    ------
    InputError
        Shape or dtype do not match. Values are never cast silently.
    PublishError
        The file cannot be written.
    """
    if isinstance(data, np.ndarray):
        dtype = dtype or data.dtype.name
        pieces: Iterable[tuple[Window, NDArray[Any]]] = _rows(data, lattice, where=str(path))
    else:
        pieces = data
    if dtype is None:
        raise InputError("pairs of windows and arrays need a dtype", where=str(path), fix="give dtype")
    with open_geotiff(path, lattice, dtype=dtype, nodata=nodata, names=names) as dataset:
        for window, values in pieces:
            stack = values[np.newaxis] if values.ndim == 2 else values
            if stack.shape != (len(names), window.height, window.width) or stack.dtype != np.dtype(dtype):
                raise InputError(
                    f"got {stack.dtype} of shape {stack.shape} for {len(names)} bands of {dtype} in {window}",
                    where=str(path),
                    fix="give an array (band, y, x) of the dtype of the file",
                )
            dataset.write(stack, window=window.ranges)


def _rows(data: NDArray[Any], lattice: Lattice, *, where: str) -> Iterator[tuple[Window, NDArray[Any]]]:
    """Yield `data` in windows one block tall, so that arrays and blocks give the same bytes."""
    if data.shape[-2:] != lattice.shape:
        raise InputError(
            f"got an array of shape {data.shape}", where=where, fix=f"give (band, y, x) with (y, x) = {lattice.shape}"
        )
    for window in blocks(lattice, (BLOCK, lattice.width)):
        yield window, data[..., window.row : window.row + window.height, :]


def _predictor(dtype: np.dtype[Any]) -> int:
    """Return the TIFF predictor; 1 is none. Older versions of libtiff have none for integers of 64 bits."""
    if dtype.kind == "f":
        return 3
    return 2 if dtype.itemsize < 8 else 1


def _unwritable(path: Path, reason: str) -> PublishError:
    return PublishError(f"could not be written: {reason}", where=str(path), fix="check free space and permissions")
