from typing import Any

import numpy as np
import numpy.typing as npt

def cut(
    stack: npt.NDArray[Any],
    origins: npt.NDArray[np.int64],
    fill: float,
    out: npt.NDArray[Any],
) -> None: ...
def cut_stretched(
    stack: npt.NDArray[Any],
    origins: npt.NDArray[np.int64],
    fill: float,
    out: npt.NDArray[Any],
) -> None: ...
def integrate(
    label: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint8],
    masks: npt.NDArray[np.uint8],
    sums: npt.NDArray[np.uint32],
) -> None: ...
def count(
    sums: npt.NDArray[np.uint32],
    origins: npt.NDArray[np.int64],
    size: int,
    counts: npt.NDArray[np.int64],
) -> None: ...
