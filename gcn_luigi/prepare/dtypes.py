"""Checks of arrays that the kernels rely on."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi.errors import InputError

Array = npt.NDArray[Any]


def writable(out: Array, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Return `out` if it is a writeable, C-contiguous array of `shape` and `dtype`; otherwise raise InputError."""
    if out.shape != shape or out.dtype != dtype or not (out.flags.c_contiguous and out.flags.writeable):
        raise InputError(
            f"the buffer has shape {out.shape} and dtype {out.dtype}, but {shape} and {np.dtype(dtype)} are needed",
            where="out",
            fix="give a writeable C-contiguous array of the needed shape and dtype, or omit it",
        )
    return out
