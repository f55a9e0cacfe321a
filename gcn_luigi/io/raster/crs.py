"""Coordinate reference systems: read from text, named by authority codes, and compared."""

import functools

import pyproj
from rasterio.crs import CRS
from rasterio.errors import CRSError

from gcn_luigi.errors import LatticeError


def crs_of(text: str, *, where: str) -> CRS:
    """Return the rasterio CRS of an authority code or WKT. It must be projected and in metres.

    Raises
    ------
    LatticeError
        The text is not a CRS, or the CRS is geographic or has another unit.
    """
    try:
        crs = CRS.from_user_input(text)
    # A text such as "[0]" is read as JSON, but is not a dictionary.
    except (CRSError, TypeError, ValueError) as error:
        raise LatticeError(
            f"{text[:60]!r} is not a known coordinate system",
            where=where,
            fix="give an authority code such as EPSG:32606, or WKT",
        ) from error
    if not crs.is_projected or crs.linear_units_factor[1] != 1.0:
        unit = crs.linear_units if crs.is_projected else "degrees"
        raise LatticeError(
            f"the unit of {crs_code(crs)[:60]} is {unit}, but a lattice needs a projected system in metres",
            where=where,
            fix="reproject the tiles to a projected system in metres, for example the UTM zone of the region",
        )
    return crs


def crs_code(crs: CRS) -> str:
    """Return a code such as ``"EPSG:3338"`` if an authority's code means exactly this CRS, and its WKT otherwise."""
    return _code_of_wkt(crs.to_wkt())


@functools.lru_cache(maxsize=64)
def is_same_crs(one: str, other: str) -> bool:
    """Return whether two texts mean the same CRS: parameters and datum count, names and axis order do not."""
    first, second = CRS.from_user_input(one), CRS.from_user_input(other)
    if first == second or pyproj.CRS(first.to_wkt()).equals(pyproj.CRS(second.to_wkt()), ignore_axis_order=True):
        return True
    # ESRI's spelling differs only in names. PROJ strings of different datums can be equal if no datum is named.
    parameters = first.to_dict(projjson=False)
    return "datum" in parameters and parameters == second.to_dict(projjson=False)


@functools.lru_cache(maxsize=64)
def _code_of_wkt(wkt: str) -> str:
    crs = CRS.from_wkt(wkt)
    authority = crs.to_authority()
    if authority is None:
        return wkt
    code = ":".join(authority)
    # PROJ searches for a likely code, but only a code of an equal CRS may replace the definition.
    return code if CRS.from_user_input(code) == crs else wkt
