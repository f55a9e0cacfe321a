import numpy as np
import numpy.typing as npt

def add(
    image: npt.NDArray[np.int16],
    flags: npt.NDArray[np.uint8],
    band_flags: npt.NDArray[np.uint8],
    weight: npt.NDArray[np.uint32],
    packed: npt.NDArray[np.uint64],
) -> None: ...
