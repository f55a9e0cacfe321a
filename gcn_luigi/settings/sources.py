"""Settings of the sources: the lattice, the tiles, the bands and their conversion."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gcn_luigi.bands import PLACES, Band, band_of
from gcn_luigi.settings.section import Section

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
    nodata: Annotated[int, Field(ge=-32768, le=32767)] | None = None
    # Optical files of any real type: stored = round(source * scale + offset). Topo files are always converted.
    convert: bool = False
    # Apply the scale and offset tags of the files first; this converts an optical band.
    use_tags: bool = False
    scale: Annotated[float, Field(gt=0)] = 1.0
    offset: float = 0.0
    valid_min: float | None = None
    valid_max: float | None = None
    unit: str = ""
    description: str = ""

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.valid_min is not None and self.valid_max is not None and self.valid_min > self.valid_max:
            raise ValueError(f"valid_min {self.valid_min} exceeds valid_max {self.valid_max}: no value is valid")
        return self

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if (self.convert or self.use_tags) and self.role == "quality":
            given = "convert" if self.convert else "use_tags"
            raise ValueError(f"a quality band is never stacked, so it is not converted: remove {given}")
        says_year = "{year}" in (self.path or "")
        if self.band is not None and self.path is None:
            raise ValueError("band needs path: in tile directories, band k of an optical file is the k-th of years")
        if self.role == "topo" and (says_year or "{year}" in str(self.band)):
            raise ValueError("a topo band has no year: remove {year} from path and band")
        if isinstance(self.band, int) and self.role != "topo" and not says_year:
            raise ValueError('one band number is one year: write {year} into path, or give band = "{year}"')
        return self

    def as_band(self) -> Band:
        """Return the band as the rest of the package uses it."""
        return band_of(self.model_dump())

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out keys that are not given and were not always there, so that earlier datasets stay current."""
        optional = {*PLACES, "convert", "use_tags"}
        return {key: value for key, value in plain(self).items() if key not in optional or value not in (None, False)}


class ConvertSettings(Section):
    """Type conversion of topography to int16."""

    table = "convert"
    rounding: Literal["half-even", "half-away"] = "half-even"
    # If a value does not fit: stop, mark it as nodata, or clip it to the range.
    overflow: Literal["error", "nodata", "saturate"] = "error"
