"""The settings of a region as frozen values; `gcn_luigi.config` reads them from TOML.

Every section of the TOML file is one class. The modules of this package open no file.
"""

import difflib
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gcn_luigi.bands import Band, BandSchema, Role, made_bands, stacked_bands
from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError
from gcn_luigi.settings.alignment import OF_CLASSES, AlignSettings, Resampling
from gcn_luigi.settings.chips import (
    ChipSettings,
    Codec,
    LegacyNodataSettings,
    NodataSettings,
    ShardSettings,
    StorageLayout,
)
from gcn_luigi.settings.classes import ClassSettings
from gcn_luigi.settings.dataset import CreatorSettings, DatasetSettings, DatasheetSettings, Sources, SourceSettings
from gcn_luigi.settings.derived import check_elevations, check_scales, elevations_of, without_scales
from gcn_luigi.settings.evaluation import EvaluationSettings
from gcn_luigi.settings.label import LabelSettings
from gcn_luigi.settings.layers import EACH_ROW, UNDATED, DistanceSettings, OutlineSettings
from gcn_luigi.settings.partitions import GridSettings, SplitSettings, YearSettings
from gcn_luigi.settings.report import ReportSettings
from gcn_luigi.settings.section import Section
from gcn_luigi.settings.sources import BandSettings, ConvertSettings, LatticeSettings, TileSettings
from gcn_luigi.settings.stack import StackSettings, StackType

__all__ = [
    "EACH_ROW",
    "OF_CLASSES",
    "SOURCE_KINDS",
    "UNDATED",
    "AlignSettings",
    "BandSettings",
    "ChipSettings",
    "ClassSettings",
    "Codec",
    "ConvertSettings",
    "CreatorSettings",
    "DatasetSettings",
    "DatasheetSettings",
    "DistanceSettings",
    "EvaluationSettings",
    "GridSettings",
    "LabelSettings",
    "LatticeSettings",
    "LegacyNodataSettings",
    "NodataSettings",
    "OutlineSettings",
    "RegionSettings",
    "ReportSettings",
    "Resampling",
    "ShardSettings",
    "SourceSettings",
    "SplitSettings",
    "StackSettings",
    "StackType",
    "StorageLayout",
    "TileSettings",
    "YearSettings",
]

# Sections that came later: they are left out if nothing in them is given, so that earlier datasets stay current.
LATER_SECTIONS = ("align", "stack", "report", "evaluation", "dataset", "sources", "datasheet")
# Names of tables in [sources], besides those of bands.
SOURCE_KINDS = ("optical", "topo", "outlines", "label", "debris", "distance", "grid")
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class RegionSettings(Section):
    """Everything that decides what a region's dataset holds."""

    region: Name
    # Relative to the TOML file.
    data_root: str
    # Band k of every optical file is the composite of years[k - 1].
    years: Annotated[tuple[int, ...], Field(min_length=1)]
    bands: Annotated[tuple[BandSettings, ...], Field(min_length=1)]
    # The classes of the label; none, debris and ice if no table is given.
    classes: tuple[ClassSettings, ...] = ()
    outlines: OutlineSettings
    label: LabelSettings
    lattice: LatticeSettings = LatticeSettings()
    align: AlignSettings = AlignSettings()
    tiles: TileSettings = TileSettings()
    convert: ConvertSettings = ConvertSettings()
    stack: StackSettings = StackSettings()
    distance: DistanceSettings = DistanceSettings()
    grid: GridSettings = GridSettings()
    year: YearSettings = YearSettings()
    split: SplitSettings = SplitSettings()
    nodata: NodataSettings = NodataSettings()
    chips: ChipSettings = ChipSettings()
    shards: ShardSettings = ShardSettings()
    report: ReportSettings = ReportSettings()
    dataset: DatasetSettings = DatasetSettings()
    # By kind of source, or by band.
    sources: Sources = Field(default={})
    datasheet: DatasheetSettings = DatasheetSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="before")
    @classmethod
    def _floats_need_no_scale(cls, values: Any) -> Any:
        stack = values.get("stack") if isinstance(values, Mapping) else None
        dtype = stack.get("dtype") if isinstance(stack, Mapping) else getattr(stack, "dtype", None)
        return {**values, "bands": without_scales(values.get("bands"))} if dtype == "float32" else values

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
        if self.label.class_column is not None and self.outlines.analyses in {"newest", "nearest"}:
            raise ValueError(
                f'outlines.analyses = "{self.outlines.analyses}" cannot be used with label.class_column, which takes '
                'every polygon of the file: keep one analysis of each glacier in the file, or choose "all"'
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
        check_elevations(self.bands)
        if self.stack.dtype == "int16":
            check_scales(self.bands)
        return self

    @model_validator(mode="after")
    def _test_split_is_asked_for(self) -> Self:
        if self.shards.n_test is not None and not self.has_test:
            raise ValueError(
                "shards.n_test is given, but there is no test split: set split.test_share "
                'above 0, or split.test_regions (only split.method = "column" takes the test split from the grid)'
            )
        return self

    @model_validator(mode="after")
    def _confidence_of_years_has_dates(self) -> Self:
        if "years" in self.label.confidence and self.outlines.date_field == UNDATED:
            raise ValueError(
                f'label.confidence = ["years"] needs dates: outlines.date_field = "{UNDATED}" says that the outlines '
                "have none"
            )
        return self

    @model_validator(mode="after")
    def _composite_is_stacked(self) -> Self:
        shown = [band.name for band in self.schema_bands.image]
        if unknown := [name for name in self.report.composite or () if name not in shown]:
            raise ValueError(
                f"report.composite: {', '.join(dict.fromkeys(unknown))} is not a band of the stack that has a picture; "
                f"these are: {', '.join(shown)}"
            )
        return self

    @model_validator(mode="after")
    def _float_stacks_are_converted(self) -> Self:
        # NaN, infinity and other nodata tags become the nodata of the band, so that a stack has a single one per band.
        if self.stack.dtype != "int16":
            converted = (
                table.model_copy(update={"convert": True}) if table.role == "optical" else table for table in self.bands
            )
            object.__setattr__(self, "bands", tuple(converted))
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        try:
            table = self.class_table
        except ConfigError as error:
            raise ValueError(f"classes: {error.what}") from error
        label, known = self.label, ", ".join(table.names)
        named = [
            *((f"label.classes.{value}", name) for value, name in label.classes.items() if name != "ignore"),
            *((f"label.allow_absent, value {place}", name) for place, name in enumerate(label.allow_absent, 1)),
            *((f"chips.min_share.{name}", name) for name in self.chips.min_share),
        ]
        if unknown := [f"{key}: {_no_class(name, key, table)}" for key, name in named if name not in table.names]:
            raise ValueError("; ".join(unknown))
        if lacking := [name for name in label.names_used if name not in table.names]:
            raise ValueError(
                f"classes: a label of {label.made_from} needs a class {' and '.join(lacking)}; classes are {known}"
            )
        if not table.glacier and (self.chips.min_glacier_share or self.distance.source == "label"):
            key = "chips.min_glacier_share" if self.chips.min_glacier_share else 'distance.source = "label"'
            raise ValueError(f"classes: {key} needs a class that is glacier: write glacier = true in its table")
        if self.nodata.mode == "legacy" and not table.is_default:
            raise ValueError('classes: nodata.mode = "legacy" knows none, debris and ice alone: use mode = "strict"')
        return self

    @model_validator(mode="after")
    def _sources_are_read(self) -> Self:
        named = [*SOURCE_KINDS, *(table.name for table in self.file_tables)]
        for name in self.sources:
            if name not in named:
                near = difflib.get_close_matches(name, named, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(
                    f"sources.{name} is no kind of source{hint}: give {', '.join(SOURCE_KINDS)}, or the name of a band "
                    "that has files"
                )
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not given, so that earlier datasets stay current."""
        values = {key: value for key, value in plain(self).items() if key in self.given_fields}
        if "classes" in values:
            values["classes"] = self.class_table.facts("name", "value", "colour", "glacier")
        return values

    @property
    def given_fields(self) -> tuple[str, ...]:
        """The keys and sections of the file, without those of `LATER_SECTIONS` in which nothing is given."""
        fields = type(self).model_fields
        left_out = {key for key in LATER_SECTIONS if getattr(self, key) == fields[key].default}
        if self.class_table.is_default:
            left_out.add("classes")
        return tuple(key for key in fields if key not in left_out)

    @property
    def class_table(self) -> ClassTable:
        """The classes of the label."""
        return _class_table(self.classes)

    @property
    def has_test(self) -> bool:
        """Whether a test split is held back in addition to dev."""
        is_in_grid = self.split.method == "column" and self.shards.n_test is not None
        return self.split.test_share > 0.0 or bool(self.split.test_regions) or is_in_grid

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the dataset: train, dev, and test if it was asked for."""
        return ("train", "dev", "test") if self.has_test else ("train", "dev")

    @property
    def n_shards(self) -> dict[str, int]:
        """The number of shards of each split, in the order of `splits`."""
        shards = self.shards
        n_test = shards.n_dev if shards.n_test is None else shards.n_test
        counts = {"train": shards.n_train, "dev": shards.n_dev, "test": n_test}
        return {split: counts[split] for split in self.splits}

    @property
    def unusual_splits(self) -> dict[str, list[str]]:
        """The splits for a fingerprint, if they are not train and dev alone."""
        return {"splits": list(self.splits)} if self.has_test else {}

    @property
    def _made_bands(self) -> tuple[Band, ...]:
        return made_bands(self.distance.unit if self.distance.enabled else None)

    def resampling_of(self, name: str) -> Resampling | None:
        """Return how a band is warped onto the lattice if it is not on it; None if it would be refused.

        `name` is that of a table in `bands`, or ``label`` or ``distance``, whose sources are single rasters.
        """
        table = next((table for table in self.bands if table.name == name), None)
        if table is not None and table.resampling is not None:
            return table.resampling
        if self.align.resampling is None:
            return None
        is_of_classes = name == "label" or (table is not None and table.role == "quality")
        return self.align.classes if is_of_classes else self.align.resampling

    def may_average(self, name: str) -> bool:
        """Return whether means may replace interpolation: not if the band's own table chooses the method."""
        return not any(table.name == name and table.resampling is not None for table in self.bands)

    @property
    def is_aligned(self) -> bool:
        """Whether sources of any band may be warped onto the lattice."""
        return self.align.resampling is not None or any(table.resampling is not None for table in self.bands)

    @property
    def schema_bands(self) -> BandSchema:
        """The stack's bands: optical, topo, label and, if enabled, distance."""
        tables = [table.model_dump() for table in self.bands]
        distance = self.distance.unit if self.distance.enabled else None
        return stacked_bands(tables, distance, self.stack.dtype, self.class_table)

    @property
    def tile_directories(self) -> dict[str, str]:
        """The directories of tiles that are read, by key; none of a role whose bands all have a path."""
        listed = {table.role for table in self.file_tables if table.path is None}
        is_optical = bool(listed - {"topo"}) or len(listed) == len({table.role for table in self.file_tables})
        optical = {"tiles.optical": self.tiles.optical} if is_optical else {}
        return {**optical, **({"tiles.topo": self.tiles.topo} if "topo" in listed else {})}

    @property
    def layer_paths(self) -> dict[str, str]:
        """The single rasters that label and distance are taken from, by the band that is made from them."""
        distance = self.distance.raster if self.distance.enabled else None
        paths = {"label": self.label.raster or self.label.stem or self.label.debris_raster, "distance": distance}
        return {band: path for band, path in paths.items() if path is not None}

    @property
    def file_tables(self) -> tuple[BandSettings, ...]:
        """The tables of bands that have files, in order: all but derived bands."""
        return tuple(table for table in self.bands if table.derive is None)

    @property
    def topo_bands(self) -> tuple[Band, ...]:
        """The topographic bands that have files, in order, also those that are not stacked."""
        return tuple(table.as_band() for table in self.file_tables if table.role == "topo")

    @property
    def checked_bands(self) -> tuple[Band, ...]:
        """The bands that come from tiles and reach the stack, themselves or by bands derived from them."""
        return (*(band for band in self.schema_bands if band.role is Role.OPTICAL), *self.topo_bands)

    @property
    def derived_bands(self) -> tuple[Band, ...]:
        """The topographic bands that are computed from elevations, in order."""
        return tuple(band for band in self.schema_bands if band.derive)

    def table_of(self, name: str) -> BandSettings:
        """Return the table of the band `name`."""
        (table,) = (table for table in self.bands if table.name == name)
        return table

    def elevations_of(self, derived: Band) -> Band:
        """Return the topographic band that a derived band is computed from."""
        return self.table_of(elevations_of(self.table_of(derived.name), self.bands)).as_band()

    @property
    def source_kinds(self) -> tuple[str, ...]:
        """The kinds of sources that are read; a table in ``[sources]`` about another kind is not used."""
        is_read = {
            "optical": any(table.role != "topo" for table in self.file_tables),
            "topo": bool(self.topo_bands),
            "outlines": True,
            "label": self.label.made_from != "outlines",
            "debris": self.label.has_debris,
            "distance": self.distance.enabled and self.distance.raster is not None,
            "grid": self.grid.path is not None,
        }
        return tuple(kind for kind in SOURCE_KINDS if is_read[kind])

    @property
    def quality_bands(self) -> tuple[Band, ...]:
        """Bands that are mosaicked and never stacked."""
        return tuple(table.as_band() for table in self.bands if table.role == "quality")


def _no_class(name: str, key: str, table: ClassTable) -> str:
    """Return a message that lists the classes that a key accepts."""
    names = [*table.names, *(["ignore"] if key.startswith("label.classes") else [])]
    near = difflib.get_close_matches(name, names, n=1)
    *first, last = (f'"{one}"' for one in names)
    return f'give {", ".join(first)} or {last}{f" (did you mean {near[0]}?)" if near else ""}, not "{name}"'


@functools.lru_cache(maxsize=16)
def _class_table(tables: tuple[ClassSettings, ...]) -> ClassTable:
    return ClassTable.of(table.model_dump() for table in tables)
