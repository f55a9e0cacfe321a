"""What a stack's dtype can hold: checks and limits that the kernels rely on."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, InputError

Array = npt.NDArray[Any]

# What int16 conversion makes of a value too large for it.
SATURATED = 32767

_DTYPES = tuple(np.dtype(name) for name in ("int16", "int32", "float32", "float64"))
# What chips can be cut from: stacks, and planes of label and flags.
CUT_DTYPES = (np.dtype("uint8"), *_DTYPES)


def check_stack(stack: Array) -> None:
    """Raise InputError unless `stack` is (band, y, x) int16, int32, float32 or float64."""
    if stack.ndim != 3 or stack.dtype not in _DTYPES:
        raise InputError(
            f"an array of shape {stack.shape} and dtype {stack.dtype} is no stack",
            where="stack",
            fix="give (band, y, x) of int16, int32, float32 or float64",
        )


def fitting(value: float, dtype: np.dtype[Any], key: str) -> Any:
    """Return `value` as a Python number that `dtype` holds, a float rounded to it; else raise ConfigError."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if float(value).is_integer() and info.min <= value <= info.max:
            return int(value)
    else:
        with np.errstate(over="ignore"):
            held = float(dtype.type(value))
        if math.isfinite(held):
            return held
    raise ConfigError(f"{key} {value} does not fit {dtype}", where="nodata settings", fix=f"give a value {dtype} holds")


def writable(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return `out` if it can be written to as `shape` and `dtype`; raise InputError if not."""
    if out.shape != shape or out.dtype != dtype or not (out.flags.c_contiguous and out.flags.writeable):
        raise InputError(
            f"a buffer of shape {out.shape} and dtype {out.dtype} where {shape} and {dtype} are needed",
            where="out",
            fix="give a writeable C-contiguous array of that shape and dtype, or none",
        )
    return out


def limits_of(band: Band, dtype: np.dtype[Any]) -> tuple[Any, Any, Any, Any]:
    """Return nodata, second sentinel, lowest and highest valid value of `band`, all held by `dtype`.

    Comparing samples with them is exact: a limit between two values of `dtype` moves inwards.
    """
    nodata = fitting(band.nodata, dtype, f"nodata of band {band.name}")
    sentinel = SATURATED if band.role is Role.TOPO else nodata
    low, high = band.valid_min, band.valid_max
    if dtype.kind == "f":
        return nodata, sentinel, _at_least(low, dtype), -_at_least(None if high is None else -high, dtype)
    info = np.iinfo(dtype)
    lowest = info.min if low is None else max(info.min, math.ceil(low))
    highest = info.max if high is None else min(info.max, math.floor(high))
    if lowest > info.max or highest < info.min:
        # No value of the dtype is valid: a range that is empty both ways round.
        lowest, highest = info.max, info.min
    return nodata, sentinel, lowest, highest


def _at_least(value: float | None, dtype: np.dtype[Any]) -> float:
    """Return the smallest number of the float `dtype` that is not below `value`."""
    if value is None:
        return -math.inf
    with np.errstate(over="ignore"):
        held = dtype.type(value)
        return float(held if float(held) >= value else np.nextafter(held, dtype.type(math.inf)))
