"""Read partitions from their stacks and correct them, for chips and partition files."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from gcn_luigi.bands import BandSchema
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.lattice import Window, WindowSet
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.prepare.missing.fill import Corrected, flag_outside, strict_nodata
from gcn_luigi.prepare.missing.legacy import legacy_corrected
from gcn_luigi.settings import NodataSettings
from gcn_luigi.stages.layers.mosaics import stack_of

# Number of partitions that are read in advance.
_AHEAD = 2


def read_partitions(
    region: Region, paths: DatasetPaths, inventory: Inventory, places: Sequence[Partition], *, in_thread: bool = False
) -> Iterator[Corrected]:
    """Yield the partitions `places` with missing pixels filled and flagged.

    A partition may reach beyond the tiles. Pixels there are missing in every role. With `in_thread` another thread
    reads the next partitions in the meantime, each into its own memory. Otherwise each is read when it is requested,
    into the memory of the previous one.

    Raises
    ------
    InputError
        A source is gone, cannot be decoded, or was replaced. The message names the file.
    """
    years = sorted({place.year for place in places})
    reader = StackReader({year: stack_of(region, paths, inventory, year) for year in years})
    reader.expect([(place.year, place.window) for place in places])
    # The settings make their bands anew each time, so they are asked once.
    bands, nodata = region.settings.schema_bands, region.settings.nodata
    correct = _Correction(bands, nodata, inventory.lattice.window, WindowSet(inventory.windows))
    read = partial(_read, reader, correct)
    if in_thread:
        yield from _read_ahead(reader, [partial(read, place) for place in places])
        return
    with reader:
        out: Corrected | None = None
        for place in places:
            shape = place.window.height, place.window.width
            out = read(place, out if out is not None and out.label.shape == shape else None)
            yield out


@dataclass(frozen=True)
class _Correction:
    """How missing pixels of a partition are filled and flagged."""

    schema: BandSchema
    nodata: NodataSettings
    # On the lattice: all of it, and the windows of the tiles.
    lattice: Window
    tiles: WindowSet

    def __call__(self, values: NDArray[Any], window: Window, out: Corrected | None) -> Corrected:
        schema, nodata = self.schema, self.nodata
        # The window of the lattice in the partition's own pixels.
        inside = Window(-window.row, -window.col, self.lattice.height, self.lattice.width)
        if nodata.mode == "legacy":
            corrected = legacy_corrected(values, schema, nodata, inside=inside, out=out)
        else:
            corrected = strict_nodata(values, schema, inside=inside, fill=nodata.fill, out=out)
        outside = self.tiles.uncovered(window)
        if outside is None:
            return corrected
        return flag_outside(corrected, schema, outside, fill=None if nodata.mode == "legacy" else nodata.fill)


def _read(reader: StackReader, correct: _Correction, place: Partition, out: Corrected | None = None) -> Corrected:
    return correct(reader.read(place.year, place.window), place.window, out)


def _read_ahead(reader: StackReader, calls: Sequence[Callable[[], Corrected]]) -> Iterator[Corrected]:
    # All calls run in the single thread that the reader belongs to.
    with ThreadPoolExecutor(1, thread_name_prefix="gcn-stack") as lane, ExitStack() as closing:
        lane.submit(reader.__enter__).result()
        closing.push(lambda *failure: lane.submit(reader.__exit__, *failure).result())
        yield from in_order(lane, calls, _AHEAD)
