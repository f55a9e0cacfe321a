"""The published way, written anew from its description: a file a partition, a file a chip.

Two steps for each partition. The first reads its GeoTIFF, replaces missing samples by numpy's masked arrays and writes
an LZW GeoTIFF. The second opens that file again for every chip, reads one window and writes one LZW GeoTIFF.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from gcn_luigi.prepare.chips.metadata import Partition

Pixels = npt.NDArray[np.int16]

NODATA, TOPO_NODATA, SATURATED, FILL = -32768, -9999, 32767, 0
CLASS_BAND, OPTICAL_BAND, TOPO_BAND, ALT_TOPO_BAND, TOPO_START = 9, 0, -3, -4, 5
CHIP = 128
_LABEL_MISSING = 255


def lay_partition(stack: Path, place: Partition, path: Path) -> None:
    """Write the partition as the clip step would: int16, not compressed, -32768 wherever the label is missing."""
    window = Window(place.window.col, place.window.row, place.window.width, place.window.height)
    with rasterio.open(stack) as source:
        pixels = source.read(window=window)
        profile = {
            "driver": "GTiff", "dtype": "int16", "count": source.count, "nodata": NODATA, "crs": source.crs,
            "height": place.window.height, "width": place.window.width, "transform": source.window_transform(window),
        }  # fmt: skip
    pixels[CLASS_BAND][pixels[CLASS_BAND] == _LABEL_MISSING] = NODATA
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)


def export(partitions: Sequence[Path], directory: Path, step: int) -> int:
    """Make the chips of all partitions; return how many."""
    return sum(cut_partition(fix_nodata(path, directory), directory, step) for path in partitions)


def fix_nodata(partition: Path, directory: Path) -> Path:
    """Write the partition with its missing samples replaced; return the new file."""
    with rasterio.open(partition) as source:
        stack, profile = source.read(), source.profile
    path = directory / f"{partition.stem}_corrected.tif"
    profile.update(driver="GTiff", compress="lzw")
    with rasterio.open(path, "w", **profile) as target:
        target.write(replaced(stack))
    return path


def replaced(stack: Pixels) -> Pixels:
    """Return the stack (band, y, x) as the published rule leaves it, masked array by masked array."""
    no_class = np.ma.masked_equal(stack[CLASS_BAND], NODATA)
    no_optical = np.ma.masked_equal(stack[OPTICAL_BAND], NODATA)
    alternative = np.ma.masked_equal(stack[ALT_TOPO_BAND], SATURATED)
    alternative = np.ma.masked_equal(np.ma.masked_equal(alternative, TOPO_NODATA), NODATA)
    no_topo = np.ma.masked_less(stack[TOPO_BAND], 0)
    masks = np.zeros(stack.shape, bool)
    masks[:TOPO_START] = np.ma.getmaskarray(no_optical)
    masks[TOPO_START:CLASS_BAND] = np.ma.getmaskarray(no_topo) | np.ma.getmaskarray(alternative)
    fixed = np.ma.masked_array(stack, masks).filled(FILL)
    everywhere = np.broadcast_to(np.ma.getmaskarray(no_class), stack.shape)
    filled: Pixels = np.ma.masked_array(fixed, everywhere).filled(FILL)
    return filled


def cut_partition(partition: Path, directory: Path, step: int) -> int:
    """Write one file a chip; return how many."""
    with rasterio.open(partition) as source:
        height, width = source.shape
    offsets = list(itertools.product(*(range(0, extent - CHIP + step, step) for extent in (height, width))))
    for row, col in offsets:
        with rasterio.open(partition) as source:
            window = Window(col, row, CHIP, CHIP)
            chip = source.read(window=window, masked=True)
            profile = source.profile
            profile.update(height=CHIP, width=CHIP, transform=source.window_transform(window), compress="lzw")
        with rasterio.open(chip_path(directory, partition, row, col), "w", **profile) as target:
            target.write(chip.filled(NODATA))
    return len(offsets)


def chip_path(directory: Path, partition: Path, row: int, col: int) -> Path:
    """Return the file of one chip."""
    return directory / f"grid_tile_{partition.stem}_train_chip_row{row}_col{col}.tif"
