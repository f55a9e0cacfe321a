"""Convert a mosaic of any real type to the type of the stack."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.composed import MaskedMosaic
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, open_geotiff
from gcn_luigi.io.raster.header import open_raster, read_header
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand
from gcn_luigi.io.raster.windows import read_dataset, sources_within
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.layers.float32 import to_float32
from gcn_luigi.prepare.layers.int16 import to_int16
from gcn_luigi.prepare.layers.source_values import UNSCALED, missing_values
from gcn_luigi.settings import ConvertSettings, StackType

# Rows and columns of a strip: 4 MB of float32 per band.
_STRIP = (BLOCK, 4096)


@dataclass(frozen=True)
class Target:
    """What pixels are converted to.

    Attributes
    ----------
    settings : ConvertSettings
        How values are rounded, and what happens if one does not fit.
    dtype : {"int16", "float32"}
        Type of the stack.
    scaling : tuple of float
        Scale and offset tags of the files, which are applied before those of the band.
    """

    settings: ConvertSettings
    dtype: StackType = "int16"
    scaling: tuple[float, float] = UNSCALED

    def stored(self, values: NDArray[Any], band: Band, *, nodata: float | None, where: str) -> NDArray[Any]:
        """Return pixels in the type of the stack; see `to_int16` and `to_float32`."""
        convert = to_float32 if self.dtype == "float32" else to_int16
        made: NDArray[Any] = convert(
            values, band, nodata=nodata, settings=self.settings, where=where, tags=self.scaling
        )
        return made

    def n_lost(self, values: NDArray[Any], band: Band, *, nodata: float | None) -> int:
        """Return how many pixels overflow, whatever the settings say about them."""
        settings = self.settings.model_copy(update={"overflow": "nodata"})
        stored = replace(self, settings=settings).stored(values, band, nodata=nodata, where="")
        return int(((stored == band.nodata) & ~missing_values(values, nodata, band.nodata)).sum())


def convert_mosaic(source: Path, path: Path, band: Band, target: Target, mosaic: VrtBand | None = None) -> None:
    """Convert a raster of one band, of any real type, to a GeoTIFF of the stack's type on the same lattice.

    `mosaic` is the band that `source` was written from, if it is a mosaic. If a file of it has a mask or an alpha band,
    the pixels are drawn from the files, because GDAL would not heed both masks and nodata values.

    Raises
    ------
    InputError
        A source is damaged, or a pixel does not fit.
    PublishError
        The file cannot be written.
    """
    header = read_header(source)
    masked = _masked(mosaic)
    with (
        strips(source, mosaic) as read,
        open_geotiff(path, header.lattice, dtype=target.dtype, nodata=band.nodata, names=[band.name]) as out,
    ):
        # Strips of one block limit memory, and blocks are written in the same order on every machine.
        for window in blocks(header.lattice, _STRIP):
            try:
                stored = target.stored(read(window), band, nodata=header.nodata[0], where=str(source))
            except InputError as error:
                raise _traced(error, source, window, band, target, masked) from error
            out.write(stored, window=window.ranges)


def _masked(mosaic: VrtBand | None) -> VrtBand | None:
    return mosaic if mosaic is not None and any(one.mask for one in mosaic.sources) else None


@contextmanager
def strips(source: Path, mosaic: VrtBand | None) -> Iterator[Callable[[Window], NDArray[Any]]]:
    """Yield what reads windows of `source`, (1, y, x), in its own type; see `convert_mosaic` for `mosaic`.

    The windows must be within the raster. An array is valid until the next window is read.
    """
    masked = _masked(mosaic)
    if masked is not None:
        with MaskedMosaic(masked) as drawn:
            yield drawn.read
    elif mosaic is not None and mosaic.dtype in get_args(StackType):
        # Read from the files as a stack of one band, which is faster than through the VRT.
        with StackReader({0: Vrt(source, read_header(source).lattice, (mosaic,))}) as stack:
            yield partial(stack.read, 0)
    else:
        with open_raster(source) as dataset:
            yield partial(read_dataset, dataset, fill=0)


def _traced(
    error: InputError, source: Path, window: Window, band: Band, target: Target, masked: VrtBand | None
) -> InputError:
    """Return the error with the source files behind `window` that cause it, if `source` is a mosaic."""
    culprits = []
    for path, values, tag in _parts(source, window, masked):
        try:
            target.stored(values, band, nodata=tag, where=str(path))
        except InputError:
            culprits.append(str(path))
    place = f"{source}, {window.height} x {window.width} pixels from row {window.row}, column {window.col}"
    return InputError(error.what, where=", ".join(culprits) or place, fix=error.fix)


def _parts(source: Path, window: Window, masked: VrtBand | None) -> Iterator[tuple[Path, NDArray[Any], float | None]]:
    """Yield each file behind `window`, its pixels there, and its nodata value."""
    if masked is not None:
        for one in masked.sources:
            with MaskedMosaic(VrtBand(masked.name, masked.dtype, masked.nodata, (one,))) as drawn:
                yield one.path, drawn.read(window), masked.nodata
        return
    for path, own in sources_within(source, window):
        with open_raster(path) as dataset:
            yield path, read_dataset(dataset, own, fill=0), dataset.nodata
