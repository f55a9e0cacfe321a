"""Bands, identified by name and role, never by position, count or file order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from gcn_luigi.classes import DEFAULT_CLASSES, IGNORE, ClassTable
from gcn_luigi.errors import ConfigError

# Names of bands that hold elevations.
_ELEVATION = ("dem", "elevation", "dsm", "dtm", "height", "altitude")


class Role(StrEnum):
    """What a band is for."""

    OPTICAL = "optical"
    TOPO = "topo"
    LABEL = "label"
    DISTANCE = "distance"
    # Scanned and mosaicked, but never stacked, for example rmse.
    QUALITY = "quality"


@dataclass(frozen=True)
class Band:
    """One layer of the stack.

    Attributes
    ----------
    name : str
        Unique short name, for example ``"ndsi"``.
    role : Role
        What the band is for.
    suffix : str
        End of the source file's stem, after an underscore: ``*_{suffix}.tif``. Empty for bands that the build makes.
    nodata : int
        Sentinel in the stack.
    scale, offset : float
        ``stored = source * scale + offset`` if the values are converted; rounded in an int16 stack.
    valid_min, valid_max : float or None
        Closed range of stored values that can be real; None leaves that side open.
    unit, description : str
        Information for readers.
    convert : bool
        Optical files may be of any real type, and are converted. Topography always is; see `is_converted`.
    derive : str
        What is computed from elevations, for example ``"slope"``; empty for a band with files of its own.
    stacked : bool
        False for elevations that only serve to compute other bands.
    use_tags : bool
        The scale and offset tags of the files are applied before `scale` and `offset`.
    """

    name: str
    role: Role
    suffix: str = ""
    nodata: int = -32768
    scale: float = 1.0
    offset: float = 0.0
    valid_min: float | None = None
    valid_max: float | None = None
    unit: str = ""
    description: str = ""
    convert: bool = False
    derive: str = ""
    stacked: bool = True
    use_tags: bool = False

    @property
    def is_converted(self) -> bool:
        """Whether the build converts the files to the type of the stack instead of taking their values as they are."""
        return self.convert or self.use_tags or self.role is Role.TOPO

    def __repr__(self) -> str:
        """Return the fields that differ from their defaults."""
        own = [f"{key.name}={value!r}" for key in fields(self)[2:] if (value := getattr(self, key.name)) != key.default]
        return f"Band({', '.join([repr(self.name), str(self.role), *own])})"


# Keys of a ``[[bands]]`` table that say where its pixels are and how they get onto the lattice, and nothing about the
# band itself.
PLACES = ("path", "band", "dem", "z_factor", "resampling")
LABEL_IGNORE = IGNORE
# The default classes. Other labels have a table of their own.
LABEL_NONE, LABEL_DEBRIS, LABEL_ICE = DEFAULT_CLASSES.values
CLASS_NAMES = DEFAULT_CLASSES.names


@dataclass(frozen=True)
class BandSchema:
    """The bands of a stack, in their order: optical, topo, label, distance.

    `dtype` is the numpy name of the type of its samples, and `classes` are those of the label.

    Raises
    ------
    ConfigError
        A name occurs twice, the roles are out of order, or there is not exactly one label.
    """

    bands: tuple[Band, ...]
    dtype: str = "int16"
    classes: ClassTable = DEFAULT_CLASSES

    def __post_init__(self) -> None:
        """Check names, order and the label."""
        names = [band.name for band in self.bands]
        order = [list(Role).index(band.role) for band in self.bands]
        labels = [band for band in self.bands if band.role is Role.LABEL]
        if len(set(names)) != len(names) or order != sorted(order) or len(labels) != 1:
            raise ConfigError(
                "a stack must hold each band once, in the order optical, topo, label, distance",
                where=f"bands {', '.join(names)}",
                fix="give every [[bands]] table a unique name and list optical bands before topo bands",
            )

    def __iter__(self) -> Iterator[Band]:
        """Iterate over the bands in stack order."""
        return iter(self.bands)

    def __len__(self) -> int:
        """Return the number of bands, label included."""
        return len(self.bands)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in stack order."""
        return tuple(band.name for band in self.bands)

    @property
    def label_index(self) -> int:
        """0-based position of the label."""
        return next(i for i, band in enumerate(self.bands) if band.role is Role.LABEL)

    @property
    def image(self) -> tuple[Band, ...]:
        """The bands a model sees, in stack order: all but the label."""
        return tuple(band for band in self.bands if band.role is not Role.LABEL)

    def indices(self, role: Role) -> tuple[int, ...]:
        """Return the 0-based positions of the bands with `role`."""
        return tuple(i for i, band in enumerate(self.bands) if band.role is role)


def band_of(table: Mapping[str, Any]) -> Band:
    """Return the band that a ``[[bands]]`` table describes; raise TypeError or ValueError where it is no such table."""
    role = Role(table["role"])
    derive = table.get("derive") or ""
    suffix = "" if derive else table.get("suffix") or table["name"]
    values = dict(table) | {"role": role, "suffix": suffix, "derive": derive}
    for place in PLACES:
        values.pop(place, None)
    if values.get("nodata") is None:
        values["nodata"] = -9999 if role is Role.TOPO else -32768
    return Band(**values)


def stacked_bands(
    tables: Iterable[Mapping[str, Any]],
    distance_unit: str | None,
    dtype: str = "int16",
    classes: ClassTable = DEFAULT_CLASSES,
) -> BandSchema:
    """Return the bands of a stack: optical and topo ones of ``[[bands]]``, label, and distance if it has a unit."""
    read = [band for table in tables if (band := band_of(table)).stacked]
    stacked = [band for role in (Role.OPTICAL, Role.TOPO) for band in read if band.role is role]
    return BandSchema((*stacked, *made_bands(distance_unit, classes)), dtype, classes)


def made_bands(distance_unit: str | None, classes: ClassTable = DEFAULT_CLASSES) -> tuple[Band, ...]:
    """Return the bands that are not read from tiles: the label, and the distance if it has a unit."""
    label = Band("label", Role.LABEL, nodata=LABEL_IGNORE, valid_min=min(classes.values), valid_max=max(classes.values))
    if distance_unit is None:
        return (label,)
    what = "distance to the nearest glacier"
    return label, Band("distance", Role.DISTANCE, nodata=-32768, valid_min=0, unit=distance_unit, description=what)


def elevation_band(bands: Iterable[Band]) -> Band | None:
    """Return the topographic band that holds elevations, by its name, or that only serves as such; None without one."""
    with_files = (band for band in bands if band.role is Role.TOPO and not band.derive)
    return next((band for band in with_files if band.name in _ELEVATION or not band.stacked), None)
