from typing import Any

import numpy as np
import numpy.typing as npt

def sum_differences(
    differences: npt.NDArray[Any],
    n_samples: int,
    out: npt.NDArray[Any],
) -> None: ...
def join_float_bytes(
    stored: npt.NDArray[np.uint8],
    n_samples: int,
    out: npt.NDArray[Any],
) -> None: ...
