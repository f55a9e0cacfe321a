"""Read one band of a data cube, a Zarr store or a netCDF file with CF coordinates, by windows of its own lattice.

xarray opens the cube, so it is an extra of the package. Coordinates are pixel centres (CF Conventions 1.11, chapters 4
and 5); CRSs are read from ``grid_mapping``, and from what rioxarray, odc-geo, stackstac and GDAL write.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, GcnLuigiError, InputError, few
from gcn_luigi.io.raster.header import crs_code, crs_of, is_same_size
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.cube_axes import Axis, agree, axis_of_transform, positions_of_years, regular_axis

_INSTALL = "pip install 'gcn-luigi[cubes]'"
_AXES: Mapping[str, frozenset[str]] = {
    "x": frozenset({"x", "easting", "lon", "longitude", "projection_x_coordinate", "xc"}),
    "y": frozenset({"y", "northing", "lat", "latitude", "projection_y_coordinate", "yc"}),
    "time": frozenset({"t", "time", "year", "years", "date"}),
}
# Variables that describe the CRS if no variable names another one.
_CRS_VARIABLES = ("spatial_ref", "crs")
_CRS_ATTRIBUTES = ("crs_wkt", "spatial_ref", "proj:code", "proj:wkt2", "proj:epsg", "epsg", "crs", "_CRS")
_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"CDF\x05": "netcdf4"}
_FIX_BAND = 'name the variable, or the entry of its band dimension: band = "ndvi", or "variable/entry"'
_FIX_CRS = "write it into the cube: cube.rio.write_crs('EPSG:32606') of rioxarray does so"


@dataclass(frozen=True)
class Request:
    """What is wanted of a cube: a band, by `wanted` (see `[[bands]] band`) or by its own name; and the years."""

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
    chunk : tuple of int
        Rows and columns that are stored together.
    """

    lattice: Lattice
    dtype: str
    nodata: float | None
    names: tuple[str, ...]
    chunk: tuple[int, int]
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
        The cube cannot be read, has no CRS, no regular axes or not the band; or a year is missing or there repeatedly.
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
            fix=_INSTALL,
        ) from error
    how = {"consolidated": False} if engine == "zarr" else {}
    try:
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
        array, dtype, nodata, others = self._values(self._chosen)
        y, x = self._axis(array, "y"), self._axis(array, "x")
        lattice = self._lattice(array, y, x)
        array, positions, names = self._timed(array)
        stored = array.encoding.get("preferred_chunks") or {}
        own = {kind: name for name, kind in self._kinds(array).items()}
        chunk = int(stored.get(own["y"], 1)), int(stored.get(own["x"], lattice.width))
        renamed = array.rename({name: kind for name, kind in self._kinds(array).items() if name != kind})
        ordered = renamed.transpose(*(["time"] if "time" in renamed.dims else []), "y", "x")
        return CubeBand(lattice, dtype, nodata, names, chunk, ordered, (y, x), positions, others)

    def _kinds(self, array: Any) -> dict[str, str]:
        """Return x, y, time or band for each dimension of a variable."""
        return {str(name): self._kind(str(name)) for name in array.dims}

    def _kind(self, name: str) -> str:
        coordinate = self.cube.variables.get(name)
        said = {name.lower()}
        if coordinate is not None:
            said |= {str(coordinate.attrs.get(key, "")).lower() for key in ("standard_name", "axis")}
            if coordinate.dtype.kind == "M":
                return "time"
        return next((kind for kind, words in _AXES.items() if said & words), "band")

    @cached_property
    def _rasters(self) -> dict[str, Any]:
        """The variables with pixels, by name."""
        return {
            str(name): array
            for name, array in self.cube.data_vars.items()
            if {"x", "y"} <= set(self._kinds(array).values()) and array.dtype.kind in "iufb"
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
        for name, array in self._rasters.items():
            entries = list(self._entries(array))
            told.append(f"{name} ({few(entries)})" if entries else name)
        return few(told, 10) if told else "no variables with x and y"

    def _band_dimensions(self, array: Any) -> list[str]:
        return [name for name, kind in self._kinds(array).items() if kind == "band"]

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
            scaled = xarray.DataArray(decoded, dims=array.dims, name=array.name)
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
        times = [name for name, kind in self._kinds(array).items() if kind == "time"]
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
            if not variable.dims and self._kind(str(name)) == "time"
        ]
        return np.atleast_1d(scalars[0]) if len(scalars) == 1 else None

    def _axis(self, array: Any, kind: str) -> Axis:
        """Return an axis from its coordinates, or more exactly from a geotransform that agrees with them."""
        (name,) = (name for name, own in self._kinds(array).items() if own == kind)
        size, coordinate = array.sizes[name], self.cube.variables.get(name)
        given = self._transform(array)
        exact = (
            None
            if given is None
            else axis_of_transform(given[0 if kind == "x" else 3], given[1 if kind == "x" else 5], size)
        )
        if coordinate is None or coordinate.dims != (name,):
            if exact is None:
                raise self._error(f"the dimension {name} has no coordinates", "write the coordinates of pixel centres")
            return exact
        try:
            axis = regular_axis(coordinate.values)
        except ValueError as error:
            if size == 1 and exact is not None:
                return exact
            fix = "interpolate the cube to equal steps, and write it again"
            raise self._error(f"the axis {name} {error}", fix) from error
        return exact if exact is not None and agree(axis, exact) else axis

    def _mapping(self, array: Any) -> Mapping[str, Any]:
        """Return the attributes of the variable that describes the CRS."""
        named = str(array.attrs.get("grid_mapping", "")).split(":")[0].strip()
        for name in (named, *_CRS_VARIABLES):
            if name in self.cube.variables:
                attributes: Mapping[str, Any] = self.cube.variables[name].attrs
                if attributes:
                    return attributes
        return {}

    def _transform(self, array: Any) -> list[float] | None:
        text = self._mapping(array).get("GeoTransform")
        values = [] if text is None else str(text).split() if isinstance(text, str) else list(text)
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            return None
        return numbers if len(numbers) == 6 and not numbers[2] and not numbers[4] else None

    def _lattice(self, array: Any, y: Axis, x: Axis) -> Lattice:
        text = self._crs(array)
        crs = crs_code(crs_of(text, where=str(self.path)))
        size, other = abs(x.step), abs(y.step)
        if not is_same_size(size, other):
            raise self._error(f"has oblong pixels of {size:g} x {other:g}", "resample it to square pixels")
        # Rounding of coordinates must not show in the corner.
        return Lattice(crs, round(x.least, 6), round(y.greatest, 6), round(size, 9), y.size, x.size)

    def _crs(self, array: Any) -> str:
        mapping = self._mapping(array)
        for attributes in (mapping, array.attrs, self.cube.attrs):
            for key in _CRS_ATTRIBUTES:
                value = attributes.get(key)
                if isinstance(value, Mapping):
                    value = value.get("wkt") or value.get("url")
                if value is not None and str(value).strip():
                    return f"EPSG:{value}" if str(value).isdigit() else str(value)
        for name in ("epsg", "proj:epsg"):
            if name in self.cube.variables and not self.cube.variables[name].dims:
                return f"EPSG:{int(self.cube.variables[name].values)}"
        if "grid_mapping_name" in mapping:
            try:
                return str(pyproj.CRS.from_cf(dict(mapping)).to_wkt())
            except (pyproj.exceptions.CRSError, KeyError, ValueError) as error:
                raise self._error(f"its grid_mapping is not a CRS: {error}", _FIX_CRS) from error
        raise self._error("has no coordinate reference system", _FIX_CRS)

    def _error(self, what: str, fix: str) -> InputError:
        return InputError(what, where=f"{self.path}, band {self.request.band.name}", fix=fix)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
