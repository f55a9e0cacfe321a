"""Rasters that are read by windows with the bands of a dataset: files, lazy or loaded DataArrays, and arrays."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.evaluation.features import missing_pixels

if TYPE_CHECKING:
    from gcn_luigi.bands import Band
    from gcn_luigi.lattice import Lattice

# Pixels of a file, of a model and of the dataset may differ by this share of their edge.
SAME_SIZE = 1e-3
_LARGEST_INT16 = 32767

# One value, or one for each band of the source; None is what the source declares.
Nodata = float | Sequence[float | None] | None


class Expected(Protocol):
    """What a raster must have: bands in order, their type, and a lattice with the size of pixels. A dataset has it."""

    @property
    def bands(self) -> "tuple[Band, ...]":
        """The bands in the order in which they are read."""

    @property
    def dtype(self) -> str:
        """The type of images."""

    @property
    def lattice(self) -> "Lattice":
        """The lattice, of which only the size of pixels counts here."""


@dataclass(frozen=True)
class Raster:
    """A raster with the bands of a dataset.

    Attributes
    ----------
    height, width : int
        Rows and columns.
    read : callable
        Gets rows and columns as slices, and returns values (band, y, x) and which are missing, (band, y, x) bool.
    place : dict
        CRS and transform of a file, as rasterio gives them.
    files : tuple of str
        The file, and those that it names if it is a VRT.
    named : bool
        Whether bands were found by name; if not, they were taken in the order of the dataset.
    """

    height: int
    width: int
    read: Callable[[slice, slice], tuple[NDArray[Any], NDArray[np.bool_]]]
    place: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    named: bool = True


@contextmanager
def opened(source: Any, dataset: Expected, bands: Sequence[str] | None, nodata: Nodata) -> Iterator[Raster]:
    """Yield a file, a DataArray or an array as a `Raster`; see `gcn_luigi.read.applicability.applicability`.

    Raises
    ------
    ConfigError
        A band is missing or its name is there twice, an axis, a type, a scale or a nodata value does not fit, pixels
        have another size on the ground or are not north-up, or rasterio is missing.
    InputError
        The file cannot be read.
    """
    if isinstance(source, (str, PathLike)):
        with _file(Path(source), dataset, bands, nodata) as raster:
            yield raster
        return
    if not hasattr(source, "ndim"):
        raise _unfit(f"a {type(source).__name__} holds no pixels", "give a path, a DataArray or an array (band, y, x)")
    array, names = source, bands
    if hasattr(source, "dims"):
        if {*source.dims} != {"band", "y", "x"}:
            raise _unfit(f"its dimensions are {', '.join(map(str, source.dims))}", "give a DataArray (band, y, x)")
        array = source.transpose("band", "y", "x")
        labels = array.coords["band"].values.tolist() if "band" in array.coords else []
        # Numbers are no names.
        if names is None and any(isinstance(label, str) for label in labels):
            names = [str(label) for label in labels]
        _check_coordinates(array, dataset.lattice.pixel_size)
    if array.ndim != 3:
        raise _unfit(f"an array of shape {array.shape} is not (band, y, x)", "give three axes, in this order")
    if 0 in array.shape:
        raise _unfit(f"an array of shape {array.shape} has no pixels", "give at least one row and one column")
    _check_type(array.dtype, "the raster")
    positions = _positions(dataset, names, int(array.shape[0]), "the array")
    of_band = [band.nodata for band in dataset.bands] if nodata is None else _marks(nodata, positions, array.shape[0])
    missing = _rule(dataset, of_band)

    def read(rows: slice, cols: slice) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        values = np.asarray(array[positions, rows, cols])
        return values, missing(values)

    yield Raster(int(array.shape[1]), int(array.shape[2]), read, named=names is not None)


@contextmanager
def _file(path: Path, dataset: Expected, bands: Sequence[str] | None, nodata: Nodata) -> Iterator[Raster]:
    rasterio = _rasterio()
    if not path.is_file():
        raise InputError("is not a file on this machine", where=str(path), fix="correct the path")
    try:
        file = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise _unreadable(path, error) from error
    with file:
        _check_place(file, dataset.lattice.pixel_size, str(path))
        described = [name or "" for name in file.descriptions]
        names = described if bands is None and any(described) else bands
        positions = _positions(dataset, names, file.count, str(path))
        numbers = [position + 1 for position in positions]
        for band, at in zip(dataset.bands, positions, strict=True):
            _check_type(np.dtype(file.dtypes[at]), str(path))
            _check_scaling(band, (file.scales[at], file.offsets[at]), str(path))
        flags, kinds = [file.mask_flag_enums[at] for at in positions], rasterio.enums.MaskFlags
        # A band that declares nothing has the value of the dataset.
        own = zip(dataset.bands, flags, strict=True)
        marks: list[float | None] = [band.nodata if flag == [kinds.all_valid] else None for band, flag in own]
        if nodata is not None:
            marks = _marks(nodata, positions, file.count)
        # A mask and an alpha band hide pixels whatever their values mean.
        masks = nodata is None or any(kinds.per_dataset in flag for flag in flags)
        # GDAL makes no mask of an alpha band of most types.
        alphas = [at for at, kind in enumerate(file.colorinterp, 1) if kind is rasterio.enums.ColorInterp.alpha]
        missing = _rule(dataset, marks)

        def read(rows: slice, cols: slice) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            window = ((rows.start, rows.stop), (cols.start, cols.stop))
            try:
                values = np.stack([file.read(number, window=window) for number in numbers])
                masked = np.zeros(values.shape, bool)
                if masks:
                    masked |= file.read_masks(numbers, window=window) == 0
                for alpha in alphas:
                    masked |= file.read(alpha, window=window) == 0
            except rasterio.errors.RasterioIOError as error:
                raise _unreadable(path, error) from error
            return values, missing(values, masked)

        place = {"crs": file.crs, "transform": file.transform}
        yield Raster(file.height, file.width, read, place, tuple(file.files), named=names is not None)


@contextmanager
def created(path: Path, like: Raster, names: Sequence[str]) -> Iterator[Any]:
    """Yield a new GeoTIFF of float32 with NaN as nodata, in the place of `like` and with named bands, to write to."""
    size = {"height": like.height, "width": like.width, "count": len(names), **like.place}
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "bigtiff": "if_safer"}
    rasterio = _rasterio()
    try:
        target = rasterio.open(path, "w", driver="GTiff", dtype="float32", nodata=np.nan, **size, **tiled)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"cannot be written: {error}", where=str(path), fix="name a place in a directory") from error
    with target:
        target.descriptions = tuple(names)
        yield target


def _check_place(file: Any, edge: float, where: str) -> None:
    """Raise ConfigError if pixels of a file are not north-up, or not as large on the ground as those of the dataset."""
    crs, place = file.crs, file.transform
    if crs and crs.is_geographic:
        fix = "reproject it first: a window must show as much ground as a chip"
        raise ConfigError(f"its pixels are in degrees, but those of the dataset are {edge:g} m", where=where, fix=fix)
    metres = crs.linear_units_factor[1] if crs and crs.is_projected else 1.0
    _check_size((math.hypot(place.a, place.d) * metres, math.hypot(place.b, place.e) * metres), edge, where)
    if place.a <= 0 or place.e >= 0 or max(abs(place.b), abs(place.d)) > SAME_SIZE * place.a:
        raise _turned(where)


def _check_coordinates(array: Any, edge: float) -> None:
    """Raise ConfigError as `_check_place` if a DataArray has coordinates; numbers of rows and columns are none."""
    axes = [np.asarray(array.coords[name].values) for name in ("x", "y") if name in array.coords]
    if len(axes) < 2 or any(axis.dtype.kind not in "iuf" or len(axis) < 2 for axis in axes):
        return
    if all(np.array_equal(axis, np.arange(len(axis))) for axis in axes):
        return
    across, down = ((float(axis[-1]) - float(axis[0])) / (len(axis) - 1) for axis in axes)
    _check_size((abs(across), abs(down)), edge, "the raster")
    if across < 0 or down > 0:
        raise _turned("the raster")


def _check_size(sizes: tuple[float, float], edge: float, where: str) -> None:
    # NaN is not the same either.
    if not all(abs(size / edge - 1) <= SAME_SIZE for size in sizes):
        raise ConfigError(
            f"its pixels are {sizes[0]:g} x {sizes[1]:g} m, but those of the dataset are {edge:g} m",
            where=where,
            fix="resample it first: a window must show as much ground as a chip",
        )


def _turned(where: str) -> ConfigError:
    return ConfigError(
        "its first row is not in the north, or it is mirrored or rotated, and chips are not",
        where=where,
        fix="warp it first, for example with gdalwarp, which writes rasters with north up",
    )


def _check_type(dtype: np.dtype[Any], where: str) -> None:
    if dtype.kind not in "biuf":
        fix = "give integers or floating-point numbers"
        raise ConfigError(f"its values are of the type {dtype}, and not real numbers", where=where, fix=fix)


def _check_scaling(band: "Band", declared: tuple[float, float], where: str) -> None:
    """Raise ConfigError if a file declares another scale and offset than the values of the dataset's stacks have."""
    usual = ((1.0, 0.0), (1.0 / band.scale, -band.offset / band.scale))
    if not any(np.allclose(declared, one, rtol=1e-6, atol=1e-12) for one in usual):
        raise ConfigError(
            f"{band.name} declares the scale {declared[0]:g} and the offset {declared[1]:g}, which the stacks do not",
            where=where,
            fix="write the values as the stacks have them, without a scale; see `scale` and `offset` of the bands",
        )


def _positions(dataset: Expected, names: Sequence[str] | None, count: int, where: str) -> list[int]:
    """Return where the bands of the dataset are in a source of `count` bands, whose names may be known."""
    wanted = [band.name for band in dataset.bands]
    if names is None:
        if count == len(wanted):
            return list(range(count))
        raise ConfigError(
            f"it has {count} bands without names, and the dataset has {len(wanted)}",
            where=where,
            fix=f"give bands=, the names of its bands in order; needed are {', '.join(wanted)}",
        )
    lost = [name for name in wanted if name not in names]
    if lost or len(names) != count:
        raise ConfigError(
            f"it lacks the bands {', '.join(lost)}" if lost else f"{len(names)} names are given for {count} bands",
            where=where,
            fix=f"needed are {', '.join(wanted)}, in any order; give the names of all bands with bands=",
        )
    if repeated := [name for name in wanted if list(names).count(name) > 1]:
        what = f"{list(names).count(repeated[0])} bands have the name {repeated[0]}"
        raise ConfigError(what, where=where, fix="give the names of all bands with bands=, each needed one once")
    return [list(names).index(name) for name in wanted]


def _marks(nodata: float | Sequence[float | None], positions: Sequence[int], count: int) -> list[float | None]:
    """Return the nodata value of each band of the dataset."""
    if not isinstance(nodata, Sequence):
        return [float(nodata)] * len(positions)
    if len(nodata) != count:
        raise ConfigError(
            f"{len(nodata)} nodata values are given for {count} bands", where="nodata", fix="give one for each band"
        )
    return [nodata[position] for position in positions]


def _rule(dataset: Expected, marks: Sequence[float | None]) -> Callable[..., NDArray[np.bool_]]:
    bands: Sequence[Band] = dataset.bands
    largest = _LARGEST_INT16 if dataset.dtype == "int16" else float(np.finfo(np.float32).max)

    def missing(values: NDArray[Any], masked: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        return missing_pixels(values, bands, marks, largest, masked)

    return missing


def _rasterio() -> Any:
    try:
        return import_module("rasterio")
    except ImportError as error:
        raise ConfigError(
            f"a raster file needs rasterio, which is not installed ({error})",
            where="gcn_luigi.read.applicability",
            fix="pip install rasterio, or give the pixels as an array",
        ) from error


def _unfit(what: str, fix: str) -> ConfigError:
    return ConfigError(what, where="the raster", fix=fix)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"cannot be read as a raster: {error}", where=str(path), fix="copy or download the file again")
