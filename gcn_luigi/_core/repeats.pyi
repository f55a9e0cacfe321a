import numpy as np
import numpy.typing as npt

def squared_counts(
    plane: npt.NDArray[np.uint8],
    segment: int,
    stride: int,
    counts: npt.NDArray[np.uint32],
    squares: npt.NDArray[np.int64],
) -> None: ...
