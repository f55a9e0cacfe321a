"""Partitions read from their stacks and corrected: what chips and partition files are made of."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self

from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.missing.fill import Corrected, flag_outside, strict_nodata
from gcn_luigi.prepare.missing.legacy import LegacyRule, legacy_corrected
from gcn_luigi.prepare.missing.tile_coverage import TileCover
from gcn_luigi.settings import RegionSettings

# Partitions read before they are asked for.
_AHEAD = 2


class PartitionReader:
    """Read partitions and make their missing pixels homogeneous; a context manager that belongs to one process.

    Parameters
    ----------
    settings : RegionSettings
        Bands and nodata mode.
    paths : DatasetPaths
        Where the stacks are.
    inventory : Inventory
        Where the lattice and its tiles lie.
    places : sequence of Partition
        What will be read, in this order: it is read ahead. Others can be read too.
    threads : int
        Threads that decode; no effect on the pixels.
    """

    def __init__(
        self,
        settings: RegionSettings,
        paths: DatasetPaths,
        inventory: Inventory,
        places: Sequence[Partition] = (),
        *,
        threads: int = 1,
    ) -> None:
        self._settings = settings
        self._lattice = inventory.lattice.window
        self._tiles = TileCover(inventory.windows)
        self._stacks = StackReader(paths.stack, threads=threads)
        self._stacks.expect([(place.year, place.window) for place in places])

    def __enter__(self) -> Self:
        """Return itself."""
        self._stacks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all sources."""
        self._stacks.__exit__(kind, error, traceback)

    def read(self, place: Partition, out: Corrected | None = None) -> Corrected:
        """Read one partition.

        Parameters
        ----------
        place : Partition
            Year and window; it may reach beyond the tiles, and pixels there are missing in every role.
        out : Corrected or None
            Buffers from `Corrected.empty`, of the window's shape and int16, written to and returned.

        Returns
        -------
        Corrected
            Image, label, flags and out-of-range counts.

        Raises
        ------
        InputError
            A source is gone, cannot be decoded or was replaced; the message names the file.
        """
        schema, nodata, window = self._settings.schema_bands, self._settings.nodata, place.window
        values = self._stacks.read(place.year, window)
        on_lattice = self._lattice.intersection(window)
        inside = Window(on_lattice.row - window.row, on_lattice.col - window.col, on_lattice.height, on_lattice.width)
        if nodata.mode == "legacy":
            rule = LegacyRule.of(schema, nodata)
            corrected = legacy_corrected(values, schema, rule, inside=inside, out=out)
        else:
            corrected = strict_nodata(values, schema, inside=inside, fill=nodata.fill, out=out)
        outside = self._tiles.without(window)
        if outside is None:
            return corrected
        return flag_outside(corrected, schema, outside, fill=None if nodata.mode == "legacy" else nodata.fill)


def read_in_turn(reader: PartitionReader, places: Sequence[Partition]) -> Iterator[Corrected]:
    """Yield the partitions `places`, each read when it is asked for into the memory of the one before."""
    with reader:
        out: Corrected | None = None
        for place in places:
            shape = place.window.height, place.window.width
            out = reader.read(place, out if out is not None and out.label.shape == shape else None)
            yield out


def read_ahead(reader: PartitionReader, places: Sequence[Partition]) -> Iterator[Corrected]:
    """Yield the partitions `places`, the next ones read by another thread meanwhile, each in memory of its own."""
    # All in the one thread that the reader belongs to.
    with ThreadPoolExecutor(1, thread_name_prefix="gcn-stack") as lane:
        lane.submit(reader.__enter__).result()
        failure: tuple[Any, Any, Any] = (None, None, None)
        try:
            yield from in_order(lane, (partial(reader.read, place) for place in places), _AHEAD)
        except BaseException:
            failure = sys.exc_info()
            raise
        finally:
            lane.submit(reader.__exit__, *failure).result()
