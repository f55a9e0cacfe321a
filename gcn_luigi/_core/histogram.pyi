import numpy as np
import numpy.typing as npt

def add(
    image: npt.NDArray[np.int16],
    flags: npt.NDArray[np.uint8],
    band_flags: npt.NDArray[np.uint8],
    weight: npt.NDArray[np.uint32],
    packed: npt.NDArray[np.uint64],
) -> None: ...
def add_floats(
    image: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    band_flags: npt.NDArray[np.uint8],
    weight: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.int64],
    extremes: npt.NDArray[np.int32],
) -> None: ...
