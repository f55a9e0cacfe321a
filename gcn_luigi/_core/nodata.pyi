from typing import Any

import numpy as np
import numpy.typing as npt

def mark_missing(
    stack: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    bits: npt.NDArray[np.uint8],
    inside: npt.NDArray[np.int64],
    flags: npt.NDArray[np.uint8],
    out_of_range: npt.NDArray[np.int64],
) -> None: ...
def fill_missing(
    stack: npt.NDArray[Any],
    bits: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint8],
    fill: float,
    image: npt.NDArray[Any],
) -> None: ...
def read_label(
    band: npt.NDArray[Any],
    nodata: float,
    bit: int,
    flags: npt.NDArray[np.uint8],
    label: npt.NDArray[np.uint8],
) -> None: ...
