"""Virtual mosaics and stacks: GDAL's VRT format, written by us.

GDAL's own builder is not part of the rasterio wheels, writes the nodata of one band to all bands and leaves
out a source it cannot find. What is written here is plain XML after the GDAL VRT tutorial (gdal.org).
"""

import html
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from gcn_luigi.bands import Band
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile, tile_order
from gcn_luigi.io.raster.header import crs_of, read_header
from gcn_luigi.lattice import Lattice, Window

# Pixels along the edge of a block that GDAL computes at once.
_BLOCK = 256

_GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
}


@dataclass(frozen=True)
class VrtSource:
    """One band of one file, placed on the lattice of a VRT.

    Attributes
    ----------
    path : Path
        Absolute.
    band : int
        1-based.
    window : Window
        Where the whole file lies, pixel on pixel; it may reach beyond the lattice, and is then cut.
    nodata : float or None
        Pixels of this value (nan too) show what lies below; None shows every pixel.
    """

    path: Path
    band: int
    window: Window
    nodata: float | None


@dataclass(frozen=True)
class VrtBand:
    """One band of a VRT.

    Attributes
    ----------
    name : str
        Written as the band's description.
    dtype : str
        numpy name of its type.
    nodata : float or None
        Value where no source has a valid pixel, and nodata tag; without it such pixels are 0.
    sources : tuple of VrtSource
        From bottom to top: a later one wins where its pixel is valid.
    metadata : dict of str
        Further items, written in the order of their keys.
    """

    name: str
    dtype: str
    nodata: float | None
    sources: tuple[VrtSource, ...]
    metadata: dict[str, str] = field(default_factory=dict)


def write_vrt(path: Path, lattice: Lattice, bands: Sequence[VrtBand], *, relative_to: Path | None = None) -> None:
    """Write a VRT with paths relative to its directory, so that a tree moves with its sources.

    Parameters
    ----------
    path : Path
        The file to write.
    lattice : Lattice
        Its pixels.
    bands : sequence of VrtBand
        At least one.
    relative_to : Path or None
        Directory the file will finally lie in; that of `path` when None.

    Raises
    ------
    InputError
        A name or path cannot be written as XML, or a VRT has no such type.
    """
    directory = (path.parent if relative_to is None else relative_to).resolve()
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


def mosaic_band(
    files: Sequence[SourceFile],
    band: Band,
    root: Path,
    *,
    source_band: int = 1,
    precedence: Literal["lowest-id", "highest-id"] = "lowest-id",
) -> VrtBand:
    """Return the mosaic of one band: where tiles overlap, the first valid pixel in order of precedence is seen.

    The same as ``rasterio.merge`` with ``method="first"`` over the files in that order. Ids that are numbers are
    compared as numbers. A file is masked by the nodata tag of its own band or, without one, by ``band.nodata``; the
    mosaic's nodata is ``band.nodata``, so a pixel of that value reads as nodata whatever its file's tag says,
    but only the tag (or its absence) decides whether a tile below is seen through it.

    Parameters
    ----------
    files : sequence of SourceFile
        The tiles, in any order.
    band : Band
        Gives name and nodata.
    root : Path
        Directory that the files' paths start from.
    source_band : int
        1-based band of every file.
    precedence : {"lowest-id", "highest-id"}
        Which tile is on top.

    Returns
    -------
    VrtBand
        Of the narrowest type that holds every file and the nodata value.

    Raises
    ------
    InputError
        There is no file, or one of them lacks `source_band`.
    """
    short = [file.path for file in files if file.count < source_band]
    if short or not files:
        raise InputError(
            f"band {source_band} is not there to be mosaicked as {band.name}",
            where=", ".join(short) or "no file at all",
            fix="supply files with a band for each of years",
        )
    from_top = sorted(files, key=lambda file: (tile_order(file.tile), file.path))
    if precedence == "highest-id":
        from_top.reverse()
    sources = tuple(
        VrtSource(
            root.absolute() / file.path,
            source_band,
            file.window,
            float(band.nodata) if (tag := file.tag_of(source_band)) is None else tag,
        )
        for file in reversed(from_top)
    )
    dtype = np.result_type(*{np.dtype(file.dtype) for file in files}, np.min_scalar_type(band.nodata))
    return VrtBand(band.name, dtype.name, float(band.nodata), sources)


def geotiff_to_vrt(source: Path, path: Path, *, nodata: float | None = None) -> None:
    """Write a VRT that shows all bands of one raster.

    Parameters
    ----------
    source : Path
        Any raster that GDAL reads.
    path : Path
        The VRT.
    nodata : float or None
        Nodata of bands that carry no tag of their own.

    Raises
    ------
    InputError, LatticeError
        As `read_header`.
    """
    header = read_header(source)
    bands = []
    for index, (name, dtype, tag) in enumerate(zip(header.names, header.dtypes, header.nodata, strict=True), start=1):
        own = nodata if tag is None else tag
        whole = VrtSource(source.absolute(), index, header.lattice.window, None)
        bands.append(VrtBand(name, dtype, own, (whole,)))
    write_vrt(path, header.lattice, bands)


def _band_lines(number: int, band: VrtBand, lattice: Lattice, directory: Path) -> list[str]:
    if band.dtype not in _GDAL_TYPES:
        raise InputError(
            f"a VRT cannot hold {band.dtype}", where=f"band {band.name}", fix=f"use one of {', '.join(_GDAL_TYPES)}"
        )
    block = f'blockXSize="{min(_BLOCK, lattice.width)}" blockYSize="{min(_BLOCK, lattice.height)}"'
    lines = [f'  <VRTRasterBand dataType="{_GDAL_TYPES[band.dtype]}" band="{number}" {block}>']
    if band.name:
        lines.append(f"    <Description>{_text(band.name)}</Description>")
    if band.metadata:
        items = (f'      <MDI key="{_text(key)}">{_text(band.metadata[key])}</MDI>' for key in sorted(band.metadata))
        lines += ["    <Metadata>", *items, "    </Metadata>"]
    if band.nodata is not None:
        lines.append(f"    <NoDataValue>{_number(band.nodata)}</NoDataValue>")
    for source in band.sources:
        lines += _source_lines(source, lattice, directory)
    return [*lines, "  </VRTRasterBand>"]


def _source_lines(source: VrtSource, lattice: Lattice, directory: Path) -> list[str]:
    """Return the XML of one source, cut to the lattice; nothing where it lies outside."""
    window = source.window
    seen = window.intersection(lattice.window)
    if seen.is_empty:
        return []
    kind = "SimpleSource" if source.nodata is None else "ComplexSource"
    name = _text(os.path.relpath(source.path, directory))
    size = f'xSize="{seen.width}" ySize="{seen.height}"'
    lines = [
        f"    <{kind}>",
        f'      <SourceFilename relativeToVRT="1">{name}</SourceFilename>',
        f"      <SourceBand>{source.band}</SourceBand>",
        f'      <SrcRect xOff="{seen.col - window.col}" yOff="{seen.row - window.row}" {size}/>',
        f'      <DstRect xOff="{seen.col}" yOff="{seen.row}" {size}/>',
    ]
    if source.nodata is not None:
        lines.append(f"      <NODATA>{_number(source.nodata)}</NODATA>")
    return [*lines, f"    </{kind}>"]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


def _text(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InputError(
            "holds characters that XML cannot", where=ascii(text), fix="rename it without control characters"
        )
    return html.escape(text)
