"""Settings of the sources: the lattice, the tiles, the bands and their conversion."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gcn_luigi.bands import PLACES, Band, band_of
from gcn_luigi.settings.alignment import OF_CLASSES, Resampling
from gcn_luigi.settings.derived import Derivation, check_derived, with_defaults
from gcn_luigi.settings.section import Section

# Endings of data cubes: Zarr stores and netCDF files.
CUBES = (".zarr", ".nc", ".nc4", ".cdf")
# The name that the sources use; it becomes part of file names, and shards store it.
BandName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]


class LatticeSettings(Section):
    """Where the pixels of the region are; missing keys are taken from the optical tiles."""

    crs: str | None = None
    pixel_size: Annotated[float, Field(gt=0)] | None = None
    # left, bottom, right, top in metres: crops or extends the union of the tiles.
    bounds: tuple[float, float, float, float] | None = None


class TileSettings(Section):
    """The STEM tile directories."""

    optical: str = "optical"
    topo: str = "topo"
    # File names (never paths) that are not read as input.
    exclude: tuple[str, ...] = ("*negate*",)
    # "0123" and "123" are the same tile.
    strip_zeros: bool = True
    # Where tiles overlap, the valid pixel of this tile is used.
    precedence: Literal["lowest-id", "highest-id"] = "lowest-id"
    # If a tile lacks a required file: stop, or leave nodata there.
    on_missing: Literal["error", "gap"] = "error"
    # If a tile and band have two files, or a tile has two directories: stop, or keep the first by name.
    on_duplicate: Literal["error", "first"] = "error"
    # If band descriptions name other years than `years`: stop, or use `years`.
    on_described_years: Literal["error", "accept"] = "error"
    # If a nodata tag is a legal value, or pixels look missing but are not declared so: stop, or treat them as missing.
    on_suspect_nodata: Literal["error", "accept"] = "error"


class BandSettings(Section):
    """One ``[[bands]]`` table."""

    name: BandName
    role: Literal["optical", "topo", "quality"]
    suffix: str = ""
    # Pattern of the band's files, relative to data_root, in place of the tile directories.
    path: str | None = None
    # Which band of these files: a number from 1, or a description, in which {year} and {name} are placeholders.
    band: Annotated[int, Field(ge=1)] | str | None = None
    # How files that are not on the lattice are warped onto it, in place of align.resampling and its means.
    resampling: Resampling | None = None
    nodata: Annotated[int, Field(ge=-32768, le=32767)] | None = None
    # Optical files of any real type: stored = round(source * scale + offset). Topo files are always converted.
    convert: bool = False
    # A topo band without files: computed from the elevations of the topo band `dem`.
    derive: Derivation | None = None
    dem: BandName | None = None
    # Metres per unit of the elevations.
    z_factor: Annotated[float, Field(gt=0)] = 1.0
    # False: elevations that only serve to derive other bands.
    stacked: bool = True
    # Apply the scale and offset tags of the files first; this converts an optical band.
    use_tags: bool = False
    scale: Annotated[float, Field(gt=0)] = 1.0
    offset: float = 0.0
    valid_min: float | None = None
    valid_max: float | None = None
    unit: str = ""
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_defaults_of_derived(cls, values: Any) -> Any:
        return with_defaults(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.valid_min is not None and self.valid_max is not None and self.valid_min > self.valid_max:
            raise ValueError(f"valid_min {self.valid_min} exceeds valid_max {self.valid_max}: no value is valid")
        return self

    @model_validator(mode="after")
    def _is_derived_as_it_can_be(self) -> Self:
        if self.derive is not None:
            given = [key for key in ("path", "band", "suffix", "convert") if getattr(self, key)]
            check_derived(self.derive, self.as_band(), given)
        elif self.dem is not None or self.z_factor != 1.0:
            raise ValueError("dem and z_factor need derive: they say from which elevations a band is computed")
        if not self.stacked and (self.role != "topo" or self.derive is not None):
            raise ValueError("stacked = false is for the topo band with the elevations that others are derived from")
        return self

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if (self.convert or self.use_tags) and self.role == "quality":
            given = "convert" if self.convert else "use_tags"
            raise ValueError(f"a quality band is never stacked, so it is not converted: remove {given}")
        if self.role == "quality" and self.resampling not in (None, *OF_CLASSES):
            raise ValueError(
                "a quality band may hold flags or classes, and a mean of two classes is not a class: give resampling = "
                '"nearest" or "mode"'
            )
        says_year = "{year}" in (self.path or "")
        if self.is_cube and (says_year or "{year}" in str(self.band)):
            raise ValueError("the years of a cube are those of its time coordinate: remove {year} from path and band")
        if self.band is not None and self.path is None:
            raise ValueError("band needs path: in tile directories, band k of an optical file is the k-th of years")
        if self.role == "topo" and (says_year or "{year}" in str(self.band)):
            raise ValueError("a topo band has no year: remove {year} from path and band")
        if isinstance(self.band, int) and self.role != "topo" and not says_year and not self.is_cube:
            raise ValueError('one band number is one year: write {year} into path, or give band = "{year}"')
        return self

    @property
    def is_cube(self) -> bool:
        """Whether the files are Zarr stores or netCDF files."""
        return self.path is not None and self.path.rstrip("/").lower().endswith(CUBES)

    def as_band(self) -> Band:
        """Return the band as the rest of the package uses it."""
        return band_of(self.model_dump())

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the keys that came later if they are not given, so that earlier datasets stay current."""
        later = {*PLACES, "convert", "use_tags", "derive", "stacked"}
        defaults = {key: field.default for key, field in type(self).model_fields.items() if key in later}
        return {key: value for key, value in plain(self).items() if key not in later or value != defaults[key]}


class ConvertSettings(Section):
    """Type conversion of topography to int16."""

    table = "convert"
    rounding: Literal["half-even", "half-away"] = "half-even"
    # If a value does not fit: stop, mark it as nodata, or clip it to the range.
    overflow: Literal["error", "nodata", "saturate"] = "error"
