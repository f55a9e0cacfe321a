"""Look at a data cube without judging it: its variables, years, pixels, and some values."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.looks import Look, Values, values_of
from gcn_luigi.io.raster.crs import crs_code

# Names of dimensions in CF files and in what rioxarray, odc-geo and stackstac write.
_X = frozenset({"x", "easting", "lon", "longitude", "xc"})
_Y = frozenset({"y", "northing", "lat", "latitude", "yc"})
_TIME = frozenset({"time", "t", "year", "years", "date"})
# Pixels of the sampled window, times that are sampled, and entries of a band dimension.
_SIDE, _MOST_TIMES, _MOST_ENTRIES = 256, 3, 32


@dataclass(frozen=True)
class CubeLook:
    """One band of a cube.

    Attributes
    ----------
    band : str
        How settings name it: the variable, or ``"variable/entry"`` for an entry of its band dimension.
    years : tuple of int
        Years of its times, in ascending order, each once; empty without a time.
    n_times : int
        Number of its times.
    look : Look
        Its pixels, with one band.
    values : Values or None
        What a window in the middle holds.
    """

    band: str
    years: tuple[int, ...]
    n_times: int
    look: Look
    values: Values | None


def look_at_cube(path: Path) -> list[CubeLook]:
    """Return the bands of a Zarr store or netCDF file.

    Raises
    ------
    InputError
        xarray is not installed, or it cannot read the cube.
    """
    try:
        xarray = import_module("xarray")
        how: dict[str, Any] = {"engine": "zarr", "consolidated": False} if path.is_dir() else {}
        with xarray.open_dataset(
            path, mask_and_scale=False, decode_coords=False, decode_timedelta=False, **how
        ) as cube:
            return [look for name in cube.data_vars for look in _looks(cube, str(name))]
    except ImportError as error:
        fix = "pip install xarray zarr h5netcdf"
        raise InputError(f"is a cube, and {error.name} is not installed", where=str(path), fix=fix) from error
    # xarray and its engines raise errors of many kinds for a damaged file.
    except Exception as error:
        what = f"the cube cannot be read: {type(error).__name__}: {str(error)[:120]}"
        raise InputError(what, where=str(path), fix="copy or download it again") from error


def _looks(cube: Any, name: str) -> Iterator[CubeLook]:
    array = cube[name]
    axes = {kind: _dimension(cube, array, names, kind) for kind, names in (("x", _X), ("y", _Y), ("time", _TIME))}
    if not axes["x"] or not axes["y"] or array.dtype.kind not in "iufb":
        return
    others = [dimension for dimension in array.dims if dimension not in axes.values() and array.sizes[dimension] > 1]
    array = array.isel({dimension: 0 for dimension in array.dims if dimension not in (*axes.values(), *others)})
    if not others:
        yield _look(cube, array, axes, name)
    elif len(others) == 1 and array.sizes[others[0]] <= _MOST_ENTRIES:
        said = cube.variables.get(others[0])
        entries = range(1, array.sizes[others[0]] + 1) if said is None else said.values
        for place, entry in enumerate(entries):
            text = entry.decode() if isinstance(entry, bytes) else str(entry)
            yield _look(cube, array.isel({others[0]: place}), axes, f"{name}/{text}")


def _dimension(cube: Any, array: Any, names: frozenset[str], kind: str) -> str:
    for dimension in array.dims:
        attributes = cube.variables[dimension].attrs if dimension in cube.variables else {}
        said = {str(dimension).lower(), str(attributes.get("axis", "")).lower()}
        standard = str(attributes.get("standard_name", ""))
        if said & names or said & {kind} or standard == f"projection_{kind}_coordinate":
            return str(dimension)
    return ""


def _look(cube: Any, array: Any, axes: Mapping[str, str], band: str) -> CubeLook:
    attributes, time = array.attrs, axes["time"]
    scale, offset = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
    fill = attributes.get("_FillValue", attributes.get("missing_value"))
    nodata = None if fill is None else float(np.ravel(fill)[0])
    years = _years(cube, time)
    n_times = int(array.sizes[time]) if time else 0
    steps = np.unique(np.linspace(0, n_times - 1, _MOST_TIMES).astype(int)) if n_times else ()
    middle = {axes[kind]: _middle(int(array.sizes[axes[kind]])) for kind in "xy"}
    window = array.isel(middle)
    planes = [window.isel({time: int(step)}).to_numpy() for step in steps] or [window.to_numpy()]
    values = values_of(
        [plane * scale + offset if (scale, offset) != (1.0, 0.0) else plane for plane in planes],
        None if nodata is None else nodata * scale + offset,
    )
    (left, width), (top, height) = (_edge(cube, axes[kind], int(array.sizes[axes[kind]])) for kind in "xy")
    if height > 0:
        top, height = top + height * int(array.sizes[axes["y"]]), -height
    code, is_metric = _crs(cube, attributes)
    dtype = array.dtype.name if (scale, offset) == (1.0, 0.0) else "float32"
    look = Look(
        code, is_metric, (width, 0.0, left, 0.0, height, top), int(array.sizes[axes["y"]]), int(array.sizes[axes["x"]]),
        (dtype,), (nodata,), ("",), ({},),
    )  # fmt: skip
    return CubeLook(band, tuple(sorted(set(years))), n_times, look, values if values.n_valid else None)


def _middle(size: int) -> slice:
    start = max(0, (size - _SIDE) // 2)
    return slice(start, start + _SIDE)


def _edge(cube: Any, dimension: str, size: int) -> tuple[float, float]:
    """Return the outer edge of the first pixel of an axis, and the step; coordinates are pixel centres."""
    if dimension not in cube.variables or size < 2:
        return 0.0, 1.0
    centres = np.asarray(cube.variables[dimension].values, np.float64)
    step = float(centres[-1] - centres[0]) / (size - 1)
    return round(float(centres[0]) - step / 2, 6), round(step, 9)


def _years(cube: Any, time: str) -> list[int]:
    if not time or time not in cube.variables:
        return []
    found = []
    for value in np.atleast_1d(cube.variables[time].values):
        text = str(value)[:4]
        if text.isdigit() and 1900 <= int(text) <= 2100:
            found.append(int(text))
    return found


def _crs(cube: Any, attributes: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the CRS that a variable's grid mapping, or the usual variables and attributes, give; empty without one."""
    named = [str(attributes.get("grid_mapping", "")), "spatial_ref", "crs"]
    places = [*(cube.variables[name].attrs for name in named if name in cube.variables), attributes, cube.attrs]
    for place in places:
        for key in ("crs_wkt", "spatial_ref", "proj:code", "epsg", "crs"):
            text = str(place.get(key, "")).strip()
            crs = _parsed(f"EPSG:{text}" if text.isdigit() else text) if text else None
            if crs is not None:
                is_metric = crs.is_projected and math.isclose(crs.linear_units_factor[1], 1.0)
                return crs_code(crs), is_metric
    return "", False


def _parsed(text: str) -> CRS | None:
    try:
        return CRS.from_user_input(text)
    except (CRSError, TypeError, ValueError):
        return None
