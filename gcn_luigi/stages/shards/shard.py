"""One shard: read each partition once, mask it, select and cut its chips, compress and write them."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard.format import ShardHeader
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.metadata import (
    Partition,
    chip_columns,
    empty_columns,
    empty_window_columns,
    window_columns,
)
from gcn_luigi.prepare.chips.selection import select_chips
from gcn_luigi.prepare.missing.fill import Corrected
from gcn_luigi.prepare.partitions.grid import hilbert_order
from gcn_luigi.prepare.statistics.histograms import ShardStatistics
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.chip_encoder import ChipEncoder, EncodedChips
from gcn_luigi.stages.shards.partition_reader import read_partitions

# The year gap of a partition without a dated outline, whose year the settings gave.
NO_OUTLINE = -1


@dataclass(frozen=True)
class ShardRequest:
    """What to build: share `number` of `total` of a split's partitions.

    `threads` cut and compress, next to one that reads and one that counts and writes; 1 does all in one thread. They
    have no effect on the bytes.
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

    Those that follow each other are neighbours and are in the same blocks of the tiles. Cells that start at one
    pixel are ordered by id.
    """
    catalog = read_geoparquet(paths.catalog)
    rows = catalog[catalog["used"] & (catalog["split"] == split)]
    rows = rows.iloc[hilbert_order(rows["row"], rows["col"])]
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
    """Write one shard to `out`, which the caller publishes; `say` reports after each partition.

    Memory does not grow with the number of partitions: at most a few batches of chips are under way. Raise InputError
    where a source cannot be decoded; the message names the file.
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
    settings = request.settings
    statistics = ShardStatistics(settings.schema_bands)
    in_threads = request.threads > 1
    pool = ThreadPoolExecutor(request.threads) if in_threads else nullcontext()
    with create_shard(out, header, settings.shards.codec) as writer, pool as threads:
        encoder = ChipEncoder(header, writer, in_threads=in_threads)
        read = read_partitions(request.region, request.paths, inventory, places, in_thread=in_threads)
        calls = _encode_calls(settings, places, read, encoder, statistics, say)
        encoded = (call() for call in calls) if threads is None else in_order(threads, calls, 2 * request.threads)
        for part in encoded:
            writer.write(*part)
        is_windows = header.layout == "windows"
        writer.finish(
            empty_columns(settings.region, request.split, inventory.lattice, in_windows=is_windows),
            statistics.tables([place.partition for place in places], [place.year for place in places]),
            empty_window_columns(inventory.lattice) if is_windows else {},
        )


def shard_header(request: ShardRequest, lattice: Lattice, places: Sequence[Partition]) -> ShardHeader:
    """Return the header of a shard; `places` are all used partitions of the dataset."""
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


def _encode_calls(
    settings: RegionSettings,
    places: Sequence[Partition],
    read: Iterable[Corrected],
    encoder: ChipEncoder,
    statistics: ShardStatistics,
    say: Say,
) -> Iterator[Callable[[], EncodedChips]]:
    """Select the chips of one partition after the other, count them, and yield the calls that encode them."""
    began, size = time.perf_counter(), settings.chips.size
    beyond = encoder.header.fills["flags"]
    for done, (place, corrected) in enumerate(zip(places, read, strict=True), 1):
        selection = select_chips(
            settings.chips,
            corrected.label,
            corrected.flags,
            split=place.split,
            extent=place.window.height,
            beyond=beyond,
        )
        statistics.add(corrected, selection, size)
        origins, counts = selection.origins[selection.kept], selection.counts.of(selection.kept)
        columns = chip_columns(settings.region, place, origins, counts, size)
        planes = {"image": corrected.image, "label": corrected.label, "flags": corrected.flags}
        yield from encoder.calls(planes, origins, columns, window_columns(place))
        rate = statistics.n_kept / max(time.perf_counter() - began, 1e-9)
        chips = f"{statistics.n_kept:,} chips, {statistics.n_rejected:,} rejected, {rate:,.0f} chips/s"
        say(f"{done} of {len(places)} partitions, {chips}", done / len(places))
