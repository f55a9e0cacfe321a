"""One shard: read each partition once, mask it, cut it, write its chips."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.io.index import read_geoparquet
from gcn_luigi.io.layout import Layout
from gcn_luigi.io.shard import ShardHeader, ShardWriter, create_shard
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips import chip_origins, cut_chips, effective_step, is_balanced
from gcn_luigi.prepare.columns import ChipPlace, chip_columns, empty_columns, select_counts
from gcn_luigi.prepare.curve import along_curve
from gcn_luigi.prepare.nodata import Corrected, outside_flags
from gcn_luigi.prepare.selection import Reason, count_chips, judge_chips
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.corrected import PartitionReader
from gcn_luigi.stages.mosaics import read_inventory
from gcn_luigi.stages.tally import Tally

# The year gap of a partition without a dated outline, whose year the settings gave.
NO_OUTLINE = -1


@dataclass(frozen=True)
class ShardRequest:
    """What to build.

    Attributes
    ----------
    settings : RegionSettings
        How.
    layout : Layout
        Where everything is.
    split : str
        ``train`` or ``dev``.
    number, total : int
        Which share of the split's partitions.
    threads : int
        That compress; no effect on the bytes.
    """

    settings: RegionSettings
    layout: Layout
    split: str
    number: int
    total: int
    threads: int = 1


def share_of(count: int, number: int, total: int) -> slice:
    """Return which of `count` ordered things belong to share `number` of `total`; shares differ by one at most."""
    return slice(number * count // total, (number + 1) * count // total)


def used_partitions(layout: Layout, lattice: Lattice, split: str) -> list[ChipPlace]:
    """Return the split's used partitions along a curve that fills the plane: a shard's share is a compact patch.

    Those that follow each other are neighbours and lie in the same blocks of the tiles. Cells that start at one
    pixel are ordered by id.
    """
    catalog = read_geoparquet(layout.catalog)
    rows = catalog[catalog["used"] & (catalog["split"] == split)]
    rows = rows.iloc[along_curve(rows["row"], rows["col"])]
    return [
        ChipPlace(
            partition=str(row.partition),
            split=split,
            year=int(row.year),
            year_gap=NO_OUTLINE if pd.isna(row.year_gap) else int(row.year_gap),
            window=Window(int(row.row), int(row.col), int(row.height), int(row.width)),
            lattice=lattice,
        )
        for row in rows.itertuples()
    ]


def build_shard(request: ShardRequest, out: Path, say: Say) -> None:
    """Write one shard.

    Parameters
    ----------
    request : ShardRequest
        What to build.
    out : Path
        The file; the caller publishes it.
    say : callable
        Told a line and the share of work done after each partition.

    Raises
    ------
    InputError
        A source cannot be decoded; the message names the file.
    """
    settings, layout = request.settings, request.layout
    inventory = read_inventory(layout)
    lattice = inventory.lattice
    everything = used_partitions(layout, lattice, request.split)
    places = everything[share_of(len(everything), request.number, request.total)]
    tally = Tally(settings.schema_bands)
    pool = ThreadPoolExecutor(request.threads) if request.threads > 1 else nullcontext()
    with (
        pool as threads,
        create_shard(out, _header(request, lattice), settings.shards.codec, threads) as writer,
        PartitionReader(settings, layout, inventory, places) as reader,
    ):
        for done, place in enumerate(places, 1):
            _add(writer, tally, settings, place, reader.read(place))
            progress = f"{done} of {len(places)} partitions, {tally.n_kept} chips, {tally.n_rejected} rejected"
            say(progress, done / len(places))
        writer.finish(
            empty_columns(settings.region, request.split, lattice),
            tally.tables([place.partition for place in places], [place.year for place in places]),
        )


def _header(request: ShardRequest, lattice: Lattice) -> ShardHeader:
    settings = request.settings
    return ShardHeader(
        region=settings.region,
        split=request.split,
        number=request.number,
        total=request.total,
        bands=settings.schema_bands.image,
        crs=lattice.crs,
        size=settings.chips.size,
        step=settings.chips.step,
        nodata_mode=settings.nodata.mode,
        fill=settings.nodata.fill,
    )


def _add(writer: ShardWriter, tally: Tally, settings: RegionSettings, place: ChipPlace, corrected: Corrected) -> None:
    chips, size = settings.chips, settings.chips.size
    balanced = chips.densify and is_balanced(corrected.label, place.window.height)
    step = effective_step(chips.step, densify=chips.densify, split=place.split, balanced=balanced)
    origins = chip_origins(corrected.label.shape, size, step, chips.edge)
    outside = int(outside_flags(settings.schema_bands))
    counts = count_chips(corrected.label, corrected.flags, origins, size, edge=chips.edge, beyond=outside)
    verdicts = judge_chips(counts, size, chips)
    chosen = np.asarray(verdicts == Reason.KEPT, bool)
    kept = origins[chosen]
    tally.add(corrected, kept, size, verdicts, step)
    if not len(kept):
        return
    pixels = {
        "image": cut_chips(corrected.image, kept, size, edge=chips.edge, fill=settings.nodata.fill),
        "label": cut_chips(corrected.label, kept, size, edge=chips.edge, fill=LABEL_IGNORE),
        "flags": cut_chips(corrected.flags, kept, size, edge=chips.edge, fill=outside),
    }
    writer.append(pixels, chip_columns(settings.region, place, kept, select_counts(counts, chosen), size))
