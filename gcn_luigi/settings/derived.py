"""The bands that are computed from elevations: their units, the scales they are stored with, and what they need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from gcn_luigi.bands import Band, Role

if TYPE_CHECKING:
    from gcn_luigi.settings.sources import BandSettings

Derivation = Literal[
    "slope",
    "aspect",
    "northness",
    "eastness",
    "profile_curvature",
    "planform_curvature",
    "curvature",
    "north",
    "south",
]
# A stored nodata value nearer to zero could be a computed value.
_NEAREST_NODATA = 9999


@dataclass(frozen=True)
class Derived:
    """What a derived band holds before it is stored.

    Attributes
    ----------
    what : str
        Description for readers.
    unit : str
        Unit, empty for a number without one.
    part : int
        Values are in this part of the unit: 100 for 1/100 m.
    scale : float
        Scale if none is given, with which the values of steep mountains fit int16.
    least : float
        A smaller scale would leave only a few different values.
    """

    what: str
    unit: str
    part: int
    scale: float
    least: float


_CONVEX = "positive where convex"
DERIVED: Mapping[str, Derived] = MappingProxyType({
    "slope": Derived("slope, 0 to 90 degrees", "degree", 1, 100, 1),
    "aspect": Derived("direction downhill, clockwise from north; -1 degree where flat", "degree", 1, 10, 1),
    "northness": Derived("cosine of the aspect; 0 where flat", "", 1, 1000, 10),
    "eastness": Derived("sine of the aspect; 0 where flat", "", 1, 1000, 10),
    "north": Derived("cosine of the aspect; 0 where flat", "", 1, 1000, 10),
    "south": Derived("minus the cosine of the aspect times the sine of the slope", "", 1, 1000, 10),
    "curvature": Derived(f"minus the Laplacian of the elevation, {_CONVEX}", "m", 100, 100, 10),
    "profile_curvature": Derived(f"curvature along the line of steepest descent, {_CONVEX}", "m", 100, 100, 10),
    "planform_curvature": Derived(f"curvature across the line of steepest descent, {_CONVEX}", "m", 100, 100, 10),
})  # fmt: skip


def with_defaults(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a ``[[bands]]`` table; a derived band gets the scale, unit and description that it does not give."""
    known = DERIVED.get(table["derive"]) if isinstance(table.get("derive"), str) else None
    if known is None:
        return table
    scale = table.get("scale", known.scale)
    defaults = {"scale": known.scale, "description": known.what}
    if isinstance(scale, (int, float)):
        defaults["unit"] = stored_unit(known, scale)
    return {**defaults, **table}


def stored_unit(derived: Derived, scale: float) -> str:
    """Return the unit of stored values, such as ``1/100 degree`` for degrees with a scale of 100."""
    parts = derived.part * scale
    if parts == 1:
        return derived.unit
    return f"1/{parts:.10g} {derived.unit}".strip()


def check_derived(derive: str, band: Band, given: Iterable[str]) -> None:
    """Raise ValueError if a derived band names files, has no role that fits, or a nodata that could be a value.

    `given` are those of the keys path, band, suffix and convert that its table gives.
    """
    if band.role is not Role.TOPO:
        raise ValueError(f'a derived band has role = "topo", not "{band.role}"')
    if files := sorted(given):
        raise ValueError(f"a derived band has no files of its own: remove {', '.join(files)}")
    if abs(band.nodata) < _NEAREST_NODATA:
        raise ValueError(
            f"nodata = {band.nodata} could be a value of {derive}: leave it out, which means -9999, or give -32768"
        )


def without_scales(tables: Any) -> Any:
    """Return ``[[bands]]`` tables for a stack of floats, in which a derived band has scale 1 if it gives none."""
    if not isinstance(tables, (list, tuple)):
        return tables
    return [
        {"scale": 1.0, **table} if isinstance(table, Mapping) and table.get("derive") is not None else table
        for table in tables
    ]


def check_scales(tables: Iterable["BandSettings"]) -> None:
    """Raise ValueError if a derived band is stored as whole numbers of which only a few would be used."""
    for table in tables:
        known = None if table.derive is None else DERIVED[table.derive]
        if known is not None and table.scale < known.least:
            raise ValueError(
                f"bands: with scale = {table.scale:g}, {table.name} would be stored as a few whole numbers only: "
                f"give a scale of {known.least:g} or more, or none, which means {known.scale:g}"
            )


def check_elevations(tables: Iterable["BandSettings"]) -> None:
    """Raise ValueError if a derived band has no elevations, or if elevations that are not stacked serve no band."""
    tables = tuple(tables)
    used = {elevations_of(table, tables) for table in tables if table.derive is not None}
    if idle := [table.name for table in tables if not table.stacked and table.name not in used]:
        raise ValueError(f"bands: {', '.join(idle)} is not stacked, and no band is derived from it: remove it")


def elevations_of(derived: "BandSettings", tables: Iterable["BandSettings"]) -> str:
    """Return the name of the topo band that a derived band is computed from; raise ValueError if it is not clear."""
    names = [table.name for table in tables if table.role == "topo" and table.derive is None]
    if derived.dem in names:
        return derived.dem
    known = f"topo bands with files: {', '.join(names) or 'none'}"
    if derived.dem is not None:
        raise ValueError(f'bands: dem = "{derived.dem}" of {derived.name} is not a topo band with files ({known})')
    if len(names) != 1:
        raise ValueError(f"bands: say with dem which band {derived.name} is derived from ({known})")
    return names[0]
