"""Chips without a copy in between: of stacks that are filled while they are cut, and of stored partitions."""

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import windows as kernel
from gcn_luigi.bands import BandSchema
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.chips.chips import Edge, Origins, check_origins, overhanging, refuse_overhang
from gcn_luigi.prepare.dtypes import CUT_DTYPES, Array, check_stack, fitting, writable
from gcn_luigi.prepare.missing.fill import stack_flags


class ChipCutter:
    """Cuts chips out of stacks and fills missing samples on the way.

    The chips are those that `cut_chips` makes of the image of `strict_nodata`, which is never made:
    each band is filled and cut strip by strip. An object holds one plane of scratch, so threads
    need one each.

    Parameters
    ----------
    schema : BandSchema
        The stacks' bands.
    size : int
        Edge of a chip, in pixels.
    edge : {"clamp", "drop", "pad", "legacy"}
        As in `cut_chips`.
    fill : int
        What a missing sample becomes, and what lies beyond the edge.
    """

    def __init__(self, schema: BandSchema, size: int, *, edge: Edge, fill: int = 0) -> None:
        self._schema = schema
        self._bits = stack_flags(schema)
        self._size = size
        self._edge = edge
        self._fill = fill
        self._plane: Array = np.empty((1, 0, 0), np.int16)

    def cut(self, stack: Array, flags: npt.NDArray[np.uint8], origins: Origins, *, out: Array | None = None) -> Array:
        """Return the chip at every origin.

        Parameters
        ----------
        stack : ndarray
            (band, y, x) in the order of the schema, int16, int32, float32 or float64; not modified.
        flags : ndarray of uint8
            (y, x) of `mark_strict`: a sample is missing where its role's flag is set.
        origins : ndarray of int64
            (chip, 2): row and column, not negative.
        out : ndarray, optional
            Written to and returned: C-contiguous, dtype of `stack`, shape of the result. It is written
            fastest where it starts at a multiple of 64 bytes.

        Returns
        -------
        ndarray
            (chip, band, y, x): all bands but the label.

        Raises
        ------
        InputError
            Stack, flags and schema do not belong together, an origin is negative, or a chip hangs over
            the edge where it must not.
        ConfigError
            The fill cannot be held by the dtype, or the size is not positive.
        """
        check_stack(stack)
        shape, n_bands = stack.shape[1:], len(self._schema)
        if stack.shape[0] != n_bands or flags.shape != shape or flags.dtype != np.uint8:
            raise InputError(
                f"a stack of shape {stack.shape} and flags of shape {flags.shape} and dtype {flags.dtype}",
                where=f"stack of the bands {', '.join(self._schema.names)}",
                fix=f"give a stack ({n_bands}, y, x) and the uint8 plane that mark_strict made of it",
            )
        origins = check_origins(origins, self._size)
        refuse_overhang(self._edge, overhanging(origins, self._size, shape), f"stack of {shape[0]} x {shape[1]} px")
        wanted = (len(origins), n_bands - 1, self._size, self._size)
        out = np.empty(wanted, stack.dtype) if out is None else writable(out, wanted, stack.dtype)
        if self._plane.shape[1:] != shape or self._plane.dtype != stack.dtype:
            self._plane = np.empty((1, *shape), stack.dtype)
        kernel.cut_filled(
            np.ascontiguousarray(stack),
            self._bits,
            np.ascontiguousarray(flags),
            origins,
            fitting(self._fill, stack.dtype, "fill"),
            self._edge == "legacy",
            self._plane,
            out,
        )
        return out


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
