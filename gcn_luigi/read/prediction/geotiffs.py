"""Write a map from its finished rows: classes and probabilities, each as a Cloud-Optimized GeoTIFF."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import PublishError
from gcn_luigi.prepare.appearance import colour
from gcn_luigi.read.prediction.progress import Rows
from gcn_luigi.read.prediction.windows import Strip
from gcn_luigi.read.rasters import Raster

_BLOCK = 512


def write_classes(
    out: Path, like: Raster, classes: ClassTable, rows: Iterable[tuple[Strip, Rows]], tags: Mapping[str, str]
) -> dict[int, int]:
    """Write the classes: uint8, their values as in the label and 255 where missing, with a colour table.

    Returns the number of pixels of each value.

    Raises
    ------
    PublishError
        The file cannot be written.
    """
    counts = np.zeros(256, np.int64)

    def counted() -> Iterable[tuple[Strip, Rows]]:
        for strip, piece in rows:
            counts[:] += np.bincount(piece.classes.ravel(), minlength=256)
            yield strip, piece

    colours = {each.value: (*colour(each.colour), 255) for each in classes}
    described = ", ".join(f"{each.value} {each.name}" for each in classes)
    profile = {"dtype": "uint8", "nodata": LABEL_IGNORE, "count": 1}
    _write(out, like, profile, counted(), {**tags, "classes": described, "names": "class", "colours": colours})
    return {value: int(counts[value]) for value in (*classes.values, LABEL_IGNORE)}


def write_probabilities(
    out: Path, like: Raster, classes: ClassTable, rows: Iterable[tuple[Strip, Rows]], tags: Mapping[str, str]
) -> None:
    """Write the probabilities: float32 from 0 to 1, a band for each class by name, NaN where missing.

    Raises
    ------
    PublishError
        The file cannot be written.
    """
    profile = {"dtype": "float32", "nodata": np.nan, "count": len(classes)}
    _write(out, like, profile, rows, {**tags, "names": classes.names})


def _write(
    out: Path, like: Raster, profile: dict[str, Any], rows: Iterable[tuple[Strip, Rows]], said: Mapping[str, Any]
) -> None:
    import rasterio  # noqa: PLC0415  GDAL takes long to load
    from rasterio.errors import NotGeoreferencedWarning, RasterioError  # noqa: PLC0415
    from rasterio.shutil import copy  # noqa: PLC0415

    from gcn_luigi.io.gdal import environment, pin_rasters  # noqa: PLC0415
    from gcn_luigi.io.publish.atomic import atomic_write  # noqa: PLC0415

    tags = dict(said)
    names, colours = tags.pop("names"), tags.pop("colours", None)
    is_whole = profile["dtype"] == "uint8"
    size = {"height": like.height, "width": like.width, **like.place, **profile}
    tiled = {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK, "bigtiff": "if_safer"}
    packed = {"compress": "deflate", "interleave": "band"}
    as_cog = {"compress": "deflate", "predictor": "YES", "blocksize": _BLOCK, "bigtiff": "if_safer"}
    with atomic_write(out) as temporary, environment(), warnings.catch_warnings():
        # The map of an array has no place, as the array has none.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        pin_rasters()
        plain = temporary.with_name(f"{temporary.name}.plain.tif")
        try:
            with rasterio.open(plain, "w", driver="GTiff", **size, **tiled, **packed) as target:
                target.descriptions = (names,) if is_whole else tuple(names)
                target.update_tags(AREA_OR_POINT="Area", **tags)
                if colours is not None:
                    target.write_colormap(1, colours)
                for strip, piece in rows:
                    planes = piece.classes[np.newaxis] if is_whole else piece.shares
                    place = ((piece.first, piece.first + planes.shape[1]), (strip.first, strip.stop))
                    target.write(planes, window=place)
            resampling = "mode" if is_whole else "average"
            copy(plain, temporary, driver="COG", **as_cog, overview_resampling=resampling)
            # GDAL does not report a disk that is full when it writes the last blocks.
            with rasterio.open(temporary) as file:
                file.read(window=((like.height - 1, like.height), (like.width - 1, like.width)))
        except RasterioError as error:
            what, fix = f"could not be written: {error}", "check free space and permissions"
            raise PublishError(what, where=str(out), fix=fix) from error
