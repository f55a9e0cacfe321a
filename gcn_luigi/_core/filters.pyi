import numpy as np
import numpy.typing as npt

def shuffle(
    values: npt.NDArray[np.uint8],
    item_size: int,
    out: npt.NDArray[np.uint8],
) -> None: ...
def unshuffle(
    values: npt.NDArray[np.uint8],
    item_size: int,
    out: npt.NDArray[np.uint8],
) -> None: ...
def fletcher32(
    values: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint32],
) -> None: ...
