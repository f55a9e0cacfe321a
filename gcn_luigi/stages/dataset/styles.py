"""The styles that QGIS shows a dataset's layers in."""

import json
from pathlib import Path

from gcn_luigi.bands import Role
from gcn_luigi.io.publish.paths import Layout
from gcn_luigi.io.raster.qgis_styles import catalog_style, distance_style, image_style, label_style, split_style
from gcn_luigi.settings import RegionSettings


def styled_layers(settings: RegionSettings, layout: Layout) -> tuple[Path, ...]:
    """Return the files of a dataset that get a style: the stacks first, then those that stand once."""
    distance = (layout.distance,) if settings.distance.enabled else ()
    once = (layout.label, *distance, layout.catalog_map, layout.index_map)
    return (*(layout.stack(year) for year in settings.years), *once)


def is_stretched(layout: Layout, layer: Path) -> bool:
    """Return whether the style of `layer` depends on band statistics."""
    return layer.suffix == ".vrt" or layer == layout.distance


def write_style(settings: RegionSettings, layout: Layout, layer: Path, out: Path) -> None:
    """Write the style of one layer.

    Parameters
    ----------
    settings : RegionSettings
        Bands.
    layout : Layout
        Where the band statistics are.
    layer : Path
        One of `styled_layers`.
    out : Path
        The ``.qml``.
    """
    fixed = {layout.label: label_style, layout.catalog_map: catalog_style, layout.index_map: split_style}
    text = fixed[layer]() if layer in fixed else _stretched(settings, layout, layer)
    out.write_text(text, encoding="utf-8")


def _stretched(settings: RegionSettings, layout: Layout, layer: Path) -> str:
    statistics = json.loads(layout.statistics.read_text(encoding="utf-8"))["bands"]
    if layer == layout.distance:
        (band,) = (band for band in settings.schema_bands if band.role is Role.DISTANCE)
        return distance_style(statistics[band.name]["max"] or 1, band.unit)
    numbers = [number for number, band in enumerate(settings.schema_bands, 1) if band.role is not Role.LABEL]
    return image_style(settings.schema_bands.image, statistics, numbers=numbers)
