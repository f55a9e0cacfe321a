"""Build one shard: read each partition once, mask it, select and cut its chips, compress and write them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.format import ShardHeader
from gcn_luigi.io.shard.writer import EncodedRows, ShardWriter, create_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice, Window, hilbert_order
from gcn_luigi.prepare.chips.chips import cut_chips
from gcn_luigi.prepare.chips.metadata import (
    Partition,
    chip_columns,
    empty_columns,
    empty_window_columns,
    window_columns,
)
from gcn_luigi.prepare.chips.selection import select_chips
from gcn_luigi.prepare.missing.fill import Corrected
from gcn_luigi.prepare.partitions.years import years_of_rows
from gcn_luigi.prepare.statistics.histograms import ShardStatistics
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.confidence import open_confidence
from gcn_luigi.stages.shards.partition_reader import read_partitions

# Number of chips that are cut and compressed at once: 10 MB of pixels with ten bands, for any step.
BATCH = 32
# The year gap of a partition without a dated outline, whose year comes from the settings.
NO_OUTLINE = -1

Columns = Mapping[str, NDArray[Any]]
Planes = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ShardRequest:
    """The shard to build: share `number` of `total` of a split's partitions.

    `threads` is the number of threads that cut and compress, in addition to one that reads and one that counts and
    writes; with 1, a single thread does everything. It has no effect on the bytes.
    """

    region: Region
    paths: DatasetPaths
    split: str
    number: int
    total: int
    threads: int = 1

    @property
    def settings(self) -> RegionSettings:
        """The settings of the region."""
        return self.region.settings


class EncodedChips(NamedTuple):
    """The arguments of `ShardWriter.write`: pixels, metadata of chips and, if it is stored whole, of the partition."""

    rows: EncodedRows
    columns: Columns
    windows: Columns


class ChipEncoder:
    """Cut and compress chips in any thread. Each thread has its own buffers, which are reused.

    Parameters
    ----------
    header : ShardHeader
        Sizes, edge policy and fill values.
    writer : ShardWriter
        Compresses the chips.
    in_threads : bool
        True if other threads than the writing one do this work.
    """

    def __init__(self, header: ShardHeader, writer: ShardWriter, *, in_threads: bool = False) -> None:
        self.header, self._writer = header, writer
        # Uncompressed chips are written directly from the buffers, which a thread may already use for its next part.
        self._is_reused = not (in_threads and writer.codec == "none")
        self._n_windows = 0
        # Writing to new memory takes longer than cutting.
        self._buffers = threading.local()

    def calls(
        self, planes: Planes, origins: NDArray[np.int64], columns: Columns, windows: Columns
    ) -> Iterator[Callable[[], EncodedChips]]:
        """Yield the calls that encode one partition. There are none without chips.

        `planes` are ``image`` (band, y, x) in the type of the stack, and ``label``, ``flags`` and, if the label has
        one, ``confidence`` (y, x) uint8 of the partition. They must not change before the calls are done. `origins`
        (chip, 2) are the row and column of its chips. `columns` and `windows` are the metadata of the chips (chip, ...)
        and of the partition (1, ...).
        """
        if not len(origins):
            return
        if self.header.layout == "windows":
            numbers = np.full(len(origins), self._n_windows, np.int32)
            self._n_windows += 1
            yield partial(self._encode_window, planes, {**columns, "in_window": numbers}, windows)
            return
        for first in range(0, len(origins), BATCH):
            batch = slice(first, first + BATCH)
            part = {name: values[batch] for name, values in columns.items()}
            yield partial(self._encode_chips, planes, origins[batch], part)

    def _encode_chips(self, planes: Planes, origins: NDArray[np.int64], columns: Columns) -> EncodedChips:
        header, pixels = self.header, {}
        for name, plane in planes.items():
            out = self._buffer(name, (BATCH, *plane.shape[:-2], header.size, header.size), plane.dtype)[: len(origins)]
            pixels[name] = cut_chips(plane, origins, header.size, edge=header.edge, fill=header.fills[name], out=out)
        return EncodedChips(self._writer.encode(pixels), columns, {})

    def _encode_window(self, planes: Planes, columns: Columns, windows: Columns) -> EncodedChips:
        header, pixels = self.header, {}
        for name, plane in planes.items():
            pixels[name] = plane[np.newaxis]
            if plane.shape[-2:] != header.window:
                height, width = plane.shape[-2:]
                pixels[name] = self._buffer(name, (1, *plane.shape[:-2], *header.window), plane.dtype)
                pixels[name][...] = header.fills[name]
                pixels[name][0, ..., :height, :width] = plane
        return EncodedChips(self._writer.encode(pixels), columns, windows)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        buffer: NDArray[Any] | None = getattr(self._buffers, name, None) if self._is_reused else None
        if buffer is None:
            buffer = np.empty(shape, dtype)
            setattr(self._buffers, name, buffer)
        return buffer


def share_of(count: int, number: int, total: int) -> slice:
    """Return which of `count` ordered items belong to share `number` of `total`. Shares differ by at most one item."""
    return slice(number * count // total, (number + 1) * count // total)


def catalog_of_shards(settings: RegionSettings, paths: DatasetPaths) -> Path:
    """Return the catalog that shards are made from: without the folds, which decide no pixel."""
    return paths.unfolded_catalog if settings.split.folds else paths.catalog


def used_partitions(catalog_path: Path, lattice: Lattice, split: str) -> list[Partition]:
    """Return the used partitions of a split along the Hilbert curve, so that the share of a shard is a compact area.

    Consecutive partitions are close together and often in the same blocks of the tiles. Cells that start at the same
    pixel are ordered by id. A partition that is cut from several composites occurs once for each, earliest first.
    """
    catalog = read_geoparquet(catalog_path)
    rows = catalog[catalog["used"] & (catalog["split"] == split)]
    rows = rows.iloc[hilbert_order(rows["row"], rows["col"])]
    return [
        Partition(
            partition=str(row.partition),
            split=split,
            year=year,
            year_gap=NO_OUTLINE if pd.isna(row.outline_year) else abs(year - int(row.outline_year)),
            window=Window(int(row.row), int(row.col), int(row.height), int(row.width)),
            lattice=lattice,
        )
        for row, years in zip(rows.itertuples(), years_of_rows(rows), strict=True)
        for year in years
    ]


def build_shard(request: ShardRequest, out: Path, say: Say) -> None:
    """Write one shard to `out`, which the caller publishes. `say` is called after each partition.

    Memory does not grow with the number of partitions: at most a few batches of chips are in progress. Raise InputError
    if a source cannot be decoded. The message names the file.
    """
    inventory, catalog = read_inventory(request.paths), catalog_of_shards(request.settings, request.paths)
    everything = {split: used_partitions(catalog, inventory.lattice, split) for split in request.settings.splits}
    of_split = everything[request.split]
    places = of_split[share_of(len(of_split), request.number, request.total)]
    all_places = [place for places in everything.values() for place in places]
    header = shard_header(request.settings, all_places, inventory.lattice, request.split, request.number, request.total)
    write_partitions(request, header, inventory, places, out, say)


def write_partitions(
    request: ShardRequest,
    header: ShardHeader,
    inventory: Inventory,
    places: Sequence[Partition],
    out: Path,
    say: Say,
) -> None:
    """Write the chips of `places` into one file, even if they are of different shards; otherwise as `build_shard`."""
    settings = request.settings
    statistics = ShardStatistics(settings.schema_bands, has_confidence=bool(header.confidence))
    in_threads = request.threads > 1
    pool = ThreadPoolExecutor(request.threads) if in_threads else nullcontext()
    with (
        create_shard(out, header, settings.shards.codec) as writer,
        open_confidence(settings.label, request.paths) as sure,
        pool as threads,
    ):
        encoder = ChipEncoder(header, writer, in_threads=in_threads)
        read = read_partitions(request.region, request.paths, inventory, places, in_thread=in_threads)
        calls = _encode_calls(settings, places, sure.added_to(read, places), encoder, statistics, say)
        encoded = (call() for call in calls) if threads is None else in_order(threads, calls, 2 * request.threads)
        for part in encoded:
            writer.write(*part)
        writer.finish(
            empty_columns(
                settings.region,
                request.split,
                inventory.lattice,
                in_windows=header.layout == "windows",
                classes=settings.class_table,
            ),
            statistics.tables([place.partition for place in places], [place.year for place in places]),
            empty_window_columns(inventory.lattice),
        )


def shard_header(
    settings: RegionSettings, places: Iterable[Partition], lattice: Lattice, split: str, number: int, total: int
) -> ShardHeader:
    """Return the header of shard `number` of `total` of a split. `places` are all used partitions of the dataset."""
    windows = [place.window for place in places]
    return ShardHeader(
        region=settings.region,
        split=split,
        number=number,
        total=total,
        bands=settings.schema_bands.image,
        dtype=settings.stack.dtype,
        crs=lattice.crs,
        size=settings.chips.size,
        step=settings.chips.step,
        nodata_mode=settings.nodata.mode,
        fill=settings.nodata.fill,
        edge=settings.chips.edge,
        layout=settings.shards.layout,
        # The maximum over the whole dataset, so that the arrays of all shards have the same shape.
        window=(max(window.height for window in windows), max(window.width for window in windows)),
        classes=settings.class_table,
        confidence=settings.label.confidence,
    )


def _encode_calls(
    settings: RegionSettings,
    places: Sequence[Partition],
    read: Iterable[tuple[Corrected, Planes]],
    encoder: ChipEncoder,
    statistics: ShardStatistics,
    say: Say,
) -> Iterator[Callable[[], EncodedChips]]:
    """Select and count the chips of each partition in turn, and yield the calls that encode them.

    `read` are the partitions, each with the planes that only some datasets have.
    """
    began, size = time.perf_counter(), settings.chips.size
    beyond, classes = encoder.header.fills["flags"], settings.class_table
    for done, (place, (corrected, more)) in enumerate(zip(places, read, strict=True), 1):
        selection = select_chips(
            settings.chips,
            corrected.label,
            corrected.flags,
            split=place.split,
            extent=place.window.height,
            beyond=beyond,
            classes=classes,
        )
        statistics.add(corrected, selection, size, **more)
        origins, counts = selection.origins[selection.kept], selection.counts.of(selection.kept)
        columns = chip_columns(settings.region, place, origins, counts, size, classes)
        planes = {"image": corrected.image, "label": corrected.label, "flags": corrected.flags, **more}
        yield from encoder.calls(planes, origins, columns, window_columns(place))
        rate = statistics.n_kept / max(time.perf_counter() - began, 1e-9)
        chips = f"{statistics.n_kept:,} chips, {statistics.n_rejected:,} rejected, {rate:,.0f} chips/s"
        say(f"{done} of {len(places)} partitions, {chips}", done / len(places))
