"""Warp the sources of a band that are not on the region's lattice, each into a file of its own."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import open_geotiff
from gcn_luigi.io.raster.header import check_deflated, open_raster, read_header
from gcn_luigi.io.raster.warp import Warp
from gcn_luigi.lattice import Lattice
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.band_files import aligned_files
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster, check_plain

# Of label and distance, which have no table: no source of theirs may hold it.
_LAYER_NODATA = -32768


def open_layer(path: Path, band: str, paths: DatasetPaths, inventory: Inventory) -> AlignedRaster:
    """Return the raster that label or distance is taken from; if it is warped onto the lattice, its warped pixels.

    Raise InputError or LatticeError if it cannot be used; see `AlignedRaster.open`.
    """
    for warped in aligned_files(paths, inventory, band):
        return replace(AlignedRaster.open(warped, inventory.lattice), path=path, warped=warped)
    return AlignedRaster.open(path, inventory.lattice)


def in_place_of_sources(files: Iterable[SourceFile], paths: DatasetPaths, settings: RegionSettings) -> list[SourceFile]:
    """Return `files` with the warped file in place of each source that is warped; its path is absolute."""
    return [_warped(file, paths, settings) if file.resampling else file for file in files]


def _warped(file: SourceFile, paths: DatasetPaths, settings: RegionSettings) -> SourceFile:
    dtype, nodata = _form(file, settings)
    numbers = _numbers(file)
    places = tuple(numbers.index(number) + 1 if number else 0 for number in file.numbers)
    path = str(paths.aligned(file.band, file.path).absolute())
    return replace(
        file,
        path=path,
        dtype=dtype,
        nodata=nodata,
        tags=(),
        count=len(numbers),
        numbers=places,
        is_made=False,
        resampling="",
        mask=0,
    )


def _numbers(file: SourceFile) -> tuple[int, ...]:
    """Return the bands of a source that are warped, in the order of their years."""
    return tuple(dict.fromkeys(filter(None, file.numbers))) or tuple(range(1, file.count + 1))


def _form(file: SourceFile, settings: RegionSettings) -> tuple[str, float]:
    """Return the type of a warped file, and its nodata value: the tag of the source, if all of its bands have one."""
    tags = {file.tag_of(number) for number in _numbers(file)}
    if len(tags) == 1 and (tag := tags.pop()) is not None:
        return file.dtype, tag
    nodata = _nodata_of(file.band, settings)
    nodata = _LAYER_NODATA if nodata is None else nodata
    return np.result_type(np.dtype(file.dtype), np.min_scalar_type(nodata)).name, float(nodata)


def _nodata_of(band: str, settings: RegionSettings) -> int | None:
    return next((table.as_band().nodata for table in settings.bands if table.name == band), None)


def write_aligned(region: Region, lattice: Lattice, file: SourceFile, out: Path, say: Say, *, threads: int = 1) -> None:
    """Warp the bands of a source that are used onto the lattice, into a GeoTIFF of the window that the source covers.

    Its band k is the k-th configured year that the source has. The type is that of the source, or the narrowest that
    also holds the nodata value. See `Warp.blocks` for missing pixels, which are those with the nodata tag, with the
    nodata value of the band, and without a finite value.

    Raises
    ------
    InputError
        The source is damaged or gone. A source of label or distance is not one plain band.
    PublishError
        The file cannot be written.
    """
    path = region.root / file.path
    is_layer = not any(table.name == file.band for table in region.settings.bands)
    header = check_plain(path) if is_layer else read_header(path, is_lattice=False)
    with open_raster(path) as dataset:
        if is_layer:
            # The task that checks every pixel of the tiles does not read these.
            check_deflated(dataset, path)
        names = tuple(name or file.band for name in dataset.descriptions)
    numbers = _numbers(file)
    dtype, nodata = _form(file, region.settings)
    own = _nodata_of(file.band, region.settings)
    meant = tuple(
        tuple(float(value) for value in (file.tag_of(number), own) if value is not None) for number in numbers
    )
    window = lattice.crop(file.window)
    warp = Warp(path, header.placement, numbers, meant, window, file.resampling, dtype, nodata, file.mask)
    described = [names[number - 1] for number in numbers]
    with open_geotiff(out, window, dtype=dtype, nodata=nodata, names=described) as target:
        for part, values in warp.blocks(threads):
            target.write(values, window=part.ranges)
            say(f"{file.path}: row {part.row} of {window.height}", part.row / window.height)
