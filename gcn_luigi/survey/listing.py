"""List what a first look found, for the terminal."""

import math
from collections.abc import Iterator

from gcn_luigi.errors import few
from gcn_luigi.io.inputs.looks import Look
from gcn_luigi.survey.bands import bands_of
from gcn_luigi.survey.outlines import listed_columns
from gcn_luigi.survey.sources import Findings, Image


def listing(found: Findings) -> Iterator[str]:
    """Yield the lines of a list: rasters by name pattern, vector layers, cubes, and what cannot be used."""
    for image in found.images:
        yield from _of_image(image)
    for layer in found.layers:
        name = found.layer_path(layer) + (f", layer {layer.layer}" if layer.layer else "")
        yield f"{name}: {len(layer.table):,} x {layer.kind}, {layer.crs or 'no CRS'}; columns {listed_columns(layer)}"
    for path in found.cubes:
        bands = [look for place, look in found.in_cubes if place == path]
        years = sorted({year for look in bands for year in look.years})
        yield f"{path}: a cube, bands {few((look.band for look in bands), 12)}, years {few(map(str, years), 20)}"
    for path in found.datasets:
        yield f"{path}: a finished dataset, which is not a source"
    if found.n_in_vrts:
        yield f"{found.n_in_vrts:,} rasters are parts of these VRTs"
    for line in found.unreadable:
        yield f"unreadable: {line}"


def _of_image(image: Image) -> Iterator[str]:
    group, look = image.group, image.look
    parts = [f"{len(group.files):,} files" if len(group.files) > 1 else "1 file"]
    if group.tiles:
        parts.append(f"{len(group.tiles):,} tiles")
    if group.years:
        parts.append(f"years {few(map(str, group.years), 20)}")
    parts += _of_header(image, look)
    yield f"{image.path}: {', '.join(parts)}"
    names = [name for name in look.names if name]
    if names:
        yield f"    bands: {few(names, 12)}"
    meaning = [f"{guess.name} ({guess.kind or 'unknown'})" for guess in bands_of(image)]
    yield f"    taken for: {few(meaning, 12)}"


def _of_header(image: Image, look: Look) -> Iterator[str]:
    systems = sorted({one.crs[:40] or "no CRS" for one in image.looks.values()})
    sizes = sorted({one.pixel_size for one in image.looks.values()})
    yield few(systems)
    yield f"pixels of {few(f'{size:g}' for size in sizes)} {'m' if look.is_metric else 'degrees'}"
    yield f"{look.count} x {few(sorted(set(look.dtypes)))}"
    tags = {tag for one in image.looks.values() for tag in one.nodata}
    yield f"nodata {few(sorted(map(_shown, tags)))}"
    values = image.all_values
    if values is not None:
        yield f"values seen {values.low:.6g} to {values.high:.6g}"
    if look.is_scaled:
        yield "with scale tags"
    if look.has_mask:
        yield "with a mask"


def _shown(tag: float | None) -> str:
    return "none" if tag is None else "nan" if math.isnan(tag) else f"{tag:g}"
