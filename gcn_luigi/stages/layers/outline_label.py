"""Write the label from outlines alone, block by block: no votes are needed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_areas, read_outlines
from gcn_luigi.io.raster.geotiff import blocks
from gcn_luigi.lattice import Lattice, Window, WindowSet
from gcn_luigi.prepare.layers.labels import rasterize_outlines
from gcn_luigi.prepare.layers.outline_classes import ClassPolygons, classes_of_values, label_of_outlines
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster

_FIX_DEBRIS = "remove the tag (rio edit-info --unset-nodata FILE), or write other values where there is debris"
# Often written where a mask of bytes is missing.
_BYTE_GAP = 255

# Where there is debris, and where that is unknown: two bool arrays (y, x) for a window.
_Debris = Callable[[Window], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


def read_class_polygons(region: Region, lattice: Lattice) -> tuple[ClassPolygons, list[str]]:
    """Return the outlines with the class of each, and notes on what was repaired or left out."""
    outlines, column, table = region.settings.outlines, region.settings.label.class_column, region.settings.class_table
    path = region.root / outlines.path
    if column is None:
        # The catalog tells the notes on these.
        shapes = read_outlines(path, outlines, lattice, region.settings.years).table.geometry.to_numpy()
        return ClassPolygons(shapes, np.full(len(shapes), table.value_of["ice"], np.int16)), []
    areas, notes = read_areas(path, outlines.layer, outlines, lattice, column)
    values, named = areas["value"].tolist(), region.settings.label.classes
    classes = classes_of_values(values, named, table, column, str(path))
    return ClassPolygons(areas.geometry.to_numpy(), classes), [f"outlines: {note}" for note in notes]


class OutlineLabel:
    """The label from outlines; `notes` say what was repaired, left out or contested once all blocks are made.

    Raise InputError if a file cannot be used, or if a polygon has no class.
    """

    def __init__(
        self, region: Region, lattice: Lattice, strip: tuple[int, int], opened: Callable[[Path], AlignedRaster]
    ) -> None:
        """Read the polygons; `strip` is the height and width of a block, and `opened` opens the raster of debris."""
        self._lattice, self._strip = lattice, strip
        self._settings, self._table = region.settings.label, region.settings.class_table
        self._notes: list[str] = []
        self._n_outside = 0
        self._polygons, notes = read_class_polygons(region, lattice)
        self._notes += notes
        self._debris = self._open_debris(region, opened)

    def blocks(self) -> Iterator[tuple[Window, NDArray[Any]]]:
        """Yield each block of the label, uint8 (y, x)."""
        for window in blocks(self._lattice, self._strip):
            classes = self._polygons.burn(self._lattice.crop(window))
            debris, unknown = self._debris(window)
            self._n_outside += int(np.count_nonzero(debris & (classes < 0)))
            yield window, label_of_outlines(classes, debris, unknown, self._settings.debris_outside, self._table)

    def as_dict(self) -> dict[str, Any]:
        """Return the notes and counts of the label as ``label.json`` has them."""
        return {
            "contested_pixels": self._polygons.n_contested,
            "debris_pixels_outside": self._n_outside,
            "notes": self._notes,
        }

    def _open_debris(self, region: Region, opened: Callable[[Path], AlignedRaster]) -> _Debris:
        settings = self._settings
        if settings.debris_outlines is not None:
            path = region.root / settings.debris_outlines
            areas, notes = read_areas(path, settings.debris_layer, region.settings.outlines, self._lattice)
            self._notes += [f"debris outlines: {note}" for note in notes]
            shapes = areas.geometry.to_numpy()
            return lambda window: (rasterize_outlines(shapes, self._lattice.crop(window)), _nowhere(window))
        if settings.debris_raster is not None:
            raster = opened(region.root / settings.debris_raster)
            if region.settings.tiles.on_suspect_nodata == "error":
                raster.check_tag("debris map", (1,), fix=_FIX_DEBRIS)
            return _DebrisRaster(raster)
        return lambda window: (_nowhere(window), _nowhere(window))


class _DebrisRaster:
    """A map of debris: values above 0 are debris; 0 and nodata are none; beyond the map, nobody knows."""

    def __init__(self, raster: AlignedRaster) -> None:
        self._raster = raster
        self._has_gap_value = self._has_others = False

    def __call__(self, window: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        values, missing = self._raster.read(window)
        valid = values[~missing]
        if (valid < 0).any():
            raise InputError(
                f"holds {valid[valid < 0][0]:g}, but debris is where values are above 0",
                where=str(self._raster.path),
                fix="declare this value as the file's nodata value if there is no debris, or write 0 there",
            )
        self._has_gap_value |= bool((valid == _BYTE_GAP).any())
        self._has_others |= bool(((valid > 0) & (valid != _BYTE_GAP)).any())
        if values.dtype == np.uint8 and self._has_gap_value and self._has_others:
            raise InputError(
                "holds 255 and other values above 0: is 255 debris, or missing?",
                where=str(self._raster.path),
                fix="declare 255 as the file's nodata value, or write 1 where there is debris and 0 elsewhere",
            )
        beyond = WindowSet([self._raster.window]).uncovered(window)
        return ~missing & (values > 0), _nowhere(window) if beyond is None else beyond


def _nowhere(window: Window) -> NDArray[np.bool_]:
    return np.zeros((window.height, window.width), bool)
