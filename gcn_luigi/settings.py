"""The settings of a region as frozen values; `gcn_luigi.config` reads them from TOML.

Every section of the TOML file is one class here. This module opens no file.
"""

import time
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from gcn_luigi.bands import PLACES, Band, BandSchema, Role, band_of, made_bands, stacked_bands
from gcn_luigi.section import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
# The name that the sources use; it becomes part of file names, and shards store it.
BandName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
ClassName = Literal["none", "debris", "ice"]
# How the chunks of a shard are compressed, and what one row of its pixels holds.
Codec = Literal["deflate", "bitshuffle-lz4", "zstd", "none"]
StorageLayout = Literal["chips", "windows"]
# In place of a column: every row is a separate outline; no outline is dated.
EACH_ROW, UNDATED = "row", "none"


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
        if self.convert and self.role == "quality":
            raise ValueError("a quality band is never stacked, so it is not converted: remove convert")
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
        """Leave out `path`, `band` and `convert` if they are not given, so that earlier datasets stay current."""
        optional = {*PLACES, "convert"}
        return {key: value for key, value in plain(self).items() if key not in optional or value not in (None, False)}


class ConvertSettings(Section):
    """Type conversion of topography to int16."""

    table = "convert"
    rounding: Literal["half-even", "half-away"] = "half-even"
    # If a value does not fit: stop, mark it as nodata, or clip it to the range.
    overflow: Literal["error", "nodata", "saturate"] = "error"


class OutlineSettings(Section):
    """Glacier outlines: RGI 6, RGI 7 or your own."""

    path: str
    layer: str | None = None
    # Found automatically for RGI 6 (RGIId, BgnDate) and RGI 7 (rgi_id, src_date).
    # "row": no column, each row is a separate outline; "none": no column, the outlines are undated.
    id_field: str | None = None
    date_field: str | None = None
    # Format of the dates, as strptime takes it; RGI's formats, ISO dates and plain years need none.
    date_format: str | None = None
    # If outlines of one glacier have different dates: stop, keep all, the newest, or the nearest to a composite.
    analyses: Literal["error", "all", "newest", "nearest"] = "error"
    # If a geometry is broken: repair it and report it, or stop.
    on_invalid: Literal["repair", "error"] = "repair"
    # Stop if a repair would change more of an outline's area than this.
    max_repaired_share: Share = 0.01
    # If a row has no polygon (a line, a point, nothing): stop, or leave it out and report it.
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
            raise ValueError(f'{form!r} is not a date format with a year, such as "%d.%m.%Y"')
        return form


class LabelSettings(Section):
    """The class label: STEM votes inside and outside the outlines, or a ready-made raster."""

    table = "label"
    stem: str | None = None
    # A pixel with at least this many votes is debris-free ice.
    min_votes: int = 4
    # Largest possible count. Larger or negative values are missing data without a nodata tag, and are refused.
    max_votes: Count = 100
    # Class of such ice outside every outline: none (as published), ignore, or ice.
    ice_outside: Literal["none", "ignore", "ice"] = "none"
    # In place of `stem`, a raster: 0 none, 1 debris, 2 debris-free ice; 255 or its nodata value is missing.
    raster: str | None = None
    # What the values of `raster` mean if they differ, for example "1" = "ice".
    classes: dict[Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,8})$")], Literal[ClassName, "ignore"]] = Field(
        default={}
    )
    # Classes of which the used partitions may hold no pixel at all.
    allow_absent: tuple[ClassName, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.stem is None) == (self.raster is None):
            raise ValueError("give either stem or raster")
        if self.raster is not None and self.ice_outside != "none":
            raise ValueError("ice_outside needs stem: a ready-made raster is used unchanged")
        if self.classes and self.raster is None:
            raise ValueError("classes needs raster: votes are counts and have no classes")
        return self


class DistanceSettings(Section):
    """The optional distance band: how far the nearest glacier is."""

    enabled: bool = False
    # A ready-made raster in `unit`; if this is not given, the distance is computed.
    raster: str | None = None
    # Distance to the nearest pixel inside an outline, or to the nearest pixel with the label debris or ice.
    source: Literal["outlines", "label"] = "outlines"
    # Unit of the stored values: metres, or whole pixels.
    unit: Literal["m", "px"] = "m"
    # In metres for either unit. Pixels farther away hold this distance; it limits the work per block.
    max_m: Annotated[int, Field(ge=1, le=32767)] = 10_000

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.raster is not None and self.source != "outlines":
            raise ValueError("give either raster or source: a ready-made raster already holds distances")
        return self


class GridSettings(Section):
    """The cells that partitions are cut by."""

    table = "grid"
    # Pixels along an edge.
    size: Count = 256
    # "world": cells are at whole multiples of their size from (0, 0); "lattice": from the top left tile corner.
    origin: Literal["world", "lattice"] = "world"
    # An existing grid with columns label, left, top, right, bottom; or the bounds of its geometries are used.
    path: str | None = None
    layer: str | None = None
    id_field: str | None = None
    # If cells are between pixels: stop, or move and report them: to the nearest pixel edge, or north-west as published.
    off_lattice: Literal["error", "snap", "floor"] = "error"
    # Share of a cell that may be outside the tiles.
    max_outside_share: Share = 0.0
    # Cells with a smaller share of their area inside outlines are not used.
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
    # The dates of the outlines in the cell, or the year column of an imported grid.
    source: Literal["outlines", "grid"] = "outlines"
    rule: Literal["legacy", "nearest", "area-weighted"] = "nearest"
    # Largest gap between outline and image; partitions with a larger gap are not used.
    max_gap_years: Annotated[int, Field(ge=0)] = 5
    # If the cell has no dated outline: leave the cell out, or use this composite.
    no_year: Literal["skip"] | int = "skip"


class SplitSettings(Section):
    """Which partitions are used for training and which are held back."""

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
    """How a pixel that is missing in some bands is made missing in all."""

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
    # What to do where whole steps do not reach the edge.
    edge: Literal["clamp", "drop", "pad", "legacy"] = "clamp"
    # Halve the step on partitions with 40 to 60 % glacier (train only).
    densify: bool = False
    # Least share of each class, by name: none, debris, ice.
    min_share: dict[ClassName, Share] = Field(default={})
    # Least share of glacier pixels: debris and ice together.
    min_glacier_share: Share = 0.0
    min_valid_label_share: Share = 0.5
    min_valid_optical_share: Share = 0.5
    min_valid_topo_share: Share = 0.5


class ShardSettings(Section):
    """How many files a split has, what they hold and how they are compressed."""

    table = "shards"
    n_train: Count = 16
    n_dev: Count = 4
    # Store every chip, or store every corrected partition once, with the chips as windows in it.
    layout: StorageLayout = "chips"
    # Every HDF5 library reads deflate and none; the others need hdf5plugin.
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
            raise ValueError("years must be in ascending order and unique")
        if self.chips.size > self.grid.size:
            raise ValueError(f"chips.size {self.chips.size} exceeds grid.size {self.grid.size}")
        if self.outlines.analyses == "nearest" and self.year.source == "grid" and len(self.years) > 1:
            raise ValueError(
                'outlines.analyses = "nearest" needs year.source = "outlines": '
                "if the grid gives several years, no outline is nearest to all of them"
            )
        spelled = [*(table.name for table in self.bands), *(band.name for band in self._made_bands)]
        # Some file systems, for example on macOS and Windows, do not distinguish upper and lower case.
        names = [name.lower() for name in spelled]
        repeated = sorted({name for name in spelled if names.count(name.lower()) > 1})
        if repeated:
            case = " (upper and lower case are the same)" if len(repeated) > len({*map(str.lower, repeated)}) else ""
            raise ValueError(f"bands: {', '.join(repeated)} is used twice{case}; label and distance are bands, too")
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
    def tile_directories(self) -> dict[str, str]:
        """The directories of tiles that are read, by key; none of a role whose bands all have a path."""
        listed = {table.role for table in self.bands if table.path is None}
        is_optical = bool(listed - {"topo"}) or len(listed) == len({table.role for table in self.bands})
        optical = {"tiles.optical": self.tiles.optical} if is_optical else {}
        return {**optical, **({"tiles.topo": self.tiles.topo} if "topo" in listed else {})}

    @property
    def topo_bands(self) -> tuple[Band, ...]:
        """The topographic bands, in order."""
        return tuple(band for band in self.schema_bands if band.role is Role.TOPO)

    @property
    def quality_bands(self) -> tuple[Band, ...]:
        """Bands that are mosaicked and never stacked."""
        return tuple(table.as_band() for table in self.bands if table.role == "quality")
