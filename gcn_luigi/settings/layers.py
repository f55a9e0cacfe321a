"""Settings of the outlines and of the distance to them; the label, which comes from outlines too, has a module."""

import contextlib
import time
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from gcn_luigi.settings.section import Section, Share

# In place of a column: every row is a separate outline; no outline is dated.
EACH_ROW, UNDATED = "row", "none"


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
        year = 0
        # strptime would warn of a format without a year.
        if any(f"%{directive}" in form for directive in "YyGDFcx"):
            with contextlib.suppress(ValueError):
                year = time.strptime(time.strftime(form, (2013, 9, 21, 0, 0, 0, 5, 264, 0)), form).tm_year
        if year != 2013:
            raise ValueError(f'{form!r} is not a date format with a year, such as "%d.%m.%Y"')
        return form


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
