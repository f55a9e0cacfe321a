from typing import Any

import numpy as np
import numpy.typing as npt

def replace(
    stack: npt.NDArray[Any],
    probes: npt.NDArray[np.int64],
    sentinels: npt.NDArray[Any],
    selects: npt.NDArray[np.uint8],
    scratch: npt.NDArray[np.uint8],
    out: npt.NDArray[Any],
) -> None: ...
