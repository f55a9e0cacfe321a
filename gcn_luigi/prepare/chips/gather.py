"""Chips of stacks that are filled while they are cut, without a copy in between."""

import numpy as np
import numpy.typing as npt

from gcn_luigi._core import windows as kernel
from gcn_luigi.bands import BandSchema
from gcn_luigi.errors import InputError
from gcn_luigi.prepare.chips.chips import Edge, Origins, check_origins, overhanging, refuse_overhang
from gcn_luigi.prepare.dtypes import Array, check_stack, fitting, writable
from gcn_luigi.prepare.missing.flags import stack_flags


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
