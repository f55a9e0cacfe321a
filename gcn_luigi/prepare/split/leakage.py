"""What train and dev share, measured on finished chips instead of on the plan of partitions."""

from collections.abc import Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from gcn_luigi.errors import InputError, LatticeError, few
from gcn_luigi.lattice import Lattice

Boxes = npt.NDArray[np.int64]

# Edge of the squares in which shared pixels are counted: two masks of 4 MB.
_BLOCK = 2048
# As the lattice's own: single-precision coordinates are off by less, a real shift by more.
_TOLERANCE_PX = 1e-3
# Windows are whole pixels: two share one exactly when boxes shrunk by this still meet.
_QUARTER_PX = 0.25


@dataclass(frozen=True)
class Leaks:
    """What the chips of train and dev have in common.

    Attributes
    ----------
    shared_pixels : int
        Pixels of the lattice that a chip of each split shows, each once.
    shared_glaciers : tuple of str
        Sorted ids of the outlines that lie in partitions of both splits, counting only partitions that chips are
        cut from.
    least_distance_m : float or None
        Least straight distance of a train chip and a dev chip, edge to edge, in metres; 0 where they touch or
        overlap; None where a split shows no pixel.
    nearest : tuple of str or None
        Ids of the train chip and the dev chip that are so near; of several pairs the first by id.
    n_train, n_dev : int
        Chips of each split.
    """

    shared_pixels: int
    shared_glaciers: tuple[str, ...]
    least_distance_m: float | None
    nearest: tuple[str, str] | None
    n_train: int
    n_dev: int


def measure_leaks(chips: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, lattice: Lattice) -> Leaks:
    """Measure what train and dev chips share.

    Windows come from where the chips themselves say they lie. Of a chip that hangs over its partition or over the
    lattice only the pixels within both count, since it shows none beyond. Missing pixels count like any other: they
    are of the same ground.

    Parameters
    ----------
    chips : GeoDataFrame
        The index: columns chip_id, split, partition, left, bottom, right and top (metres).
    catalog : GeoDataFrame
        Columns partition, row, col, height, width and rgi_ids (``;`` between).
    lattice : Lattice
        The region's pixels.

    Returns
    -------
    Leaks
        Exact in pixels. Memory grows with the number of chips, not with the ground.

    Raises
    ------
    InputError
        A chip is of a partition that the catalog does not hold.
    LatticeError
        A chip lies off the lattice.
    """
    by_id = chips.sort_values("chip_id", ignore_index=True)
    windows = chip_windows(by_id, catalog, lattice)
    names = by_id["chip_id"].to_numpy(object)
    is_shown = (windows[:, 2] > windows[:, 0]) & (windows[:, 3] > windows[:, 1])
    parts = [is_shown & (by_id["split"] == split).to_numpy(bool) for split in ("train", "dev")]
    train, dev = (windows[part] for part in parts)
    gap, pair = _nearest(train, dev)
    return Leaks(
        shared_pixels=count_shared(train, dev),
        shared_glaciers=_shared_glaciers(by_id, catalog),
        least_distance_m=None if gap is None else gap * lattice.pixel_size,
        nearest=None if pair is None else (str(names[parts[0]][pair[0]]), str(names[parts[1]][pair[1]])),
        n_train=int((by_id["split"] == "train").sum()),
        n_dev=int((by_id["split"] == "dev").sum()),
    )


def chip_windows(chips: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame, lattice: Lattice) -> Boxes:
    """Return the pixels that each chip shows.

    Parameters
    ----------
    chips : GeoDataFrame
        Columns partition, left, bottom, right and top (metres).
    catalog : GeoDataFrame
        Columns partition, row, col, height and width.
    lattice : Lattice
        The region's pixels.

    Returns
    -------
    ndarray of int64
        (chip, 4): first row and column, and the row and column after the last, within partition and lattice; a chip
        without pixels there has a last that is not beyond its first.

    Raises
    ------
    InputError
        A chip is of a partition that the catalog does not hold.
    LatticeError
        A chip lies off the lattice.
    """
    metres = chips[["top", "left", "bottom", "right"]].to_numpy(float)
    edges = (metres - [lattice.top, lattice.left] * 2) / np.array([-lattice.pixel_size, lattice.pixel_size] * 2)
    windows: Boxes = np.round(edges).astype(np.int64)
    off = np.abs(edges - windows).max(axis=1, initial=0.0) > _TOLERANCE_PX
    if off.any():
        raise LatticeError(
            f"{int(off.sum())} chips lie between the pixels of the lattice",
            where=f"partitions {few(sorted(set(chips['partition'][off])))}",
            fix="measure chips against the lattice of their own dataset",
        )
    known = catalog.set_index("partition")[["row", "col", "height", "width"]]
    unknown = sorted(set(chips["partition"]) - set(known.index))
    if unknown:
        raise InputError(
            f"the catalog does not hold {len(unknown)} partitions that chips are cut from: {few(unknown)}",
            where="catalog",
            fix="take index and catalog from one dataset",
        )
    cells = known.loc[chips["partition"]].to_numpy(np.int64).reshape(-1, 4)
    first = np.maximum(np.maximum(windows[:, :2], cells[:, :2]), 0)
    last = np.minimum(np.minimum(windows[:, 2:], cells[:, :2] + cells[:, 2:]), lattice.shape)
    return np.concatenate([first, last], axis=1)


def count_shared(windows: Boxes, others: Boxes) -> int:
    """Return the number of pixels that lie in a window of each array, each pixel once.

    Parameters
    ----------
    windows, others : ndarray of int64
        (window, 4): first row and column, and the row and column after the last; none empty.

    Returns
    -------
    int
        Counted in squares of a fixed size, so memory does not grow with the ground.
    """
    first, second = shapely.STRtree(_boxes(others, -_QUARTER_PX)).query(
        _boxes(windows, -_QUARTER_PX), predicate="intersects"
    )
    near, far = windows[np.unique(first)], others[np.unique(second)]
    return sum(_count_block(corner, near, far) for corner in _blocks(near))


def _boxes(windows: Boxes, margin: float = 0.0) -> npt.NDArray[np.object_]:
    rows, cols, last_rows, last_cols = windows.T.astype(float)
    boxes: npt.NDArray[np.object_] = shapely.box(cols - margin, rows - margin, last_cols + margin, last_rows + margin)
    return boxes


def _blocks(windows: Boxes) -> Iterator[tuple[int, int]]:
    """Yield the corners of the squares that the windows touch, in order."""
    corners: set[tuple[int, int]] = set()
    for row, col, last_row, last_col in np.unique(windows // _BLOCK * _BLOCK, axis=0).tolist():
        corners |= {(y, x) for y in range(row, last_row + 1, _BLOCK) for x in range(col, last_col + 1, _BLOCK)}
    yield from sorted(corners)


def _count_block(corner: tuple[int, int], windows: Boxes, others: Boxes) -> int:
    masks = []
    for boxes in (windows, others):
        local = np.clip(boxes - [*corner, *corner], 0, _BLOCK)
        mask = np.zeros((_BLOCK, _BLOCK), bool)
        for row, col, last_row, last_col in np.unique(local, axis=0).tolist():
            mask[row:last_row, col:last_col] = True
        masks.append(mask)
    return int(np.count_nonzero(masks[0] & masks[1]))


def _nearest(train: Boxes, dev: Boxes) -> tuple[float | None, tuple[int, int] | None]:
    """Return the least distance, in pixels, and the positions of the first pair that has it."""
    if not len(train) or not len(dev):
        return None, None
    boxes, others = _boxes(train), _boxes(dev)
    # Chips of several years may lie on one another: each place is asked once.
    _, places = np.unique(train, axis=0, return_index=True)
    (asked, _), distances = shapely.STRtree(others).query_nearest(
        boxes[places], return_distance=True, all_matches=False
    )
    least = float(distances.min())
    position = int(places[asked[distances == least]].min())
    return least, (position, int(np.argmin(shapely.distance(boxes[position], others))))


def _shared_glaciers(chips: gpd.GeoDataFrame, catalog: gpd.GeoDataFrame) -> tuple[str, ...]:
    ids = {
        split: {
            name
            for names in catalog.loc[catalog["partition"].isin(chips["partition"][chips["split"] == split]), "rgi_ids"]
            for name in str(names).split(";")
            if name
        }
        for split in ("train", "dev")
    }
    return tuple(sorted(ids["train"] & ids["dev"]))
