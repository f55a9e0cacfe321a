"""Read one band of a data cube, a Zarr store or a netCDF file with CF coordinates, by windows of its own lattice.

xarray opens the cube, so it is an extra of the package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, GcnLuigiError, InputError, few
from gcn_luigi.io.inputs.cube_place import kind_of, kinds_of, place_of
from gcn_luigi.io.inputs.cube_safety import refuse_foreign_values, refuse_unsafe_store
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.cube_axes import Axis, positions_of_years

_INSTALL = "pip install 'gcn-luigi[cubes]'"
_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"CDF\x05": "netcdf4"}
_FIX_BAND = 'name the variable, or the entry of its band dimension: band = "ndvi", or "variable/entry"'


@dataclass(frozen=True)
class Request:
    """What to read from a cube: a band, by `wanted` (see `[[bands]] band`) or by its own name, and the years."""

    band: Band
    wanted: int | str | None
    years: tuple[int, ...]


@dataclass(frozen=True)
class CubeBand:
    """One band of an open cube.

    Attributes
    ----------
    lattice : Lattice
        Its pixels, north-up, whatever the order of the coordinates.
    dtype : str
        numpy name of the values: as stored, or floating point if the cube has ``scale_factor`` or ``add_offset``.
    nodata : float or None
        The value of missing pixels: ``_FillValue``, or nan for floating point values.
    names : tuple of str
        The years in the order of the planes; for topography, the name of the band.
    chunk_rows : int
        Rows that are stored together.
    """

    lattice: Lattice
    dtype: str
    nodata: float | None
    names: tuple[str, ...]
    chunk_rows: int
    _values: Any
    _axes: tuple[Axis, Axis]
    _positions: tuple[int, ...]
    _others: tuple[float, ...]

    def read(self, window: Window) -> NDArray[Any]:
        """Return the pixels of a window of the lattice, (year, y, x). Missing pixels hold `nodata`.

        Raises
        ------
        InputError
            The cube is damaged.
        """
        y, x = self._axes
        rows, cols = window.ranges
        # North is up: a rising y axis is read from its end.
        down = slice(y.size - rows[1], y.size - rows[0]) if y.step > 0 else slice(*rows)
        across = slice(x.size - cols[1], x.size - cols[0]) if x.step < 0 else slice(*cols)
        part = self._values.isel(y=down, x=across)
        out = np.empty((len(self.names), window.height, window.width), self.dtype)
        for plane, values in zip(out, self._planes(part), strict=True):
            plane[:] = values[:: -1 if y.step > 0 else 1, :: -1 if x.step < 0 else 1]
        for other in self._others:
            out[out == other] = self.nodata
        return out

    def _planes(self, part: Any) -> Iterator[NDArray[Any]]:
        if "time" not in part.dims:
            yield part.to_numpy()
            return
        first, last = min(self._positions), max(self._positions)
        if last - first < 2 * len(self._positions):
            # Times that are stored in one chunk are decompressed once.
            whole = part.isel(time=slice(first, last + 1)).to_numpy()
            yield from (whole[position - first] for position in self._positions)
        else:
            yield from (part.isel(time=position).to_numpy() for position in self._positions)


@contextmanager
def open_cube(path: Path, request: Request) -> Iterator[CubeBand]:
    """Yield one band of the cube at `path`.

    Raises
    ------
    ConfigError
        xarray, or the library for this kind of file, is not installed.
    InputError
        The cube cannot be read, has no CRS, no regular axes or not the band; or a year is missing or occurs twice.
    LatticeError
        The CRS is not projected or not in metres.
    """
    with _opened(path) as cube:
        found = _Found(path, cube, request)
        yield found.band


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the cube with values as stored, and times decoded."""
    try:
        xarray = import_module("xarray")
        engine = _engine(path)
        import_module({"netcdf4": "netCDF4"}.get(engine, engine))
    except ImportError as error:
        raise ConfigError(
            f"a Zarr store or netCDF file is read by xarray, and {error.name} is not installed",
            where=str(path),
            fix="pip install netCDF4" if error.name == "netCDF4" else _INSTALL,
        ) from error
    how = {"consolidated": False} if engine == "zarr" else {}
    try:
        if engine == "zarr":
            refuse_unsafe_store(path)
        elif engine == "h5netcdf":
            refuse_foreign_values(path)
        # Attributes stay with their variables, and data in units of time, such as days of snow, stay numbers.
        with xarray.open_dataset(
            path, engine=engine, mask_and_scale=False, decode_coords=False, decode_timedelta=False, cache=False, **how
        ) as cube:
            yield cube
    except GcnLuigiError:
        raise
    # xarray and its engines raise errors of many kinds for a damaged file.
    except Exception as error:
        raise InputError(
            f"the cube cannot be read: {type(error).__name__}: {str(error)[:200]}",
            where=str(path),
            fix="copy or download it again; xarray.open_dataset must be able to read it",
        ) from error


def _engine(path: Path) -> str:
    if path.is_dir():
        return "zarr"
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), fix="check the file") from error
    if start not in _ENGINES:
        raise InputError(
            "is neither a netCDF file nor a Zarr directory", where=str(path), fix="copy or download it again"
        )
    return _ENGINES[start]


@dataclass(frozen=True)
class _Found:
    """What is looked up in an open cube for a request."""

    path: Path
    cube: Any
    request: Request

    @property
    def band(self) -> CubeBand:
        chosen = self._chosen
        place = place_of(self.cube, chosen, self._where)
        array, dtype, nodata, others = self._values(chosen)
        array, positions, names = self._timed(array)
        kinds = kinds_of(self.cube, array)
        stored = array.encoding.get("preferred_chunks") or {}
        chunk_rows = int(next((size for name, size in stored.items() if kinds.get(name) == "y"), 1))
        plain = array.drop_vars(list(array.coords)).rename({name: kind for name, kind in kinds.items() if name != kind})
        ordered = plain.transpose(*(["time"] if "time" in plain.dims else []), "y", "x")
        return CubeBand(place.lattice, dtype, nodata, names, chunk_rows, ordered, (place.y, place.x), positions, others)

    @cached_property
    def _rasters(self) -> dict[str, Any]:
        """The variables with pixels, by name."""
        return {
            str(name): array
            for name, array in self.cube.data_vars.items()
            if {"x", "y"} <= set(kinds_of(self.cube, array).values()) and array.dtype.kind in "iufb"
        }

    @property
    def _chosen(self) -> Any:
        """The wanted variable, without a band dimension."""
        wanted = self.request.wanted
        words = [self.request.band.name, self.request.band.suffix] if wanted is None else [str(wanted)]
        for word in words:
            variable, _, entry = word.partition("/")
            named = [name for name in self._rasters if name.lower() == variable.lower()]
            exact = [name for name in named if name == variable] or named
            if len(exact) == 1:
                return self._one_band(self._rasters[exact[0]], entry)
            holders = [array for array in self._rasters.values() if word.lower() in self._entries(array)]
            if len(holders) == 1:
                return self._one_band(holders[0], word)
        if wanted is None and len(self._rasters) == 1:
            (array,) = self._rasters.values()
            if not self._entries(array):
                return self._one_band(array, "")
        raise self._error(f"has no band {' or '.join(dict.fromkeys(words))}; there are {self._listed()}", _FIX_BAND)

    def _listed(self) -> str:
        told = []
        for name, array in sorted(self._rasters.items()):
            entries = list(self._entries(array))
            told.append(f"{name} ({few(entries)})" if entries else name)
        return few(told, 10) if told else "no variables with x and y"

    def _band_dimensions(self, array: Any) -> list[str]:
        return [name for name, kind in kinds_of(self.cube, array).items() if kind == "band"]

    def _entries(self, array: Any) -> dict[str, int]:
        """Return the position of each entry of the band dimension, by its name in lower case; none without it."""
        names = [name for name in self._band_dimensions(array) if array.sizes[name] > 1]
        if len(names) != 1:
            return {}
        coordinate = self.cube.variables.get(names[0])
        size = array.sizes[names[0]]
        said = array.attrs.get("long_name")
        values = range(1, size + 1) if coordinate is None else coordinate.values
        entries = {_text(value).lower(): place for place, value in enumerate(values)}
        if isinstance(said, (list, tuple, np.ndarray)) and len(said) == size:
            entries |= {str(value).lower(): place for place, value in enumerate(said)}
        return entries

    def _one_band(self, array: Any, entry: str) -> Any:
        dimensions = self._band_dimensions(array)
        long = [name for name in dimensions if array.sizes[name] > 1]
        if len(long) > 1:
            raise self._error(
                f"the variable {array.name} has the dimensions {', '.join(map(str, array.dims))}, of which only time, "
                "band, y and x can be used",
                "select one entry of the others and write the cube again",
            )
        entries = self._entries(array)
        if long and entry.lower() not in entries:
            what = f"has no entry {entry}" if entry else "has several entries"
            raise self._error(
                f"the dimension {long[0]} of {array.name} {what}; there are {few(entries, 20)}", _FIX_BAND
            )
        return array.isel({name: entries[entry.lower()] if name in long else 0 for name in dimensions})

    def _values(self, array: Any) -> tuple[Any, str, float | None, tuple[float, ...]]:
        """Return the variable with its type, its nodata value, and other values that also mean missing."""
        attributes = array.attrs
        fills = [float(value) for key in ("_FillValue", "missing_value") for value in np.ravel(attributes.get(key, []))]
        if attributes.keys() & {"scale_factor", "add_offset", "_Unsigned"}:
            xarray = import_module("xarray")
            decoded = xarray.conventions.decode_cf_variable(
                str(array.name), array.variable, decode_times=False, decode_timedelta=False
            )
            # A dataset keeps the variable lazy; a DataArray would read all of it.
            scaled = xarray.Dataset({array.name: decoded})[array.name]
            scaled.encoding = dict(array.encoding)
            return scaled, decoded.dtype.name, np.nan, ()
        dtype = {"b": "uint8", "f": "float32" if array.dtype.itemsize < 8 else "float64"}.get(array.dtype.kind)
        dtype = dtype or array.dtype.name
        distinct = list(dict.fromkeys(fill for fill in fills if not np.isnan(fill)))
        if dtype.startswith("float"):
            nodata: float | None = distinct[0] if distinct else np.nan
        else:
            nodata = distinct[0] if distinct else None
        return array, dtype, nodata, tuple(distinct[1:])

    def _timed(self, array: Any) -> tuple[Any, tuple[int, ...], tuple[str, ...]]:
        """Return the variable, the positions of the years along its time, and the names of the planes."""
        band, years = self.request.band, self.request.years
        times = [name for name, kind in kinds_of(self.cube, array).items() if kind == "time"]
        if len(times) > 1:
            raise self._error(f"{array.name} has several dimensions of time: {', '.join(times)}", "keep one of them")
        size = array.sizes[times[0]] if times else 1
        if band.role is Role.TOPO:
            if size > 1:
                raise self._error(
                    f"{array.name} has {size} times, and topography has none", "select one time and write it again"
                )
            return array.isel(dict.fromkeys(times, 0)), (0,), (band.name,)
        values = self._times(times[0] if times else None)
        if values is None and len(years) == 1 and size == 1:
            # Without a time, the one year is that of the configuration.
            return array.isel(dict.fromkeys(times, 0)), (0,), (str(years[0]),)
        if values is None:
            raise self._error(
                f"{array.name} has no time coordinate, and years are {few(map(str, years))}",
                "give it a time coordinate with the date or year of each composite",
            )
        try:
            positions = positions_of_years(list(values), years)
        except ValueError as error:
            fix = "keep one composite for each year in the cube, or correct years"
            raise self._error(f"{array.name} {error}", fix) from error
        return array, positions, tuple(map(str, years))

    def _times(self, dimension: str | None) -> NDArray[Any] | None:
        if dimension is not None:
            coordinate = self.cube.variables.get(dimension)
            return None if coordinate is None else np.atleast_1d(coordinate.values)
        scalars = [
            variable.values
            for name, variable in self.cube.variables.items()
            if not variable.dims and kind_of(self.cube, str(name)) == "time"
        ]
        return np.atleast_1d(scalars[0]) if len(scalars) == 1 else None

    def _error(self, what: str, fix: str) -> InputError:
        return InputError(what, where=self._where, fix=fix)

    @property
    def _where(self) -> str:
        return f"{self.path}, band {self.request.band.name}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
