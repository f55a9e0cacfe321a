"""The bands of our own VRTs, read back as what they are made of: rectangles of files, from bottom to top."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.raster.drivers import read_xml
from gcn_luigi.lattice import Window

# numpy names of GDAL types that int16 holds whole: only among them is a copy of pixels all that a VRT does.
PLAIN_TYPES = {"Byte": "uint8", "Int8": "int8", "Int16": "int16"}
_NEEDED = {"SourceFilename", "SourceBand", "SrcRect", "DstRect"}
_BAND_ITEMS = {"Description", "Metadata", "NoDataValue", "SimpleSource", "ComplexSource"}


@dataclass(frozen=True)
class Part:
    """What one source shows of a window.

    Attributes
    ----------
    position : int
        Of the source in its layer: a higher one lies above.
    path : str
        The file.
    band : int
        1-based.
    seen : Window
        On the lattice.
    own : Window
        The same pixels in the file.
    nodata : int or None
        Pixels of this value show what lies below; None shows every pixel.
    """

    position: int
    path: str
    band: int
    seen: Window
    own: Window
    nodata: int | None


@dataclass(frozen=True)
class Layer:
    """One band of a VRT, through VRTs of VRTs down to the files that hold pixels.

    Attributes
    ----------
    dtype : str
        numpy name of the narrowest type on the way to the pixels; the empty text in `OTHER`, where copying pixels is
        not all that GDAL does.
    nodata : int
        Value where no source has a valid pixel.
    paths : tuple of str
        (source,) files, from bottom to top.
    bands : ndarray of int64
        (source,) 1-based.
    edges : ndarray of int64
        (source, edge): first row, first column, end row, end column on the lattice.
    shifts : ndarray of int64
        (source, axis): row and column of the file's first pixel on the lattice.
    sentinels : ndarray of int64
        (source,) own nodata; beyond int16 where every pixel is shown.
    """

    dtype: str
    nodata: int
    paths: tuple[str, ...]
    bands: NDArray[np.int64]
    edges: NDArray[np.int64]
    shifts: NDArray[np.int64]
    sentinels: NDArray[np.int64]

    def parts(self, window: Window) -> list[Part]:
        """Return what the sources show of `window`, from bottom to top."""
        bottom, right = window.row + window.height, window.col + window.width
        row, col, end, far = self.edges.T
        met = (row < bottom) & (end > window.row) & (col < right) & (far > window.col)
        return [self._part(int(position), window) for position in np.flatnonzero(met)]

    def is_within(self, window: Window) -> bool:
        """Return whether all that the sources show lies in `window`."""
        low = (self.edges[:, :2] >= (window.row, window.col)).all()
        return bool(low and (self.edges[:, 2:] <= (window.row + window.height, window.col + window.width)).all())

    def _part(self, position: int, window: Window) -> Part:
        row, col, end, far = self.edges[position].tolist()
        seen = Window(row, col, end - row, far - col).intersection(window)
        down, along = self.shifts[position].tolist()
        own = Window(seen.row - down, seen.col - along, seen.height, seen.width)
        sentinel = int(self.sentinels[position])
        nodata = sentinel if sentinel != _NEVER else None
        return Part(position, self.paths[position], int(self.bands[position]), seen, own, nodata)


# A sentinel that no pixel of a plain type has.
_NEVER = 1 << 20


@dataclass(frozen=True)
class _Source:
    path: str
    band: int
    source: Window
    target: Window
    nodata: float | None

    @classmethod
    def of(cls, element: ET.Element, directory: Path) -> Self | None:
        """Return the source of an element, or None where it does more than show pixels as they are."""
        items = {child.tag: child for child in element}
        if len(items) != len(element) or items.keys() - {"NODATA"} != _NEEDED:
            return None
        name, text = items["SourceFilename"], items["SourceFilename"].text or ""
        path = os.path.normpath(os.path.join(directory, text)) if name.get("relativeToVRT") == "1" else text  # noqa: PTH118
        source, target = (_rectangle(items[tag]) for tag in ("SrcRect", "DstRect"))
        if source is None or target is None or (source.height, source.width) != (target.height, target.width):
            return None
        # GDAL also knows "mask" and more.
        band = items["SourceBand"].text or ""
        if not (band.isascii() and band.isdigit()):
            return None
        nodata = float(items["NODATA"].text or "nan") if "NODATA" in items else None
        # Years and bands share their files; one text stands for each.
        return cls(sys.intern(path), int(band), source, target, nodata)


def read_layers(path: Path) -> list[Layer]:
    """Read the bands of a VRT that `write_vrt` wrote.

    Parameters
    ----------
    path : Path
        The VRT; sources that are VRTs are followed.

    Returns
    -------
    list of Layer
        One a band. A band that is described in words beyond those of `write_vrt`, or of a type that int16 does not
        hold, is `OTHER`. Empty where the file is no VRT, or none that can be read: GDAL knows why.

    Raises
    ------
    InputError
        The file declares a document type, or is larger than any VRT.
    """
    try:
        tree = read_xml(path)
    except (OSError, ET.ParseError):
        return []
    directory = path.parent.resolve()
    whole = Window(0, 0, int(tree.get("rasterYSize", "0")), int(tree.get("rasterXSize", "0")))
    below: dict[str, list[Layer]] = {}
    layers = [_layer(element, directory, below) for element in tree.iterfind("VRTRasterBand")]
    return [layer if layer.is_within(whole) else OTHER for layer in layers]


def _layer(element: ET.Element, directory: Path, below: dict[str, list[Layer]]) -> Layer:
    tags = {child.tag for child in element}
    dtype = PLAIN_TYPES.get(element.get("dataType", ""), "")
    text = element.findtext("NoDataValue")
    nodata = 0.0 if text is None else float(text)
    sources = [_Source.of(child, directory) for child in element if child.tag in ("SimpleSource", "ComplexSource")]
    whole = [source for source in sources if source is not None]
    fits = bool(dtype) and nodata.is_integer() and np.iinfo(dtype).min <= nodata <= np.iinfo(dtype).max
    if not fits or not tags <= _BAND_ITEMS or len(whole) != len(sources):
        return OTHER
    if any(source.path.endswith(".vrt") for source in whole):
        return _through(dtype, int(nodata), whole, below)
    if not all(_is_exact(source.nodata) for source in whole):
        return OTHER
    return _of_sources(dtype, int(nodata), whole)


def _through(dtype: str, nodata: int, sources: list[_Source], below: dict[str, list[Layer]]) -> Layer:
    """Return the layer that a single VRT shows, where seeing it through this band changes no pixel."""
    only = sources[0]
    if len(sources) > 1 or only.source != only.target or only.source.row or only.source.col:
        return OTHER
    if only.path not in below:
        below[only.path] = read_layers(Path(only.path))
    if len(below[only.path]) < only.band:
        return OTHER
    inner = below[only.path][only.band - 1]
    # The band's nodata stands for the mosaic's gaps, and hides nothing: there is nothing below.
    if not inner.dtype or inner.nodata != nodata or only.nodata not in (None, nodata):
        return OTHER
    return inner if inner.is_within(only.source) and np.can_cast(inner.dtype, dtype) else OTHER


def _of_sources(dtype: str, nodata: int, sources: list[_Source]) -> Layer:
    edges = [(at.row, at.col, at.row + at.height, at.col + at.width) for at in (each.target for each in sources)]
    shifts = [(each.target.row - each.source.row, each.target.col - each.source.col) for each in sources]
    sentinels = [_NEVER if each.nodata is None or not _is_small(each.nodata) else each.nodata for each in sources]
    return Layer(
        dtype,
        nodata,
        tuple(each.path for each in sources),
        np.array([each.band for each in sources], np.int64),
        np.array(edges, np.int64).reshape(-1, 4),
        np.array(shifts, np.int64).reshape(-1, 2),
        np.array(sentinels, np.int64),
    )


# A band that GDAL has to read.
OTHER = _of_sources("", 0, [])


def _is_small(value: float) -> bool:
    return abs(value) <= 1 << 16


def _is_exact(nodata: float | None) -> bool:
    """Return whether comparing with `nodata` is the same for GDAL, which allows for rounding, and for us."""
    return nodata is None or nodata.is_integer() or not _is_small(nodata)


def _rectangle(element: ET.Element) -> Window | None:
    numbers = [float(element.get(name, "nan")) for name in ("yOff", "xOff", "ySize", "xSize")]
    if not all(number.is_integer() for number in numbers):
        return None
    return Window(*(int(number) for number in numbers))
