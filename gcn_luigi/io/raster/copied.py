"""What a VRT made elsewhere shows, if it only copies pixels: then its files are read directly.

A mosaic by `gdalbuildvrt` is such a VRT. Through GDAL, each of its bands is read by itself, so that the blocks of files
with several bands are decoded once for each band.
"""

import functools
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import named_files, read_xml
from gcn_luigi.io.raster.vrt import VrtSource
from gcn_luigi.lattice import Window, WindowSet

# The elements, by their parent, that change no pixel.
_HARMLESS = {
    "VRTDataset": {"SRS", "GeoTransform", "Metadata", "VRTRasterBand"},
    "VRTRasterBand": {"NoDataValue", "ColorInterp", "Description", "Metadata", "SimpleSource", "ComplexSource"},
    "SimpleSource": {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect"},
    "ComplexSource": {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect", "NODATA"},
}
_TYPE = "Int16"
_SIDES = ("xOff", "yOff", "xSize", "ySize")


def copied_sources(source: VrtSource) -> tuple[VrtSource, ...] | None:
    """Return the files whose pixels a source shows, from bottom to top, if it is a VRT that only copies int16 pixels.

    The nodata value of the VRT must be that of `source`, and must also be what hides the pixels of its files; if the
    files do not overlap, nothing is hidden. Windows are on the lattice of `source`. None if the VRT does more, or if
    its text does not say enough; then GDAL must read it.
    """
    if source.path.suffix != ".vrt" or source.mask:
        return None
    try:
        status = source.path.stat()
        shown = _shown(source.path, status.st_mtime_ns, status.st_size)[source.band - 1]
    except (InputError, OSError, ET.ParseError, ValueError, KeyError, IndexError):
        # GDAL reports what is wrong.
        return None
    nodata, parts = shown
    if nodata is None or nodata != source.nodata:
        return None
    row, col = source.window.row, source.window.col
    moved = [replace(own := part.window, row=row + own.row, col=col + own.col) for part in parts]
    # GDAL shows nothing beyond the VRT.
    if any(window.intersection(source.window) != window for window in moved):
        return None
    return tuple(replace(part, window=window) for part, window in zip(parts, moved, strict=True))


# All bands and years of a region may be in one VRT.
@functools.lru_cache(maxsize=64)
def _shown(path: Path, _mtime_ns: int, _size: int) -> tuple[tuple[float | None, tuple[VrtSource, ...]], ...]:
    """Return the nodata value and the sources of each band of a VRT, whose window starts at (0, 0).

    Without a nodata value, a band does more than copy. Raise ValueError, KeyError or IndexError for an odd text.
    """
    root = read_xml(path)
    names = dict(named_files(root, path))
    if not _is_harmless(root):
        return ()
    return tuple(_band(element, names) for element in root.findall("VRTRasterBand"))


def _band(band: ET.Element, names: dict[ET.Element, Path]) -> tuple[float | None, tuple[VrtSource, ...]]:
    tag = band.findtext("NoDataValue")
    elements = [element for element in band if element.tag.endswith("Source")]
    is_copy = band.get("dataType") == _TYPE and _is_harmless(band) and all(map(_is_harmless, elements))
    if tag is None or not is_copy:
        return None, ()
    nodata, sources = float(tag), []
    for element in elements:
        left, top, width, height = _rectangle(element, "SrcRect")
        col, row, *size = _rectangle(element, "DstRect")
        hidden = element.findtext("NODATA", tag)
        if (left, top) != (0, 0) or [width, height] != size or float(hidden) != nodata:
            return None, ()
        file = names[element.findall("SourceFilename")[0]]
        if file.suffix == ".vrt":
            return None, ()
        sources.append(
            VrtSource(file, int(element.findtext("SourceBand", "1")), Window(row, col, height, width), nodata)
        )
    # Without a value that is hidden, a file also hides what is below it where it is missing.
    if any(element.find("NODATA") is None for element in elements):
        windows = WindowSet([source.window for source in sources])
        if any(len(windows.meeting(source.window)) > 1 for source in sources):
            return None, ()
    return nodata, tuple(sources)


def _is_harmless(element: ET.Element) -> bool:
    """Return whether an element has only attributes and children that change no pixel. Tags are as GDAL spells them."""
    has_class = "subClass" in element.attrib or "resampling" in element.attrib
    return not has_class and {child.tag for child in element} <= _HARMLESS[element.tag]


def _rectangle(source: ET.Element, name: str) -> tuple[int, ...]:
    """Return left, top, width and height of a rectangle in whole pixels."""
    (element,) = source.findall(name)
    sides = [float(element.attrib[side]) for side in _SIDES]
    if not all(side.is_integer() for side in sides):
        raise ValueError(f"{name} is between pixels")
    return tuple(map(int, sides))
