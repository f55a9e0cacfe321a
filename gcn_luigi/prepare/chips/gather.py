"""Chips gathered from stored partitions."""

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import windows as kernel
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.chips.chips import Edge, refuse_overhang
from gcn_luigi.prepare.dtypes import CUT_DTYPES, Array, fitting, writable


def gather_chips(
    windows: Array,
    places: npt.NDArray[np.int64],
    out: Array,
    *,
    edge: Edge,
    extents: npt.NDArray[np.int64] | None = None,
    fill: float = 0,
) -> Array:
    """Copy chips from anywhere in an array of partitions, which may be a memory map.

    Parameters
    ----------
    windows : ndarray
        (partition, band, y, x), or planes (partition, y, x), C-contiguous; uint8, int16, int32, float32
        or float64; not modified. Values are copied as they are.
    places : ndarray of int64
        (chip, 3): partition, row and column.
    out : ndarray
        Written to and returned: (chip, band, y, x), or (chip, y, x) for planes, C-contiguous, dtype of
        `windows`. Its last two axes are the size of a chip.
    edge : {"clamp", "drop", "pad", "legacy"}
        As in `cut_chips`, at the edge of the partition's extent.
    extents : ndarray of int64, optional
        (partition, 2): rows and columns of each partition that hold pixels, where smaller ones are
        stored padded; all of them when not given.
    fill : float
        What is written beyond the extent.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    InputError
        Shapes or dtypes do not belong together, a place is in no partition, or a chip hangs over the
        edge where it must not.
    ConfigError
        `fill` cannot be held by the dtype.
    """
    if windows.ndim not in (3, 4) or windows.dtype not in CUT_DTYPES or not windows.flags.c_contiguous:
        raise InputError(
            f"chips cannot be gathered from shape {windows.shape} and dtype {windows.dtype}",
            where="partitions",
            fix="give C-contiguous (partition, band, y, x) or (partition, y, x), of a dtype that cut_chips takes",
        )
    bands = windows.shape[1:-2]
    writable(out, (len(places), *bands, *out.shape[-2:]), windows.dtype)
    whole = np.broadcast_to(np.array(windows.shape[-2:], np.int64), (len(windows), 2))
    extents = np.ascontiguousarray(whole if extents is None else extents, np.int64)
    if places.ndim != 2 or places.shape[1] != 3 or places.dtype.kind != "i" or extents.shape != whole.shape:
        raise InputError(
            f"places of shape {places.shape} and dtype {places.dtype}, extents of shape {extents.shape}",
            where=f"{len(windows)} partitions",
            fix="give whole numbers: (chip, 3) partition, row, column, and (partition, 2) rows, columns",
        )
    partition, corner = places[:, 0], places[:, 1:]
    if ((places < 0).any(axis=1) | (partition >= len(windows))).any() or ((extents < 0) | (extents > whole)).any():
        raise InputError(
            "a place is in no partition, or an extent is larger than the partitions",
            where=f"{len(windows)} partitions of {whole[:1].tolist()} px",
            fix="take places and extents from the index the partitions were stored with",
        )
    hangs = (corner > extents[partition] - np.array(out.shape[-2:])).any(axis=1)
    refuse_overhang(edge, hangs, f"{len(windows)} partitions")
    planes = bands or (1,)
    kernel.gather(
        windows.reshape(len(windows), *planes, *windows.shape[-2:]),
        extents,
        np.ascontiguousarray(places, np.int64),
        fitting(fill, windows.dtype, "fill"),
        edge == "legacy",
        out.reshape(len(out), *planes, *out.shape[-2:]),
    )
    return out
