import numpy as np
import numpy.typing as npt

def decode(
    stored: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
) -> int: ...
