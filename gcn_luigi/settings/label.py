"""Settings of the label: votes, a ready-made raster, or outlines alone."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gcn_luigi.settings.section import Count, Section

# Keys that belong to `source`, with the values that they have where they are not given.
_OF_OUTLINES = {
    "source": None,
    "debris_outlines": None,
    "debris_layer": None,
    "debris_raster": None,
    "debris_outside": "none",
    "class_column": None,
}
# Keys of the confidence, with the values that they have where they are not given, and the source that each belongs to.
_OF_CONFIDENCE = {"confidence": (), "edge_px": 2, "confidence_lost_per_year": 1.0, "min_confidence": None}
_SOURCE_OF = {"edge_px": "edge", "confidence_lost_per_year": "years"}
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,8}")


class LabelSettings(Section):
    """The class label: STEM votes inside and outside the outlines, a ready-made raster, or outlines alone."""

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
    # In place of both, the outlines alone: ice inside, none outside.
    source: Literal["outlines"] | None = None
    # Where the ice within outlines is covered by debris: polygons, or a raster whose values above 0 are debris.
    debris_outlines: str | None = None
    debris_layer: str | None = None
    debris_raster: str | None = None
    # Class of such debris outside every outline.
    debris_outside: Literal["none", "ignore", "debris"] = "none"
    # Column of the outlines that says the class of each polygon.
    class_column: str | None = None
    # What the values of `raster` or of `class_column` mean, for example "1" = "ice".
    classes: dict[str, str] = Field(default={})
    # Classes of which the used partitions may hold no pixel at all.
    allow_absent: tuple[str, ...] = ()
    # What the confidence of the label comes from; nothing: chips have no confidence.
    confidence: tuple[Literal["votes", "edge", "years"], ...] = ()
    # Pixels closer to an outline than this are uncertain, on both sides.
    edge_px: Annotated[int, Field(ge=1, le=100)] = 2
    # Percent that each year between outline and image takes away.
    confidence_lost_per_year: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    # Percent. Pixels below are flagged as uncertain.
    min_confidence: Annotated[int, Field(ge=1, le=100)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if [self.stem, self.raster, self.source].count(None) != 2:
            raise ValueError('give either stem or raster, or source = "outlines"')
        if self.stem is None and self.ice_outside != "none":
            raise ValueError("ice_outside needs stem: without votes, there is no ice outside the outlines to find")
        if self.classes and self.raster is None and self.class_column is None:
            raise ValueError("classes needs raster or class_column: votes are counts and have no classes")
        return self

    @model_validator(mode="after")
    def _keys_of_outlines(self) -> Self:
        given = [key for key, value in _OF_OUTLINES.items() if key != "source" and getattr(self, key) != value]
        if given and self.source is None:
            raise ValueError(f'{given[0]} needs source = "outlines"')
        if self.debris_outlines is not None and self.debris_raster is not None:
            raise ValueError("give debris_outlines or debris_raster, not both: debris comes from one file")
        if self.debris_layer is not None and self.debris_outlines is None:
            raise ValueError("debris_layer needs debris_outlines, the file that has the layer")
        if self.debris_outside != "none" and not self.has_debris:
            raise ValueError("debris_outside needs debris_outlines or debris_raster")
        return self

    @model_validator(mode="after")
    def _classes_are_of_values(self) -> Self:
        wrong = [key for key in self.classes if self.raster is not None and not _WHOLE.fullmatch(key)]
        if wrong:
            raise ValueError(f'classes: the values of a raster are whole numbers, such as "1", not "{wrong[0]}"')
        return self

    @model_validator(mode="after")
    def _confidence_has_its_sources(self) -> Self:
        if len(set(self.confidence)) != len(self.confidence):
            raise ValueError("confidence names a source twice")
        for key, source in _SOURCE_OF.items():
            if key in self.model_fields_set and source not in self.confidence:
                raise ValueError(f'{key} needs confidence = ["{source}"], alone or with other sources')
        if self.min_confidence is not None and not self.confidence:
            raise ValueError('min_confidence needs confidence, the list of its sources: "votes", "edge", "years"')
        if "votes" in self.confidence:
            if self.stem is None:
                raise ValueError(
                    'confidence = ["votes"] needs stem: a label from a raster or from outlines has no votes; '
                    'use "edge" or "years"'
                )
            if "max_votes" not in self.model_fields_set:
                raise ValueError(
                    'confidence = ["votes"] needs max_votes, the number of votes if all models agree, such as 7'
                )
            if not 1 <= self.min_votes <= self.max_votes:
                raise ValueError(
                    f'confidence = ["votes"] needs a min_votes from 1 to max_votes ({self.max_votes}), '
                    f"not {self.min_votes}"
                )
        return self

    @property
    def year_loss(self) -> float:
        """Percent of confidence that each year between outline and image takes away; 0 if years do not count."""
        return self.confidence_lost_per_year if "years" in self.confidence else 0.0

    @property
    def confidence_in_words(self) -> tuple[str, ...]:
        """What each source of the confidence says, in percent."""
        said = {
            "votes": "the votes (50 at the threshold, 100 if all models agree)",
            "edge": f"the distance to outlines (50 on an outline, 100 from {self.edge_px} px on)",
            "years": f"the years between outline and image ({self.confidence_lost_per_year:g} less for each)",
        }
        return tuple(said[source] for source in self.confidence)

    @property
    def made_from(self) -> Literal["votes", "raster", "outlines"]:
        """What the label is made from."""
        return "raster" if self.raster is not None else "votes" if self.source is None else "outlines"

    @property
    def has_debris(self) -> bool:
        """Whether debris comes from a file of its own."""
        return self.debris_outlines is not None or self.debris_raster is not None

    @property
    def names_used(self) -> tuple[str, ...]:
        """The classes that a label of votes or outlines gives, apart from those that `classes` names."""
        if self.raster is not None:
            return ()
        if self.source is None:
            return "none", "debris", "ice"
        return ("none", *(["debris", "ice"] if self.has_debris else [] if self.class_column is not None else ["ice"]))

    def may_lack(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the classes that may have no pixel: those that are allowed to be absent, or that nothing can give."""
        if self.raster is not None:
            return self.allow_absent
        given = set(self.names_used)
        if self.class_column is not None:
            given |= set(self.classes.values() or names)
        return (*self.allow_absent, *(name for name in names if name not in {*self.allow_absent, *given}))

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out keys that came later if they are not given, so that earlier datasets stay current."""
        later = _OF_OUTLINES | _OF_CONFIDENCE
        return {
            key: value
            for key, value in plain(self).items()
            if key not in later or (tuple(value) if isinstance(value, list) else value) != later[key]
        }
