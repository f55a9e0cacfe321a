"""The settings of a region as frozen values; `gcn_luigi.config` reads them from TOML.

Every section of the TOML file is one class. The modules of this package open no file.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gcn_luigi.bands import Band, BandSchema, Role, made_bands, stacked_bands
from gcn_luigi.settings.chips import (
    ChipSettings,
    Codec,
    LegacyNodataSettings,
    NodataSettings,
    ShardSettings,
    StorageLayout,
)
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
