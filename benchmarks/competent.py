"""A competent script, about what a good user of numpy, rasterio and h5py writes in an afternoon.

It opens the stack of each year once, reads each partition once, fills missing samples by boolean index, cuts by
`sliding_window_view` into a reused array and writes one HDF5 chunk a chip. It keeps no flags, index or statistics.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from gcn_luigi.prepare.chips.metadata import Partition

Pixels = npt.NDArray[np.int16]
StackOf = Callable[[int], Path]

LABEL, TOPO_START, CHIP, IGNORE = 9, 5, 128, 255


def fill_missing(stack: Pixels, nodata: Sequence[float | None]) -> None:
    """Fill a pixel that one band of a group lacks with 0 in the whole group; a missing label is 255. In place."""
    for group in (slice(0, TOPO_START), slice(TOPO_START, LABEL)):
        sentinels = np.array(nodata[group], np.int16)[:, np.newaxis, np.newaxis]
        missing = (stack[group] == sentinels).any(axis=0)
        stack[group][:, missing] = 0
    stack[LABEL][stack[LABEL] == nodata[LABEL]] = IGNORE


def cut(stack: Pixels, step: int, out: Pixels) -> Pixels:
    """Copy all windows of 128 px into `out` (chip, band, y, x), row-major."""
    windows = np.lib.stride_tricks.sliding_window_view(stack, (CHIP, CHIP), axis=(1, 2))[:, ::step, ::step]
    n_bands, rows, cols = windows.shape[:3]
    out.reshape(rows, cols, n_bands, CHIP, CHIP)[:] = windows.transpose(1, 2, 0, 3, 4)
    return out


def chips_of(places: Sequence[Partition], stack_of: StackOf, step: int) -> Iterator[Pixels]:
    """Yield the chips of one partition after the other, in an array that is used again."""
    out = np.empty((0, 0, CHIP, CHIP), np.int16)
    with ExitStack() as opened:
        stacks = {year: opened.enter_context(rasterio.open(stack_of(year))) for year in {p.year for p in places}}
        for place in places:
            source, window = stacks[place.year], place.window
            pixels = source.read(window=Window(window.col, window.row, window.width, window.height))
            fill_missing(pixels, source.nodatavals)
            rows, cols = ((extent - CHIP) // step + 1 for extent in pixels.shape[1:])
            if len(out) != rows * cols:
                out = np.empty((rows * cols, source.count, CHIP, CHIP), np.int16)
            yield cut(pixels, step, out)


def filters_of(codec: str) -> dict[str, Any]:
    """Return h5py's arguments for a codec; ImportError where it needs hdf5plugin and that is not there."""
    if codec == "none":
        return {}
    if codec == "deflate":
        return {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    import hdf5plugin  # noqa: PLC0415  registers its filters with HDF5

    if codec == "zstd":
        return {"shuffle": True, **hdf5plugin.Zstd(clevel=1)}
    return dict(hdf5plugin.Bitshuffle(cname="lz4"))


def export(places: Sequence[Partition], stack_of: StackOf, path: Path, step: int, codec: str) -> int:
    """Write the chips of all partitions to one HDF5 file, and the file to the disk; return how many chips."""
    count = 0
    with h5py.File(path, "w") as file:
        for chips in chips_of(places, stack_of, step):
            if not count:
                shape = chips.shape[1:]
                dataset = file.create_dataset(
                    "chips", (0, *shape), "<i2", chunks=(1, *shape), maxshape=(None, *shape), **filters_of(codec)
                )
            dataset.resize(count + len(chips), axis=0)
            if codec == "none":
                for number, chip in enumerate(chips, count):
                    dataset.id.write_direct_chunk((number, 0, 0, 0), chip)
            else:
                dataset[count:] = chips
            count += len(chips)
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return count
