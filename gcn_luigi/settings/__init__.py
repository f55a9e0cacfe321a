"""The settings of a region as frozen values; `gcn_luigi.config` reads them from TOML.

Every section of the TOML file is one class. The modules of this package open no file.
"""

import difflib
import functools
from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gcn_luigi.bands import Band, BandSchema, Role, made_bands, stacked_bands
from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError
from gcn_luigi.settings.chips import (
    ChipSettings,
    Codec,
    LegacyNodataSettings,
    NodataSettings,
    ShardSettings,
    StorageLayout,
)
from gcn_luigi.settings.classes import ClassSettings
from gcn_luigi.settings.label import LabelSettings
from gcn_luigi.settings.layers import EACH_ROW, UNDATED, DistanceSettings, OutlineSettings
from gcn_luigi.settings.partitions import GridSettings, SplitSettings, YearSettings
from gcn_luigi.settings.section import Section
from gcn_luigi.settings.sources import BandSettings, ConvertSettings, LatticeSettings, TileSettings

__all__ = [
    "EACH_ROW",
    "UNDATED",
    "BandSettings",
    "ChipSettings",
    "ClassSettings",
    "Codec",
    "ConvertSettings",
    "DistanceSettings",
    "GridSettings",
    "LabelSettings",
    "LatticeSettings",
    "LegacyNodataSettings",
    "NodataSettings",
    "OutlineSettings",
    "RegionSettings",
    "ShardSettings",
    "SplitSettings",
    "StorageLayout",
    "TileSettings",
    "YearSettings",
]

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

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the classes if they are the default, so that earlier datasets stay current."""
        dumped = plain(self)
        table = self.class_table
        given = [] if table.is_default else table.facts("name", "value", "colour", "glacier")
        return {key: given if key == "classes" else value for key, value in dumped.items() if key != "classes" or given}

    @property
    def class_table(self) -> ClassTable:
        """The classes of the label."""
        return _class_table(self.classes)

    @property
    def _made_bands(self) -> tuple[Band, ...]:
        return made_bands(self.distance.unit if self.distance.enabled else None)

    @property
    def schema_bands(self) -> BandSchema:
        """The stack's bands: optical, topo, label and, if enabled, distance."""
        tables = [table.model_dump() for table in self.bands]
        return stacked_bands(tables, self.distance.unit if self.distance.enabled else None, self.class_table)

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


def _no_class(name: str, key: str, table: ClassTable) -> str:
    """Return what a key takes that names a class."""
    names = [*table.names, *(["ignore"] if key.startswith("label.classes") else [])]
    near = difflib.get_close_matches(name, names, n=1)
    *first, last = (f'"{one}"' for one in names)
    return f'give {", ".join(first)} or {last}{f" (did you mean {near[0]}?)" if near else ""}, not "{name}"'


@functools.lru_cache(maxsize=16)
def _class_table(tables: tuple[ClassSettings, ...]) -> ClassTable:
    return ClassTable.of(table.model_dump() for table in tables)
