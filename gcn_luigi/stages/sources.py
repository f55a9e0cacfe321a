"""Which sources each stage reads: paths that follow from the settings. Nothing here opens a file."""

from pathlib import Path

from gcn_luigi.config import Region


def label_sources(region: Region) -> tuple[Path, ...]:
    """Return the files that `write_label` reads."""
    label = region.settings.label
    if label.raster is not None:
        return (region.root / label.raster,)
    if label.source is not None:
        return (*debris_sources(region), region.root / region.settings.outlines.path)
    return (region.root / str(label.stem), region.root / region.settings.outlines.path)


def debris_sources(region: Region) -> tuple[Path, ...]:
    """Return the file that debris comes from, if there is one."""
    label = region.settings.label
    return tuple(region.root / path for path in (label.debris_raster, label.debris_outlines) if path is not None)


def distance_sources(region: Region) -> tuple[Path, ...]:
    """Return the sources that `write_distance` reads; none if it measures from the label."""
    settings = region.settings.distance
    if settings.source == "label":
        return ()
    return (region.root / (settings.raster if settings.raster is not None else region.settings.outlines.path),)


def confidence_sources(region: Region) -> tuple[Path, ...]:
    """Return the sources that `write_confidence` reads, votes first; it also reads the label that was made."""
    settings = region.settings.label
    votes = (region.root / str(settings.stem),) if "votes" in settings.confidence else ()
    outlines = (region.root / region.settings.outlines.path,) if {"votes", "edge"} & {*settings.confidence} else ()
    return (*votes, *outlines)


def grid_sources(region: Region) -> tuple[Path, ...]:
    """Return the grid file to import, if there is one."""
    path = region.settings.grid.path
    return () if path is None else (region.root / path,)


def catalog_sources(region: Region) -> tuple[Path, ...]:
    """Return the files that `write_catalog` reads."""
    settings = region.settings
    optional = (settings.grid.reject_ids_path, settings.grid.exclude_polygons_path, settings.split.regions)
    return tuple(region.root / path for path in (settings.outlines.path, *optional) if path is not None)


def comparison_sources(region: Region) -> tuple[Path, ...]:
    """Return the files that `write_grid_comparison` reads."""
    return (region.root / region.settings.outlines.path,)
