"""Settings of the chips: missing pixels, which chips are kept, and the shards that store them."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from gcn_luigi.settings.section import Count, Section, Share

# How the chunks of a shard are compressed, and what one row of its pixels holds.
Codec = Literal["deflate", "bitshuffle-lz4", "zstd", "none"]
StorageLayout = Literal["chips", "windows"]


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
    # Least share of each class, by name.
    min_share: dict[str, Share] = Field(default={})
    # Least share of glacier pixels: all classes that are glacier together.
    min_glacier_share: Share = 0.0
    min_valid_label_share: Share = 0.5
    min_valid_optical_share: Share = 0.5
    min_valid_topo_share: Share = 0.5


class ShardSettings(Section):
    """How many files a split has, what they hold and how they are compressed."""

    table = "shards"
    n_train: Count = 16
    n_dev: Count = 4
    # None: as many as dev, if there is a test split.
    n_test: Count | None = None
    # Store every chip, or store every corrected partition once, with the chips as windows in it.
    layout: StorageLayout = "chips"
    # Every HDF5 library reads deflate and none; the others need hdf5plugin.
    codec: Codec = "deflate"

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the key that came later if it is not given, so that earlier datasets stay current."""
        return {key: value for key, value in plain(self).items() if key != "n_test" or value is not None}
