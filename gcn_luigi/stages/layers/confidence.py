"""Write the confidence of the label block by block: what votes and outlines say, without the years in between."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, write_geotiff
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.confidence import (
    SURE,
    Percent,
    confidence_of_edge,
    confidence_of_votes,
    edge_margin,
    least,
)
from gcn_luigi.prepare.layers.labels import rasterize_outlines
from gcn_luigi.prepare.missing.fill import NO_CONFIDENCE
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.aligned_band import open_layer
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.layers.outline_label import read_class_polygons

# One block tall, so that blocks are always written in the same order; narrow, because distances are only made where
# outlines are.
_STRIP = (BLOCK, 1024)

# Where glaciers are, by outline: bool (y, x) for a window, which may reach beyond the lattice.
_Inside = Callable[[Window], NDArray[np.bool_]]


def write_confidence(region: Region, paths: DatasetPaths, out: Path, say: Say) -> None:
    """Write the confidence of the label: GeoTIFF, uint8, percent, 255 where the label is missing.

    It is the least of what votes and outlines say. Years differ between partitions, so they count when chips are cut.
    At most one strip of blocks is in memory, with a margin of `edge_px` pixels around it. Raise InputError or
    LatticeError if a source cannot be used.
    """
    inventory = read_inventory(paths)
    lattice, settings = inventory.lattice, region.settings.label
    votes = None
    if "votes" in settings.confidence:
        votes = open_layer(region.root / str(settings.stem), "label", paths, inventory)
    inside = _inside(region, lattice)

    def terms(window: Window) -> Iterator[Percent]:
        if votes is not None:
            values, missing = votes.read(window)
            clear = confidence_of_votes(np.where(missing, 0, values), settings.min_votes, settings.max_votes)
            if settings.ice_outside == "none":
                # There, no number of votes makes ice.
                clear[~inside(window)] = SURE
            yield clear
        if "edge" in settings.confidence:
            by, (height, width) = edge_margin(settings.edge_px), (window.height, window.width)
            wide = Window(window.row - by, window.col - by, height + 2 * by, width + 2 * by)
            yield confidence_of_edge(inside(wide), settings.edge_px)[by : by + height, by : by + width]

    def made() -> Iterator[tuple[Window, Percent]]:
        with open_raster(paths.label) as label:
            for window in blocks(lattice, _STRIP):
                known = read_dataset(label, window, fill=LABEL_IGNORE)[0] != LABEL_IGNORE
                yield window, least(*terms(window), known=known)
                last = window.row + window.height
                say(f"row {last} of {lattice.height}", last / lattice.height)

    write_geotiff(out, lattice, made(), nodata=NO_CONFIDENCE, names=["confidence"], dtype="uint8")


def _inside(region: Region, lattice: Lattice) -> _Inside:
    """Return what says where glaciers are, by outline; polygons that name other classes, such as nunataks, are not."""
    settings = region.settings
    if settings.label.class_column is not None:
        polygons, _ = read_class_polygons(region, lattice)
        is_glacier = np.append(settings.class_table.is_glacier, False)
        # Outside every polygon the class is -1, the last place.
        return lambda window: is_glacier[polygons.burn(lattice.crop(window))]
    if not {"votes", "edge"} & {*settings.label.confidence}:
        return lambda window: np.zeros((window.height, window.width), bool)
    outlines = read_outlines(region.root / settings.outlines.path, settings.outlines, lattice, settings.years)
    return partial(_burn, outlines.table.geometry.to_numpy(), lattice)


def _burn(shapes: NDArray[np.object_], lattice: Lattice, window: Window) -> NDArray[np.bool_]:
    return rasterize_outlines(shapes, lattice.crop(window))
