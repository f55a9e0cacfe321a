"""Write the label and distance rasters block by block, from outlines with or without votes, or ready-made."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import ClassTable
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import BLOCK, blocks, write_geotiff
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.label_values import (
    class_table,
    count_values,
    fractional_votes,
    has_fractions,
    reclassify,
    refuse_percentages,
)
from gcn_luigi.prepare.layers.labels import combine_label, distance_to_glacier, halo_px, rasterize_outlines
from gcn_luigi.prepare.layers.vote_counts import VoteCounts
from gcn_luigi.settings import DistanceSettings, LabelSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.aligned_band import open_layer
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.layers.outline_label import OutlineLabel

Blocks = Iterator[tuple[Window, NDArray[Any]]]

# One block tall, so that blocks are always written in the same order; wide, so that outlines are clipped less often.
_STRIP = (BLOCK, 4096)
_DISTANCE_NODATA = -32768
# The largest distance. As a tag it may well mean nodata, so it is accepted.
_LARGEST = 32767
_FIX_LABEL = "remove the tag (rio edit-info --unset-nodata FILE), or tag a value that is not a class"
_FIX_VOTES = (
    "remove the tag (rio edit-info --unset-nodata FILE), or tag another value if some pixels are missing; above the "
    "largest number of votes, lower [label] max_votes"
)


def write_label(region: Region, paths: DatasetPaths, out: Path, say: Say, notes_out: Path | None = None) -> None:
    """Write the label raster: GeoTIFF, uint8, the values of the classes, and 255 where it is missing.

    `notes_out` gets notes on the label, as JSON. For a label from votes, these are the pixels of debris-free ice inside
    and outside the outlines. For a label from outlines alone, they are the pixels of debris outside every outline, the
    pixels that outlines of several classes contain, and what was repaired or left out. A ready-made label has no notes.

    Raise InputError if a source is unreadable or holds unknown classes, LatticeError if it is not aligned with the
    lattice.
    """
    inventory = read_inventory(paths)
    lattice = inventory.lattice
    settings, classes = region.settings.label, region.settings.class_table
    accepts = region.settings.tiles.on_suspect_nodata == "accept"
    noted: OutlineLabel | VoteCounts | None = None
    if settings.source is not None:
        opened = partial(open_layer, band="label", paths=paths, inventory=inventory)
        noted = OutlineLabel(region, lattice, _STRIP, opened)
        made = noted.blocks()
    elif settings.raster is not None:
        given = open_layer(region.root / settings.raster, "label", paths, inventory)
        if not accepts:
            given.check_tag("label", _class_values(settings, classes), fix=_FIX_LABEL)
        made = _given_label(given, lattice, settings, classes)
    else:
        votes = open_layer(region.root / str(settings.stem), "label", paths, inventory)
        if not accepts:
            votes.check_tag("votes", range(settings.max_votes + 1), fix=_FIX_VOTES)
        noted = VoteCounts()
        made = _combined_label(votes, _geometries(region, lattice), lattice, settings, classes, noted)
    write_geotiff(out, lattice, _report(made, lattice, say), nodata=LABEL_IGNORE, names=["label"], dtype="uint8")
    if noted is not None and notes_out is not None:
        notes_out.write_text(json.dumps(noted.as_dict(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_distance(region: Region, paths: DatasetPaths, out: Path, say: Say) -> None:
    """Write the distance raster: int16, distance to the nearest outline or to the nearest glacier pixel of the label.

    Beyond the lattice there are outlines but no label, so the two sources differ near its edge. Errors: see
    `write_label`.
    """
    inventory = read_inventory(paths)
    lattice = inventory.lattice
    settings = region.settings.distance
    if settings.raster is not None:
        given = open_layer(region.root / settings.raster, "distance", paths, inventory)
        if region.settings.tiles.on_suspect_nodata == "error":
            given.check_tag("distance", range(_LARGEST), fix="tag a negative value")
        made = _given_distance(given, lattice, settings.unit)
    elif settings.source == "label":
        made = _distance_from_label(paths.label, lattice, settings, region.settings.class_table)
    else:
        shapes = _geometries(region, lattice)
        made = _measured_distance(lambda window: rasterize_outlines(shapes, lattice.crop(window)), lattice, settings)
    write_geotiff(out, lattice, _report(made, lattice, say), nodata=_DISTANCE_NODATA, names=["distance"], dtype="int16")


def _geometries(region: Region, lattice: Lattice) -> Any:
    settings = region.settings.outlines
    path = region.root / settings.path
    return read_outlines(path, settings, lattice, region.settings.years).table.geometry.to_numpy()


def _class_values(settings: LabelSettings, classes: ClassTable) -> tuple[int, ...]:
    """Return the values of a ready-made label that mean a class."""
    if not settings.classes:
        return classes.values
    return tuple(int(value) for value, name in settings.classes.items() if name != "ignore")


def _given_label(raster: AlignedRaster, lattice: Lattice, settings: LabelSettings, classes: ClassTable) -> Blocks:
    # The whole raster is read first, because the meaning of its values depends on which values occur.
    counts = count_values(_planes(raster, lattice), str(raster.path))
    table = class_table(counts, settings.classes, settings.allow_absent, str(raster.path), classes)
    for window in blocks(lattice, _STRIP):
        yield window, reclassify(*raster.read(window), table)


def _planes(raster: AlignedRaster, lattice: Lattice) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    return (raster.read(window) for window in blocks(lattice, _STRIP))


def _combined_label(
    votes: AlignedRaster,
    geometries: Any,
    lattice: Lattice,
    settings: LabelSettings,
    classes: ClassTable,
    counts: VoteCounts,
) -> Blocks:
    most = 0
    for window in blocks(lattice, _STRIP):
        values, missing = votes.read(window)
        valid = values[~missing]
        # Checked before the range, because cubic resampling gives fractions below zero, which are not nodata values.
        if has_fractions(valid):
            raise fractional_votes(_planes(votes, lattice), settings.min_votes, str(votes.path))
        wrong = valid[(valid < 0) | (valid > settings.max_votes)]
        if wrong.size:
            raise InputError(
                f"holds {wrong[0]:g} among the votes, which must be from 0 to {settings.max_votes}",
                where=str(votes.path),
                fix="declare it as the file's nodata value if it means missing, or raise [label] max_votes "
                "and set min_votes to suit the range",
            )
        most = max(most, int(valid.max(initial=0)))
        inside = rasterize_outlines(geometries, lattice.crop(window))
        counts.add(inside, values >= settings.min_votes, missing)
        outside = settings.ice_outside
        yield window, combine_label(inside, values, missing, settings.min_votes, ice_outside=outside, classes=classes)
    if "max_votes" not in settings.model_fields_set:
        refuse_percentages(most, settings.min_votes, str(votes.path))


def _given_distance(raster: AlignedRaster, lattice: Lattice, unit: str) -> Blocks:
    for window in blocks(lattice, _STRIP):
        values, missing = raster.read(window)
        wrong = ~missing & ((values < 0) | (values > np.iinfo(np.int16).max))
        if wrong.any():
            raise InputError(
                f"distance holds {values[wrong][0]:g}, which is not a distance in {unit} that fits int16",
                where=str(raster.path),
                fix=f"supply {unit} from 0 to 32767 with a declared nodata value, or let it be computed",
            )
        yield window, np.where(missing, _DISTANCE_NODATA, np.rint(np.where(missing, 0, values))).astype(np.int16)


def _distance_from_label(label: Path, lattice: Lattice, settings: DistanceSettings, classes: ClassTable) -> Blocks:
    with open_raster(label) as dataset:

        def glaciers(window: Window) -> NDArray[np.bool_]:
            values: NDArray[np.uint8] = read_dataset(dataset, window, fill=LABEL_IGNORE)[0]
            return classes.is_glacier[values]

        yield from _measured_distance(glaciers, lattice, settings)


def _measured_distance(
    glaciers: Callable[[Window], NDArray[np.bool_]], lattice: Lattice, settings: DistanceSettings
) -> Blocks:
    halo = halo_px(lattice.pixel_size, settings.max_m)
    for window in blocks(lattice, _STRIP):
        wide = Window(window.row - halo, window.col - halo, window.height + 2 * halo, window.width + 2 * halo)
        distance = distance_to_glacier(glaciers(wide), lattice.pixel_size, settings.max_m, settings.unit)
        yield window, distance[halo : halo + window.height, halo : halo + window.width]


def _report(made: Blocks, lattice: Lattice, say: Say) -> Blocks:
    for window, values in made:
        yield window, values
        last = window.row + window.height
        say(f"row {last} of {lattice.height}", last / lattice.height)
