"""Read windows of any raster, and convert whole rasters window by window."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from gcn_luigi.bands import Band
from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, open_geotiff
from gcn_luigi.io.raster.header import is_same_crs, is_same_size, open_raster, read_header, read_lattice
from gcn_luigi.io.raster.provenance import damaged_source, rasterio_window, sources_within, unreadable
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.int16 import convert_bands
from gcn_luigi.settings import ConvertSettings

# Pixels of a strip, across: 4 MB of float32 a band.
_STRIP = 4096


def read_window(
    path: Path, window: Window, *, bands: Sequence[int] | None = None, fill: float | Sequence[float]
) -> NDArray[Any]:
    """Read a window that may reach beyond the raster; the overhang is filled, never stretched or shifted.

    The file is opened and closed here, so that no handle crosses a process boundary.

    Parameters
    ----------
    path : Path
        Any raster that GDAL reads.
    window : Window
        On the raster's own pixels.
    bands : sequence of int or None
        1-based; all when None.
    fill : float or sequence of float
        Value beyond the raster, for all bands or for each one.

    Returns
    -------
    array (band, y, x)
        Of the raster's dtype, or the narrowest that holds all chosen bands. Nodata pixels keep their value.

    Raises
    ------
    InputError
        The file cannot be opened or decoded; where it is a VRT, the damaged source is named. Or `fill` does not
        fit the dtype.
    """
    with open_raster(path) as dataset:
        return read_dataset(dataset, window, bands=bands, fill=fill)


def read_dataset(
    dataset: Any, window: Window, *, bands: Sequence[int] | None = None, fill: float | Sequence[float]
) -> NDArray[Any]:
    """Read a window of an open dataset, for many windows of one file; see `read_window`."""
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
        if len({dataset.dtypes[band - 1] for band in chosen}) == 1:
            dataset.read(chosen, window=rasterio_window(inside), out=target)
        else:
            # rasterio reads bands of different types only one at a time.
            for index, band in enumerate(chosen):
                target[index] = dataset.read(band, window=rasterio_window(inside))
    except RasterioIOError as error:
        path = Path(dataset.name)
        raise unreadable(damaged_source(path, inside) or path, inside, path.name) from error
    return result


def check_on_lattice(path: Path, lattice: Lattice) -> Window:
    """Return where the pixels of `path` lie on `lattice`; they may reach beyond it or cover a part of it.

    Raises
    ------
    InputError
        The file is unreadable or in another CRS.
    LatticeError
        Its pixels are of another size or lie between the lattice's.
    """
    own = read_lattice(path)
    if not is_same_crs(own.crs, lattice.crs):
        raise InputError(
            f"is in {own.crs[:60]}, the region in {lattice.crs[:60]}",
            where=str(path),
            fix="reproject it onto the region's lattice with a stated resampling",
        )
    if not is_same_size(own.pixel_size, lattice.pixel_size):
        raise LatticeError(
            f"has pixels of {own.pixel_size:g} m, the region of {lattice.pixel_size:g} m",
            where=str(path),
            fix="resample it onto the region's lattice",
        )
    return lattice.window_of(own.bounds, where=str(path))


def vrt_to_geotiff(source: Path, path: Path) -> None:
    """Copy a VRT, or any other raster, into one GeoTIFF: same pixels, types, nodata and band names.

    Raises
    ------
    InputError
        A source is damaged, or the bands have different nodata tags, which a GeoTIFF cannot hold.
    PublishError
        The file cannot be written.
    """
    header = read_header(source)
    tags = {repr(tag) for tag in header.nodata}
    if len(tags) > 1:
        raise InputError(
            f"has bands with different nodata ({', '.join(sorted(tags))}); a GeoTIFF has one for all",
            where=str(source),
            fix="write a GeoTIFF for each kind of band",
        )
    dtype = np.result_type(*header.dtypes).name
    with open_geotiff(path, header.lattice, dtype=dtype, nodata=header.nodata[0], names=header.names) as target:
        for window, values in _strips(source, header.lattice):
            target.write(values.astype(dtype, copy=False), window=rasterio_window(window))


def convert_mosaic(source: Path, path: Path, band: Band, settings: ConvertSettings) -> None:
    """Convert a mosaic of one band to an int16 GeoTIFF on the same lattice.

    Parameters
    ----------
    source : Path
        VRT or other raster of one band, of any real type.
    path : Path
        The GeoTIFF.
    band : Band
        Scale, offset and nodata; see `to_int16`.
    settings : ConvertSettings
        Rounding and overflow.

    Raises
    ------
    InputError
        A source is damaged, a pixel does not fit, or there is more than one band.
    PublishError
        The file cannot be written.
    """
    _convert(source, path, [band], settings)


def _convert(source: Path, path: Path, bands: Sequence[Band], settings: ConvertSettings) -> None:
    header = read_header(source)
    sentinels = {band.nodata for band in bands}
    if header.count != len(bands) or len(sentinels) != 1:
        raise InputError(
            f"has {header.count} bands; asked to convert {len(bands)} with nodata {sorted(sentinels)}",
            where=str(source),
            fix="name every band once, with one nodata for all",
        )
    names = [band.name for band in bands]
    with open_geotiff(path, header.lattice, dtype="int16", nodata=sentinels.pop(), names=names) as target:
        for window, values in _strips(source, header.lattice):
            try:
                stored = convert_bands(values, bands, nodata=header.nodata, settings=settings, where=str(source))
            except InputError as error:
                raise _traced(error, source, window, bands, settings) from error
            target.write(stored, window=rasterio_window(window))


def _traced(
    error: InputError, source: Path, window: Window, bands: Sequence[Band], settings: ConvertSettings
) -> InputError:
    """Return the error with the source files behind `window` that cause it, where `source` is a mosaic."""
    culprits = []
    # With several bands it is unknown which of them a source stands for.
    for path, own in sources_within(source, window) if len(bands) == 1 else ():
        with open_raster(path) as dataset:
            values = read_dataset(dataset, own, fill=0)
            tags = dataset.nodatavals
        try:
            convert_bands(values, list(bands) * len(values), nodata=tags, settings=settings, where=str(path))
        except InputError:
            culprits.append(str(path))
    place = f"{source}, {window.height} x {window.width} pixels from row {window.row}, column {window.col}"
    return InputError(error.what, where=", ".join(culprits) or place, fix=error.fix)


def _strips(source: Path, lattice: Lattice) -> Iterator[tuple[Window, NDArray[Any]]]:
    """Yield windows one block tall: bounded memory, and blocks reach the file in one order on every machine."""
    with open_raster(source) as dataset:
        for window in blocks(lattice, (BLOCK, _STRIP)):
            yield window, read_dataset(dataset, window, fill=0)


def _filling(fill: float | Sequence[float], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    wanted = np.atleast_1d(np.asarray(fill))
    with np.errstate(invalid="ignore", over="ignore"):
        stored = wanted.astype(dtype)
        same = (stored == wanted) | (dtype.kind == "f")
    if not same.all():
        raise InputError(f"the fill {fill} does not fit {dtype}", where=where, fix="use a value that the dtype holds")
    return stored
