"""Read a raster that is aligned with the lattice, but need not cover it, as if it covered the whole lattice."""

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.inputs.alignment import OFFER
from gcn_luigi.io.raster.drivers import read_xml, vrt_sources
from gcn_luigi.io.raster.header import (
    COPY_FIRST,
    Header,
    check_deflated,
    fix_unwritten,
    holdable,
    open_raster,
    read_header,
    unwritten_blocks,
    window_on,
)
from gcn_luigi.io.raster.windows import read_window
from gcn_luigi.lattice import Lattice, Window, WindowSet

# Suffixes of sidecars, which are not rasters.
_NO_RASTERS = {".xml", ".ovr", ".msk"}
# Elements of a VRT that name hidden values. The second is from VRTs that warp.
_HIDING = {"nodata", "srcnodatareal"}
# As for the lattice.
_TOLERANCE_PX = 1e-3
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class AlignedRaster:
    """The first band of a raster, read by windows of a lattice. `window` is the window of the raster on the lattice.

    `path` is the file that the user supplied. If it is not on the lattice, `warped` is the file it was warped into.
    """

    path: Path
    window: Window
    nodata: float | None
    warped: Path | None = None

    @classmethod
    def open(cls, path: Path, lattice: Lattice) -> "AlignedRaster":
        """Check that the raster is aligned with the lattice and shares pixels with it.

        Raise InputError if it is unreadable or damaged, in another CRS, elsewhere, or not one plain band. Raise
        LatticeError if its pixel edges are between those of the lattice, or its pixels have another size.
        """
        header = check_plain(path)
        try:
            own = window_on(header.lattice, lattice, where=str(path))
        except (InputError, LatticeError) as error:
            raise type(error)(error.what, where=str(path), fix=f"{error.fix}; {OFFER}") from error
        if own.intersection(lattice.window).is_empty:
            raise InputError(
                "shares no pixel with the tiles",
                where=str(path),
                fix="use the raster of this region, or check the lattice's bounds",
            )
        with open_raster(path) as dataset:
            check_deflated(dataset, path)
        return cls(path, own, header.nodata[0])

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the pixels (y, x) of a window of the lattice, and where they are missing, bool (y, x).

        Pixels are missing if they are nodata, not finite, or beyond the raster; their values are arbitrary. The dtype
        is that of the raster.
        """
        own = Window(window.row - self.window.row, window.col - self.window.col, window.height, window.width)
        values = read_window(self.warped or self.path, own, bands=[1], fill=0)[0]
        beyond = WindowSet([self.window]).uncovered(window)
        missing = np.zeros(values.shape, bool) if beyond is None else beyond
        if self.nodata is not None:
            missing |= values == self.nodata
        if values.dtype.kind == "f":
            missing |= ~np.isfinite(values)
        return values, missing

    def check_tag(self, layer: str, legal: Container[float], *, fix: str) -> None:
        """Raise InputError if the nodata tag is also a legal value of the layer, so that its meaning is unclear."""
        if self.nodata is not None and self.nodata in legal:
            raise InputError(
                f"has the nodata tag {self.nodata:g}, a legal value of the {layer}: all such pixels would be missing",
                where=str(self.path),
                fix=f"{fix}, or set tiles.on_suspect_nodata = 'accept' if they are missing{COPY_FIRST}",
            )
        hidden = next((value for value in sorted(_hidden(self.path)) if value in legal), None)
        if hidden is not None:
            raise InputError(
                f"hides {hidden:g} of its sources, a legal value of the {layer}: all such pixels would be missing",
                where=str(self.path),
                fix="rebuild the VRT: gdalbuildvrt -srcnodata VALUE, with a value that its sources hold where they "
                "are missing, or None; or set tiles.on_suspect_nodata = 'accept' if they are missing",
            )


def check_plain(path: Path) -> Header:
    """Return the header of a raster that may lie anywhere. Raise InputError if it is not one plain band of numbers."""
    header = read_header(path, is_lattice=False)
    if header.is_scaled or header.has_mask or header.count != 1:
        raise InputError(
            f"has {header.count} band(s)"
            + (", a scale or offset tag" if header.is_scaled else "")
            + (", a mask of its own" if header.has_mask else ""),
            where=str(path),
            fix="write it as one plain band with the scale applied and with a declared nodata value",
        )
    if header.dtypes[0].startswith("complex"):
        raise InputError(
            f"holds complex numbers ({header.dtypes[0]})", where=str(path), fix="write it as plain numbers"
        )
    _check_written(path)
    return header


def _hidden(path: Path) -> set[float]:
    """Return the values that a VRT, or a VRT that it uses, hides in its sources."""
    if path.suffix != ".vrt":
        return set()
    below = [_hidden(source) for source in vrt_sources(path)]
    own = (element.text or "" for element in read_xml(path).iter() if element.tag.lower() in _HIDING)
    return {float(text) for text in own if _NUMBER.fullmatch(text)}.union(*below)


def _check_placed(path: Path) -> None:
    """Refuse a VRT that places a source between its pixels, because GDAL shifts it by up to half a pixel."""
    for source in read_xml(path).iter():
        items = {child.tag.lower(): child for child in source}
        rectangles = [items[name] for name in ("srcrect", "dstrect") if name in items]
        if "sourcefilename" not in items or source.get("resampling") is not None:
            continue
        texts = [text for rectangle in rectangles for text in rectangle.attrib.values()]
        sides = [float(text) for text in texts if _NUMBER.fullmatch(text)]
        if any(abs(side - round(side)) > _TOLERANCE_PX for side in sides):
            raise InputError(
                f"shows {items['sourcefilename'].text} between its own pixels, which shifts it by part of a pixel",
                where=str(path),
                fix="put that file onto the lattice of the others with a resampling of your choice; rebuild the VRT",
            )


def _check_covered(path: Path) -> None:
    """Refuse a VRT without a nodata value if some of its pixels have no source or are hidden."""
    root, header = read_xml(path), read_header(path)
    band = next((element for element in root if element.tag.lower() == "vrtrasterband"), None)
    if band is None or header.nodata[0] is not None:
        return
    parts = [{item.tag.lower(): item for item in element} for element in band]
    sources = [part for part in parts if "sourcefilename" in part]
    if any("dstrect" in source for source in sources):
        rectangles = [source["dstrect"].attrib for source in sources if "dstrect" in source]
        places = [{name.lower(): float(value) for name, value in each.items()} for each in rectangles]
        sides = [[place.get(name, 0.0) for name in ("xoff", "yoff", "xsize", "ysize")] for place in places]
    else:
        # Then each source starts in the upper left corner and keeps its size.
        sides = [[0.0, 0.0, *_size(source)] for source in vrt_sources(path)]
    shown = [shapely.box(left, top, left + width, top + height) for left, top, width, height in sides]
    whole = shapely.box(0, 0, header.lattice.width, header.lattice.height)
    hides = any(not source.keys().isdisjoint({"nodata", "usemaskband"}) for source in sources)
    if sources and (hides or not shapely.union_all(shown).covers(whole)):
        raise InputError(
            "is a VRT with pixels that no source shows and no nodata value for them: they would be 0",
            where=str(path),
            fix=f"build it with a nodata value: gdalbuildvrt -vrtnodata {holdable(-32768, header.dtypes)}",
        )


def _size(path: Path) -> tuple[float, float]:
    with open_raster(path) as dataset:
        return float(dataset.width), float(dataset.height)


def _check_written(path: Path) -> None:
    """Refuse blocks that were never written and have no nodata tag, in the file or in the sources of a VRT."""
    with open_raster(path) as dataset:
        unwritten, dtypes = unwritten_blocks(dataset), dataset.dtypes
        is_vrt = dataset.driver == "VRT"
        shown = [Path(name) for name in dataset.files] if is_vrt else []
    if is_vrt:
        _check_placed(path)
        _check_covered(path)
    if unwritten:
        raise InputError(unwritten, where=str(path), fix=fix_unwritten(dtypes))
    for file in shown:
        if file.suffix not in _NO_RASTERS and file.resolve() != path.resolve():
            _check_written(file)
