"""Settings of the alignment: how sources that are not on the region's lattice are warped onto it."""

from typing import Literal, Self

from pydantic import model_validator

from gcn_luigi.settings.section import Section

# Names of GDAL's methods, in rasterio's spelling. Lanczos is left out, because it overshoots next to missing pixels.
Resampling = Literal["nearest", "bilinear", "cubic", "cubic_spline", "average", "mode"]
# A value between two classes is not a class.
OF_CLASSES = ("nearest", "mode")


class AlignSettings(Section):
    """How sources in another CRS, of another pixel size or between the pixels are warped onto the lattice."""

    # Of optical and topo bands and of a ready-made distance. If this is not given, such sources are refused.
    resampling: Resampling | None = None
    # Of votes, of a ready-made label and of quality bands.
    classes: Literal["nearest", "mode"] = "nearest"

    @model_validator(mode="after")
    def _is_asked_for(self) -> Self:
        if self.resampling is None and self.model_fields_set:
            raise ValueError('give resampling, such as "bilinear", or leave the section out')
        return self
