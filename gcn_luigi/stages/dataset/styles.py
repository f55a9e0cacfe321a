"""Write the QGIS styles for the layers of a dataset."""

import json
from pathlib import Path

from gcn_luigi.bands import Role
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.qgis_styles import (
    catalog_style,
    confidence_style,
    distance_style,
    image_style,
    label_style,
    split_style,
)
from gcn_luigi.settings import RegionSettings


def styled_layers(settings: RegionSettings, paths: DatasetPaths) -> tuple[Path, ...]:
    """Return the files of a dataset that get a style: first the stack of each year, then the single layers."""
    distance = (paths.distance,) if settings.distance.enabled else ()
    confidence = (paths.confidence,) if settings.label.confidence else ()
    once = (paths.label, *distance, *confidence, paths.catalog_map, paths.index_map)
    return (*(paths.stack(year) for year in settings.years), *once)


def is_stretched(paths: DatasetPaths, layer: Path) -> bool:
    """Return whether the style of `layer` depends on band statistics."""
    return layer.suffix == ".vrt" or layer == paths.distance


def write_style(settings: RegionSettings, paths: DatasetPaths, layer: Path, out: Path) -> None:
    """Write the ``.qml`` of one of `styled_layers`. Stretched layers need the band statistics."""
    if layer == paths.label:
        text = label_style(settings.class_table)
    elif layer == paths.confidence:
        text = confidence_style()
    else:
        by_split = {paths.catalog_map: catalog_style, paths.index_map: split_style}
        text = by_split[layer](settings.splits) if layer in by_split else _stretched(settings, paths, layer)
    out.write_text(text, encoding="utf-8")


def _stretched(settings: RegionSettings, paths: DatasetPaths, layer: Path) -> str:
    statistics = json.loads(paths.statistics.read_text(encoding="utf-8"))["bands"]
    if layer == paths.distance:
        (band,) = (band for band in settings.schema_bands if band.role is Role.DISTANCE)
        return distance_style(statistics[band.name]["max"] or 1, band.unit)
    numbers = [number for number, band in enumerate(settings.schema_bands, 1) if band.role is not Role.LABEL]
    composite = settings.report.composite or ()
    return image_style(settings.schema_bands.image, statistics, composite=composite, numbers=numbers)
