"""One shard: read each partition once, mask it, judge and cut its chips, compress and write them."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard.writer import ShardHeader, create_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.metadata import (
    Partition,
    chip_columns,
    empty_columns,
    empty_window_columns,
    select_counts,
    window_columns,
)
from gcn_luigi.prepare.chips.selection import Reason
from gcn_luigi.prepare.missing.fill import Corrected
from gcn_luigi.prepare.partitions.hilbert import along_curve
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.chip_encoder import Piece, PieceMaker
from gcn_luigi.stages.shards.chip_selection import judge_partition
from gcn_luigi.stages.shards.partition_reader import read_partitions
from gcn_luigi.stages.shards.shard_statistics import Tally

# The year gap of a partition without a dated outline, whose year the settings gave.
NO_OUTLINE = -1


@dataclass(frozen=True)
class ShardRequest:
    """What to build.

    Attributes
    ----------
    region : Region
        How, and where its sources are.
    paths : DatasetPaths
        Where everything is.
    split : str
        ``train`` or ``dev``.
    number, total : int
        Which share of the split's partitions.
    threads : int
        That cut and compress, beside one that reads and one that counts and writes; 1 does all in one thread. No effect
        on the bytes.
    """

    region: Region
    paths: DatasetPaths
    split: str
    number: int
    total: int
    threads: int = 1

    @property
    def settings(self) -> RegionSettings:
        """How."""
        return self.region.settings


def share_of(count: int, number: int, total: int) -> slice:
    """Return which of `count` ordered things belong to share `number` of `total`; shares differ by one at most."""
    return slice(number * count // total, (number + 1) * count // total)


def used_partitions(paths: DatasetPaths, lattice: Lattice, split: str) -> list[Partition]:
    """Return the split's used partitions along a curve that fills the plane: a shard's share is a compact patch.

    Those that follow each other are neighbours and lie in the same blocks of the tiles. Cells that start at one
    pixel are ordered by id.
    """
    catalog = read_geoparquet(paths.catalog)
    rows = catalog[catalog["used"] & (catalog["split"] == split)]
    rows = rows.iloc[along_curve(rows["row"], rows["col"])]
    return [
        Partition(
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

    Memory does not grow with the number of partitions: at most a few batches of chips are under way.

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
    inventory = read_inventory(request.paths)
    everything = {split: used_partitions(request.paths, inventory.lattice, split) for split in SPLITS}
    of_split = everything[request.split]
    places = of_split[share_of(len(of_split), request.number, request.total)]
    header = shard_header(request, inventory.lattice, [place for split in SPLITS for place in everything[split]])
    write_partitions(request, header, inventory, places, out, say)


def write_partitions(
    request: ShardRequest,
    header: ShardHeader,
    inventory: Inventory,
    places: Sequence[Partition],
    out: Path,
    say: Say,
) -> None:
    """Write the chips of `places` into one file, whichever shard they belong to; else as `build_shard`."""
    settings, paths = request.settings, request.paths
    tally = Tally(settings.schema_bands)
    in_threads = request.threads > 1
    pool = ThreadPoolExecutor(request.threads) if in_threads else nullcontext()
    with create_shard(out, header, settings.shards.codec) as writer, pool as threads:
        maker = PieceMaker(header, writer, in_threads=in_threads)
        read = read_partitions(request.region, paths, inventory, places, in_thread=in_threads)
        calls = _Partitions(settings, header, tally).calls(zip(places, read, strict=True), len(places), maker, say)
        for piece in in_order(threads, calls, 2 * request.threads):
            piece.write(writer)
        is_windows = header.layout == "windows"
        writer.finish(
            empty_columns(settings.region, request.split, inventory.lattice, in_windows=is_windows),
            tally.tables([place.partition for place in places], [place.year for place in places]),
            empty_window_columns(inventory.lattice) if is_windows else {},
        )


def shard_header(request: ShardRequest, lattice: Lattice, places: Sequence[Partition]) -> ShardHeader:
    """Return what a shard says of itself; `places` are all used partitions of the dataset."""
    settings, windows = request.settings, [place.window for place in places]
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
        edge=settings.chips.edge,
        layout=settings.shards.layout,
        # Of the whole dataset: all shards of it have arrays of one shape.
        window=(max(window.height for window in windows), max(window.width for window in windows)),
    )


class _Partitions:
    """Counts and judges partitions, one after the other."""

    def __init__(self, settings: RegionSettings, header: ShardHeader, tally: Tally) -> None:
        self._settings, self._header, self._tally = settings, header, tally

    def calls(
        self, partitions: Iterable[tuple[Partition, Corrected]], count: int, maker: PieceMaker, say: Say
    ) -> Iterator[Callable[[], Piece]]:
        """Yield one call a piece of work, and say how far it is."""
        began = time.perf_counter()
        for done, (place, corrected) in enumerate(partitions, 1):
            yield from self._of_partition(place, corrected, maker)
            tally, rate = self._tally, self._tally.n_kept / max(time.perf_counter() - began, 1e-9)
            counts = f"{tally.n_kept:,} chips, {tally.n_rejected:,} rejected, {rate:,.0f} chips/s"
            say(f"{done} of {count} partitions, {counts}", done / count)

    def _of_partition(self, place: Partition, corrected: Corrected, maker: PieceMaker) -> Iterator[Callable[[], Piece]]:
        settings, size = self._settings, self._settings.chips.size
        judged = judge_partition(settings.chips, place, corrected.label, corrected.flags, self._header.fills["flags"])
        chosen = np.asarray(judged.verdicts == Reason.KEPT, bool)
        kept = judged.origins[chosen]
        self._tally.add(corrected, kept, size, judged.verdicts, judged.step)
        columns = chip_columns(settings.region, place, kept, select_counts(judged.counts, chosen), size)
        planes = {"image": corrected.image, "label": corrected.label, "flags": corrected.flags}
        yield from maker.calls(planes, kept, columns, window_columns(place))
