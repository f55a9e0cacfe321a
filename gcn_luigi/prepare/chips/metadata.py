"""The columns of chip metadata in a shard."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.selection import ChipCounts

# In bytes. Texts of fixed width let a single row be read, however many chips there are.
_ID_WIDTH = 128
_PARTITION_WIDTH = 64
_PLACED = ("chip_id", "partition", "row", "col", "year", "year_gap")
_VALID = ("valid_label", "valid_optical", "valid_topo", "valid_share")


def indexed_columns(classes: ClassTable) -> tuple[str, ...]:
    """Return the columns of a shard that are copied to the index unchanged."""
    return (*_PLACED, *classes.shares(), *_VALID)


@dataclass(frozen=True)
class Partition:
    """The partition that chips are cut from.

    Attributes
    ----------
    partition : str
        Its id.
    split : str
        ``train`` or ``dev``.
    year : int
        Year of the composite.
    year_gap : int
        Years between outline and composite; -1 if no outline has a date.
    window : Window
        Pixels of the partition on `lattice`.
    lattice : Lattice
        Lattice of the region.
    """

    partition: str
    split: str
    year: int
    year_gap: int
    window: Window
    lattice: Lattice


def chip_columns(
    region: str,
    place: Partition,
    origins: NDArray[np.int64],
    counts: ChipCounts,
    size: int,
    classes: ClassTable = DEFAULT_CLASSES,
) -> dict[str, NDArray[Any]]:
    """Return the metadata of a partition's chips as (chip,) arrays.

    The columns are ``chip_id`` (which starts with `region`), ``partition``, ``row``, ``col``, ``year``, ``year_gap``,
    the shares of the chip's pixels by class and by validity (0 to 1), and ``transform`` (chip, 6), the affine
    coefficients a to f. `origins` (chip, 2) are the row and column of each chip in the partition, `counts` the counts
    of the same chips, `size` the edge length of a chip in pixels, and `classes` those of the label. Raise InputError if
    the id of the partition has more than 64 characters or characters outside ASCII.
    """
    if len(place.partition) > _PARTITION_WIDTH or not place.partition.isascii():
        raise InputError(
            f"an id of {len(place.partition)} characters does not fit, so chips of two partitions could be confused",
            where=f"partition {place.partition}",
            fix=f"give each cell of the grid an id of at most {_PARTITION_WIDTH} letters, digits, _ or -",
        )
    n_chips, area = len(origins), float(size * size)
    lattice, window = place.lattice, place.window
    transform = np.tile(np.array(lattice.crop(Window(window.row, window.col, 1, 1)).transform), (n_chips, 1))
    transform[:, 2] += origins[:, 1] * lattice.pixel_size
    transform[:, 5] -= origins[:, 0] * lattice.pixel_size
    stem = f"{region}_{place.split}_{place.partition}_{place.year}"
    names = [f"{stem}_r{row:04d}_c{col:04d}" for row, col in origins.tolist()]
    missing = {"optical": counts.optical_missing, "topo": counts.topo_missing, "label": counts.ignore}
    return {
        "chip_id": np.array(names, dtype=f"S{_ID_WIDTH}"),
        "partition": np.full(n_chips, place.partition, dtype=f"S{_PARTITION_WIDTH}"),
        "row": origins[:, 0].astype(np.int32),
        "col": origins[:, 1].astype(np.int32),
        "year": np.full(n_chips, place.year, np.int16),
        "year_gap": np.full(n_chips, place.year_gap, np.int16),
        **{
            column: (counts.classes[:, position] / area).astype(np.float32)
            for position, column in enumerate(classes.shares())
        },
        **{f"valid_{role}": (1.0 - count / area).astype(np.float32) for role, count in missing.items()},
        "valid_share": (1.0 - counts.any_missing / area).astype(np.float32),
        "transform": transform,
    }


def empty_columns(
    region: str, split: str, lattice: Lattice, *, in_windows: bool = False, classes: ClassTable = DEFAULT_CLASSES
) -> dict[str, NDArray[Any]]:
    """Return columns without rows: an empty shard has the same column names and types as any other shard.

    `in_windows` adds ``in_window``, the row of the window that a chip is cut from.
    """
    no_origins = np.zeros((0, 2), np.int64)
    columns = chip_columns(region, _nowhere(split, lattice), no_origins, ChipCounts.empty(len(classes)), 1, classes)
    return columns | {"in_window": np.zeros(0, np.int32)} if in_windows else columns


def window_columns(place: Partition) -> dict[str, NDArray[Any]]:
    """Return the metadata of one window as (1,) arrays, for shards that store whole partitions.

    The columns are ``window_partition``, ``window_year``, ``window_height`` and ``window_width`` (in pixels, without
    the padding) and ``window_transform`` (1, 6), the affine coefficients a to f.
    """
    window = place.window
    corner = place.lattice.crop(Window(window.row, window.col, 1, 1))
    return {
        "window_partition": np.array([place.partition], dtype=f"S{_PARTITION_WIDTH}"),
        "window_year": np.array([place.year], np.int16),
        "window_height": np.array([window.height], np.int32),
        "window_width": np.array([window.width], np.int32),
        "window_transform": np.array([corner.transform]),
    }


def empty_window_columns(lattice: Lattice) -> dict[str, NDArray[Any]]:
    """Return the columns of windows without rows."""
    return {name: values[:0] for name, values in window_columns(_nowhere("", lattice)).items()}


def _nowhere(split: str, lattice: Lattice) -> Partition:
    return Partition("", split, 0, 0, Window(0, 0, 0, 0), lattice)
