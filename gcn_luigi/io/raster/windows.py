"""Read windows of any raster, and find the source files behind a window of a virtual mosaic."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.tiff.opened import DecodedTiff
from gcn_luigi.lattice import Lattice, Window


def read_window(
    path: Path, window: Window, *, bands: Sequence[int] | None = None, fill: float | Sequence[float]
) -> NDArray[Any]:
    """Read a window, which may reach beyond the raster. The part beyond is filled, never stretched or shifted.

    The file is opened and closed here, so that no handle crosses a process boundary. `bands` are 1-based, by default
    all. `fill` is the value beyond the raster, one for all bands or one per band. The result is (band, y, x), in the
    dtype of the raster or, for several dtypes, the narrowest that holds all chosen bands. Nodata pixels keep their
    value.

    Raises
    ------
    InputError
        The file cannot be opened or decoded (for a VRT, the message names the damaged source), or `fill` does not fit
        the dtype.
    """
    with open_raster(path) as dataset:
        return read_dataset(dataset, window, bands=bands, fill=fill)


def read_dataset(
    dataset: Any,
    window: Window,
    *,
    bands: Sequence[int] | None = None,
    fill: float | Sequence[float],
    blocks: DecodedTiff | None = None,
) -> NDArray[Any]:
    """Read a window of an open dataset, which is faster for many windows of one file; see `read_window`.

    With the `blocks` of the dataset, GDAL does not decode them.
    """
    chosen = list(dataset.indexes if bands is None else bands)
    dtype = np.result_type(*(np.dtype(dataset.dtypes[band - 1]) for band in chosen))
    result = np.empty((len(chosen), window.height, window.width), dtype)
    result[:] = _filling(fill, dtype, dataset.name).reshape(-1, 1, 1)
    inside = window.intersection(Window(0, 0, dataset.height, dataset.width))
    if inside.is_empty:
        return result
    row, col = inside.row - window.row, inside.col - window.col
    target = result[:, row : row + inside.height, col : col + inside.width]
    try:
        if blocks is not None:
            blocks.read(chosen, inside.row, inside.col, target)
        elif len({dataset.dtypes[band - 1] for band in chosen}) == 1:
            dataset.read(chosen, window=inside.ranges, out=target)
        else:
            # rasterio reads bands of different types only one at a time.
            for index, band in enumerate(chosen):
                target[index] = dataset.read(band, window=inside.ranges)
    except RasterioIOError as error:
        path = Path(dataset.name)
        raise unreadable(damaged_source(path, inside) or path, inside, path.name) from error
    return result


def sources_within(path: Path, window: Window) -> Iterator[tuple[Path, Window]]:
    """Yield the files that `window` of `path` is read from, each with its window; VRTs of VRTs are followed.

    If `path` is not a VRT, it is yielded itself. A file that cannot be opened is yielded with an empty window.
    """
    try:
        dataset = open_local(path)
    except RasterioIOError:
        yield path, Window(0, 0, 0, 0)
        return
    with dataset:
        if dataset.driver != "VRT":
            yield path, window
            return
        bounds = _plain_lattice(dataset).crop(window).bounds
        sources = [_as_written(name) for name in dataset.files[1:]]
    for source in sources:
        own = _window_of(source, bounds)
        if own is None:
            yield source, Window(0, 0, 0, 0)
        elif not own.is_empty:
            yield from sources_within(source, own)


def damaged_source(path: Path, window: Window) -> Path | None:
    """Return the first file behind `window` of `path` that cannot be opened or decoded there."""
    for source, own in sources_within(path, window):
        if own.is_empty:
            return source
        try:
            with open_local(source) as dataset:
                dataset.read(window=own.ranges)
        except RasterioIOError:
            return source
    return None


def unreadable(culprit: Path, window: Window, whose: str) -> InputError:
    """Return an error about the file `culprit`, which is needed for `window` of the raster with the name `whose`."""
    return InputError(
        f"{'cannot be decoded: it is damaged' if culprit.exists() else 'is gone'}; needed for "
        f"{window.height} x {window.width} pixels from row {window.row}, column {window.col} of {whose}",
        where=str(culprit),
        fix="copy or download the file again",
    )


def _as_written(name: str) -> Path:
    """Return the path of a source without the ".." by which a mosaic names it."""
    short = Path(os.path.normpath(name))
    # If the path contains a link, ".." refers to the parent of the link's target.
    return short if os.path.realpath(name) == os.path.realpath(short) else Path(os.path.realpath(name))


def _window_of(source: Path, bounds: tuple[float, float, float, float]) -> Window | None:
    """Return the window of `source` within `bounds`, or None if the file cannot be opened."""
    try:
        with open_local(source) as dataset:
            lattice = _plain_lattice(dataset)
    except RasterioIOError:
        return None
    return lattice.window_of(bounds, where=str(source), snap=True).intersection(lattice.window)


def _plain_lattice(dataset: Any) -> Lattice:
    # All sources of our mosaics have the same CRS, so it is not needed here.
    step, _, left, _, _, top = tuple(dataset.transform)[:6]
    return Lattice("", left, top, step, dataset.height, dataset.width)


def _filling(fill: float | Sequence[float], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    wanted = np.atleast_1d(np.asarray(fill))
    with np.errstate(invalid="ignore", over="ignore"):
        stored = wanted.astype(dtype)
        same = (stored == wanted) | (dtype.kind == "f")
    if not same.all():
        raise InputError(f"the fill {fill} does not fit {dtype}", where=where, fix=f"use a value that fits {dtype}")
    return stored
