"""Virtual rasters: a list of files for each band, as Python values and as files in GDAL's VRT format.

GDAL's own builder is not part of the rasterio wheels, writes the nodata value of one band to all bands, and leaves out
sources that it cannot find. This module writes plain XML as described in the GDAL VRT tutorial (gdal.org). The file is
for GDAL and GIS; `gcn_luigi.io.raster.stack.StackReader` uses the Python value.
"""

import html
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.crs import crs_of
from gcn_luigi.lattice import Lattice, Window

# Edge length of the blocks that GDAL computes at once, in pixels.
_BLOCK = 256

_GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VrtSource:
    """One band (counted from 1) of one file, given by its absolute path, placed on the lattice of a virtual raster."""

    path: Path
    band: int
    # The window of the whole file on the lattice. Parts beyond the lattice are cut off.
    window: Window
    # Pixels of this value (possibly nan) are transparent; None means that all pixels are shown.
    nodata: float | None
    # If the file is itself a VRT on the same lattice, the band that it was written from.
    mosaic: "VrtBand | None" = None
    # What else makes pixels transparent; see `gcn_luigi.io.raster.masks.mask_of`.
    mask: int = 0


@dataclass(frozen=True)
class VrtBand:
    """One band of a virtual raster. Its name is written as the description; its dtype is a numpy name."""

    name: str
    dtype: str
    # The nodata tag, and the value where no source has a valid pixel. Without it such pixels are 0.
    nodata: float | None
    # From bottom to top: a later source covers earlier ones where its pixel is valid.
    sources: tuple[VrtSource, ...]


@dataclass(frozen=True)
class Vrt:
    """A virtual raster: the path of its VRT file, which may not exist yet, its lattice and its bands."""

    path: Path
    lattice: Lattice
    bands: tuple[VrtBand, ...]


def write_vrt(path: Path, lattice: Lattice, bands: Sequence[VrtBand]) -> None:
    """Write a VRT with paths relative to its directory, so that the VRT and its sources can be moved together.

    Raises
    ------
    InputError
        A name or path cannot be written as XML, or VRTs do not support a type.
    """
    directory = path.parent.resolve()
    wkt = crs_of(lattice.crs, where="lattice.crs").to_wkt()
    a, b, left, d, e, top = (repr(float(number)) for number in lattice.transform)
    lines = [
        f'<VRTDataset rasterXSize="{lattice.width}" rasterYSize="{lattice.height}">',
        f"  <SRS>{_text(wkt)}</SRS>",
        f"  <GeoTransform>{left}, {a}, {b}, {top}, {d}, {e}</GeoTransform>",
    ]
    for number, band in enumerate(bands, start=1):
        lines += _band_lines(number, band, lattice, directory)
    lines += ["</VRTDataset>", ""]
    path.write_bytes("\n".join(lines).encode())


def _band_lines(number: int, band: VrtBand, lattice: Lattice, directory: Path) -> list[str]:
    if band.dtype not in _GDAL_TYPES:
        raise InputError(
            f"a VRT cannot hold {band.dtype}", where=f"band {band.name}", fix=f"use one of {', '.join(_GDAL_TYPES)}"
        )
    block = f'blockXSize="{min(_BLOCK, lattice.width)}" blockYSize="{min(_BLOCK, lattice.height)}"'
    lines = [f'  <VRTRasterBand dataType="{_GDAL_TYPES[band.dtype]}" band="{number}" {block}>']
    if band.name:
        lines.append(f"    <Description>{_text(band.name)}</Description>")
    if band.nodata is not None:
        lines.append(f"    <NoDataValue>{_number(band.nodata)}</NoDataValue>")
    for source in band.sources:
        lines += _source_lines(source, lattice, directory)
    return [*lines, "  </VRTRasterBand>"]


def _source_lines(source: VrtSource, lattice: Lattice, directory: Path) -> list[str]:
    """Return the XML of one source, cut to the lattice; an empty list if the source is outside."""
    window = source.window
    seen = window.intersection(lattice.window)
    if seen.is_empty:
        return []
    kind = "SimpleSource" if source.nodata is None and not source.mask else "ComplexSource"
    name = _text(os.path.relpath(source.path, directory))
    size = f'xSize="{seen.width}" ySize="{seen.height}"'
    lines = [
        f"    <{kind}>",
        f'      <SourceFilename relativeToVRT="1">{name}</SourceFilename>',
        f"      <SourceBand>{source.band}</SourceBand>",
        f'      <SrcRect xOff="{seen.col - window.col}" yOff="{seen.row - window.row}" {size}/>',
        f'      <DstRect xOff="{seen.col}" yOff="{seen.row}" {size}/>',
    ]
    # GDAL heeds the nodata value or the mask, not both.
    if source.mask:
        lines.append("      <UseMaskBand>true</UseMaskBand>")
    elif source.nodata is not None:
        lines.append(f"      <NODATA>{_number(source.nodata)}</NODATA>")
    return [*lines, f"    </{kind}>"]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


def _text(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InputError(
            "has characters that XML cannot hold", where=ascii(text), fix="rename it without control characters"
        )
    return html.escape(text)
