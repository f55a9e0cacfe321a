from typing import Any

import numpy as np
import numpy.typing as npt

def cut(
    stack: npt.NDArray[Any],
    origins: npt.NDArray[np.int64],
    fill: float,
    stretched: bool,
    out: npt.NDArray[Any],
) -> None: ...
def gather(
    windows: npt.NDArray[Any],
    extents: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    fill: float,
    stretched: bool,
    out: npt.NDArray[Any],
) -> None: ...
