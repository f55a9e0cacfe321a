"""Settings of the partitions: the grid, the year of each cell, and the split."""

import unicodedata
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from gcn_luigi.settings.section import Count, Section, Share

# Keys of the split that came later.
_LATER_KEYS = frozenset({"test_share", "folds", "by", "regions", "regions_layer", "region_column", "test_regions"})
_MOST_FOLDS = 50


def region_name(text: str) -> str:
    """Return the name of a region as it is compared: without blanks around it, and with composed characters (NFC).

    Files from macOS may hold an umlaut as two characters, which looks the same.
    """
    return unicodedata.normalize("NFC", text).strip()


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
    # "all": each composite within the gap gives chips of its own.
    rule: Literal["legacy", "nearest", "area-weighted", "all"] = "nearest"
    # Largest gap between outline and image; partitions with a larger gap are not used.
    max_gap_years: Annotated[int, Field(ge=0)] = 5
    # If the cell has no dated outline: leave the cell out, or use this composite.
    no_year: Literal["skip"] | int = "skip"


class SplitSettings(Section):
    """Which partitions are used for training and which are held back."""

    table = "split"
    method: Literal["blocks", "legacy", "column"] = "blocks"
    dev_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    # Share that is held back for the final test; 0: no test split.
    test_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    # Random generators take no negative seed.
    seed: Annotated[int, Field(ge=0)] = 8
    # Partitions along the edge of a block, all of which belong to the same split.
    block_partitions: Count = 4
    # Partitions between train and dev that belong to neither.
    buffer_partitions: Annotated[int, Field(ge=0)] = 1
    # Keep each glacier in a single split where possible.
    by_glacier: bool = True
    # Folds of the train and dev partitions for cross-validation; 0: none.
    folds: Annotated[int, Field(ge=0, le=_MOST_FOLDS)] = 0
    # What goes whole into one split and one fold: blocks, the partitions of one glacier, or those of one region.
    by: Literal["blocks", "glacier", "regions"] | None = None
    # A file of polygons, whose column `region_column` names the region; and regions that are held back as test.
    regions: str | None = None
    regions_layer: str | None = None
    region_column: str | None = None
    test_regions: tuple[str, ...] = ()

    @property
    def unit(self) -> Literal["blocks", "glacier", "regions"]:
        """What goes whole into one split and one fold."""
        return self.by or ("regions" if self.regions is not None else "blocks")

    @model_validator(mode="after")
    def _leaves_a_train_split(self) -> Self:
        if self.dev_share + self.test_share >= 1.0:
            raise ValueError(
                f"dev_share {self.dev_share:g} and test_share {self.test_share:g} leave nothing for train: "
                "their sum must be below 1"
            )
        return self

    @field_validator("folds")
    @classmethod
    def _one_is_no_fold(cls, value: int) -> int:
        if value == 1:
            raise ValueError("a single fold leaves nothing to train on: give 2 or more, or 0 for none")
        return value

    @field_validator("test_regions")
    @classmethod
    def _as_compared(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(region_name(name) for name in names)

    @model_validator(mode="after")
    def _regions_fit(self) -> Self:
        if self.regions is None:
            named = ("regions_layer", "region_column", "test_regions")
            if given := [key for key in named if getattr(self, key)] + (["by"] if self.by == "regions" else []):
                raise ValueError(f"{given[0]} needs regions, the file of polygons that has the regions")
            return self
        if self.region_column is None:
            raise ValueError("regions needs region_column, the column with the name of each region")
        if self.unit != "regions":
            raise ValueError(f'regions cannot be used with by = "{self.by}": leave by out, or write by = "regions"')
        if self.test_regions and self.method != "blocks":
            raise ValueError(f'test_regions needs method = "blocks", not "{self.method}"')
        if self.test_regions and self.test_share > 0.0:
            raise ValueError("give test_share or test_regions, not both: the named regions are the test split")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the keys that came later if they are not given, so that earlier datasets stay current."""
        unset = {key: field.default for key, field in type(self).model_fields.items() if key in _LATER_KEYS}
        # JSON has lists in place of tuples.
        return {key: value for key, value in plain(self).items() if key not in unset or value not in (unset[key], [])}
