"""Where the pixels of a data cube lie: what each dimension is, and the lattice of a variable.

Coordinates are pixel centres (CF Conventions 1.11, chapters 4 and 5). CRSs are read from ``grid_mapping``, and from
what rioxarray, odc-geo, stackstac and GDAL write without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyproj

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.crs import crs_code, crs_of
from gcn_luigi.io.raster.header import is_same_size
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.cube_axes import Axis, agree, regular_axis

_AXES: Mapping[str, frozenset[str]] = {
    "x": frozenset({"x", "easting", "lon", "longitude", "projection_x_coordinate", "xc"}),
    "y": frozenset({"y", "northing", "lat", "latitude", "projection_y_coordinate", "yc"}),
    "time": frozenset({"t", "time", "year", "years", "date"}),
}
# Metres in a unit of coordinates. Degrees are refused with the CRS.
_METRES = {
    **dict.fromkeys(("", "1", "m", "metre", "metres", "meter", "meters", "unknown"), 1),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000),
}
# Variables that describe the CRS if no variable names another one.
_CRS_VARIABLES = ("spatial_ref", "crs")
_CRS_ATTRIBUTES = ("crs_wkt", "spatial_ref", "proj:code", "proj:wkt2", "proj:epsg", "epsg", "crs", "_CRS")
_FIX_CRS = "write it into the cube: cube.rio.write_crs('EPSG:32606') of rioxarray does so"


def kind_of(cube: Any, name: str) -> str:
    """Return x, y, time or band for a dimension or coordinate: by its attributes, its type or its name."""
    coordinate = cube.variables.get(name)
    said = {name.lower()}
    if coordinate is not None:
        said |= {str(coordinate.attrs.get(key, "")).lower() for key in ("standard_name", "axis")}
        if coordinate.dtype.kind == "M":
            return "time"
    return next((kind for kind, words in _AXES.items() if said & words), "band")


def kinds_of(cube: Any, array: Any) -> dict[str, str]:
    """Return `kind_of` each dimension of a variable."""
    return {str(name): kind_of(cube, str(name)) for name in array.dims}


@dataclass(frozen=True)
class Place:
    """Where the pixels of a variable lie.

    Attributes
    ----------
    lattice : Lattice
        The lattice of the pixels, north-up.
    y, x : Axis
        The axes, in the order in which the cube stores them.
    """

    lattice: Lattice
    y: Axis
    x: Axis


def place_of(cube: Any, array: Any, where: str) -> Place:
    """Return where the pixels of a variable with the dimensions y and x lie. `where` is for messages.

    Raises
    ------
    InputError
        The variable has no CRS, or its axes are not regular, or its pixels not square.
    LatticeError
        The CRS is not projected or not in metres.
    """
    georeference = _Georeference(cube, array, where)
    crs = crs_code(crs_of(georeference.crs, where=where))
    y, x = georeference.axis("y"), georeference.axis("x")
    if not is_same_size(abs(x.step), abs(y.step)):
        what = f"has oblong pixels of {abs(x.step):g} x {abs(y.step):g} m"
        raise InputError(what, where=where, fix="resample the cube to square pixels")
    # The rounding of coordinates must not show in the corner.
    corner = round(x.least, 6), round(y.greatest, 6)
    return Place(Lattice(crs, *corner, round(abs(x.step), 9), y.size, x.size), y, x)


@dataclass(frozen=True)
class _Georeference:
    """What a cube says about the place of one of its variables."""

    cube: Any
    array: Any
    where: str

    def axis(self, kind: str) -> Axis:
        """Return an axis from its coordinates, or from a geotransform that agrees with them, which is more exact."""
        name = next(name for name, own in kinds_of(self.cube, self.array).items() if own == kind)
        size, coordinate = self.array.sizes[name], self.cube.variables.get(name)
        numbers = self._transform
        start, step = (0, 1) if kind == "x" else (3, 5)
        exact = None if numbers is None else Axis(numbers[start], numbers[step], size)
        if coordinate is None or coordinate.dims != (name,):
            if exact is None:
                raise self._error(f"the dimension {name} has no coordinates", "write the coordinates of pixel centres")
            return exact
        units = str(coordinate.attrs.get("units", "")).lower()
        if units not in _METRES:
            raise self._error(f"the axis {name} is in {units}, which is not known", "write the coordinates in metres")
        try:
            # Whole metres keep their type, whose rounding counts.
            axis = regular_axis(coordinate.values if _METRES[units] == 1 else coordinate.values * _METRES[units])
        except ValueError as error:
            if size == 1 and exact is not None:
                return exact
            fix = "interpolate the cube to equal steps, and write it again"
            raise self._error(f"the axis {name} {error}", fix) from error
        if exact is not None and exact.step * axis.step < 0:
            # GDAL writes a geotransform from the north even if rows start in the south.
            exact = Axis(exact.start + exact.step * size, -exact.step, size)
        return exact if exact is not None and agree(axis, exact) else axis

    @property
    def crs(self) -> str:
        """The CRS as a code or WKT."""
        mapping = self._mapping
        for attributes in (mapping, self.array.attrs, self.cube.attrs):
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

    @property
    def _mapping(self) -> Mapping[str, Any]:
        """The attributes of the variable that describes the CRS."""
        named = str(self.array.attrs.get("grid_mapping", "")).split(":")[0].strip()
        for name in (named, *_CRS_VARIABLES):
            if name in self.cube.variables:
                attributes: Mapping[str, Any] = self.cube.variables[name].attrs
                if attributes:
                    return attributes
        return {}

    @property
    def _transform(self) -> list[float] | None:
        """The six numbers of a geotransform that is not rotated, as GDAL writes them."""
        text = self._mapping.get("GeoTransform")
        values = [] if text is None else str(text).split() if isinstance(text, str) else list(text)
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            return None
        return numbers if len(numbers) == 6 and not numbers[2] and not numbers[4] else None

    def _error(self, what: str, fix: str) -> InputError:
        return InputError(what, where=self.where, fix=fix)
