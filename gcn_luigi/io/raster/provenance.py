"""Which source file stands behind a window of a virtual mosaic: for blame when something is wrong there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rasterio import windows
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.lattice import Lattice, Window


def rasterio_window(window: Window) -> windows.Window:
    """Return the same rectangle in rasterio's words."""
    return windows.Window(window.col, window.row, window.width, window.height)


def sources_within(path: Path, window: Window) -> Iterator[tuple[Path, Window]]:
    """Yield the files that `window` of `path` is read from, through VRTs of VRTs, each with its own window.

    A file that is no VRT yields itself; one that cannot be opened is yielded with an empty window.
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


def _as_written(name: str) -> Path:
    """Return the path of a source without the way up and down again that leads there from a mosaic."""
    short = Path(os.path.normpath(name))
    # Where a link lies on the way, ".." leads up from where the link leads to.
    return short if os.path.realpath(name) == os.path.realpath(short) else Path(os.path.realpath(name))


def damaged_source(path: Path, window: Window) -> Path | None:
    """Return the first file behind `window` of `path` that cannot be opened or decoded there."""
    for source, own in sources_within(path, window):
        if own.is_empty:
            return source
        try:
            with open_local(source) as dataset:
                dataset.read(window=rasterio_window(own))
        except RasterioIOError:
            return source
    return None


def unreadable(culprit: Path, window: Window, whose: str) -> InputError:
    """Return the error that names the file `culprit`, needed for `window` of the raster with the name `whose`."""
    return InputError(
        f"{'cannot be decoded: it is damaged' if culprit.exists() else 'is gone'}; needed for "
        f"{window.height} x {window.width} pixels from row {window.row}, column {window.col} of {whose}",
        where=str(culprit),
        fix="copy or download the file again",
    )


def _window_of(source: Path, bounds: tuple[float, float, float, float]) -> Window | None:
    """Return the pixels of `source` within `bounds`, or None where it cannot be opened."""
    try:
        with open_local(source) as dataset:
            lattice = _plain_lattice(dataset)
    except RasterioIOError:
        return None
    return lattice.window_of(bounds, where=str(source), snap=True).intersection(lattice.window)


def _plain_lattice(dataset: Any) -> Lattice:
    # All sources of a mosaic of ours share one CRS, so it does not matter here.
    step, _, left, _, _, top = tuple(dataset.transform)[:6]
    return Lattice("", left, top, step, dataset.height, dataset.width)
