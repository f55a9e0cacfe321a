"""The settings of a region as frozen values; `gcn_luigi.config` reads them from TOML.

Every section of the TOML file is one class here. Nothing on this floor opens a file.
"""

import time
import warnings
from collections.abc import Mapping, ValuesView
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gcn_luigi.bands import Band, BandSchema, Role, band_of, made_bands, stacked_bands
from gcn_luigi.old_keys import OLD_KEYS, renew_section

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
# As the sources call it: the name becomes part of file names, and of the files of any shard.
BandName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
ClassName = Literal["none", "debris", "ice"]
# How chunks of a shard are stored, and what one row of its pixels is.
Codec = Literal["deflate", "bitshuffle-lz4", "zstd", "none"]
StorageLayout = Literal["chips", "windows"]
# In place of a column: every row is an outline of its own; no outline is dated.
EACH_ROW, UNDATED = "row", "none"


class Section(BaseModel):
    """Base of all sections: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)
    # Name of its table in the TOML file, where keys of it were renamed.
    table: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        if not cls.table or not isinstance(values, Mapping):
            return values
        renewed, notes = renew_section(cls.table, values)
        for note in notes:
            warnings.warn(note, DeprecationWarning, stacklevel=3)
        return renewed

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            renamed = OLD_KEYS.get(self.table, {}).get(name)
            if renamed is None or not renamed.new:
                return super().__getattr__(name)
            warnings.warn(f"{self.table}.{name} is now {self.table}.{renamed.new}", DeprecationWarning, stacklevel=2)
            value = self
            for part in renamed.new.split("."):
                value = getattr(value, part)
            return renamed.before(value)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # Without this, true would be read as 1, and 0 as false.
        annotation = cls.model_fields[str(info.field_name)].annotation
        # A section checks its own keys.
        held = value.values() if get_origin(annotation) is dict and isinstance(value, dict) else value
        items = held if isinstance(held, (list, tuple, ValuesView)) else (held,)
        if annotation is not bool and any(isinstance(item, bool) for item in items):
            raise ValueError("true and false are no values for this key")
        if annotation is bool and not isinstance(value, bool):
            raise ValueError(f"give true or false, without quotation marks, not {value!r}")
        return value


class LatticeSettings(Section):
    """Where the pixels of the region lie; what is left out is taken from the optical tiles."""

    crs: str | None = None
    pixel_size: Annotated[float, Field(gt=0)] | None = None
    # left, bottom, right, top in metres: cuts or widens the union of the tiles.
    bounds: tuple[float, float, float, float] | None = None


class TileSettings(Section):
    """The STEM tile directories."""

    optical: str = "optical"
    topo: str = "topo"
    # File names (never paths) that are no input at all.
    exclude: tuple[str, ...] = ("*negate*",)
    # "0123" and "123" are one tile.
    strip_zeros: bool = True
    # Where tiles overlap, this one's valid pixel is seen.
    precedence: Literal["lowest-id", "highest-id"] = "lowest-id"
    # A tile without a required file: stop, or leave nodata there.
    on_missing: Literal["error", "gap"] = "error"
    # Two files for one tile and band, or two directories for one tile: stop, or keep the first by name.
    on_duplicate: Literal["error", "first"] = "error"
    # Bands described as of other years than `years`: stop, or believe `years`.
    on_described_years: Literal["error", "accept"] = "error"
    # A nodata tag that is a legal value, or pixels that look missing but are not declared so: stop, or take them so.
    on_suspect_nodata: Literal["error", "accept"] = "error"


class BandSettings(Section):
    """One ``[[bands]]`` table."""

    name: BandName
    role: Literal["optical", "topo", "quality"]
    suffix: str = ""
    nodata: Annotated[int, Field(ge=-32768, le=32767)] | None = None
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

    def band(self) -> Band:
        """Return the value used by everything else."""
        return band_of(self.model_dump())


class ConvertSettings(Section):
    """Type conversion of topography to int16."""

    table = "convert"
    rounding: Literal["half-even", "half-away"] = "half-even"
    # A value that does not fit: stop, mark as nodata, or clip to the range.
    overflow: Literal["error", "nodata", "saturate"] = "error"


class OutlineSettings(Section):
    """Glacier outlines: RGI 6, RGI 7 or one's own."""

    path: str
    layer: str | None = None
    # Found by themselves for RGI 6 (RGIId, BgnDate) and RGI 7 (rgi_id, src_date).
    # "row": no column, each row is an outline of its own; "none": no column, outlines are undated.
    id_field: str | None = None
    date_field: str | None = None
    # How dates are written, as strptime takes it; RGI's forms, ISO and plain years are known.
    date_format: str | None = None
    # Outlines of one glacier with different dates: stop, keep all, the newest, or the nearest to a composite.
    analyses: Literal["error", "all", "newest", "nearest"] = "error"
    # A broken geometry: repair it and say so, or stop.
    on_invalid: Literal["repair", "error"] = "repair"
    # Stop if a repair would change more of an outline's area than this.
    max_repaired_share: Share = 0.01
    # A row without a polygon (a line, a point, nothing): stop, or leave it out and say so.
    on_unusable: Literal["error", "skip"] = "error"

    @field_validator("date_format")
    @classmethod
    def _is_a_form_of_dates(cls, form: str | None) -> str | None:
        if form is None:
            return None
        try:
            year = time.strptime(time.strftime(form, (2013, 9, 21, 0, 0, 0, 5, 264, 0)), form).tm_year
        except ValueError:
            year = 0
        if year != 2013:
            raise ValueError(f'{form!r} is no form of a date with a year; "%d.%m.%Y" is one')
        return form


class LabelSettings(Section):
    """The class label: STEM votes inside and outside the outlines, or a ready-made raster."""

    table = "label"
    stem: str | None = None
    # As many votes, or more, are debris-free ice.
    min_votes: int = 4
    # Largest possible count. Larger or negative values are missing data without a nodata tag, and are refused.
    max_votes: Count = 100
    # Such ice outside every outline: no glacier as published, missing, or debris-free ice.
    ice_outside: Literal["none", "ignore", "ice"] = "none"
    # A raster of 0 none, 1 debris, 2 debris-free ice, 255 or its nodata missing, in place of `stem`.
    raster: str | None = None
    # What the values of `raster` mean, where they are others: "1" = "ice".
    classes: dict[Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,8})$")], Literal[ClassName, "ignore"]] = {}
    # Classes of which the used partitions may hold no pixel at all.
    allow_absent: tuple[ClassName, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.stem is None) == (self.raster is None):
            raise ValueError("give either stem or raster")
        if self.raster is not None and self.ice_outside != "none":
            raise ValueError("ice_outside needs stem: a ready-made raster is taken as it is")
        if self.classes and self.raster is None:
            raise ValueError("classes needs raster: votes are counts and have no classes")
        return self


class DistanceSettings(Section):
    """The optional distance band: how far the nearest glacier is."""

    enabled: bool = False
    # A ready-made raster in `unit`; computed when left out.
    raster: str | None = None
    # To the nearest pixel inside an outline, or to the nearest one that the label calls debris or ice.
    source: Literal["outlines", "label"] = "outlines"
    # Of the stored values: metres, or whole pixels.
    unit: Literal["m", "px"] = "m"
    # Metres whatever the unit. Farther pixels hold this distance; it bounds the work a block needs.
    max_m: Annotated[int, Field(ge=1, le=32767)] = 10_000

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.raster is not None and self.source != "outlines":
            raise ValueError("give either raster or source: a ready-made raster is measured already")
        return self


class GridSettings(Section):
    """The cells that partitions are cut by."""

    table = "grid"
    # Pixels along an edge.
    size: Count = 256
    # "world": cells lie at whole multiples of their size from (0, 0); "lattice": from the top left tile corner.
    origin: Literal["world", "lattice"] = "world"
    # An existing grid with label, left, top, right, bottom; or bounds of the geometry.
    path: str | None = None
    layer: str | None = None
    id_field: str | None = None
    # Cells between pixels: stop, or move them and say so: to the nearest pixel edge, or north-west as published.
    off_lattice: Literal["error", "snap", "floor"] = "error"
    # Share of a cell that may lie beyond the tiles.
    max_outside_share: Share = 0.0
    # Cells with less of their area inside outlines are not used.
    min_outline_share: Share = 0.0
    # Cells farther than this from every outline are not used (relevant only if cells without outlines are allowed).
    max_outline_distance_m: Annotated[float, Field(gt=0)] | None = None
    # File of ids that are never used: one per line, or the first column of a CSV.
    reject_ids_path: str | None = None
    # File of polygons whose cells are never used.
    exclude_polygons_path: str | None = None


class YearSettings(Section):
    """Which composite a partition is cut from."""

    table = "year"
    # Dates of the outlines in the cell, or the year column of an imported grid.
    source: Literal["outlines", "grid"] = "outlines"
    rule: Literal["legacy", "nearest", "area-weighted"] = "nearest"
    # Largest gap between outline and image; beyond it a partition is not used.
    max_gap_years: Annotated[int, Field(ge=0)] = 5
    # No dated outline in the cell: leave the cell out, or use this composite.
    no_year: Literal["skip"] | int = "skip"


class SplitSettings(Section):
    """Which partitions train and which are held back."""

    table = "split"
    method: Literal["blocks", "legacy", "column"] = "blocks"
    dev_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    seed: int = 8
    # Partitions along the edge of a block, all of which belong to the same split.
    block_partitions: Count = 4
    # Partitions between train and dev that belong to neither.
    buffer_partitions: Annotated[int, Field(ge=0)] = 1
    # Keep each glacier in a single split where possible.
    by_glacier: bool = True


class LegacyNodataSettings(Section):
    """Which bands the published rule tests for nodata, counted from 0, or from the end if negative."""

    optical_band: int = 0
    topo_band: int = -3
    # A second topographic band; "none" or 0 for none.
    alt_topo_band: int | None = -4

    @field_validator("alt_topo_band", mode="before")
    @classmethod
    def _none_is_written(cls, value: Any) -> Any:
        return None if value == "none" else value


class NodataSettings(Section):
    """How missing pixels are made homogeneous."""

    table = "nodata"
    mode: Literal["strict", "legacy"] = "strict"
    fill: Annotated[int, Field(ge=-32768, le=32767)] = 0
    # Used only where mode is "legacy".
    legacy: LegacyNodataSettings = LegacyNodataSettings()


class ChipSettings(Section):
    """How chips are cut and which are kept."""

    table = "chips"
    size: Count = 128
    step: Count = 32
    # What happens where whole steps do not reach the edge.
    edge: Literal["clamp", "drop", "pad", "legacy"] = "clamp"
    # Halve the step on partitions with 40 to 60 % glacier (train only).
    densify: bool = False
    # Least share of each class, by name: none, debris, ice.
    min_share: dict[ClassName, Share] = {}
    # Least share of pixels in any of these classes together.
    min_glacier_share: Share = 0.0
    min_valid_label_share: Share = 0.5
    min_valid_optical_share: Share = 0.5
    min_valid_topo_share: Share = 0.5


class ShardSettings(Section):
    """How many files a split has, what they hold and how they are compressed."""

    table = "shards"
    n_train: Count = 16
    n_dev: Count = 4
    # Every chip by itself, or every corrected partition once with chips as rows of an index.
    layout: StorageLayout = "chips"
    # Any HDF5 reads deflate and none; the others need hdf5plugin.
    codec: Codec = "deflate"


class RegionSettings(Section):
    """Everything that decides what a region's dataset holds."""

    region: Name
    # Relative to the TOML file.
    data_root: str
    # Band k of every optical file is the composite of years[k - 1].
    years: Annotated[tuple[int, ...], Field(min_length=1)]
    bands: Annotated[tuple[BandSettings, ...], Field(min_length=1)]
    outlines: OutlineSettings
    label: LabelSettings
    lattice: LatticeSettings = LatticeSettings()
    tiles: TileSettings = TileSettings()
    convert: ConvertSettings = ConvertSettings()
    distance: DistanceSettings = DistanceSettings()
    grid: GridSettings = GridSettings()
    year: YearSettings = YearSettings()
    split: SplitSettings = SplitSettings()
    nodata: NodataSettings = NodataSettings()
    chips: ChipSettings = ChipSettings()
    shards: ShardSettings = ShardSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if list(self.years) != sorted(set(self.years)):
            raise ValueError("years must rise and be unique")
        if self.chips.size > self.grid.size:
            raise ValueError(f"chips.size {self.chips.size} exceeds grid.size {self.grid.size}")
        if self.outlines.analyses == "nearest" and self.year.source == "grid" and len(self.years) > 1:
            raise ValueError(
                'outlines.analyses = "nearest" needs year.source = "outlines": '
                "where the grid states the years, no outline is nearest to all of them"
            )
        spelled = [*(table.name for table in self.bands), *(band.name for band in self._made_bands)]
        # Some file systems, those of macOS and Windows among them, take upper and lower case for one.
        names = [name.lower() for name in spelled]
        repeated = sorted({name for name in spelled if names.count(name.lower()) > 1})
        if repeated:
            case = " (upper and lower case count as one)" if len(repeated) > len({*map(str.lower, repeated)}) else ""
            raise ValueError(f"bands: {', '.join(repeated)} stands twice{case}; label and distance are bands, too")
        if all(table.role == "quality" for table in self.bands):
            raise ValueError("bands: a stack needs an optical or topo band")
        return self

    @property
    def _made_bands(self) -> tuple[Band, ...]:
        return made_bands(self.distance.unit if self.distance.enabled else None)

    @property
    def schema_bands(self) -> BandSchema:
        """The stack's bands: optical, topo, label and, if enabled, distance."""
        tables = [table.model_dump() for table in self.bands]
        return stacked_bands(tables, self.distance.unit if self.distance.enabled else None)

    @property
    def topo_bands(self) -> tuple[Band, ...]:
        """The topographic bands, in order."""
        return tuple(band for band in self.schema_bands if band.role is Role.TOPO)

    @property
    def quality_bands(self) -> tuple[Band, ...]:
        """Bands that are mosaicked and never stacked."""
        return tuple(table.band() for table in self.bands if table.role == "quality")
